"""CoreDNS of a snapshot: its load, its sizes and what to change."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from rightsize.config import Settings
from rightsize.dns.advice import COREFILE, NDOTS, DnsFinding, judged
from rightsize.dns.load import DnsLoad, read_coredns, read_load
from rightsize.dns.sizing import DnsSize, DnsUsage, InForce, Unknown, size_dns
from rightsize.patch.dns_settings import DnsChange
from rightsize.prices.unit_price import unit_price
from rightsize.results import Sizes
from rightsize.sizing.history import Events, OutOfMemory
from rightsize.sizing.node_bound import largest_node
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import newest_rows

_HOLDS = {"resolver-packets", "rejected", "failures", "slow"}
"""Findings that hide how much CoreDNS would have done."""
_SIZE_KINDS: tuple[Unknown, ...] = ("request", "limit")


@dataclass(frozen=True, slots=True)
class DnsStudy:
    """What is known of CoreDNS; None is unknown, and `unknown` says why."""

    load: DnsLoad
    namespace: str | None
    workload: str | None
    in_force: InForce
    size: DnsSize | None
    findings: tuple[DnsFinding, ...]
    unknown: tuple[str, ...]

    def finding(self, identifier: str) -> DnsFinding | None:
        return next((one for one in self.findings if one.id == identifier), None)


def study_dns(snapshot: Snapshot, settings: Settings) -> DnsStudy:
    """Size and judge CoreDNS. Nothing is an error: what is missing is said."""
    coredns = read_coredns(snapshot)
    load, ours = read_load(coredns), coredns.containers
    usage = DnsUsage.of(coredns.rows)
    if load.pods is None and len(ours):
        load = replace(load, pods=_running(ours))
    findings = tuple(judged(load, load.pods, _guarded(snapshot, ours)))
    holds = [one.evidence for one in findings if one.id in _HOLDS]
    size = None
    now = _in_force(ours, settings.policy.max_gap_share)
    if usage.known and load.pods is not None:
        price = unit_price(snapshot.manifest.region).price
        size = size_dns(
            usage,
            load,
            now,
            nodes=len(newest_rows(snapshot, "nodes")),
            hold=holds[0] if holds else None,
            price=price,
            rules=settings.policy,
            most_of_node=largest_node(snapshot),
        )
    return DnsStudy(
        load=load,
        namespace=coredns.namespace,
        workload=coredns.workload,
        in_force=now,
        size=size,
        findings=findings,
        unknown=tuple(_unknown(load, ours, usage)),
    )


def wanted_settings(study: DnsStudy) -> DnsChange:
    """What the advice sets in files: this step of the sizes, and what the findings ask for."""
    size = study.size
    return DnsChange(
        replicas=None if size is None else size.replicas,
        most_replicas=None if size is None else size.most_replicas,
        cpu_request=None if size is None else size.cpu.recommended_request,
        memory_request=None if size is None else size.memory.recommended_request,
        memory_limit=None if size is None else size.memory.recommended_limit,
        budget=study.finding("no-budget") is not None,
        ndots=None if study.finding("search-paths") is None else NDOTS,
        proxy=study.finding("dns-proxy") is not None,
        corefile=None if study.finding("cache") is None else COREFILE,
    )


def _running(ours: pd.DataFrame) -> float:
    last = ours[ours["day"] == ours["day"].max()]
    return float(last["pod"].nunique())


def _guarded(snapshot: Snapshot, ours: pd.DataFrame) -> bool | None:
    """Whether a budget guards CoreDNS; None where no budget of any workload is known."""
    budgets = newest_rows(snapshot, "pdbs")
    if budgets.empty or ours.empty:
        return None
    mine = budgets[budgets["namespace"].isin(ours["namespace"].unique())]
    workloads = mine["workload"]
    if workloads.isin(ours["workload"].unique()).any():
        return True
    return None if workloads.isna().any() else False


def _in_force(ours: pd.DataFrame, most_unknown: float) -> InForce:
    if ours.empty:
        both = frozenset(_SIZE_KINDS)
        return InForce(Sizes(), both, both, (), "no metric reports OOM kills")
    known = ours.sort_values(["day", "last_seen"])
    rows = {name: known[known[f"{name}s_known"]] for name in _SIZE_KINDS}

    def of(resource: str, name: Unknown) -> float | None:
        value = None if rows[name].empty else rows[name][f"{resource}_{name}"].iloc[-1]
        return None if value is None or pd.isna(value) else float(value)

    sizes = Sizes(*(of(r, name) for r in ("cpu", "memory") for name in _SIZE_KINDS))
    kills = tuple(
        OutOfMemory(
            row["day"].date(),
            int(row["oom_kills"]),
            None if pd.isna(row["memory_limit"]) else float(row["memory_limit"]),
        )
        for row in ours[ours["oom_kills"] > 0].to_dict("records")
    )
    left = frozenset(name for name in _SIZE_KINDS if rows[name].empty)
    return InForce(sizes, left, left, kills, Events.of(ours).unsafe(most_unknown))


def _unknown(load: DnsLoad, ours: pd.DataFrame, usage: DnsUsage) -> list[str]:
    found = []
    if load.requests is None:
        found.append(
            "CoreDNS's own metrics: no sample of coredns_dns_requests_total (its port 9153 is not "
            "scraped, or EKS Auto Mode runs it on the nodes)"
        )
    else:
        wanted = (
            ("answers by rcode (coredns_dns_responses_total)", bool(load.responses) or None),
            (
                "the cache (coredns_cache_hits_total, coredns_cache_misses_total)",
                load.cache_hit_rate,
            ),
            ("durations (coredns_dns_request_duration_seconds_bucket)", load.p99),
            (
                "what is forwarded (coredns_forward_requests_total, from CoreDNS 1.11 on "
                "coredns_proxy_request_duration_seconds_count)",
                load.forwarded,
            ),
        )
        found += [text for text, value in wanted if value is None]
        found.append(
            "which namespaces ask for names that do not exist: CoreDNS counts no clients"
            + (
                "; what Istio's agents were asked is shown"
                if load.agents
                else " (Istio's agents report, once DNS proxying is on)"
            )
        )
    if ours.empty:
        found.append("CoreDNS's sizes in force: no container named coredns was seen")
    if not usage.known:
        found.append("CoreDNS's CPU and memory: cAdvisor has no container named coredns")
    return found
