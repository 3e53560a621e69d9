"""A mesh of a few workloads in one line: this usage, this policy, this answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from rightsize.results import Component
from rightsize.snapshot import DayRecord, Manifest, Snapshot, SnapshotWriter

MIB = 2**20
FIRST_DAY = date(2026, 9, 1)


@dataclass(frozen=True)
class Tiny:
    """One container of one workload. `cpu` and `memory` are tiled over the windows of each pod."""

    workload: str = "web"
    namespace: str = "shop"
    component: Component = "sidecar"
    container: str = "istio-proxy"
    kind: str = "Deployment"
    pods: int = 2
    days: int = 10
    skip_days: int = 0
    cpu: Sequence[float] = (0.005,)
    memory: Sequence[float] = (60 * MIB,)
    cpu_request: float | None = 0.1
    cpu_limit: float | None = 2.0
    memory_request: float | None = 128 * MIB
    memory_limit: float | None = 1024 * MIB
    throttled: float = 0.0
    oom_kills: int | None = 0
    """None: nothing reports restarts or kills."""
    annotations: str | None = None
    labels: str | None = None
    native: bool = False
    app_cpu_request: float | None = None
    app_memory_request: float | None = None
    """That of the proxy where it is None."""

    def but(self, **changes: object) -> Tiny:
        return replace(self, **changes)


def tiny_snapshot(
    path: Path,
    *containers: Tiny,
    hpas: pd.DataFrame | None = None,
    nodes: int = 0,
    first_day: date = FIRST_DAY,
    days: int = 10,
    more: Mapping[str, pd.DataFrame] | None = None,
) -> Snapshot:
    """Write a snapshot of these containers and open it; pods are spread over `nodes`.

    `more` are tables that each day has beside.
    """
    manifest = Manifest(cluster="tiny", source="demo", simulated=True, region="us-east-1")
    with SnapshotWriter(path, manifest) as writer:
        for number in range(days):
            day = first_day + timedelta(days=number)
            start = datetime(day.year, day.month, day.day, tzinfo=UTC)
            seen = [c for c in containers if c.skip_days <= number < c.skip_days + c.days]
            tables = tiny_tables(seen, start)
            tables |= more or {}
            if hpas is not None:
                tables["hpas"] = hpas
            if nodes:
                tables["nodes"] = _alive(tiny_nodes(nodes), start)
                numbers = np.arange(len(tables["pods"])) % nodes + 1
                tables["pods"]["node"] = [f"node-{n}" for n in numbers]
            record = DayRecord(start, start + timedelta(days=1), complete=True, rows={}, absent=())
            writer.write_day(day, tables, record)
    return Snapshot(path)


def tiny_tables(containers: Sequence[Tiny], start: datetime) -> dict[str, pd.DataFrame]:
    """Tables `usage`, `containers` and `pods` of the day that begins at `start`."""
    return {
        "usage": _concat([_usage(c, start) for c in containers]),
        "containers": _concat([_containers(c) for c in containers]),
        "pods": _concat([_pods(c, start) for c in containers]),
    }


def hpa(workload: str, target: float, namespace: str = "shop") -> pd.DataFrame:
    """One HPA on the CPU utilisation of whole pods."""
    return pd.DataFrame(
        {
            "namespace": [namespace],
            "hpa": [workload],
            "workload": [workload],
            "workload_kind": ["Deployment"],
            "min_replicas": [1.0],
            "max_replicas": [10.0],
            "metric_type": ["Resource"],
            "metric": ["cpu"],
            "target_utilization": [target],
        }
    )


def _names(container: Tiny) -> list[str]:
    middle = "" if container.kind == "StatefulSet" else "5d9c7b8f6-0000"
    return [f"{container.workload}-{middle}{n}" for n in range(container.pods)]


def _usage(container: Tiny, start: datetime) -> pd.DataFrame:
    times = pd.date_range(start, periods=288, freq="5min", unit="ms") + pd.Timedelta("5min")
    parts = []
    for pod in _names(container):
        parts.append(
            pd.DataFrame(
                {
                    "time": times,
                    "namespace": container.namespace,
                    "pod": pod,
                    "container": container.container,
                    "cpu": np.resize(np.asarray(container.cpu, dtype=float), 288),
                    "memory": np.resize(np.asarray(container.memory, dtype=float), 288),
                    "periods": np.nan if container.cpu_limit is None else 3000.0,
                    "throttled_periods": np.nan
                    if container.cpu_limit is None
                    else 3000.0 * container.throttled,
                }
            )
        )
    return _concat(parts)


def _containers(container: Tiny) -> pd.DataFrame:
    names = _names(container)
    mesh = pd.DataFrame(
        {
            "namespace": container.namespace,
            "pod": names,
            "container": container.container,
            "component": container.component,
            "init": container.native,
            "native": container.native,
            "cpu_request": container.cpu_request,
            "cpu_limit": container.cpu_limit,
            "memory_request": container.memory_request,
            "memory_limit": container.memory_limit,
            "restarts": np.nan if container.oom_kills is None else 0.0,
            "oom_kills": np.nan
            if container.oom_kills is None
            else [float(container.oom_kills)] + [0.0] * (len(names) - 1),
        }
    )
    if container.app_cpu_request is None:
        return mesh
    app = mesh.assign(
        container="app",
        component=None,
        init=False,
        native=False,
        cpu_request=container.app_cpu_request,
        memory_request=container.app_memory_request or container.memory_request,
        cpu_limit=None,
        memory_limit=None,
        oom_kills=0.0,
    )
    return _concat([mesh, app])


def _pods(container: Tiny, start: datetime) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "namespace": container.namespace,
            "pod": _names(container),
            "workload": container.workload,
            "workload_kind": container.kind,
            "node": "node-1",
            "phase": "Running",
            "started": pd.Timestamp(FIRST_DAY, tz="UTC"),
            "first_seen": pd.Timestamp(start) + pd.Timedelta("5min"),
            "last_seen": pd.Timestamp(start) + pd.Timedelta("1D"),
            "annotations": container.annotations,
            "labels": container.labels,
        }
    )


def _alive(nodes: pd.DataFrame, start: datetime) -> pd.DataFrame:
    first, last = (
        pd.Timestamp(start) + pd.Timedelta("5min"),
        pd.Timestamp(start) + pd.Timedelta("1D"),
    )
    return nodes.assign(first_seen=first, last_seen=last)


def _concat(parts: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def tiny_nodes(count: int, *, instance_type: str = "m5.xlarge") -> pd.DataFrame:
    """Nodes of one type over three zones."""
    return pd.DataFrame(
        {
            "node": [f"node-{n + 1}" for n in range(count)],
            "instance_type": instance_type,
            "instance_type_source": "label",
            "region": "us-east-1",
            "zone": [f"us-east-1{'abc'[n % 3]}" for n in range(count)],
            "capacity_type": "on-demand",
            "arch": "amd64",
            "capacity_cpu": 4.0,
            "capacity_memory": 16 * 2**30,
            "allocatable_cpu": 3.92,
            "allocatable_memory": 14162.0 * MIB,
            "allocatable_pods": 58.0,
        }
    )
