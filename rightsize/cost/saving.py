"""What one plan saves against another, and how much of it the bill will show."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rightsize.cost.commitments import Covered, cover
from rightsize.cost.node_sets import LEVELS, Level, PlannedNodeSet
from rightsize.cost.plan import (
    CostLine,
    PlanCost,
    Terms,
    added,
    auto_mode_fee,
    ec2_hourly_at,
    ec2_hourly_of,
    root_volumes,
    unpriced_types,
)
from rightsize.nodes.answer import Freed
from rightsize.results import Interval


@dataclass(frozen=True, slots=True)
class Saving:
    """In USD per month; negative where the second plan costs more."""

    on_demand_equivalent: Interval | None
    """At on-demand and Spot prices, as if nothing were committed. None: a price is unknown."""
    realisable: Interval | None
    """What the bill will fall by. None: commitments are unknown, so nothing is promised."""
    nodes: float
    note: str


def saving(now: PlanCost, after: PlanCost, terms: Terms) -> Saving:
    """Return what `after` saves against `now`, under the same terms.

    Both are taken at the prices of now, at the same demand and at the same end of the price range,
    since demand and prices move for both: the range comes from demand, the packing gap, and the age of prices.
    """
    nodes = now.nodes - after.nodes
    node_sets = now.node_set.listed, after.node_set.listed
    missing = {*now.unpriced, *after.unpriced}
    missing |= {name for node_set in node_sets for name in unpriced_types(node_set, terms.book)}
    volumes = _fewer(*(root_volumes(node_set, terms) for node_set in node_sets))
    if volumes is None:
        missing.add(f"{terms.root_type} root volumes")
    fees = [auto_mode_fee(node_set.mid, terms) for node_set in node_sets]
    if fees[0] is None or fees[1] is None:
        missing.add("EKS Auto Mode's fee")
    if missing or volumes is None:
        return Saving(None, None, nodes, f"no price for {', '.join(sorted(missing))}")

    def machines(level: Level, demand: Level) -> float:
        return ec2_hourly_at(node_sets[0], terms, level, demand) - ec2_hourly_at(
            node_sets[1], terms, level, demand
        )

    ends = [machines(level, demand) for level in LEVELS for demand in LEVELS]
    mid = machines("mid", "mid")
    ec2 = Interval(min(ends), mid, max(ends)).scaled(terms.hours)
    beside = added([volumes, Interval.exactly((fees[0] or 0.0) - (fees[1] or 0.0))])
    whole = added([ec2, beside])
    covers = tuple(cover(node_set.mid, terms.book, terms.commitments) for node_set in node_sets)
    real = _realisable(node_sets[0], node_sets[1], terms)
    if real is None:
        note = "commitments are unknown: on-demand equivalent, not promised"
        if terms.commitments.known:
            note = "what the commitments cover is unknown: on-demand equivalent, not promised"
        return Saving(whole, None, nodes, note)
    return Saving(whole, added([real, beside]), nodes, _said(*covers))


def as_replayed(found: Saving, freed: Freed) -> Saving:
    """A plan's saving as far as the autoscaler takes its nodes away.

    The low end is what goes with the autoscaler as it comes, the middle what goes under the
    setting named, the high end the plan's own.
    """
    if freed.planned <= 0:
        return found
    low, mid = freed.by_default / freed.planned, freed.expected / freed.planned

    def part(usd: Interval | None) -> Interval | None:
        if usd is None or usd.mid <= 0:
            return usd
        middle = usd.mid * mid
        return Interval(min(max(usd.low, 0.0) * low, middle), middle, max(usd.high, middle))

    return replace(
        found,
        on_demand_equivalent=part(found.on_demand_equivalent),
        realisable=part(found.realisable),
        nodes=float(freed.expected),
    )


def _realisable(now: PlannedNodeSet, after: PlannedNodeSet, terms: Terms) -> Interval | None:
    """Paid now less paid after, with commitments paid in both; per month.

    Coverage is reckoned at mid prices for each demand, then moved with the range of prices.
    """
    before = ec2_hourly_of(now.mid, terms, "mid")
    falls = []
    for demand in LEVELS:
        paid_now, paid = _paid(now, demand, terms), _paid(after, demand, terms)
        if paid_now is None or paid is None:
            return None
        falls.append(paid_now - paid)
    levels = [ec2_hourly_of(now.mid, terms, level) for level in LEVELS]
    factors = [level / before if before else 1.0 for level in levels]
    ends = [fall * factor for fall in falls for factor in factors]
    return Interval(min(ends), falls[1], max(ends)).scaled(terms.hours)


def _paid(planned: PlannedNodeSet, demand: Level, terms: Terms) -> float | None:
    """USD/h really paid for machines: commitments, on-demand on top of them, and Spot.

    At low demand the packing gap comes off what is paid on top of the commitments.
    """
    node_set = planned.at(demand)
    covered = cover(node_set, terms.book, terms.commitments)
    if covered is None:
        return None
    beside = tuple(lot for lot in node_set if lot.purchase_option != "on-demand")
    on_top = covered.uncovered + ec2_hourly_of(beside, terms, "mid")
    return covered.commitment + (on_top / (1 + planned.gap) if demand == "low" else on_top)


def _fewer(now: CostLine, after: CostLine) -> Interval | None:
    if now.usd is None or after.usd is None:
        return None
    low, mid, high = (getattr(now.usd, level) - getattr(after.usd, level) for level in LEVELS)
    return Interval(min(low, mid, high), mid, max(low, mid, high))


def _said(now: Covered | None, after: Covered | None) -> str:
    if now is None or after is None or now.commitment == 0:
        return "no commitment is held"
    given_up = now.covered - after.covered
    if given_up <= 0:
        return "commitments stay in use"
    return f"machines worth ${given_up:.2f}/h given up are paid for by commitments anyway"
