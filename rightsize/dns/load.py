"""What CoreDNS had to do, from its own metrics by hour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from rightsize.istiod.histograms import BucketQuantile, bucket_quantile, buckets_of
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import containers_by_day, plain_text

CONTAINER = "coredns"
_NODE_CACHE, _SYSTEM = "node-local-dns", "kube-system"
_DURATIONS = "coredns_dns_request_duration_seconds"
_FORWARDED = ("coredns_forward_requests_total", "coredns_proxy_request_duration_seconds_count")
"""Up to CoreDNS 1.10, and from 1.11 on."""
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class AgentCount:
    """What the DNS proxies of Istio's agents in one namespace were asked, and had to pass on."""

    namespace: str
    requests: float
    passed_on: float | None

    @property
    def answered_share(self) -> float | None:
        """Share that never reached CoreDNS."""
        if self.passed_on is None or self.requests <= 0:
            return None
        return 1 - min(1.0, self.passed_on / self.requests)


@dataclass(frozen=True, slots=True)
class DnsLoad:
    """Rates a second; shares of the whole window; None is unknown, never zero."""

    hours: int
    pods: float | None
    """Pods of CoreDNS at once, the median over hours."""
    requests: float | None
    requests_peak: float | None
    """Highest 5 minutes, the sum of its pods' highest in one hour: an upper end."""
    responses: Mapping[str, float]
    """Answers by rcode, whole window."""
    cache_hit_rate: float | None
    p99: BucketQuantile | None
    p99_worst_hour: BucketQuantile | None
    forwarded: float | None
    forwarded_peak_pod: float | None
    forwarded_peak_node: float | None
    """All pods of a node together, which may share one network interface."""
    rejected: float | None
    """Queries refused since too many were forwarded at once; None where nothing says so."""
    node_cache: bool
    """NodeLocal DNSCache reports."""
    agents: tuple[AgentCount, ...]

    def share(self, rcode: str) -> float | None:
        """Share of the answers with an rcode."""
        every = sum(self.responses.values())
        return self.responses.get(rcode, 0.0) / every if every > 0 else None

    @property
    def lookups(self) -> float | None:
        """Queries for each name that was found: 1 without search paths."""
        found = self.responses.get("NOERROR", 0.0)
        missed = self.responses.get("NXDOMAIN", 0.0)
        return 1 + missed / found if found > 0 else None

    @property
    def forwarded_share(self) -> float | None:
        """Share of the queries that went to the resolver of the VPC."""
        if self.forwarded is None or not self.requests:
            return None
        return min(1.0, self.forwarded / self.requests)


@dataclass(frozen=True, eq=False)
class CoreDns:
    """The cluster's CoreDNS: its containers by day, and rows of table `dns` of its pods.

    Other Deployments of CoreDNS (of virtual clusters, say) are left aside.
    """

    namespace: str | None
    workload: str | None
    containers: pd.DataFrame
    rows: pd.DataFrame
    node_cache: bool
    """NodeLocal DNSCache reports."""


def read_coredns(snapshot: Snapshot) -> CoreDns:
    """CoreDNS as the snapshot holds it: of several, that of kube-system, else the largest."""
    every = containers_by_day(snapshot)
    every = every[every["container"] == CONTAINER]
    rows = plain_text(snapshot.read("dns"))
    local = rows["pod"].astype(str).str.startswith(_NODE_CACHE)
    rows, node_cache = rows[~local], bool(local.any())
    if every.empty:
        return CoreDns(None, None, every, rows, node_cache)
    counts = every.groupby(["namespace", "workload"])["pod"].nunique()
    namespace, workload = max(counts.index, key=lambda one: (one[0] == _SYSTEM, counts[one], one))
    ours = every[(every["namespace"] == namespace) & (every["workload"] == workload)]
    foreign = set(every["pod"]) - set(ours["pod"])
    rows = rows[~rows["pod"].isin(foreign)]
    return CoreDns(str(namespace), str(workload), ours, rows, node_cache)


def read_load(coredns: CoreDns) -> DnsLoad:
    """Add up the table over the window."""
    rows = coredns.rows
    served = rows[rows["metric"] == "coredns_dns_requests_total"]
    hours = int(served["time"].nunique())
    forwarded = [f for f in (_rate(rows, name, hours) for name in _FORWARDED) if f is not None]
    answers = rows[rows["metric"] == "coredns_dns_responses_total"]
    by_rcode = answers.groupby("label", observed=True)["value"].sum()
    forwards = _peaks(rows, "coredns_forwards_peak")
    nodes = coredns.containers.dropna(subset=["node"]).drop_duplicates("pod", keep="last")
    at = forwards["pod"].map(nodes.set_index("pod")["node"])
    by_node = forwards.assign(node=at.fillna(forwards["pod"])).groupby(["time", "node"])["value"]
    return DnsLoad(
        hours=hours,
        pods=float(served.groupby("time")["pod"].nunique().median()) if hours else None,
        requests=_rate(rows, "coredns_dns_requests_total", hours),
        requests_peak=_most(_peaks(rows, "coredns_requests_peak").groupby("time")["value"].sum()),
        responses={str(k).removeprefix("rcode="): float(v) for k, v in by_rcode.items()},
        cache_hit_rate=_hit_rate(rows),
        p99=_quantile(rows, 0.99),
        p99_worst_hour=_worst(rows, 0.99),
        forwarded=max(forwarded, default=None),
        forwarded_peak_pod=_most(forwards["value"]),
        forwarded_peak_node=_most(by_node.sum()),
        rejected=_sum(rows, "coredns_forward_max_concurrent_rejects_total"),
        node_cache=coredns.node_cache,
        agents=_agents(rows),
    )


def _hit_rate(rows: pd.DataFrame) -> float | None:
    """Hits of what was looked up: requests of the cache, which later releases count, or hits and misses."""
    hits, misses, requests = (
        _sum(rows, f"coredns_cache_{name}_total") for name in ("hits", "misses", "requests")
    )
    if requests is None and hits is not None and misses is not None:
        requests = hits + misses
    return None if hits is None or not requests else min(1.0, hits / requests)


def _sum(rows: pd.DataFrame, metric: str) -> float | None:
    values = rows.loc[rows["metric"] == metric, "value"]
    return None if values.empty else float(values.sum())


def _rate(rows: pd.DataFrame, metric: str, hours: int) -> float | None:
    total = _sum(rows, metric)
    return None if total is None or not hours else total / (hours * _HOUR)


def _peaks(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    return rows[rows["metric"] == metric]


def _most(values: pd.Series) -> float | None:
    top = values.max()
    return None if pd.isna(top) else float(top)


def _quantile(rows: pd.DataFrame, quantile: float) -> BucketQuantile | None:
    table = buckets_of(rows, _DURATIONS)
    if table.empty:
        return None
    bounds = table.columns.to_numpy(dtype=float)
    return bucket_quantile(bounds, table.sum().to_numpy(dtype=float), quantile)


def _worst(rows: pd.DataFrame, quantile: float) -> BucketQuantile | None:
    table = buckets_of(rows, _DURATIONS)
    if table.empty:
        return None
    bounds = table.columns.to_numpy(dtype=float)
    found = [bucket_quantile(bounds, row, quantile) for row in table.to_numpy(dtype=float)]
    return max(filter(None, found), key=lambda one: (one.value, one.beyond), default=None)


def _agents(rows: pd.DataFrame) -> tuple[AgentCount, ...]:
    agents = rows[rows["metric"].isin([f"istio_agent_dns_{n}_total" for n in _AGENT])]
    counts: dict[tuple[str, str], float] = {}
    for row in agents.to_dict("records"):
        key = str(row["label"]).removeprefix("namespace="), str(row["metric"])
        counts[key] = counts.get(key, 0.0) + float(row["value"])
    asked, passed = (f"istio_agent_dns_{name}_total" for name in _AGENT)
    return tuple(
        AgentCount(namespace, count, counts.get((namespace, passed)))
        for (namespace, metric), count in sorted(counts.items())
        if metric == asked
    )


_AGENT = ("requests", "upstream_requests")
