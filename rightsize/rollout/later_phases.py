"""Phases about nodes, and those that wait until usage has been measured again."""

from __future__ import annotations

from collections.abc import Mapping

from rightsize.nodes.plan import NodePlan
from rightsize.quantity import format_memory
from rightsize.results import Advice, Interval, Recommendation
from rightsize.rollout import promql
from rightsize.rollout.mesh_phases import ready_scopes
from rightsize.rollout.model import Check, Phase, PhaseMoney
from rightsize.rollout.study import PlanStudy

_FELL = 0.1


def fewer_nodes(study: PlanStudy, money: PhaseMoney, nodes_today: int) -> Phase | None:
    """Nodes go; money falls only now."""
    nodes = money.nodes_after
    if nodes >= nodes_today:
        return None
    return Phase(
        "fewer-nodes",
        "Nodes that are free now",
        f"{nodes_today} nodes become {nodes}, of the types in use. What the phases before save is on "
        "the bill only when these nodes are gone: an autoscaler takes them away by itself, without "
        "one they are drained by hand.",
        (
            "Every check of the phases before holds.",
            "Disruption budgets allow one pod at a time.",
            f"{study.autoscaler} is set so that nodes go: rightsize nodes names the setting.",
            *(f"{hold[:1].upper()}{hold[1:]}." for hold in study.holds),
        ),
        f"{nodes} nodes hold all pods of the busiest hour with one node lost and the largest "
        "rollout's surge (rightsize nodes); with fewer, pods wait.",
        (
            Check("nodes", f"{nodes} nodes or fewer", promql.nodes_at_most(nodes)),
            Check("nothing-pending", "no pod waits for a node", promql.nothing_pending()),
            Check("errors", "no more 5xx answers than a week ago", promql.errors_not_up()),
        ),
        "7 days, the week's busiest hour included.",
        money,
    )


def moves_on(advice: Advice) -> bool:
    """Requests have an end state beyond this step."""
    return any(
        row.cpu.target_request != row.cpu.recommended_request
        or row.memory.target_request != row.memory.recommended_request
        for row in advice.recommendations
        if row.workload is None or row.written != "mesh default"
    )


def next_step(advice: Advice, money: PhaseMoney | None) -> Phase | None:
    """The rest of the way, by a plan made anew."""
    if not moves_on(advice):
        return None
    return Phase(
        "next-step",
        "The next step of the requests",
        "One step cuts a request by half at the most. The end state is predicted from today's "
        "usage; the next plan, made from usage measured with the new sizes, says what is left.",
        ("Two weeks have passed since the last size phase, and its checks hold.",),
        "As in the size phases.",
        _measured_checks(),
        "Two weeks of usage before the next plan.",
        money,
    )


def cut_after_scope(study: PlanStudy, money: PhaseMoney | None) -> Phase:
    """Requests follow the memory that the scopes gave back, once it shows."""
    namespaces = [] if study.scope is None else [e.namespace for e in ready_scopes(study.scope)]
    rows = scoped_rows(study)
    pods = sum(row.replicas for row in rows)
    used = sum(row.replicas * (row.memory.usage.p95 or 0.0) for row in rows)
    checks: tuple[Check, ...] = ()
    if pods and used:
        today = used / pods
        most = (1 - _FELL) * today
        checks = (
            Check(
                "memory-fell",
                f"proxies of the scoped namespaces use {_FELL:.0%} less memory than the "
                f"{format_memory(today)} of today; if not, there is nothing to cut",
                promql.memory_at_most("istio-proxy", namespaces, most),
            ),
        )
    law = None if study.scope is None else study.scope.saving.proxy_law
    return Phase(
        "cut-after-scope",
        "Cut what the scopes gave back",
        "Proxies and istiod need less memory once they know less. Requests follow only when the "
        "usage shows it: restart, collect again, and make a new plan.",
        ("A week has passed since the last scope, and its checks hold.",),
        "Restarts drop long-lived connections. The cut itself is a phase of the next plan.",
        checks,
        "Two weeks of usage between the restarts and the next plan.",
        money,
        () if law is None else (f"proxy memory: {law.text}",),
    )


def scoped_rows(study: PlanStudy) -> tuple[Recommendation, ...]:
    """Workloads with sidecars in the namespaces that get a Sidecar."""
    if study.scope is None:
        return ()
    ready = {found.namespace for found in ready_scopes(study.scope)}
    return tuple(
        row
        for row in study.advice.recommendations
        if row.workload is not None and row.component == "sidecar" and row.namespace in ready
    )


def buy_nodes(plan: NodePlan, money: PhaseMoney) -> Phase | None:
    """Other machines, last: they are chosen for requests that no longer move."""
    node_set = plan.promised
    if node_set is None:
        return None
    machines = ", ".join(f"{count} {name}" for name, count in node_set.by_type.items())
    return Phase(
        "buy-nodes",
        "Other machines",
        f"{machines} hold the same pods for less ({plan.name}; {plan.binding} binds).",
        (
            "Every phase before is over, and rightsize nodes on a new snapshot still says so.",
            "Pods run on these types: no selector or toleration asks for the old ones.",
            "Savings Plans and reservations that end up unused are counted (rightsize prices).",
        ),
        "Every pod moves once. Other machines have other single-core speed: watch the latency.",
        (
            Check(
                "nodes", f"{node_set.nodes} nodes or fewer", promql.nodes_at_most(node_set.nodes)
            ),
            Check("nothing-pending", "no pod waits for a node", promql.nothing_pending()),
            Check("latency", "p99 of requests is what it was a week ago", promql.latency_not_up()),
            Check("errors", "no more 5xx answers than a week ago", promql.errors_not_up()),
        ),
        "7 days, then buy commitments for what stays.",
        money,
    )


def scoped_memory(study: PlanStudy) -> Mapping[str, Interval]:
    """Bytes by proxy that each ready namespace is predicted to give back."""
    if study.scope is None:
        return {}
    ready = {found.namespace for found in ready_scopes(study.scope)}
    return {
        n.namespace: n.memory.scaled(1 / n.proxies)
        for n in study.scope.saving.by_namespace
        if n.memory is not None and n.proxies and n.namespace in ready
    }


def _measured_checks() -> tuple[Check, ...]:
    return (
        Check(
            "no-kills",
            "no sidecar was killed for lack of memory within a day",
            promql.no_kills("istio-proxy"),
        ),
        Check("errors", "no more 5xx answers than a week ago", promql.errors_not_up()),
    )
