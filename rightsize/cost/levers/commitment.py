"""The commitment that is safe after the change: the quietest hour's machines for a year."""

from __future__ import annotations

from rightsize.config import NodeSettings, PriceSettings
from rightsize.cost.commitments import cover
from rightsize.cost.levers.lever import Lever
from rightsize.cost.node_sets import NodeSet
from rightsize.cost.plan import Terms, ec2_hourly_of
from rightsize.cost.planned import lots_of
from rightsize.nodes.answer import NodeAnswer
from rightsize.nodes.floor import Floor, node_floor
from rightsize.prices.book import snapshot_book
from rightsize.prices.shapes import catalogue_of
from rightsize.results import Interval
from rightsize.snapshot import Snapshot


def safe_commitment(
    snapshot: Snapshot,
    nodes: NodeAnswer,
    terms: Terms,
    settings: NodeSettings,
    prices: PriceSettings,
) -> Lever | None:
    """A one-year commitment on the machines that even the quietest hour after the change needs."""
    tables = snapshot.read("pods"), snapshot.read("containers")
    machines = snapshot.read("nodes", days=snapshot.days[-1:])
    catalogue, _ = catalogue_of(snapshot_book(snapshot, terms.region, prices.machines))
    floors = [
        node_floor(*tables, catalogue, settings, machines, advice)
        for advice in (nodes.advice, None)
    ]
    after, now = floors
    if after is None or now is None:
        return None
    bought = 1 - _spot_share(lots_of(nodes.today))
    lots, lots_now = (_lots(floor, bought) for floor in (after, now))
    discount, source = discount_of(lots, terms)
    on_demand, open_usd = _open(lots, terms)
    open_now = _open(lots_now, terms)[1]
    figures = {
        "floor_nodes": after.packed.node_set.nodes * bought,
        "floor_nodes_today": now.packed.node_set.nodes * bought,
        "floor_usd_per_hour": on_demand,
        "uncommitted_usd_per_hour": open_usd,
        "discount": discount,
        "commit_usd_per_hour": None,
        "wasted_usd_before": None,
    }
    said = _floor_text(after, now, on_demand)
    if open_usd is None or discount is None:
        why = "the one-year rate is unknown" if discount is None else "commitments are unknown"
        return Lever("commitment", None, f"{why}; {said}", figures)
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


def _lots(floor: Floor, bought: float) -> NodeSet:
    """The machines of a floor that are not Spot, and no more than the bound says are needed."""
    share = bought / (1 + floor.packed.optimality_gap)
    lots = lots_of(floor.packed.node_set, share)
    return tuple(lot for lot in lots if lot.purchase_option == "on-demand")


def _spot_share(lots: NodeSet) -> float:
    machines = sum(lot.count for lot in lots)
    return (
        sum(lot.count for lot in lots if lot.purchase_option == "spot") / machines
        if machines
        else 0.0
    )


def _open(lots: NodeSet, terms: Terms) -> tuple[float | None, float | None]:
    """On-demand USD/h of machines, and what of it no commitment pays for; None is unknown."""
    prices = [terms.book.price(lot.instance_type, lot.purchase_option) for lot in lots]
    if None in prices:
        return None, None
    covered = cover(lots, terms.book, terms.commitments)
    return ec2_hourly_of(lots, terms, "mid"), None if covered is None else covered.uncovered


def _floor_text(after: Floor, now: Floor, on_demand: float | None) -> str:
    nodes, today = (one.packed.node_set.nodes for one in (after, now))
    usd = "" if on_demand is None else f", ${on_demand:,.2f}/h on demand"
    fewer = f" ({today} with today's requests)" if today != nodes else ""
    return f"no hour needs fewer than {nodes} nodes{fewer}{usd}"


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
        listed += lot.count * full.usd_per_hour
        paid += lot.count * less.usd_per_hour
    return (1 - paid / listed, "; ".join(sorted(sources))) if listed else (None, "")
