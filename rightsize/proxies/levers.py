"""The levers that make a proxy smaller: what each would save here, and where it is set."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

import pandas as pd

from rightsize.namespaces.proxy_cpu import ProxyCpuLaw
from rightsize.namespaces.proxy_memory import BYTES_PER_CLUSTER
from rightsize.proxies.memory import Driver, MemoryLaw
from rightsize.results import Interval

LeverName = Literal[
    "clusters",
    "threads",
    "connections",
    "http2",
    "statistics",
    "scrape",
    "access-logs",
    "tracing",
]
PUBLISHED: dict[Driver, str] = {
    "clusters": f"{BYTES_PER_CLUSTER / 1024:.0f} KiB for one (Hitachi/istio-bench, Istio 1.6.2, 2020)",
}
"""What others measured of memory; for threads, connections and samples nobody published any."""
_PUBLISHED_LOGS = (
    "published: of 1 vCPU for 1,000 requests/s with access logs half went without them (Istio 0.8, "
    "2018, with Mixer and fluentd: an upper bound at most)"
)
DAYS_PER_MONTH = 730 / 24
_BUSY_THREAD = 0.7
"""Cores that one worker thread may use before another is worth its memory; an assumption."""
SLOW_SCRAPE = 60.0
"""Seconds between scrapes that five-minute rates still bear well."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a lever is set: a field of a resource definition, or of the mesh config."""

    kind: str
    """Kind of the object; MeshConfig for `meshConfig`."""
    path: str
    value: str


SETTINGS: dict[LeverName, tuple[Setting, ...]] = {
    "clusters": (Setting("Sidecar", "spec.egress[].hosts", "as rightsize scope -o writes"),),
    "threads": (
        Setting("ProxyConfig", "spec.concurrency", "as many as the CPU limit, or 1"),
        Setting("MeshConfig", "defaultConfig.concurrency", "for the whole mesh"),
    ),
    "connections": (
        Setting("DestinationRule", "spec.trafficPolicy.connectionPool.http.idleTimeout", "60s"),
        Setting("DestinationRule", "spec.trafficPolicy.connectionPool.tcp.idleTimeout", "10m"),
    ),
    "http2": (
        Setting(
            "DestinationRule",
            "spec.trafficPolicy.connectionPool.http.h2UpgradePolicy",
            "UPGRADE, where every pod of the service speaks HTTP/2",
        ),
        Setting("MeshConfig", "h2UpgradePolicy", "UPGRADE, for the whole mesh"),
    ),
    "statistics": (
        Setting("Telemetry", "spec.metrics[].overrides[].disabled", "true for what nobody reads"),
        Setting("Telemetry", "spec.metrics[].overrides[].tagOverrides.*.operation", "REMOVE"),
        Setting("MeshConfig", "defaultConfig.proxyStatsMatcher", "fewer inclusions"),
    ),
    "scrape": (
        Setting("PodMonitor", "spec.podMetricsEndpoints[].interval", "60s"),
        Setting("PodMonitor", "spec.podMetricsEndpoints[].metricRelabelings", "drop histograms"),
    ),
    "access-logs": (Setting("Telemetry", "spec.accessLogging[].disabled", "true, or a filter"),),
    "tracing": (Setting("Telemetry", "spec.tracing[].randomSamplingPercentage", "1 or less"),),
}
"""Each path is a field of Istio's definitions at 1.24 to 1.31, or of the MeshConfig."""


@dataclass(frozen=True, slots=True)
class Lever:
    """One lever over all sidecars. Savings are None where neither measured nor published."""

    name: LeverName
    title: str
    now: str
    """What there is today, in words with figures."""
    measured: bool
    memory: Interval | None = None
    """Bytes in all."""
    cpu: Interval | None = None
    """Cores in all."""
    usd: Interval | None = None
    """A month, of the store for metrics."""
    basis: str = ""

    @property
    def settings(self) -> tuple[Setting, ...]:
        return SETTINGS[self.name]


def threads_lever(proxies: pd.DataFrame, law: MemoryLaw | None) -> Lever:
    """Worker threads beyond what each proxy's CPU needs.

    Parameters
    ----------
    proxies : DataFrame
        `threads`, `cpu_p99` (cores); `cpu_limit` (cores) where it is known.
    """
    known = proxies[proxies["threads"].notna()]
    above = 0
    if "cpu_limit" in known:
        above = int((known["threads"] > known["cpu_limit"].map(ceil, na_action="ignore")).sum())
    throttled = f"; {above:,} have more threads than their CPU limit has cores" if above else ""
    needed = known["cpu_p99"].fillna(0.0).map(lambda cpu: max(1, ceil(cpu / _BUSY_THREAD)))
    spare = float((known["threads"] - needed).clip(lower=0).sum())
    return _by_memory(
        "threads",
        "worker threads",
        law,
        spare,
        f"{known['threads'].mean():.1f} threads a proxy, {spare:,.0f} in all beyond one for each "
        f"{_BUSY_THREAD:g} cores used{throttled}"
        if len(known)
        else "threads are not collected (envoy_server_concurrency)",
    )


def connections_levers(
    proxies: pd.DataFrame, busy: float, http1_share: float, law: MemoryLaw | None
) -> tuple[Lever, Lever]:
    """Connections that wait, and those that HTTP/2 would share.

    Parameters
    ----------
    proxies : DataFrame
        `connections`.
    busy : float
        Requests in flight at both ends in the busy hour, by Little's law: rate times duration.
    http1_share : float
        Share of HTTP/1 among the requests of HTTP and gRPC.
    """
    known = proxies["connections"].dropna()
    idle = max(float(known.sum()) - busy, 0.0)
    if known.empty:
        text = "connections are not collected (envoy_server_total_connections)"
    else:
        text = (
            f"{known.sum():,.0f} connections at their most, {busy:,.1f} requests in flight in the "
            f"busy hour: {idle:,.0f} wait"
        )
    waiting = _by_memory("connections", "idle connections", law, idle, text, "connections")
    shared = idle * http1_share
    text = f"{http1_share:.0%} of requests are HTTP/1, with a connection for each in flight"
    http2 = _by_memory("http2", "HTTP/2 to upstreams", law, shared, text, "connections")
    return waiting, http2


def statistics_lever(proxies: pd.DataFrame, law: MemoryLaw | None) -> Lever:
    """Proxies with more samples than the median, brought down to it."""
    known = proxies["samples"].dropna()
    above = float((known - known.median()).clip(lower=0).sum()) if len(known) else 0.0
    text = "samples are not collected (scrape_samples_post_metric_relabeling)"
    if len(known):
        text = (
            f"{known.median():,.0f} samples a scrape in the middle, {known.max():,.0f} at most; "
            f"{above:,.0f} in all above the middle"
        )
    return _by_memory("statistics", "statistics of Envoy", law, above, text, "samples")


def clusters_lever(proxies: pd.DataFrame, law: MemoryLaw | None, kept: float | None) -> Lever:
    """Clusters that proxies would lose by a scope; `kept` is the share that stays, None unknown."""
    known = proxies["clusters"].dropna()
    gone = 0.0 if kept is None else float(known.sum()) * (1 - kept)
    text = "clusters are not collected (envoy_cluster_manager_active_clusters)"
    if len(known):
        text = f"{known.mean():,.0f} clusters a proxy; rightsize scope says which may go"
    return _by_memory("clusters", "clusters of the configuration", law, gone, text)


def scrape_lever(
    proxies: pd.DataFrame, usd_per_sample: float | None, memory_usd: float, source: str
) -> Lever:
    """What the proxies' metrics cost in a store that is paid by sample, against their memory.

    Parameters
    ----------
    proxies : DataFrame
        `samples_a_day`.
    memory_usd : float
        A month's worth of the memory that all these proxies request.
    source : str
        Of the price.
    """
    proxies = proxies[proxies["samples_a_day"] > 0]
    known = proxies["samples_a_day"]
    if known.empty:
        text = "samples are not collected (scrape_samples_post_metric_relabeling)"
        return Lever("scrape", "the scrape itself", text, False)
    month = float(known.sum()) * DAYS_PER_MONTH
    cost = None if usd_per_sample is None else month * usd_per_sample
    # Pods that did not run all day were scraped less: the shortest interval is the real one.
    seconds = float((86_400 * proxies["samples"] / proxies["samples_a_day"]).quantile(0.1))
    text = f"{month:,.0f} samples a month of {len(known)} proxies, about every {seconds:,.0f} s"
    if cost is not None:
        text += f": {cost:,.0f} USD by sample; the memory they request is worth {memory_usd:,.0f}"
    slower = max(0.0, 1 - seconds / SLOW_SCRAPE)
    saved = None if cost is None or not slower else Interval.exactly(cost * slower)
    basis = f"every {SLOW_SCRAPE:g} s instead; {source}"
    return Lever("scrape", "the scrape itself", text, True, usd=saved, basis=basis)


def request_levers(law: ProxyCpuLaw | None, rate: float, gigabytes: float) -> tuple[Lever, Lever]:
    """Access logs and traces: at most what a request costs here in all.

    Parameters
    ----------
    rate : float
        Requests a second through all sidecars in the busy hour.
    gigabytes : float
        Of access logs in a month, if every proxy writes them.
    """
    most: Interval | None = None
    basis = "not measured: compare one workload with and without it"
    if law is not None and law.measured:
        most = Interval(0.0, 0.0, law.per_request.high * rate)
        basis = f"at most all that requests cost: {law.text}"
    logs = f"{gigabytes:,.1f} GB a month if every proxy logs; whether they do is not in the metrics"
    traces = "the sampling rate is not in the metrics; Istio's default is 1 % of requests"
    return (
        Lever(
            "access-logs", "access logs", logs, False, cpu=most, basis=f"{basis}; {_PUBLISHED_LOGS}"
        ),
        Lever("tracing", "trace sampling", traces, False, cpu=most, basis=basis),
    )


def _by_memory(
    name: LeverName,
    title: str,
    law: MemoryLaw | None,
    amount: float,
    now: str,
    driver: Driver | None = None,
) -> Lever:
    of: Driver = driver or ("threads" if name == "threads" else "clusters")
    price = None if law is None else law.price(of)
    if price is None:
        published = f"; published: {PUBLISHED[of]}" if of in PUBLISHED else "; nothing is published"
        basis = f"not measured: this mesh does not show it for {of}{published}"
        return Lever(name, title, now, False, basis=basis)
    unit = price.scaled(1 / 1024)
    basis = f"{unit.mid:,.1f} KiB for one ({unit.low:,.1f} to {unit.high:,.1f}), fitted here"
    saved = price.scaled(amount)
    return Lever(name, title, now, True, memory=saved if amount else None, basis=basis)
