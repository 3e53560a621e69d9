"""The monthly bill of a node set, line by line."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from rightsize.cost.commitments import Commitments, Covered, cover
from rightsize.cost.node_sets import (
    LEVELS,
    Level,
    NodeLot,
    NodeSet,
    PlannedNodeSet,
    nodes_in,
)
from rightsize.cost.other import UnitCost
from rightsize.prices.book import PriceBook
from rightsize.results import HOURS_PER_MONTH, Interval

_LEAST_UNUSED = 1e-9
"""USD/h; less is rounding."""


@dataclass(frozen=True)
class Terms:
    """Everything a bill needs besides the node set."""

    book: PriceBook
    commitments: Commitments
    other: Mapping[str, UnitCost]
    at: datetime
    """When the prices are used: their age counts to here."""
    region: str | None = None
    hours: float = HOURS_PER_MONTH
    """Hours of the month: 730, or the real month's."""
    price_drift_per_year: float = 0.05
    root_gib: float = 20.0
    """Root volume of a node that does not state its own."""
    root_type: str = "gp3"
    eks_support: str | None = None
    """`standard` or `extended`; None counts as standard, and the line says so."""
    auto_share: float = 0.0
    """Share of the machines that EKS Auto Mode runs, for a fee on each one's on-demand price."""
    load_balancers: int | None = None
    """Load balancers of the cluster; None is unknown."""


LineKind = Literal[
    "ec2", "ebs", "unused-commitment", "eks", "load-balancer", "data-transfer", "logs", "other"
]
MACHINE_LINES: tuple[LineKind, ...] = ("ec2", "ebs")
"""Lines that belong to the machines, and so to those who request them."""


@dataclass(frozen=True, slots=True)
class CostLine:
    """One line of a monthly bill; `usd` None is unknown."""

    name: str
    usd: Interval | None
    source: str
    note: str = ""
    kind: LineKind = "other"

    @property
    def of_machines(self) -> bool:
        """Whether it is split over those who request the machines."""
        return self.kind in MACHINE_LINES


@dataclass(frozen=True)
class PlanCost:
    """What a plan costs a month, in USD."""

    name: str
    nodes: float
    hours: float
    lines: tuple[CostLine, ...]
    covered: Covered | None
    """EC2 split by who pays, USD/h; None if commitments are unknown."""
    unpriced: tuple[str, ...]
    """Types that nobody has a price for; then EC2 and the total are unknown."""
    ec2: Interval | None
    """EC2 on-demand equivalent and Spot together, before commitments; USD per month."""
    node_set: PlannedNodeSet

    @property
    def total(self) -> Interval | None:
        """All known lines together; None if a machine has no price."""
        if self.ec2 is None:
            return None
        known = [line.usd for line in self.lines if line.usd is not None]
        return added(known)

    @property
    def machines(self) -> Interval | None:
        """Machines and their root volumes; None if one of them is unknown."""
        lines = [line.usd for line in self.lines if line.of_machines]
        known = [usd for usd in lines if usd is not None]
        return added(known) if self.ec2 is not None and len(known) == len(lines) else None

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names of lines that the total lacks."""
        return tuple(line.name for line in self.lines if line.usd is None)


def price_plan(
    node_set: PlannedNodeSet, terms: Terms, *more: CostLine, unseen: tuple[str, ...] = ()
) -> PlanCost:
    """Return the monthly bill of a plan.

    Parameters
    ----------
    *more : CostLine
        Lines that do not depend on the node set: cross-zone traffic, access logs.
    unseen : tuple of str
        Machines that run and of which nothing is known; any leaves EC2 unknown.

    Notes
    -----
    EC2 = sum of count * price * hours over the machines. Low and high take the node sets for low and
    high demand at the ends of each price's range; low is divided by 1 + gap besides. Where
    commitments are known, EC2 is split into what they cover and what is paid on top.
    """
    unpriced = (*unseen, *unpriced_types(node_set, terms.book))
    month = None if unpriced else _month_of(node_set, terms)
    covered = None if unpriced else cover(node_set.mid, terms.book, terms.commitments)
    lines = (
        *_ec2_lines(node_set, terms, month, covered, unpriced),
        _unseen_volumes(root_volumes(node_set, terms), unseen),
        *_auto_mode(node_set, terms, unpriced),
        _control_plane(terms),
        _balancers(terms),
        *more,
    )
    return PlanCost(
        node_set.name,
        math.nan if unseen else nodes_in(node_set.mid),
        terms.hours,
        lines,
        covered,
        unpriced,
        month,
        node_set,
    )


def ec2_hourly_at(node_set: PlannedNodeSet, terms: Terms, level: Level, demand: Level) -> float:
    """Return USD/h of the node set for a demand, at one end of the price ranges.

    At low demand the packing gap is taken off too: nothing rules out a node set that is cheaper by it.
    """
    cost = ec2_hourly_of(node_set.at(demand), terms, level)
    return cost / (1 + node_set.gap) if demand == "low" else cost


def ec2_hourly_of(node_set: NodeSet, terms: Terms, level: Level) -> float:
    """Return USD/h of machines before commitments, at one end of their price ranges."""
    return sum(lot.count * _hourly(lot, terms, level) for lot in node_set)


def unpriced_types(node_set: PlannedNodeSet, book: PriceBook) -> tuple[str, ...]:
    """Return `type (option)` of each machine that has no price, at any demand."""
    missing = {
        f"{lot.instance_type} ({lot.purchase_option})"
        for demand in LEVELS
        for lot in node_set.at(demand)
        if lot.count
        and lot.paid is None
        and book.price(lot.instance_type, lot.purchase_option, lot.zone) is None
    }
    return tuple(sorted(missing))


def added(parts: list[Interval]) -> Interval:
    """Add intervals end by end: their errors have one cause, so they do not cancel out."""
    return Interval(
        sum(part.low for part in parts),
        sum(part.mid for part in parts),
        sum(part.high for part in parts),
    )


def _hourly(lot: NodeLot, terms: Terms, level: Level) -> float:
    if lot.count == 0:
        return 0.0
    if lot.paid is not None:
        return float(getattr(lot.paid, level))
    price = terms.book.price(lot.instance_type, lot.purchase_option, lot.zone)
    if price is None:
        raise ValueError(f"no price for {lot.instance_type}")
    return float(getattr(price.at(terms.at, terms.price_drift_per_year), level))


def _month_of(node_set: PlannedNodeSet, terms: Terms) -> Interval:
    return interval_of(lambda level: ec2_hourly_at(node_set, terms, level, level)).scaled(
        terms.hours
    )


def interval_of(value: Callable[[Level], float]) -> Interval:
    """Return the interval of a figure that is known at each level."""
    low, mid, high = (value(level) for level in LEVELS)
    return Interval(min(low, mid), mid, max(mid, high))


def _ec2_lines(
    node_set: PlannedNodeSet,
    terms: Terms,
    month: Interval | None,
    covered: Covered | None,
    unpriced: tuple[str, ...],
) -> tuple[CostLine, ...]:
    source = _sources(node_set.mid, terms.book)
    if month is None:
        return (CostLine("EC2", None, source, f"no price for {', '.join(unpriced)}", "ec2"),)
    spot, rest = (
        _month_of(part, terms) for part in (node_set.only(spot=True), node_set.only(spot=False))
    )
    lines = [CostLine("EC2 Spot", spot, source, kind="ec2")] if spot.high > 0 else []
    if covered is None:
        note = "commitments are unknown: on-demand equivalent"
        if terms.commitments.known:
            note = "what the commitments cover is unknown, for want of a discount or a rate"
        return (CostLine("EC2 on-demand", rest, source, note, "ec2"), *lines)
    value = covered.covered * terms.hours
    paid = Interval(
        max(rest.low - value, 0.0), max(rest.mid - value, 0.0), max(rest.high - value, 0.0)
    )
    used, unused = (
        Interval.exactly(usd * terms.hours)
        for usd in (covered.commitment - covered.unused, covered.unused)
    )
    note = f"covers machines worth ${value:,.2f} on demand; paid whether used or not"
    if covered.commitment:
        lines.append(CostLine("EC2 commitments", used, "commitments", note, "ec2"))
    if covered.unused > _LEAST_UNUSED:
        note = "paid, and covers no machine of this cluster"
        name = "EC2 commitments, unused"
        lines.append(CostLine(name, unused, "commitments", note, "unused-commitment"))
    return (CostLine("EC2 on-demand", paid, source, kind="ec2"), *lines)


def root_volumes(node_set: PlannedNodeSet, terms: Terms) -> CostLine:
    name = "EBS root volumes"
    price = terms.other.get(f"ebs_{terms.root_type}")
    if price is None:
        return CostLine(name, None, "", f"no price for {terms.root_type}", "ebs")
    # EBS charges GB-months of the volumes' size, pro rata of the month.
    month = terms.hours / HOURS_PER_MONTH

    def usd(level: Level) -> float:
        chosen = {"low": node_set.fewest, "mid": node_set.mid, "high": node_set.most}[
            level
        ] or node_set.mid
        gib = sum(
            lot.count * (terms.root_gib if lot.root_gib is None else lot.root_gib) for lot in chosen
        )
        return gib * price.usd * month

    stated = all(lot.root_gib is not None for lot in node_set.mid)
    assumed = "" if stated else f"{terms.root_gib:g} GiB a node assumed"
    note = "; ".join(part for part in (assumed, price.note(terms.region)) if part)
    return CostLine(name, interval_of(usd), f"{price.source}, {price.as_of}", note, "ebs")


def _unseen_volumes(line: CostLine, unseen: tuple[str, ...]) -> CostLine:
    """The line of the volumes, unknown where machines run of which nothing is known."""
    return replace(line, usd=None, note=f"not known of {', '.join(unseen)}") if unseen else line


def auto_mode_fee(node_set: NodeSet, terms: Terms) -> float | None:
    """USD a month of EKS Auto Mode; None where a price is unknown.

    The fee is a share of the on-demand price, also for Spot and for what commitments cover.
    """
    if terms.auto_share == 0:
        return 0.0
    rate = terms.other.get("auto_mode")
    listed = [terms.book.price(lot.instance_type, "on-demand") for lot in node_set if lot.count]
    if rate is None or None in listed:
        return None
    counts = [lot.count for lot in node_set if lot.count]
    hourly = sum(
        count * price.usd_per_hour for count, price in zip(counts, listed, strict=True) if price
    )
    return hourly * terms.auto_share * rate.usd * terms.hours


def _auto_mode(
    node_set: PlannedNodeSet, terms: Terms, unpriced: tuple[str, ...]
) -> tuple[CostLine, ...]:
    name = "EKS Auto Mode fee"
    if terms.auto_share == 0:
        return ()
    rate = terms.other.get("auto_mode")
    usd = None if unpriced else auto_mode_fee(node_set.mid, terms)
    if rate is None or usd is None:
        return (CostLine(name, None, "", "no price for it, or for one of the machines", "ec2"),)
    share = f"{rate.usd:.0%} of the on-demand price of {terms.auto_share:.0%} of the machines"
    note = "; ".join(part for part in (share, rate.note(terms.region)) if part)
    source = f"{rate.source}, {rate.as_of}"
    return (CostLine(name, Interval.exactly(usd), source, note, "ec2"),)


def _control_plane(terms: Terms) -> CostLine:
    support = terms.eks_support or "standard"
    price = terms.other.get(f"eks_{support}")
    if price is None:
        note = f"no price for {support} support"
        return CostLine("EKS control plane", None, "", note, "eks")
    assumed = "" if terms.eks_support else "standard support assumed"
    note = "; ".join(part for part in (assumed, price.note(terms.region)) if part)
    usd = Interval.exactly(price.usd * terms.hours)
    return CostLine("EKS control plane", usd, f"{price.source}, {price.as_of}", note, "eks")


def extended_surcharge(terms: Terms) -> Interval | None:
    """What extended support adds to the standard price a month; None if either is unknown."""
    standard, extended = terms.other.get("eks_standard"), terms.other.get("eks_extended")
    if standard is None or extended is None:
        return None
    return Interval.exactly((extended.usd - standard.usd) * terms.hours)


def _balancers(terms: Terms) -> CostLine:
    price = terms.other.get("load_balancer")
    if terms.load_balancers is None or price is None:
        note = "their number is unknown"
        return CostLine("load balancers", None, "", note, "load-balancer")
    usd = Interval.exactly(terms.load_balancers * price.usd * terms.hours)
    note = "; ".join(p for p in ("capacity units left out", price.note(terms.region)) if p)
    source = f"{price.source}, {price.as_of}"
    return CostLine("load balancers", usd, source, note, "load-balancer")


def _sources(node_set: NodeSet, book: PriceBook) -> str:
    found = {
        str(price)
        for lot in node_set
        if (price := book.price(lot.instance_type, lot.purchase_option, lot.zone)) is not None
    }
    return "; ".join(sorted(found))
