"""What the mesh may forget, as JSON, as lines and as files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from rightsize.namespaces.egress import EgressScope
from rightsize.namespaces.savings import InjectionSaving, NodeSaving
from rightsize.namespaces.study import ScopeStudy
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Interval

JSON_VERSION = 1
_OFF, _UNSET = '"false"', "null"
_WHEN = (
    "once requests have followed the usage, by a plan of nodes on the types in use, not replayed"
)


def scope_to_dict(study: ScopeStudy, *, simulated: bool) -> Mapping[str, object]:
    """The answer of `rightsize scope --format json`; see docs/scope.md."""
    saving = study.saving
    return {
        "schema_version": JSON_VERSION,
        "simulated": simulated,
        "discovery": {
            "selected": dict(study.discovery.selected),
            "left_out": list(study.discovery.left_out),
            "commands": list(study.discovery.commands),
            "mesh_config": study.discovery.mesh_config,
            "warnings": list(study.discovery.warnings),
        },
        "egress": [_egress(scope) for scope in study.egress],
        "unscoped_namespaces": list(study.silent),
        "injection_candidates": [{**asdict(c), "label": c.label} for c in study.injection],
        "destination_rules": [asdict(r) for r in study.rules.rules],
        "destination_rules_turned_down": dict(study.rules.turned_down),
        "saving": {
            "namespaces": [asdict(n) for n in saving.by_namespace],
            "proxy_memory_bytes": _interval(saving.proxy_memory),
            "istiod_memory_bytes_per_pod": _interval(saving.istiod_memory),
            "istiod_memory_bytes_per_pod_by_sidecars": _interval(saving.istiod_memory_of_sidecars),
            "nodes": None if study.nodes is None else asdict(study.nodes.nodes),
            "usd_per_month": None if study.nodes is None else _interval(study.nodes.usd_per_month),
            "without_idle_sidecars": None
            if study.without_sidecars is None
            else asdict(study.without_sidecars),
            "notes": [*saving.notes, f"nodes and dollars: {_WHEN}"],
        },
        "notes": list(study.notes),
    }


def scope_lines(study: ScopeStudy) -> list[str]:
    """The same for people."""
    found = study.discovery
    lines = [
        f"Discovery: {len(found.selected)} namespaces to watch, {len(found.left_out)} left out "
        f"({found.left_out_workloads} of {found.workloads} workloads)"
    ]
    lines += [f"  left out: {', '.join(found.left_out)}"] if found.left_out else []
    lines += [f"  careful: {warning}" for warning in found.warnings]
    lines.append(f"Sidecar egress: {len(study.egress)} namespaces")
    for scope in study.egress:
        lines.append(
            f"  {scope.namespace}: {len(scope.hosts)} hosts, {scope.confidence.text}"
            + (f"; {len(scope.rare)} rare calls" if scope.rare else "")
        )
    if study.silent:
        lines.append(f"  called nobody, left unscoped: {', '.join(study.silent)}")
    lines.append(f"Sidecars with nothing to do: {len(study.injection)} workloads")
    lines += [
        f"  {c.namespace}/{c.workload}: {c.pods} pods, no mesh traffic in {c.days} days: ask for "
        f"{c.label}"
        for c in study.injection
    ]
    lines += _idle_lines(study.without_sidecars)
    lines.append(f"Destination rules: {len(study.rules.rules)} services")
    for rule in study.rules.rules:
        lines.append(f"  {rule.host}: {'; '.join(rule.reasons)}")
    lines += [f"  {n} services: {reason}" for reason, n in sorted(study.rules.turned_down.items())]
    return lines + _saving_lines(study) + [f"note: {note}" for note in study.notes]


def _saving_lines(study: ScopeStudy) -> list[str]:
    saving = study.saving
    proxy, istiod = saving.proxy_memory, saving.istiod_memory
    lines = ["What it gives back (predicted)"]
    for n in saving.by_namespace:
        memory = "not known" if n.memory is None else _memory(n.memory)
        lines.append(
            f"  {n.namespace}: {n.clusters_now:.0f} -> {n.clusters_scoped:.0f} clusters in each of "
            f"{n.proxies} proxies, memory {memory}"
        )
    lines.append(f"  all proxies: {'not known' if proxy is None else _memory(proxy)}")
    pushed = saving.istiod_memory_of_sidecars
    lines.append(
        f"  one istiod pod: {'not known' if istiod is None else _memory(istiod)} by discovery "
        f"selectors, {'not known' if pushed is None else _memory(pushed)} by Sidecars"
    )
    lines.append(f"  nodes: {_nodes(study.nodes)}")
    return lines + [f"  note: {note}" for note in saving.notes]


def _idle_lines(found: InjectionSaving | None) -> list[str]:
    if found is None:
        return []
    istiod = "not known" if found.istiod_memory is None else _memory(found.istiod_memory)
    nodes = "not computed"
    if found.nodes is not None:
        usd = found.nodes.usd_per_month
        money = "price not known" if usd is None else f"{usd.mid:,.0f} USD a month"
        nodes = (
            f"{found.nodes.nodes.mid:.0f} fewer, {money}, by a plan of nodes on the types in use"
        )
    return [
        f"  without them: {found.proxies} proxies with requests of {format_cpu(found.cpu_request)} "
        f"and {format_memory(found.memory_request)}, one istiod pod {istiod}, nodes {nodes}"
    ]


def _nodes(found: NodeSaving | None) -> str:
    if found is None:
        return "not computed"
    usd, nodes = found.usd_per_month, found.nodes
    money = (
        "price not known"
        if usd is None
        else f"{usd.mid:,.0f} USD a month ({usd.low:,.0f} to {usd.high:,.0f})"
    )
    return f"{nodes.mid:.0f} fewer ({nodes.low:.0f} to {nodes.high:.0f}), {money}, {_WHEN}"


def _memory(found: Interval) -> str:
    ends = f"{format_memory(found.low)} to {format_memory(found.high)}"
    return f"{format_memory(found.mid)} ({ends})"


def _egress(scope: EgressScope) -> Mapping[str, object]:
    return {
        "namespace": scope.namespace,
        "hosts": list(scope.hosts),
        "given": list(scope.given),
        "routed": list(scope.routed),
        "confidence": {**asdict(scope.confidence), "enough": scope.confidence.enough},
        "rare_calls": [asdict(r) for r in scope.rare],
        "notes": list(scope.notes),
    }


def _interval(found: Interval | None) -> Mapping[str, object] | None:
    return None if found is None else asdict(found)
