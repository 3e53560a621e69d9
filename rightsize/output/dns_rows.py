"""CoreDNS, as JSON, a table and lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict

from rightsize.dns.advice import NEWSLETTER_SECONDS, DnsFinding, most_gained
from rightsize.dns.load import DnsLoad
from rightsize.dns.study import DnsStudy
from rightsize.istiod.histograms import BucketQuantile
from rightsize.output.tables import Column, Table
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Amounts, ResourceAdvice

JSON_VERSION = 1


def dns_to_dict(study: DnsStudy, *, simulated: bool) -> Mapping[str, object]:
    """The answer of `rightsize dns --format json`; see docs/dns.md."""
    load, size = study.load, study.size
    return {
        "schema_version": JSON_VERSION,
        "simulated": simulated,
        "namespace": study.namespace,
        "workload": study.workload,
        "pods": load.pods,
        "hours": load.hours,
        "queries_per_second": load.requests,
        "queries_per_second_peak": load.requests_peak,
        "responses_by_rcode": dict(load.responses) or None,
        "nxdomain_share": load.share("NXDOMAIN"),
        "servfail_share": load.share("SERVFAIL"),
        "queries_per_name_found": load.lookups,
        "cache_hit_rate": load.cache_hit_rate,
        "p99_seconds": _quantile(load.p99),
        "p99_seconds_worst_hour": _quantile(load.p99_worst_hour),
        "forwarded_per_second": load.forwarded,
        "forwarded_per_second_peak_of_a_pod": load.forwarded_peak_pod,
        "forwarded_per_second_peak_of_a_node": load.forwarded_peak_node,
        "refused": load.rejected,
        "node_local_cache": load.node_cache,
        "p99_seconds_gained_at_most": most_gained(load),
        "istio_dns_proxies": [
            {**asdict(agent), "answered_share": agent.answered_share} for agent in load.agents
        ],
        "size": None
        if size is None
        else {
            "replicas": size.replicas,
            "most_replicas": size.most_replicas,
            "cpu": _advice(size.cpu),
            "memory": _advice(size.memory),
            "reasons": list(size.reasons),
        },
        "findings": [asdict(one) for one in study.findings],
        "unknown": list(study.unknown),
    }


def findings_table(study: DnsStudy) -> Table:
    """One row for each finding."""
    columns = [
        Column("finding", lambda one: one.id),
        Column("severity", lambda one: one.severity),
        Column("seen", lambda one: one.evidence),
        Column("spares at most", _spares, figure=True),
        Column("advice", lambda one: one.advice),
        Column(
            "set at", lambda one: "; ".join(f"{s.kind} {s.path}: {s.value}" for s in one.settings)
        ),
    ]
    return Table("DNS of the cluster", columns, study.findings)


def dns_parts(study: DnsStudy) -> list[Table | str]:
    """The same for people."""
    parts: list[Table | str] = [*_load_lines(study.load)]
    if study.size is not None:
        size, pods = study.size, study.load.pods
        parts += [
            f"replicas: {_number(pods)} -> {size.replicas} (autoscaling {size.replicas} to "
            f"{size.most_replicas})",
            f"CPU: {_sizes(size.cpu, format_cpu)}",
            f"memory: {_sizes(size.memory, format_memory)}",
            *(f"why: {reason}" for reason in size.reasons),
        ]
    if study.findings:
        parts.append(findings_table(study))
    parts += _agent_lines(study.load)
    return parts + [f"unknown: {text}" for text in study.unknown]


def dns_line(study: DnsStudy) -> str:
    """CoreDNS in one sentence, for the report."""
    load = study.load
    if load.requests is None:
        return (
            "CoreDNS is not known: nothing in the snapshot is of its own metrics (rightsize dns)."
        )
    missed = load.share("NXDOMAIN")
    parts = [f"{load.requests:,.0f} queries a second"]
    parts += [] if missed is None else [f"{missed:.0%} of the answers NXDOMAIN"]
    parts += [] if load.p99 is None else [f"p99 {_milliseconds(load.p99)}"]
    worst = [one.id for one in study.findings if one.severity != "info"]
    found = f"; {', '.join(worst)} (rightsize dns)" if worst else ""
    return f"CoreDNS: {', '.join(parts)}{found}."


def _load_lines(load: DnsLoad) -> list[str]:
    if load.requests is None:
        return []
    peak = "" if load.requests_peak is None else f", at most {load.requests_peak:,.0f}"
    lines = [f"{_number(load.pods)} pods, {load.requests:,.1f} queries a second{peak}"]
    missed = load.share("NXDOMAIN")
    if missed is not None:
        lines.append(f"answers: {missed:.1%} NXDOMAIN, {load.share('SERVFAIL'):.2%} SERVFAIL")
    if load.cache_hit_rate is not None:
        lines.append(f"cache: {load.cache_hit_rate:.1%} hits")
    if load.forwarded is not None:
        node = load.forwarded_peak_node
        most = "" if node is None else f", at most {node:,.0f} from one node (1,024 packets)"
        lines.append(f"forwarded to the VPC resolver: {load.forwarded:,.1f} a second{most}")
    if load.p99 is not None:
        gained = most_gained(load)
        text = "unknown" if gained is None else f"at most {gained * 1000:,.1f} ms a lookup"
        lines.append(
            f"p99 of an answer: {_milliseconds(load.p99)}; a call that looks a name up could gain "
            f"{text}, the newsletter says {NEWSLETTER_SECONDS * 1000:.0f} ms"
        )
    return lines


def _agent_lines(load: DnsLoad) -> list[str]:
    return [
        f"Istio's DNS proxies in {agent.namespace}: {agent.requests:,.0f} queries, "
        + ("unknown" if agent.answered_share is None else f"{agent.answered_share:.0%}")
        + " answered in the pod"
        for agent in load.agents
    ]


def _spares(one: DnsFinding) -> str:
    return "" if one.spares is None else f"{one.spares:.0%} of queries"


def _sizes(found: ResourceAdvice, text: Callable[[float], str]) -> str:
    def pair(sizes: Amounts, unknown: frozenset[str]) -> str:
        return "/".join(
            "unknown" if name in unknown else "-" if value is None else text(value)
            for name, value in (("request", sizes.request), ("limit", sizes.limit))
        )

    step, end = (pair(sizes, frozenset()) for sizes in (found.step, found.end))
    return f"{pair(found.now, found.unknown)} -> {step}, end {end}"


def _advice(found: ResourceAdvice) -> Mapping[str, object]:
    return {
        "request": found.request,
        "limit": found.limit,
        "unknown": sorted(found.unknown),
        "recommended_request": found.recommended_request,
        "recommended_limit": found.recommended_limit,
        "target_request": found.target_request,
        "target_limit": found.target_limit,
        "rule": found.rule,
        "usage": asdict(found.usage),
    }


def _quantile(found: BucketQuantile | None) -> Mapping[str, object] | None:
    return None if found is None else asdict(found)


def _milliseconds(found: BucketQuantile) -> str:
    return f"{'above ' if found.beyond else ''}{found.value * 1000:,.1f} ms"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f}"
