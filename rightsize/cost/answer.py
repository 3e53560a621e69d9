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
    billed_nodes,
    bought,
    causes_seen,
    covered_hours,
    days_of,
    machine_days,
    on_days,
)
from rightsize.cost.node_sets import (
    PlannedNodeSet,
    mean_root,
    node_set_of,
    with_instances,
)
from rightsize.cost.notes import bill_notes, gap_notes, part_notes, region_notes
from rightsize.cost.other import other_costs
from rightsize.cost.plan import PlanCost, Terms, price_plan
from rightsize.cost.planned import PricedPlan, priced_plans, quiet_share
from rightsize.cost.traffic import CrossZone, cross_zone
from rightsize.cost.valued import ValuedChange, value_changes
from rightsize.nodes.answer import NodeAnswer
from rightsize.prices.book import snapshot_book
from rightsize.prices.shapes import Coverage
from rightsize.prices.unit_price import unit_price
from rightsize.results import Advice
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import newest_rows


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
    by_requests: Allocation | None
    """The same split by requests alone, where the setting takes the larger of request and use."""
    machines: pd.DataFrame
    """Every machine on every day (`rightsize.cost.machines.machine_days`)."""
    coverage: Coverage | None
    """Of the prices among which the plans looked for the cheapest."""
    covered_hours: float
    """Hours of the days with node rows: what the figures are taken from."""
    valued: tuple[ValuedChange, ...]
    """Each change's worth; empty where it was not asked for or no node set could be priced."""
    notes: tuple[str, ...]

    @property
    def in_use(self) -> PlanCost | None:
        """The plan of the types in use, with the recommended requests where there are any."""
        found = next((one for one in self.plans if one.name == "same-type"), None)
        return None if found is None else found.after or found.before


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
    nodes : NodeAnswer, optional
        Plans to price; without them the bill and its causes alone.
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
    tables = {name: snapshot.read(name) for name in ("pods", "containers", "traffic")}
    tables["nodes"] = billed_nodes(snapshot)
    where = region or (nodes.region if nodes else None) or region_of(snapshot, tables["nodes"])
    terms = terms_for(snapshot, chosen, where, at or snapshot.manifest.end)
    tables["nodes"] = with_instances(tables["nodes"], newest_rows(snapshot, "instances"))
    days = days_of(tables["nodes"])
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
    missing, blind = len(snapshot.days) - len(days), not causes_seen(snapshot)

    def split(used: pd.DataFrame | None) -> Allocation:
        requests = requested(held["containers"], held["pods"], usage=used)
        scale = terms.hours / covered if covered else 1.0
        part = machines_of(machines, scale=scale)
        return _allocation(requests, part, today, terms, blind=blind)

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
        else priced_plans(nodes, today, terms, ((*more, *charges), (*more, *changed)), quiet),
        traffic=moved,
        logs=logs,
        allocation=split(usage),
        by_requests=None if usage is None else split(None),
        machines=machines,
        coverage=None if nodes is None else nodes.before.coverage,
        covered_hours=covered,
        valued=()
        if advice is None
        else _valued(snapshot, advice, node_settings, today, terms, chosen),
        notes=(
            *region_notes(tables["nodes"], where),
            *gap_notes(missing, covered, terms, blind=blind),
            *([] if blind else part_notes(held["pods"], held["containers"])),
            *bill_notes(today, terms, moved),
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


def _allocation(
    requests: pd.DataFrame, machines: pd.DataFrame, today: PlanCost, terms: Terms, *, blind: bool
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
        blind=blind,
    )


def _committed(today: PlanCost, terms: Terms) -> bool | None:
    """Whether commitments pay for every machine, so that giving one up saves nothing."""
    if today.covered is None:
        return None
    spot = any(lot.purchase_option == "spot" for lot in today.node_set.mid)
    return today.covered.uncovered * terms.hours < 0.01 and not spot
