"""Phases that change what the control plane and the proxies know, and findings."""

from __future__ import annotations

from rightsize.border import promql_string
from rightsize.namespaces.egress import EgressScope
from rightsize.namespaces.study import ScopeStudy
from rightsize.quantity import format_memory
from rightsize.results import Interval
from rightsize.rollout import promql
from rightsize.rollout.model import Check, Phase, PhaseMoney, Waiting
from rightsize.rollout.parts import RESTARTED
from rightsize.rollout.study import PlanStudy

_WORTH = 0.1
"""Share of the workloads below which leaving namespaces out of discovery is not worth a phase."""
_READ = (
    ("requests", 'kube_pod_container_resource_requests{resource="memory"}'),
    ("usage", 'container_memory_working_set_bytes{container="discovery"}'),
    ("pods", "kube_pod_info"),
    ("restarts", "kube_pod_container_status_restarts_total"),
    ("nodes", "kube_node_info"),
    ("calls", 'istio_requests_total{reporter="destination"}'),
    ("latency", "istio_request_duration_milliseconds_bucket"),
    ("propagation", "pilot_proxy_convergence_time_bucket"),
    ("proxies", "pilot_xds"),
)


def baseline(money: PhaseMoney | None) -> Phase:
    """Keep what is in force, and see that every later check has its metrics."""
    checks = [
        Check(f"{name}-seen", f"{metric.split('{')[0]} is collected", promql.is_there(metric))
        for name, metric in _READ
    ]
    checks.append(
        Check(
            "history",
            "metrics go back a week: later checks compare with it",
            promql.older_than("discovery", 7),
        )
    )
    return Phase(
        "baseline",
        "Before the first change",
        "Keep a copy of what is in force, for the ways back, and load the checks into Prometheus.",
        (),
        "None: nothing is changed.",
        promql.unique(checks),
        "Two evaluations of the rules (10 minutes).",
        money,
    )


def findings(study: PlanStudy, money: PhaseMoney | None) -> Phase | None:
    """What is wrong today, whatever is right-sized."""
    if not study.findings:
        return None
    checks = []
    if any(f.rule == "measured-ca-expiry" for f in study.findings):
        expiry = "min(citadel_server_root_cert_expiry_timestamp) - time() > bool 90 * 86400"
        checks.append(Check("ca-expiry", "istiod's root certificate holds for 90 days", expiry))
    return Phase(
        "findings",
        "Clear what was found",
        "Found in the snapshot and the given files. It gets harder to clear during a rollout.",
        (),
        "As each finding says.",
        tuple(checks),
        "Until each is cleared or taken on knowingly.",
        money,
        tuple(f"{f.severity}, {f.rule}: {f.why}" for f in study.findings),
    )


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
    return Phase(
        "propagation",
        "Slow propagation",
        f"Changes reach the slowest proxies late: {found.cause}. Take one change at a time, in this "
        "order, and measure after each.",
        ("Nothing of istiod is cut until the check below holds.",),
        "More pushes at once cost istiod CPU and memory while they last.",
        (
            Check(
                "propagation",
                "99 of 100 pushes reach their proxy within 10 s",
                promql.convergence_within(10),
            ),
            Check("no-rejects", "no proxy refuses its configuration", promql.no_rejects()),
        ),
        "A day with deployments in it, after each change.",
        money,
        tuple(notes),
    )


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
    checks = [
        Check(
            "outside",
            "no more calls leave the mesh or are dropped than a week ago",
            promql.outside_not_up(),
        ),
        Check("errors", "no more 5xx answers than a week ago", promql.errors_not_up()),
        Check("no-rejects", "no proxy refuses its configuration", promql.no_rejects()),
        Check("proxies-connected", "as many proxies as a week ago", promql.proxies_connected()),
    ]
    if study.scope.model is not None:
        services = study.scope.model.load.services
        most = services * (1 - share / 2)
        checks.append(
            Check(
                "services",
                f"istiod knows fewer services than today's {services:,.0f}",
                promql.services_at_most(most),
            )
        )
    return Phase(
        "discovery-selectors",
        "What istiod watches",
        f"{len(found.selected)} namespaces are labelled, then istiod watches these alone and "
        f"forgets {names} ({found.left_out_workloads} of {found.workloads} workloads). One istiod "
        f"pod is predicted to give back {given_back}.",
        (
            "Every label of step 1 is set before the selectors: a namespace without one loses "
            "discovery at once.",
            "meshConfig.discoverySelectors is not set yet; a list that is there would be replaced.",
            *(f"Agreed: {warning}." for warning in found.warnings),
        ),
        "A namespace that is left out by mistake is reached without mutual TLS, retries and "
        "metrics, and not at all under REGISTRY_ONLY.",
        promql.unique(checks),
        "7 days: weekly callers show only then.",
        money,
        ("No request is changed in this phase: a cut needs the new usage to show first.",),
    )


def ready_scopes(scope: ScopeStudy) -> tuple[EgressScope, ...]:
    """Namespaces seen long enough, those with the fewest proxies first."""
    proxies = {n.namespace: n.proxies for n in scope.saving.by_namespace}
    ready = [found for found in scope.egress if found.confidence.enough]
    return tuple(sorted(ready, key=lambda e: (proxies.get(e.namespace, 0), e.namespace)))


def sidecar_scopes(study: PlanStudy, money: PhaseMoney | None) -> Phase | None:
    """A Sidecar for each namespace with calls that are known well enough."""
    if study.scope is None:
        return None
    ready = ready_scopes(study.scope)
    if not ready:
        return None
    saving = {n.namespace: n for n in study.scope.saving.by_namespace}
    checks: list[Check] = [
        Check("no-rejects", "no proxy refuses its configuration", promql.no_rejects())
    ]
    for found in ready:
        name = found.namespace
        checks.append(
            Check(
                f"outside-{name}",
                f"no more calls of {name} leave the mesh or are dropped than a week ago",
                promql.outside_not_up(f"source_workload_namespace={promql_string(name)}"),
            )
        )
        effect = saving.get(name)
        if effect is not None and effect.clusters_scoped < 0.9 * effect.clusters_now:
            most = (effect.clusters_now + effect.clusters_scoped) / 2
            checks.append(
                Check(
                    f"clusters-{name}",
                    f"proxies of {name} hold about {effect.clusters_scoped:.0f} clusters, no longer "
                    f"{effect.clusters_now:.0f}",
                    promql.clusters_at_most(name, most),
                )
            )
    memory = predicted_memory(study.scope)
    said = "not known" if memory is None else _memory(memory)
    rare = [
        f"{found.namespace}: {call.workload} called {call.service} on {call.days} days"
        for found in ready
        for call in found.rare
    ]
    return Phase(
        "sidecar-scopes",
        "What each proxy knows",
        f"A Sidecar in {len(ready)} namespaces, one after the other, with exactly the hosts that "
        f"were called. Proxies are predicted to give back {said} of memory in all, and every push "
        "gets smaller.",
        (
            "No Sidecar without a workload selector is in the namespace yet: two are undefined.",
            "Who owns a namespace has read its list of hosts, jobs that run once a month or a year "
            "included.",
            "What Envoy itself calls is in the list: meshConfig.extensionProviders (tracing, external "
            "authorization, log services) and EnvoyFilters stand in no metric.",
            *_routes(study),
        ),
        "A host that is not listed is reached as an unknown address: without mutual TLS and "
        "retries, and not at all under REGISTRY_ONLY.",
        promql.unique(checks),
        "A day after each namespace, 7 days after the last. A namespace's checks compare with a "
        "week earlier: read them within 7 days of its Sidecar.",
        money,
        (
            "No request is changed in this phase: a cut needs the new usage to show first.",
            *(f"Rare call, listed: {text}" for text in rare),
        ),
    )


def _routes(study: PlanStudy) -> tuple[str, ...]:
    if study.configured:
        return ()
    return (
        "This plan was made with --istio-objects before/istio.yaml (see 01-baseline); this one was "
        "not. Where a VirtualService sends the calls of one host to another service, metrics show "
        "the second alone, and the first would be missing.",
    )


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
        checks += [
            Check(
                f"not-shed-{rule.namespace}-{rule.name}",
                f"at most one call in a thousand to {rule.host} is shed by the rule",
                promql.not_shed(rule.host),
            ),
            Check(
                f"errors-{rule.namespace}-{rule.name}",
                f"{rule.host} gives no more 5xx answers than a week ago",
                promql.errors_not_up(f'destination_service="{rule.host}"'),
            ),
        ]
    return Phase(
        "destination-rules",
        "Connection pools and outlier detection",
        f"Rules for {len(rules)} services that fail now and then, sized so that they shed a runaway "
        "and never a busy hour.",
        ("No DestinationRule of the same host exists: of two, one traffic policy is passed over.",),
        "A limit that is too low refuses calls (flag UO); outlier detection takes pods out of "
        "service while they fail.",
        promql.unique(checks),
        "3 days with a busy hour in each.",
        money,
        tuple(f"{rule.host}: {'; '.join(rule.reasons)}" for rule in rules),
    )


def injection_off(study: PlanStudy, money: PhaseMoney | None) -> Phase | None:
    """Sidecars with nothing to do."""
    if study.scope is None or not study.scope.injection:
        return None
    found = study.scope.injection
    named = [(c.namespace, c.workload, c.kind) for c in found if c.kind in RESTARTED]
    checks = []
    if named:
        checks.append(
            Check(
                "no-sidecar",
                "none of these pods has a sidecar",
                promql.no_container("istio-proxy", promql.pods_of(named)),
            )
        )
    checks.append(Check("errors", "no more 5xx answers than a week ago", promql.errors_not_up()))
    return Phase(
        "injection-off",
        "Sidecars with nothing to do",
        f"{len(found)} workloads neither called nor were called through the mesh: "
        + ", ".join(f"{c.namespace}/{c.workload} ({c.pods} pods, {c.days} days)" for c in found)
        + ".",
        (
            "The owner of each says that it needs no mutual TLS: traffic that Istio does not count "
            "(UDP, excluded ports) is not seen here.",
            "No PeerAuthentication asks its callers for STRICT mutual TLS.",
        ),
        "Under STRICT mutual TLS a workload without a sidecar cannot call, and calls to it are "
        "sent in the clear.",
        tuple(checks),
        "7 days.",
        money,
    )


def shards(study: PlanStudy) -> Phase | Waiting | None:
    """Several istiods, if the model says that they cost less or that one does not fit."""
    if study.shards is None:
        return None
    count = len(study.shards.chosen.shards)
    if count == 1:
        return Waiting("shards", f"{study.shards.reason} (rightsize shards)")
    pods = sum(s.plan.replicas for s in study.shards.chosen.shards)
    return Phase(
        "shards",
        f"{count} istiods",
        f"{study.shards.reason}. The order of the namespaces, each with its checks and way back, is "
        "in the migration file.",
        (
            "All istiods share root certificate, trust domain and meshConfig.",
            "istiod's scope and size phases are over.",
        ),
        "A namespace without the label is unknown to its new istiod.",
        (
            Check(
                "propagation",
                "99 of 100 pushes reach their proxy within 10 s",
                promql.convergence_within(10),
            ),
            Check(
                "pods-running", f"{pods} istiod pods or more",
                promql.pods_at_least("discovery", pods),
            ),
            Check("proxies-connected", "as many proxies as a week ago", promql.proxies_connected()),
        ),
        "A day after each namespace, 7 days before the old istiod goes.",
        None,
        (*study.shards.notes, "What further istiods request is not in the plan's money."),
    )  # fmt: skip


def _memory(found: Interval | None) -> str:
    if found is None:
        return "an amount that is not known"
    return f"{format_memory(found.mid)} ({format_memory(found.low)} to {format_memory(found.high)})"
