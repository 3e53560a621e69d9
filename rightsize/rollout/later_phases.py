"""Phases about nodes, and those that wait until usage has been measured again."""

from __future__ import annotations

from collections.abc import Mapping

from rightsize.border import promql_pattern
from rightsize.nodes.plan import NodePlan
from rightsize.quantity import format_memory
from rightsize.results import Advice, Interval, Recommendation
from rightsize.rollout.mesh_phases import ready_scopes
from rightsize.rollout.model import Phase, PhaseMoney
from rightsize.rollout.study import PlanStudy
from rightsize.rollout.words import check, phase

_FELL = 0.1


def fewer_nodes(study: PlanStudy, money: PhaseMoney, nodes_today: int) -> Phase | None:
    """Nodes go; money falls only now."""
    nodes = money.nodes_after
    if nodes >= nodes_today:
        return None
    return phase(
        "fewer-nodes",
        money,
        [check("nodes", nodes=nodes), check("nothing-pending"), check("errors")],
        today=nodes_today,
        nodes=nodes,
        autoscaler=study.autoscaler,
        holds=[f"{hold[:1].upper()}{hold[1:]}." for hold in study.holds],
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
    return phase("next-step", money, [check("no-kills"), check("errors")])


def cut_after_scope(study: PlanStudy, money: PhaseMoney | None) -> Phase:
    """Requests follow the memory that the scopes gave back, once it shows."""
    namespaces = [] if study.scope is None else [e.namespace for e in ready_scopes(study.scope)]
    rows = scoped_rows(study)
    pods = sum(row.replicas for row in rows)
    used = sum(row.replicas * (row.memory.usage.p95 or 0.0) for row in rows)
    checks = []
    if pods and used:
        today = used / pods
        checks.append(
            check(
                "memory-fell",
                fell=f"{_FELL:.0%}",
                today=format_memory(today),
                names="|".join(promql_pattern(name) for name in sorted(namespaces)),
                most=f"{(1 - _FELL) * today:.0f}",
            )
        )
    law = None if study.scope is None else study.scope.saving.proxy_law
    laws = [] if law is None else [f"proxy memory: {law.text}"]
    return phase("cut-after-scope", money, checks, law=laws)


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
    checks = [check("nodes", nodes=node_set.nodes)]
    checks += [check(name) for name in ("nothing-pending", "latency", "errors")]
    machines = ", ".join(f"{count} {name}" for name, count in node_set.by_type.items())
    return phase(
        "buy-nodes", money, checks, machines=machines, plan=plan.name, binding=plan.binding
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
