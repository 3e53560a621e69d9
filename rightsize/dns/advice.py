"""What the figures of CoreDNS mean: each finding with what it would spare, and where it is set.

Sources: CoreDNS (plugins `cache`, `forward`, `kubernetes`), resolv.conf(5), EKS user guide (CoreDNS
add-on, autoscaling), Amazon VPC user guide (1,024 packets), Istio (`pkg/dns/client`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rightsize.dns.load import DnsLoad
from rightsize.dns.sizing import PACKETS, ROOM

Id = Literal[
    "search-paths", "cache", "resolver-packets", "rejected", "failures", "slow", "one-replica",
    "no-budget", "dns-proxy",
]  # fmt: skip
NEWSLETTER_SECONDS = 0.237
"""What the newsletter says that a change of CoreDNS took off its p99."""
NDOTS = 2
"""Names of the cluster by `service.namespace` still go through the search path with it."""
_MUCH_NXDOMAIN, _FEW_HITS, _MUCH_SERVFAIL, _SLOW = 0.3, 0.5, 0.01, 0.1


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, as it is written."""

    kind: str
    path: str
    value: str


@dataclass(frozen=True, slots=True)
class DnsFinding:
    """One judgement. `spares` is the share of today's queries that it spares at most."""

    id: Id
    severity: Literal["error", "warning", "info"]
    evidence: str
    advice: str
    spares: float | None = None
    settings: tuple[Setting, ...] = ()


NDOTS_SETTING = Setting("pod template", "spec.dnsConfig.options", f"name: ndots, value: '{NDOTS}'")
PROXY_SETTING = Setting(
    "istiod", "meshConfig.defaultConfig.proxyMetadata.ISTIO_META_DNS_CAPTURE", '"true"'
)
ADD_ON = "EKS add-on coredns"
COREFILE = (
    "`ttl 30` in the block of the plugin `kubernetes`, whose 5 s without it bound what `cache` keeps (a "
    "headless Service's callers then learn of new pods as much later), and `cache 30`"
)
"""coredns.io, plugins `kubernetes` and `cache`."""
_NODE_CACHE = "NodeLocal DNSCache, a DaemonSet that caches on every node and asks CoreDNS over TCP"


def judged(load: DnsLoad, replicas: float | None, budget: bool | None) -> Iterator[DnsFinding]:
    """Findings, those that endanger calls first.

    Parameters
    ----------
    replicas : float or None
        Pods that run.
    budget : bool or None
        A PodDisruptionBudget guards them; None where budgets are not known.
    """
    yield from _resolver(load)
    if load.rejected:
        yield DnsFinding(
            "rejected", "error",
            f"{load.rejected:,.0f} queries were refused: more were forwarded at once than "
            "max_concurrent allows",
            "fewer queries (search paths, a cache on the node) before a larger max_concurrent",
        )  # fmt: skip
    failed = load.share("SERVFAIL")
    if failed is not None and failed > _MUCH_SERVFAIL:
        yield DnsFinding(
            "failures", "error", f"{failed:.1%} of the answers are SERVFAIL",
            "look at the log of CoreDNS for the upstream that times out",
        )  # fmt: skip
    if replicas is not None and replicas < 2:
        yield DnsFinding(
            "one-replica", "error", "one pod answers for the whole cluster",
            "two at least", settings=(Setting(ADD_ON, "autoScaling.minReplicas", "2"),),
        )  # fmt: skip
    if budget is False:
        yield DnsFinding(
            "no-budget", "warning", "no PodDisruptionBudget guards CoreDNS",
            "a drain may evict all of its pods at once",
            settings=(Setting(ADD_ON, "podDisruptionBudget.maxUnavailable", "1"),),
        )  # fmt: skip
    yield from _search_paths(load)
    yield from _time(load)
    yield from _proxy(load)


def most_gained(load: DnsLoad) -> float | None:
    """Seconds of the p99 that one lookup can lose at most: its answer, and those before it.

    A call on a connection that is open already looks nothing up and gains nothing.
    """
    if load.p99 is None or load.p99.beyond or load.lookups is None:
        return None
    return load.p99.value * load.lookups


def _resolver(load: DnsLoad) -> Iterator[DnsFinding]:
    peak = load.forwarded_peak_node
    if peak is None or peak < PACKETS * ROOM / 2:
        return
    over = peak >= PACKETS * ROOM
    yield DnsFinding(
        "resolver-packets", "error" if over else "warning",
        f"one node's CoreDNS sent up to {peak:,.0f} queries a second to the VPC resolver, which takes "
        f"{PACKETS:,.0f} packets a second from a network interface and drops the rest unseen",
        f"more replicas on nodes of their own, or {_NODE_CACHE}",
        settings=(Setting(ADD_ON, "autoScaling.minReplicas", "as sized"),),
    )  # fmt: skip


def _search_paths(load: DnsLoad) -> Iterator[DnsFinding]:
    missed = load.share("NXDOMAIN")
    if missed is not None and missed > _MUCH_NXDOMAIN:
        yield DnsFinding(
            "search-paths", "warning",
            f"{missed:.0%} of the answers are NXDOMAIN, {(load.lookups or 1) - 1:.1f} for each name "
            "found: with ndots 5 a name with fewer dots is tried under every search domain first",
            f"ndots {NDOTS} in the pods that call outside, or a trailing dot. With musl (Alpine) a name "
            "with that many dots is never tried under the search path: there `svc.ns.svc` stops working",
            missed,
            (NDOTS_SETTING,),
        )  # fmt: skip
    hits = load.cache_hit_rate
    if hits is not None and hits < _FEW_HITS and not load.node_cache:
        yield DnsFinding(
            "cache", "info", f"{hits:.0%} of what was looked up in the cache was there",
            f"in the Corefile {COREFILE}; or {_NODE_CACHE}",
        )  # fmt: skip


def _time(load: DnsLoad) -> Iterator[DnsFinding]:
    if load.p99 is not None and load.p99.value > _SLOW:
        more = "above " if load.p99.beyond else ""
        yield DnsFinding(
            "slow", "warning", f"p99 of an answer is {more}{load.p99.value * 1000:.0f} ms",
            "answers from outside are slow or time out: see resolver-packets and failures, then "
            + _NODE_CACHE,
        )  # fmt: skip


def _proxy(load: DnsLoad) -> Iterator[DnsFinding]:
    if load.agents or load.forwarded_share is None:
        return
    inside = 1 - load.forwarded_share
    yield DnsFinding(
        "dns-proxy", "info",
        f"at most {inside:.0%} of the queries are for names of the cluster, or were cached; Istio's "
        "DNS proxy answers its services' names in the pod",
        "Istio's DNS proxying: the agent answers names of services, and passes the rest on",
        inside,
        (PROXY_SETTING,),
    )  # fmt: skip
