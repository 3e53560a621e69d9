"""What-if answers, as JSON and as lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import pandas as pd

from rightsize.istiod.mesh_today import MeshToday
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Interval
from rightsize.simulate.simulate import Outcome

JSON_VERSION = 1


def simulation_to_dict(
    today: MeshToday, outcomes: Sequence[Outcome], *, simulated: bool
) -> Mapping[str, object]:
    """The answer of `rightsize simulate --format json`; see docs/control-plane.md."""
    return {
        "schema_version": JSON_VERSION,
        "simulated": simulated,
        "today": {
            "services": today.scale.services,
            "pods": today.scale.pods,
            "requests_per_second": today.scale.requests_per_second,
            "nodes": today.nodes,
        },
        "outcomes": [_outcome(found) for found in outcomes],
    }


def simulation_to_frame(today: MeshToday, outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """One row for today and for each outcome; cores, bytes, USD a month.

    Of today only the scale and the nodes are filled: what runs is no outcome of the model.
    """
    rows: list[dict[str, object]] = [{"mode": "today", **asdict(today.scale), "nodes": today.nodes}]
    for found in outcomes:
        row: dict[str, object] = {"mode": found.mode, **asdict(found.scale)}
        row["istiod_replicas"] = found.istiod.replicas
        row["istiod_cpu_request"] = found.istiod.cpu_request
        row["istiod_memory_request"] = found.istiod.memory.high
        for name, interval in (
            ("data_plane_cpu", found.data_plane_cpu),
            ("data_plane_memory", found.data_plane_memory),
            ("nodes", found.nodes),
            ("usd_per_month", found.usd_per_month),
        ):
            if interval is not None:
                row |= {
                    name: interval.mid,
                    f"{name}_low": interval.low,
                    f"{name}_high": interval.high,
                }
        rows.append(row)
    return pd.DataFrame(rows)


def simulation_lines(today: MeshToday, outcomes: Sequence[Outcome]) -> list[str]:
    """The same for people."""
    now = today.scale
    nodes = "not known" if today.nodes is None else f"{today.nodes:.0f}"
    lines = [
        f"today: {now.services:,.0f} services, {now.pods:,.0f} pods in the mesh, "
        f"{now.requests_per_second:,.0f} requests/s at most, {nodes} nodes"
    ]
    for found in outcomes:
        lines += _lines(found)
    return lines


def _lines(found: Outcome) -> list[str]:
    scale, plan = found.scale, found.istiod
    money = found.usd_per_month
    nodes = found.nodes
    return [
        f"{found.mode}: {scale.services:,.0f} services, {scale.pods:,.0f} pods, "
        f"{scale.requests_per_second:,.0f} requests/s",
        f"  istiod: {plan.replicas} pods x {format_cpu(plan.cpu_request)}, "
        f"{format_memory(plan.memory.high)} requested, on the upper ends; expected use of all: CPU "
        f"{_cores(found.istiod_cpu)}, "
        f"memory {_memory(found.istiod_memory)}",
        f"  data plane: {found.proxies.mid:,.0f} proxies, CPU {_cores(found.data_plane_cpu)}, "
        f"memory {_memory(found.data_plane_memory)}",
        "  nodes: "
        + ("not computed" if nodes is None else _range(nodes, ""))
        + ", a month: "
        + ("not computed" if money is None else _range(money, " USD")),
        *(f"  to measure: {one.text}" for one in found.to_measure),
        *(f"  assumed: {text}" for text in found.assumptions),
    ]


def _outcome(found: Outcome) -> Mapping[str, object]:
    return {
        "mode": found.mode,
        "scale": asdict(found.scale),
        "istiod": {
            "replicas": found.istiod.replicas,
            "cpu_request_cores": found.istiod.cpu_request,
            "memory_request_bytes": found.istiod.memory.high,
            "target_utilization_percent": found.istiod.target,
        },
        "istiod_cpu_cores": asdict(found.istiod_cpu),
        "istiod_memory_bytes": asdict(found.istiod_memory),
        "data_plane_cpu_cores": asdict(found.data_plane_cpu),
        "data_plane_memory_bytes": asdict(found.data_plane_memory),
        "proxies": asdict(found.proxies),
        "nodes": None if found.nodes is None else asdict(found.nodes),
        "usd_per_month": None if found.usd_per_month is None else asdict(found.usd_per_month),
        "assumptions": list(found.assumptions),
        "to_measure": [asdict(one) for one in found.to_measure],
    }


def _cores(found: Interval) -> str:
    return f"{found.mid:,.1f} cores ({found.low:,.1f} to {found.high:,.1f})"


def _memory(found: Interval) -> str:
    low, mid, high = (value / 2**30 for value in (found.low, found.mid, found.high))
    return f"{mid:,.1f} GiB ({low:,.1f} to {high:,.1f})"


def _range(found: Interval, unit: str) -> str:
    if found.low == found.high:
        return f"{found.mid:,.0f}{unit}"
    return f"{found.mid:,.0f}{unit} ({found.low:,.0f} to {found.high:,.0f})"
