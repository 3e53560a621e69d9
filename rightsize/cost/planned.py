"""Plans of nodes as sets of machines to be priced, with today's requests and the recommended ones."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from rightsize.cost.allocation import requested
from rightsize.cost.node_sets import NodeLot, NodeSet, PlannedNodeSet
from rightsize.cost.plan import CostLine, PlanCost, Terms, price_plan
from rightsize.cost.saving import Saving, saving
from rightsize.nodes.answer import NodeAnswer
from rightsize.nodes.plan import NodeGroup, NodePlan, PlanName
from rightsize.nodes.plan import NodeSet as BoughtNodeSet
from rightsize.prices.book import WINDOWS
from rightsize.prices.node_kinds import NOT_EC2, PACKED
from rightsize.results import Interval


@dataclass(frozen=True)
class PricedPlan:
    """One way to buy nodes, with today's requests and with the recommended ones."""

    name: PlanName
    before: PlanCost | None
    after: PlanCost | None
    saving: Saving | None
    """From `before` to `after`: what the recommended requests save if nodes are bought this way."""
    against_today: Saving | None
    """From the machines that ran to `after`; holds what better buying saves, too."""

    @property
    def realisable(self) -> Interval | None:
        """What may be promised: the lesser of both savings, and nothing where the machines that ran
        are already fewer than the plan promises. None if commitments or prices are unknown."""
        if self.saving is None or self.against_today is None:
            return None
        one, other = self.saving.realisable, self.against_today.realisable
        if one is None or other is None:
            return None
        ends = [
            min(by_requests, max(overall, 0.0))
            for by_requests, overall in zip(_ends(one), _ends(other), strict=True)
        ]
        return Interval(min(ends), ends[1], max(ends))


def priced_plans(
    nodes: NodeAnswer,
    today: PlanCost,
    terms: Terms,
    more: tuple[tuple[CostLine, ...], ...],
    quiet: float,
) -> tuple[PricedPlan, ...]:
    """`more`: the lines that do not depend on the node set, with today's and with new requests."""
    found = []
    for plan in nodes.before.plans:
        node_set = planned(plan, quiet)
        before = None if node_set is None else price_plan(node_set, terms, *more[0])
        after = None
        if nodes.after is not None:
            changed = planned(nodes.after.named(plan.name), quiet)
            after = None if changed is None else price_plan(changed, terms, *more[1])
        saved = None
        if before is not None and after is not None:
            saved = saving(before, after, terms)
        overall = None if after is None else saving(today, after, terms)
        found.append(PricedPlan(plan.name, before, after, saved, overall))
    return tuple(found)


def quiet_share(pods: pd.DataFrame, containers: pd.DataFrame) -> float:
    """Return requested core-hours of a quiet day (10th percentile) over those of the busiest.

    Plans are made for the busiest hour; this is how far demand falls below it for days on end.
    """
    if pods.empty:
        return 1.0
    by_day = requested(containers, pods).groupby("day")["core_hours"].sum()
    whole = by_day[by_day > 0]
    return float(whole.quantile(0.1) / whole.max()) if len(whole) else 1.0


def lots_of(node_set: BoughtNodeSet, share: float = 1.0) -> NodeSet:
    """Return a planned node set as machines to be priced, `share` of each."""
    return tuple(
        NodeLot(
            group.instance_type,
            group.nodes * (share if group.kind in PACKED else 1.0),
            _option(group),
            group.zone,
        )
        for group in node_set.groups
        if group.kind not in NOT_EC2
    )


def _option(group: NodeGroup) -> str:
    if group.kind == "windows":
        return f"spot, {WINDOWS}" if group.capacity_type == "spot" else WINDOWS
    return "spot" if group.capacity_type == "spot" else "on-demand"


def planned(plan: NodePlan, quiet: float = 1.0) -> PlannedNodeSet | None:
    """Return a plan's node set with its range; None if no node set is promised.

    The promised node set is the middle and the high end. The low end is the packed ideal on a quiet
    day, less its gap: nothing rules out that the autoscaler gets there.
    """
    if plan.promised is None:
        return None
    packed = None if plan.packed is None else lots_of(plan.packed.node_set, quiet)
    gap = 0.0 if plan.packed is None else plan.packed.optimality_gap
    return PlannedNodeSet(plan.name, lots_of(plan.promised), packed, None, gap)


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.low, interval.mid, interval.high
