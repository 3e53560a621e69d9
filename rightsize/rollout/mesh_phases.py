"""Phases that change what the control plane and the proxies know, and findings."""

from __future__ import annotations

from rightsize.border import promql_string
from rightsize.namespaces.egress import EgressScope
from rightsize.namespaces.study import ScopeStudy
from rightsize.quantity import format_memory
from rightsize.results import Interval
from rightsize.rollout import promql
from rightsize.rollout.model import Phase, PhaseMoney, Waiting
from rightsize.rollout.parts import RESTARTED
from rightsize.rollout.study import PlanStudy
from rightsize.rollout.words import check, phase

_WORTH = 0.1
"""Share of the workloads below which leaving namespaces out of discovery is not worth a phase."""
_READ = {
    "requests": 'kube_pod_container_resource_requests{resource="memory"}',
    "usage": 'container_memory_working_set_bytes{container="discovery"}',
    "pods": "kube_pod_info",
    "restarts": "kube_pod_container_status_restarts_total",
    "nodes": "kube_node_info",
    "calls": 'istio_requests_total{reporter="destination"}',
    "latency": "istio_request_duration_milliseconds_bucket",
    "propagation": "pilot_proxy_convergence_time_bucket",
    "proxies": "pilot_xds",
}


def baseline(money: PhaseMoney | None) -> Phase:
    """Keep what is in force, and see that every later check has its metrics."""
    checks = [
        check("seen", f"{name}-seen", series=metric.split("{")[0], metric=metric)
        for name, metric in _READ.items()
    ]
    return phase("baseline", money, [*checks, check("history", container="discovery", days=7)])


def findings(study: PlanStudy, money: PhaseMoney | None) -> Phase | None:
    """What is wrong today, whatever is right-sized."""
    if not study.findings:
        return None
    expiring = any(f.rule == "measured-ca-expiry" for f in study.findings)
    found = [f"{f.severity}, {f.rule}: {f.why}" for f in study.findings]
    return phase("findings", money, [check("ca-expiry")] if expiring else [], found=found)


def propagation(study: PlanStudy, money: PhaseMoney | None) -> Phase | None:
    """Make slow propagation fast first: nothing of istiod is cut before."""
    found = None if study.istiod is None else study.istiod.propagation.finding
    if found is None:
        return None
    notes = []
    for change in found.changes:
        setting = change.setting
        known = "" if setting is None else f" (since {setting.since}; default: {setting.default})"
        notes.append(f"{change.what}{known}: {change.expected}.")
    checks = [check("propagation"), check("no-rejects")]
    return phase("propagation", money, checks, cause=found.cause, changes=notes)


def discovery(study: PlanStudy, money: PhaseMoney | None) -> Phase | Waiting | None:
    """Leave namespaces out of discovery, where that takes enough away."""
    if study.scope is None or not study.scope.discovery.left_out:
        return None
    found = study.scope.discovery
    share = found.left_out_workloads / max(found.workloads, 1)
    names = ", ".join(found.left_out)
    given_back = _memory(study.scope.saving.istiod_memory)
    if share < _WORTH:
        return Waiting(
            f"discoverySelectors without {names}",
            f"{found.left_out_workloads} of {found.workloads} workloads: one istiod pod would give "
            f"back {given_back}, which is not worth the risk (rightsize scope writes it)",
        )
    checks = [check(name) for name in ("outside", "errors", "no-rejects", "proxies-connected")]
    if study.scope.model is not None:
        services = study.scope.model.load.services
        most = f"{services * (1 - share / 2):.0f}"
        checks.append(check("services", services=f"{services:,.0f}", most=most))
    return phase(
        "discovery-selectors",
        money,
        checks,
        selected=len(found.selected),
        names=names,
        left_out=found.left_out_workloads,
        workloads=found.workloads,
        given_back=given_back,
        agreed=[f"Agreed: {warning}." for warning in found.warnings],
    )


def ready_scopes(scope: ScopeStudy) -> tuple[EgressScope, ...]:
    """Namespaces seen long enough, those with the fewest proxies first."""
    proxies = {n.namespace: n.proxies for n in scope.saving.by_namespace}
    ready = [found for found in scope.egress if found.confidence.enough]
    return tuple(sorted(ready, key=lambda e: (proxies.get(e.namespace, 0), e.namespace)))


def sidecar_scopes(study: PlanStudy, money: PhaseMoney | None) -> Phase | None:
    """A Sidecar for each namespace with calls that are known well enough."""
    ready = () if study.scope is None else ready_scopes(study.scope)
    if study.scope is None or not ready:
        return None
    saving = {n.namespace: n for n in study.scope.saving.by_namespace}
    checks = [check("no-rejects")]
    for found in ready:
        name, here = found.namespace, promql_string(found.namespace)
        says = f"no more calls of {name} leave the mesh or are dropped than a week ago"
        more = f",source_workload_namespace={here}"
        checks.append(check("outside", f"outside-{name}", says, more=more))
        effect = saving.get(name)
        if effect is not None and effect.clusters_scoped < 0.9 * effect.clusters_now:
            scoped, now = effect.clusters_scoped, effect.clusters_now
            filled = {"scoped": f"{scoped:.0f}", "now": f"{now:.0f}", "namespace": here}
            most = f"{(now + scoped) / 2:.0f}"
            checks.append(check("clusters", f"clusters-{name}", of_name=name, most=most, **filled))
    memory = predicted_memory(study.scope)
    rare = [
        f"Rare call, listed: {found.namespace}: {call.workload} called {call.service} on "
        f"{call.days} days"
        for found in ready
        for call in found.rare
    ]
    return phase(
        "sidecar-scopes",
        money,
        checks,
        count=len(ready),
        memory="not known" if memory is None else _memory(memory),
        routes=_routes(study),
        rare=rare,
    )


def _routes(study: PlanStudy) -> list[str]:
    if study.configured:
        return []
    return [
        "This plan was made with --istio-objects before/istio.yaml (see 01-baseline); this one was "
        "not. Where a VirtualService sends the calls of one host to another service, metrics show "
        "the second alone, and the first would be missing."
    ]


def predicted_memory(scope: ScopeStudy) -> Interval | None:
    """Bytes that the proxies of the ready namespaces give back."""
    ready = {found.namespace for found in ready_scopes(scope)}
    known = [
        n.memory for n in scope.saving.by_namespace if n.memory is not None and n.namespace in ready
    ]
    if not known:
        return None
    return Interval(
        sum(m.low for m in known), sum(m.mid for m in known), sum(m.high for m in known)
    )


def destination_rules(study: PlanStudy, money: PhaseMoney | None) -> Phase | None:
    """Connection pools and outlier detection."""
    if study.scope is None or not study.scope.rules.rules:
        return None
    rules = study.scope.rules.rules
    checks = []
    for rule in rules:
        name, host = f"{rule.namespace}-{rule.name}", rule.host
        says = f"{host} gives no more 5xx answers than a week ago"
        checks += [
            check("not-shed", f"not-shed-{name}", host=host, service=promql_string(host)),
            check("errors", f"errors-{name}", says, more=f',destination_service="{host}"'),
        ]
    reasons = [f"{rule.host}: {'; '.join(rule.reasons)}" for rule in rules]
    return phase("destination-rules", money, checks, count=len(rules), rules=reasons)


def injection_off(study: PlanStudy, money: PhaseMoney | None) -> Phase | None:
    """Sidecars with nothing to do."""
    if study.scope is None or not study.scope.injection:
        return None
    found = study.scope.injection
    named = [(c.namespace, c.workload, c.kind) for c in found if c.kind in RESTARTED]
    checks = [check("no-sidecar", pods=promql.pods_of(named))] if named else []
    names = ", ".join(f"{c.namespace}/{c.workload} ({c.pods} pods, {c.days} days)" for c in found)
    return phase("injection-off", money, [*checks, check("errors")], count=len(found), names=names)


def shards(study: PlanStudy) -> Phase | Waiting | None:
    """Several istiods, if the model says that they cost less or that one does not fit."""
    if study.shards is None:
        return None
    found = study.shards
    count = len(found.chosen.shards)
    if count == 1:
        return Waiting("shards", f"{found.reason} (rightsize shards)")
    pods = sum(s.plan.replicas for s in found.chosen.shards)
    checks = [
        check("propagation"),
        check("pods-running", container="discovery", number=pods),
        check("proxies-connected"),
    ]
    return phase("shards", None, checks, count=count, reason=found.reason, notes=found.notes)


def _memory(found: Interval | None) -> str:
    if found is None:
        return "an amount that is not known"
    return f"{format_memory(found.mid)} ({format_memory(found.low)} to {format_memory(found.high)})"
