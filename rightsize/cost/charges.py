"""What AWS charges for nodes beside, or instead of, an instance: Fargate, Hybrid Nodes, Auto Mode.

Fargate charges a pod for the smallest size that holds its requests and 256 MiB for the kubelet (EKS
user guide, "Fargate Pod configuration"), so that a smaller sidecar saves whole steps or nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from rightsize.cost.other import UnitCost
from rightsize.cost.plan import CostLine, Terms
from rightsize.data_files import data_file
from rightsize.nodes.demand import pod_days
from rightsize.nodes.room import hours_seen
from rightsize.prices.node_kinds import kinds_of
from rightsize.results import Advice, Interval

GIBIBYTE = 2.0**30
_KUBELET_GIB = 0.25
_ROUNDING = 1e-9

FARGATE, HYBRID = "Fargate pods", "EKS Hybrid Nodes fee"


@cache
def fargate_sizes() -> NDArray[np.float64]:
    """Every size that a pod can have: vCPUs and GiB, smallest first. (S, 2)"""
    with data_file("fargate_sizes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    sizes = []
    for row in rows:
        vcpu, least, most, step = (float(row[name]) for name in ("vcpu", "least", "most", "step"))
        sizes += [(vcpu, gib) for gib in np.arange(least, most + step / 2, step)]
    return np.array(sizes)


def fargate_size(cpu: ArrayLike, memory: ArrayLike) -> NDArray[np.float64]:
    """Return what pods are charged for: vCPUs and GiB. (P, 2); NaN where no size is large enough.

    Parameters
    ----------
    cpu, memory : array_like
        Requests of each pod, cores and bytes. (P,)
    """
    sizes = fargate_sizes()
    cores = np.asarray(cpu, dtype=float)[:, None]
    gib = np.asarray(memory, dtype=float)[:, None] / GIBIBYTE + _KUBELET_GIB
    short = np.maximum(cores - sizes[:, 0], gib - sizes[:, 1])
    holds = np.asarray(short <= _ROUNDING)
    found = np.asarray(sizes[holds.argmax(axis=1)])
    found[~holds.any(axis=1)] = np.nan
    return found


def node_charges(
    tables: Mapping[str, pd.DataFrame], terms: Terms, covered: float, advice: Advice | None = None
) -> tuple[CostLine, ...]:
    """A line for each kind of node that ran and is not charged by the instance alone.

    Auto Mode's fee goes with the instances of a plan, and is a line of `price_plan`.

    Parameters
    ----------
    tables : mapping
        `nodes`, `pods`, `containers` of the snapshot, with their `day`.
    covered : float
        Hours that the days with node rows cover; charges are scaled from them to the month.
    advice : Advice, optional
        Recommended requests, by which Fargate's pods are charged instead.
    """
    nodes = tables["nodes"]
    kinds = kinds_of(nodes)
    scale = terms.hours / covered if covered else 1.0
    lines = []
    if (kinds == "fargate").any():
        names = set(nodes.loc[kinds == "fargate", "node"].astype(str))
        lines.append(_fargate(tables, names, terms, scale, advice))
    if (kinds == "hybrid").any():
        lines.append(_hybrid(nodes[kinds == "hybrid"], terms, scale))
    return tuple(lines)


def _fargate(
    tables: Mapping[str, pd.DataFrame],
    names: set[str],
    terms: Terms,
    scale: float,
    advice: Advice | None,
) -> CostLine:
    prices = terms.other.get("fargate_vcpu"), terms.other.get("fargate_gib")
    pods = pod_days(tables["pods"], tables["containers"], advice)
    pods = pods[pods["node"].isin(names)]
    if prices[0] is None or prices[1] is None:
        return CostLine(FARGATE, None, "", "no price for them")
    if pods.empty:
        return CostLine(FARGATE, None, "", "their pods are unknown")
    size = fargate_size(pods["cpu"], pods["memory"])
    hourly = size[:, 0] * prices[0].usd + size[:, 1] * prices[1].usd
    if np.isnan(hourly).any():
        return CostLine(FARGATE, None, "", "a pod requests more than the largest size of Fargate")
    hours = hours_seen(pods).to_numpy(dtype=float) * scale
    mean = (size * hours[:, None]).sum(axis=0) / hours.sum()
    note = f"charged by size: {mean[0]:.2f} vCPU and {mean[1]:.2f} GiB a pod on average"
    return _line(FARGATE, float(hourly @ hours), note, prices[0], terms)


def fargate_steps(tables: Mapping[str, pd.DataFrame], advice: Advice) -> Mapping[str, int]:
    """Pods by namespace that the recommended requests take to another size, as last seen.

    Parameters
    ----------
    tables : mapping
        `nodes`, `pods`, `containers` of the snapshot, with their `day`.
    """
    nodes = tables["nodes"]
    names = set(nodes.loc[kinds_of(nodes) == "fargate", "node"].astype(str))
    sizes = []
    for one in (None, advice):
        pods = pod_days(tables["pods"], tables["containers"], one)
        pods = pods[pods["node"].isin(names)].drop_duplicates(["namespace", "pod"], keep="last")
        sizes.append(fargate_size(pods["cpu"], pods["memory"]))
    moved = pods[(sizes[0] != sizes[1]).any(axis=1)]
    return {str(k): int(n) for k, n in moved.groupby("namespace", observed=True).size().items()}


def _hybrid(nodes: pd.DataFrame, terms: Terms, scale: float) -> CostLine:
    price = terms.other.get("hybrid_vcpu")
    cores = pd.to_numeric(nodes["capacity_cpu"]).to_numpy(dtype=float)
    if price is None or np.isnan(cores).any():
        note = "no price for it" if price is None else "the vCPUs of a node are unknown"
        return CostLine(HYBRID, None, "", note)
    usd = float(cores @ hours_seen(nodes).to_numpy(dtype=float)) * scale * price.usd
    return _line(HYBRID, usd, "no instance of EC2", price, terms)


def _line(name: str, usd: float, note: str, price: UnitCost, terms: Terms) -> CostLine:
    said = "; ".join(part for part in (note, price.note(terms.region)) if part)
    return CostLine(name, Interval.exactly(usd), f"{price.source}, {price.as_of}", said)


def auto_share(nodes: pd.DataFrame) -> float:
    """Share of the vCPU-hours of packed EC2 machines that are Auto Mode's."""
    kinds = kinds_of(nodes)
    cores = pd.to_numeric(nodes["capacity_cpu"]).fillna(1.0) * hours_seen(nodes)
    whole = float(cores[kinds.isin(("ec2", "auto"))].sum())
    return float(cores[kinds == "auto"].sum()) / whole if whole else 0.0
