"""The commitment that is safe after the change: the quietest hour's machines for a year."""

from __future__ import annotations

from dataclasses import replace

from rightsize.config import NodeSettings, PriceSettings
from rightsize.cost.commitments import cover
from rightsize.cost.levers.lever import Lever
from rightsize.cost.node_sets import NodeSet, nodes_in
from rightsize.cost.plan import Terms, ec2_hourly_of
from rightsize.cost.planned import lots_of
from rightsize.nodes.answer import NodeAnswer
from rightsize.nodes.floor import Floor, node_floor
from rightsize.prices.book import snapshot_book
from rightsize.prices.shapes import catalogue_of
from rightsize.results import Interval
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import newest_rows

_LEAST = 1e-6
"""Less is rounding."""
_SECONDS_A_FLOOR = 0.5
"""Of a floor no more counts than its bound: a packing that is nearer to it changes nothing."""


def safe_commitment(
    snapshot: Snapshot,
    nodes: NodeAnswer,
    terms: Terms,
    settings: NodeSettings,
    prices: PriceSettings,
) -> Lever | None:
    """A one-year commitment on the machines that even the quietest hour after the change needs."""
    tables = snapshot.read("pods"), snapshot.read("containers")
    machines = newest_rows(snapshot, "nodes")
    catalogue, _ = catalogue_of(snapshot_book(snapshot, terms.region, prices.machines))
    limit = min(settings.time_limit, _SECONDS_A_FLOOR)
    quick = settings.model_copy(update={"time_limit": limit})
    floors = [
        node_floor(*tables, catalogue, quick, machines, advice) for advice in (nodes.advice, None)
    ]
    after, now = floors
    if after is None or now is None:
        return None
    today = lots_of(nodes.today)
    lots, lots_now = (_lots(floor, today) for floor in (after, now))
    if not nodes_in(lots):
        return None
    discount, source = discount_of(lots, terms)
    on_demand, open_usd = _open(lots, terms)
    open_now = _open(lots_now, terms)[1]
    figures = {
        "floor_nodes": nodes_in(lots),
        "floor_nodes_today": nodes_in(lots_now),
        "floor_usd_per_hour": on_demand,
        "uncommitted_usd_per_hour": open_usd,
        "discount": discount,
        "commit_usd_per_hour": None,
        "wasted_usd_before": None,
    }
    said = _floor_text(nodes_in(lots), nodes_in(lots_now), on_demand)
    if open_usd is None or discount is None:
        held = "what the commitments cover" if terms.commitments.known else "what is committed"
        why = "the one-year rate" if discount is None else held
        return Lever("commitment", None, f"{why} is unknown; {said}", figures)
    if open_usd < _LEAST:
        why = "what is committed already pays for the quietest hour: nothing to add"
        none = {"commit_usd_per_hour": 0.0}
        return Lever("commitment", Interval.exactly(0.0), f"{why}; {said}", figures | none, True)
    commit = open_usd * (1 - discount)
    figures["commit_usd_per_hour"] = commit
    if open_now is not None:
        figures["wasted_usd_before"] = max(open_now - open_usd, 0.0) * (1 - discount) * terms.hours
    wasted = figures["wasted_usd_before"] or 0.0
    before = f"; bought before it, ${wasted:,.0f} a month of it is wasted" if wasted >= 0.5 else ""
    return Lever(
        "commitment",
        Interval.exactly(open_usd * discount * terms.hours),
        f"commit ${commit:,.2f}/h for a year once the change is in force ({source}, "
        f"{discount:.0%} off){before}; {said}",
        figures,
        realisable=True,
    )


def _lots(floor: Floor, today: NodeSet) -> NodeSet:
    """The machines of a floor that are bought on demand, no more than the bound says are needed.

    As large a share as today is, and over the zones in which those of today are: a reservation of a
    zone pays for its own alone.
    """
    on_demand = [lot for lot in today if lot.purchase_option == "on-demand"]
    whole, bought = nodes_in(today), nodes_in(tuple(on_demand))
    share = bought / whole if whole else 1.0
    zones = {lot.zone: 0.0 for lot in on_demand} or {None: 0.0}
    for lot in on_demand:
        zones[lot.zone] += lot.count / bought
    lots = lots_of(floor.node_set, share / (1 + floor.optimality_gap))
    return tuple(
        replace(lot, count=lot.count * part, zone=zone)
        for lot in lots
        if lot.purchase_option == "on-demand"
        for zone, part in ({lot.zone: 1.0} if lot.zone else zones).items()
    )


def _open(lots: NodeSet, terms: Terms) -> tuple[float | None, float | None]:
    """On-demand USD/h of machines, and what of it no commitment pays for; None is unknown."""
    prices = [terms.book.price(lot.instance_type, lot.purchase_option) for lot in lots]
    if None in prices:
        return None, None
    covered = cover(lots, terms.book, terms.commitments)
    return ec2_hourly_of(lots, terms, "mid"), None if covered is None else covered.uncovered


def _floor_text(nodes: float, today: float, on_demand: float | None) -> str:
    usd = "" if on_demand is None else f", worth ${on_demand:,.2f}/h"
    fewer = f" ({today:.3g} with today's requests)" if abs(today - nodes) > _LEAST else ""
    return f"no hour needs fewer than {nodes:.3g} on-demand machines{fewer}{usd}"


def discount_of(
    lots: NodeSet, terms: Terms, option: str = "savings-plan"
) -> tuple[float | None, str]:
    """Mean discount of a purchase option on some machines, and its source; None is unknown."""
    listed = paid = 0.0
    sources = set()
    for lot in lots:
        full = terms.book.price(lot.instance_type, "on-demand")
        # Of Spot the mean of the zones: a plan may be bought in any.
        less = terms.book.price(lot.instance_type, option)
        if full is None or less is None:
            return None, ""
        sources.add(less.source)
        if option == "savings-plan" and less.usd_per_hour >= full.usd_per_hour:
            # No plan costs as much as what it replaces.
            return None, ""
        listed += lot.count * full.usd_per_hour
        paid += lot.count * less.usd_per_hour
    return (1 - paid / listed, "; ".join(sorted(sources))) if listed else (None, "")
