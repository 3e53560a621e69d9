"""Graviton beside x86 in dollars, with what must hold of the images."""

from __future__ import annotations

from collections.abc import Mapping

from rightsize.cost.levers.lever import Lever
from rightsize.cost.plan import PlanCost, Terms, price_plan
from rightsize.cost.planned import planned
from rightsize.cost.saving import saving
from rightsize.nodes.answer import NodeAnswer
from rightsize.nodes.graviton import Graviton
from rightsize.nodes.plan import NodePlan


def graviton(found: Graviton, nodes: NodeAnswer, after: PlanCost, terms: Terms) -> Lever:
    in_use = (nodes.after or nodes.before).named("same-type")
    plans = {"graviton": found.arm, "x86_mix": found.x86, "in_use": in_use}
    figures = {
        f"{kind}_{name}_usd": _month(plan, kind, terms)
        for kind in ("packed", "promised")
        for name, plan in plans.items()
    }
    could = {one.namespace: one.known + one.unknown for one in found.namespaces}
    could = {name: pods for name, pods in could.items() if pods}
    planned_arm = planned(found.arm)
    if planned_arm is None or found.unplaced:
        why = found.arm.reason or f"{found.unplaced} pods find no machine on one of both"
        return Lever("graviton", None, why, figures, namespaces=could)
    saved = saving(after, price_plan(planned_arm, terms), terms)
    usd = saved.realisable or saved.on_demand_equivalent
    condition = f"{found.condition}; {_packed(figures)}"
    realisable = saved.realisable is not None
    return Lever("graviton", usd, condition, figures, realisable, could)


def _packed(figures: Mapping[str, float | None]) -> str:
    shown = [
        "unknown" if usd is None else f"${usd:,.0f}"
        for usd in (figures[f"packed_{name}_usd"] for name in ("graviton", "in_use", "x86_mix"))
    ]
    return (
        f"packed {shown[0]} a month against {shown[1]} on the types in use; the cheapest mix of x86 "
        f"packs to {shown[2]} and needs no new image"
    )


def _month(plan: NodePlan, kind: str, terms: Terms) -> float | None:
    if kind == "packed":
        node_set = None if plan.packed is None else plan.packed.node_set
    else:
        node_set = plan.promised
    usd = None if node_set is None else node_set.usd_per_hour
    return None if usd is None else usd * terms.hours
