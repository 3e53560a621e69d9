"""What each pod of CoreDNS needs, and how many there should be: one may be lost at the busiest time.

CoreDNS holds all pods and services of the cluster in every pod, so memory hardly follows the
queries: what it does follow is fitted. CPU follows the queries, which the pods left share evenly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from rightsize.config import PolicySettings
from rightsize.dns.load import DnsLoad
from rightsize.prices.unit_price import UnitPrice
from rightsize.quantity import MEBIBYTE
from rightsize.results import ResourceAdvice, Sizes, Usage
from rightsize.sizing.guards import Situation, guarded, memory_events
from rightsize.sizing.history import OutOfMemory
from rightsize.sizing.node_bound import ANY_NODE, Largest, bounded

PACKETS = 1024.0
"""Packets a second that the VPC resolver takes from one network interface (Amazon VPC user guide,
"DNS attributes for your VPC", quotas); it cannot be raised."""
ROOM = 0.8
"""Share of it that is planned for: the rate is a 5-minute mean."""
FLOOR_CPU, FLOOR_MEMORY = 0.01, 32 * MEBIBYTE
_MOST_REPLICAS = 20
_MOST_BY_DEFAULT = 10
"""What EKS scales to where nothing else is set."""
_DAY_SLACK = 0.25
_FEWEST = 2
_LEAST_HOURS = 24
_ONE_SIDED = 1.645
"""Standard errors of a 95 % upper end."""
Unknown = Literal["request", "limit"]


@dataclass(frozen=True, slots=True)
class DnsUsage:
    """By hour: CPU of all pods (the sum of their highest 5 minutes), and each pod's memory."""

    cpu_total: pd.Series
    cpu_pod: float
    """The highest 5 minutes of any pod; NaN where unknown."""
    memory: pd.DataFrame
    """Columns time, pod, value (bytes) and requests (highest 5 minutes, a second; may be NaN)."""

    @classmethod
    def of(cls, rows: pd.DataFrame) -> DnsUsage:
        """From rows of table `dns`."""
        cpu = rows[rows["metric"] == "coredns_cpu_peak"]
        memory = rows.loc[rows["metric"] == "coredns_memory", ["time", "pod", "value"]]
        asked = rows.loc[rows["metric"] == "coredns_requests_peak", ["time", "pod", "value"]]
        asked = asked.rename(columns={"value": "requests"})
        memory = memory.merge(asked, on=["time", "pod"], how="left")
        return cls(cpu.groupby("time")["value"].sum(), float(cpu["value"].max()), memory)

    @property
    def known(self) -> bool:
        return len(self.cpu_total) > 0 and len(self.memory) > 0


@dataclass(frozen=True, slots=True)
class DnsSize:
    """Replicas and sizes, this step and the end."""

    replicas: int
    most_replicas: int
    cpu: ResourceAdvice
    memory: ResourceAdvice
    reasons: tuple[str, ...]


def pod_needs(usage: DnsUsage, load: DnsLoad, replicas: int) -> tuple[float, float]:
    """Cores and bytes of one of `replicas` pods while one of them is lost.

    CPU is the busiest hour's, shared by those left; of as many pods as today or fewer, no less than
    any pod had. Memory is the highest that any pod had, and
    for each query a second beyond the highest seen the upper end of the fitted slope.
    """
    left = replicas - 1
    memory = float(usage.memory["value"].max())
    seen = usage.memory["requests"].max()
    if load.requests_peak is not None and not math.isnan(seen):
        memory += memory_slope(usage.memory) * max(0.0, load.requests_peak / left - float(seen))
    cpu = float(usage.cpu_total.max()) / left
    return (max(cpu, usage.cpu_pod) if replicas <= (load.pods or 0) else cpu), memory


def memory_slope(memory: pd.DataFrame) -> float:
    """Upper end of bytes for a query a second, by least squares over hours and pods; 0 if unknown."""
    known = memory.dropna(subset=["value", "requests"])
    x, y = known["requests"].to_numpy(dtype=float), known["value"].to_numpy(dtype=float)
    spread = float(((x - x.mean()) ** 2).sum()) if len(x) >= _LEAST_HOURS else 0.0
    if spread <= 0:
        return 0.0
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread
    rest = y - y.mean() - slope * (x - x.mean())
    error = math.sqrt(float((rest**2).sum()) / (len(x) - 2) / spread)
    return max(0.0, slope + _ONE_SIDED * error)


def least_replicas(load: DnsLoad) -> int:
    """Two, and as many as keep each below the resolver's packets with one lost."""
    if load.forwarded_peak_pod is None or load.pods is None:
        return _FEWEST
    total = load.forwarded_peak_pod * max(1.0, load.pods)
    return max(_FEWEST, math.ceil(total / (PACKETS * ROOM)) + 1)


@dataclass(frozen=True, slots=True)
class InForce:
    """What CoreDNS runs with. `unknown` are sizes that no source reported."""

    sizes: Sizes
    unknown_cpu: frozenset[Unknown] = frozenset()
    unknown_memory: frozenset[Unknown] = frozenset()
    kills: tuple[OutOfMemory, ...] = ()
    kills_unsafe: str | None = None
    """Why memory must not be cut: a kill would have gone unseen."""


def size_dns(
    usage: DnsUsage,
    load: DnsLoad,
    now: InForce,
    *,
    nodes: int,
    hold: str | None,
    price: UnitPrice,
    rules: PolicySettings,
    most_of_node: Largest = ANY_NODE,
) -> DnsSize:
    """The number of replicas with the cheapest requests together, and their sizes.

    Parameters
    ----------
    usage : DnsUsage
        Known.
    nodes : int
        Nodes of the cluster: more pods than these share a machine, and its loss takes several.
    hold : str or None
        Why nothing may be cut, neither sizes nor pods.
    price : UnitPrice
        Ranks CPU against memory.
    """
    least, pods = least_replicas(load), math.ceil(load.pods or 0)
    days = usage.cpu_total.index.nunique() / 24
    thin = None
    if days < rules.min_days - _DAY_SLACK:
        thin = f"{days:.1f} days of history, {rules.min_days:g} are needed"

    def worth(replicas: int) -> float:
        cpu, memory = pod_needs(usage, load, replicas)
        cpu, memory = max(cpu, FLOOR_CPU), max(memory, FLOOR_MEMORY)
        return replicas * (cpu * price.usd_per_core_hour + memory * price.usd_per_byte_hour)

    most = max(least, pods, min(nodes, _MOST_REPLICAS))
    best = min(range(least, most + 1), key=worth)
    if hold or thin:
        # More pods would each keep the request of today.
        best = max(least, pods)
    cpu, memory = pod_needs(usage, load, best)
    used = _usage(usage.memory["value"])
    needed, needed_limit, killed = memory_events(now.kills, used, now.sizes.memory_limit)
    cpu_case = Situation(
        "cpu", now.sizes.cpu_request, now.sizes.cpu_limit, cpu, None,
        _usage(usage.cpu_total / max(pods, 1)), FLOOR_CPU, basis="busiest hour, one pod lost",
        thin=thin, hold=hold, unknown=now.unknown_cpu,
    )  # fmt: skip
    memory_case = Situation(
        "memory", now.sizes.memory_request, now.sizes.memory_limit,
        memory * (1 + rules.limit_margin), None, used, FLOOR_MEMORY, basis="highest pod", thin=thin,
        hold=hold or now.kills_unsafe, needed_request=needed, needed_limit=needed_limit,
        event=killed, unknown=now.unknown_memory,
    )  # fmt: skip
    reasons = [
        f"CPU {cpu * 1000:.0f}m: the busiest hour's {usage.cpu_total.max() * 1000:.0f}m, shared by "
        f"those left of {best} after one is lost",
        f"memory: the highest pod had {usage.memory['value'].max() / MEBIBYTE:.0f}Mi",
    ]
    if best == least > _FEWEST:
        reasons.append(f"{least} replicas keep each below {PACKETS * ROOM:.0f} packets a second")
    reasons += [f"nothing is cut: {why}" for why in (hold, thin) if why]
    cpu_advice, memory_advice, beyond = bounded(
        guarded(cpu_case, rules), guarded(memory_case, rules), most_of_node
    )
    return DnsSize(
        best, max(2 * best, _MOST_BY_DEFAULT), cpu_advice, memory_advice, (*beyond, *reasons)
    )


def _usage(values: pd.Series) -> Usage:
    known = values.dropna().to_numpy(dtype=float)
    if not known.size:
        return Usage()
    p50, p95, p99 = (float(q) for q in np.percentile(known, [50, 95, 99]))
    return Usage(p50, p95, p99, float(known.max()))
