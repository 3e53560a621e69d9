"""The whole money answer for one snapshot: the bill now, after each plan, and who causes it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime

import pandas as pd

from rightsize.config import NodeSettings, PriceSettings
from rightsize.cost.allocation import Allocation, allocate, machines_of, requested
from rightsize.cost.charges import auto_share, node_charges
from rightsize.cost.commitments import commitments_in_force
from rightsize.cost.logs import AccessLog, access_log
from rightsize.cost.machines import (
    bought,
    covered_hours,
    days_with_nodes,
    machine_days,
    on_days,
)
from rightsize.cost.node_sets import (
    NodeLot,
    NodeSet,
    PlannedNodeSet,
    mean_root,
    node_set_of,
    with_instances,
)
from rightsize.cost.other import other_costs
from rightsize.cost.plan import CostLine, PlanCost, Terms, price_plan
from rightsize.cost.saving import Saving, saving
from rightsize.cost.traffic import CrossZone, cross_zone
from rightsize.cost.valued import ValuedChange, value_changes
from rightsize.nodes.answer import NodeAnswer
from rightsize.nodes.plan import NodePlan, PlanName
from rightsize.nodes.plan import NodeSet as BoughtNodeSet
from rightsize.prices.book import snapshot_book
from rightsize.prices.node_kinds import NOT_EC2, PACKED
from rightsize.prices.shapes import age_note
from rightsize.prices.unit_price import unit_price
from rightsize.results import Advice, Interval
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import newest_rows


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


@dataclass(frozen=True)
class MoneyAnswer:
    """What the cluster costs a month, what plans would cost, and who causes it; USD."""

    cluster: str
    simulated: bool
    start: datetime
    end: datetime
    region: str | None
    terms: Terms
    today: PlanCost
    """The machines that ran, as a mean over the snapshot's days."""
    plans: tuple[PricedPlan, ...]
    traffic: CrossZone
    logs: AccessLog
    allocation: Allocation
    machines: pd.DataFrame
    """Every machine on every day (`rightsize.cost.machines.machine_days`)."""
    covered_hours: float
    """Hours of the days with node rows: what the figures are taken from."""
    valued: tuple[ValuedChange, ...]
    """Each change's worth; empty where it was not asked for or no node set could be priced."""
    notes: tuple[str, ...]


def price_answer(
    snapshot: Snapshot,
    nodes: NodeAnswer | None = None,
    settings: PriceSettings | None = None,
    *,
    region: str | None = None,
    at: datetime | None = None,
    advice: Advice | None = None,
    node_settings: NodeSettings | None = None,
) -> MoneyAnswer:
    """Price a snapshot's machines, the plans of `rightsize.nodes`, and split the bill.

    Parameters
    ----------
    snapshot : Snapshot
    nodes : NodeAnswer, optional
        Plans to price; without them the bill and its causes alone.
    settings : PriceSettings, optional
    region : str, optional
        Region of the prices, instead of the region the snapshot names.
    at : datetime, optional
        When prices are used; the snapshot's end without it.
    advice : Advice, optional
        Its changes are valued one by one, which plans nodes a few times for each.
    node_settings : NodeSettings, optional
        For these plans.

    Raises
    ------
    InputFileError
        If the user's file of other prices cannot be used.
    """
    chosen = settings or PriceSettings()
    tables = {name: snapshot.read(name) for name in ("nodes", "pods", "containers", "traffic")}
    where = region or (nodes.region if nodes else None) or region_of(snapshot, tables["nodes"])
    terms = terms_for(snapshot, chosen, where, at or snapshot.manifest.end)
    tables["nodes"] = with_instances(tables["nodes"], newest_rows(snapshot, "instances"))
    days = days_with_nodes(tables["nodes"])
    machines = machine_days(tables["nodes"], terms.book, chosen.price_drift_per_year)
    covered = covered_hours(snapshot, tables["nodes"])
    ran = PlannedNodeSet("today", node_set_of(bought(machines), covered))
    # A plan's machines get root volumes like those in use.
    terms = replace(
        terms,
        root_gib=mean_root(ran.mid, terms.root_gib),
        auto_share=auto_share(tables["nodes"]),
    )
    moved, logs = _mesh_traffic(tables, chosen)
    more = (
        moved.line(terms.other.get("cross_zone"), where),
        logs.line(chosen.access_log_usd_per_gb),
    )
    charges = node_charges(tables, terms, covered)
    new = None if nodes is None else nodes.advice
    changed = charges if new is None else node_charges(tables, terms, covered, new)
    unseen = () if len(machines) else ("machines of which no row was collected",)
    today = price_plan(ran, terms, *more, *charges, unseen=unseen)
    quiet = quiet_share(tables["pods"], tables["containers"])
    manifest = snapshot.manifest
    held = {name: on_days(tables[name], days) for name in ("pods", "containers")}
    usage = mean_usage(snapshot, days) if chosen.allocation == "larger" else None
    missing = len(snapshot.days) - len(days)
    return MoneyAnswer(
        cluster=manifest.cluster,
        simulated=manifest.simulated,
        start=manifest.start,
        end=manifest.end,
        region=where,
        terms=terms,
        today=today,
        plans=()
        if nodes is None
        else _priced_plans(nodes, today, terms, ((*more, *charges), (*more, *changed)), quiet),
        traffic=moved,
        logs=logs,
        allocation=_allocation(
            requested(held["containers"], held["pods"], usage=usage),
            machines_of(machines, scale=terms.hours / covered if covered else 1.0),
            today,
            terms,
        ),
        machines=machines,
        covered_hours=covered,
        valued=()
        if advice is None
        else _valued(snapshot, advice, node_settings, today, terms, chosen),
        notes=(
            *_gaps(missing, covered, terms),
            *_steps(charges, changed),
            *_notes(today, terms, moved),
        ),
    )


def mean_usage(snapshot: Snapshot, days: Collection[date]) -> pd.DataFrame:
    """Mean use of each container on each day: `cpu` (cores) and `memory` (bytes)."""
    keys = ["namespace", "pod", "container"]
    parts = []
    for day, table in snapshot.only(days).by_day("usage", columns=[*keys, "cpu", "memory"]):
        rows = table.to_pandas().astype(dict.fromkeys(keys, object))
        means = rows.groupby(keys)[["cpu", "memory"]].mean().reset_index()
        parts.append(means.assign(day=pd.Timestamp(day, tz="UTC")))
    columns = ["day", *keys, "cpu", "memory"]
    return pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns)


def region_of(snapshot: Snapshot, nodes: pd.DataFrame) -> str | None:
    """Return the region that the snapshot or its nodes name; None if none or several."""
    named = nodes["region"].dropna().astype(str).unique()
    return snapshot.manifest.region or (str(named[0]) if len(named) == 1 else None)


def terms_for(
    snapshot: Snapshot, settings: PriceSettings, region: str | None, at: datetime
) -> Terms:
    """Gather prices, commitments and settings: the newest day of the snapshot's price tables."""
    held = newest_rows(snapshot, "commitments")
    return Terms(
        book=snapshot_book(snapshot, region, settings.machines),
        commitments=commitments_in_force(held, settings),
        other=other_costs(settings.other_costs_file),
        at=at,
        region=region,
        hours=settings.hours_per_month,
        price_drift_per_year=settings.price_drift_per_year,
        root_gib=settings.root_volume_gib,
        eks_support=snapshot.manifest.facts.get("eks_support"),
        load_balancers=settings.load_balancers,
    )


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
            "spot" if group.capacity_type == "spot" else "on-demand",
            group.zone,
        )
        for group in node_set.groups
        if group.kind not in NOT_EC2
    )


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


def _mesh_traffic(
    tables: dict[str, pd.DataFrame], settings: PriceSettings
) -> tuple[CrossZone, AccessLog]:
    traffic, hours = tables["traffic"], settings.hours_per_month
    line = settings.access_log_bytes_per_line
    return (
        cross_zone(traffic, tables["pods"], tables["nodes"], hours=hours),
        access_log(traffic, bytes_per_line=line, hours=hours),
    )


def _valued(
    snapshot: Snapshot,
    advice: Advice,
    settings: NodeSettings | None,
    today: PlanCost,
    terms: Terms,
    prices: PriceSettings,
) -> tuple[ValuedChange, ...]:
    return value_changes(
        snapshot,
        advice,
        settings,
        region=terms.region,
        hours=terms.hours,
        committed=_committed(today, terms),
        prices=prices,
    )


def _priced_plans(
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


def _allocation(
    requests: pd.DataFrame, machines: pd.DataFrame, today: PlanCost, terms: Terms
) -> Allocation:
    """Split the whole bill where it is known, else the machines that have a price."""
    paid = today.machines
    apart = [line for line in today.lines if line.usd is not None and not line.of_machines]
    return allocate(
        requests,
        machines,
        unit_price(terms.region).price,
        machines_usd=None if paid is None else paid.mid,
        shared={
            line.name: line.usd.mid
            for line in apart
            if line.usd is not None and line.kind != "unused-commitment"
        },
        unused=sum(
            line.usd.mid
            for line in apart
            if line.usd is not None and line.kind == "unused-commitment"
        ),
    )


def _gaps(missing: int, covered: float, terms: Terms) -> list[str]:
    """What the reader must know first: old prices, days without machines, how it is scaled."""
    said = []
    if missing:
        said.append(
            f"{missing} days have no row of a node: every amount and share is taken from the "
            f"other {covered / 24:g} days"
        )
    if covered and abs(covered - terms.hours) > 0.5:
        said.append(f"{covered:g} h were seen; amounts are scaled to {terms.hours:g} h")
    return said


def _steps(now: tuple[CostLine, ...], then: tuple[CostLine, ...]) -> list[str]:
    """What new requests save where pods are charged by their size; in no plan's saving."""
    return [
        f"{one.name}: the recommended requests save {one.usd.mid - other.usd.mid:,.2f} USD a month "
        "in whole steps of size, beside what the plans save"
        for one, other in zip(now, then, strict=True)
        if one.usd is not None and other.usd is not None and one.usd.mid != other.usd.mid
    ]


def _committed(today: PlanCost, terms: Terms) -> bool | None:
    """Whether commitments pay for every machine, so that giving one up saves nothing."""
    if today.covered is None:
        return None
    spot = any(lot.purchase_option == "spot" for lot in today.node_set.mid)
    return today.covered.uncovered * terms.hours < 0.01 and not spot


def _ends(interval: Interval) -> tuple[float, float, float]:
    return interval.low, interval.mid, interval.high


def _notes(today: PlanCost, terms: Terms, moved: CrossZone) -> tuple[str, ...]:
    notes = [f"a month of {terms.hours:g} h"]
    used = [
        terms.book.price(lot.instance_type, lot.purchase_option, lot.zone)
        for lot in today.node_set.mid
    ]
    old = age_note([price for price in used if price is not None], terms.at)
    if old is not None:
        notes.insert(0, old)
    derived = sorted({lot.instance_type for lot, price in zip(today.node_set.mid, used, strict=True)
                      if price is not None and price.origin == "derived"})  # fmt: skip
    if derived:
        notes.append(f"the price of {', '.join(derived)} is derived from other sizes of its family")
    notes += [f"a stored price that cannot be was left out: {one}" for one in terms.book.doubted]
    price = terms.other.get("cross_zone")
    if price is not None and moved.moved.high > 0:
        less = moved.locality_saving(price)
        notes.append(
            f"locality-aware routing would save {less.mid:,.0f} ({less.low:,.0f} to "
            f"{less.high:,.0f}) USD of the cross-zone traffic, at the price of uneven load"
        )
    if today.unpriced:
        notes.append(f"no price for {', '.join(today.unpriced)}: EC2 and totals are unknown")
    if not terms.commitments.known:
        notes.append(
            "commitments are unknown, so savings are on-demand equivalent and not promised "
            "(rightsize prices with credentials, or prices.commitment_usd_per_hour; 0 says none)"
        )
    elif today.covered is None and not today.unpriced:
        notes.append(
            "what the commitments cover is unknown, so they change nothing here: state their "
            "discount (--discount, prices.commitment_discount) or collect Savings Plans rates"
        )
    elif not terms.commitments.stated and terms.commitments.covered_share is None:
        notes.append(
            "Savings Plans that another account of the organization shares are not seen "
            "(rightsize prices --bill asks for the coverage they give)"
        )
    if today.unknown:
        notes.append(f"not in the totals: {', '.join(today.unknown)}")
    return tuple(notes)
