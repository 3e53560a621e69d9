"""Nodes now and planned: from today's node set to the end state."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rightsize.cost.saving import saving
from rightsize.output.charts.money import saving_waterfall
from rightsize.output.charts.nodes import nodes_over_time, packed_nodes
from rightsize.output.node_month import month_lines
from rightsize.output.report.levers import levers_table
from rightsize.output.report.model import Column, ReportChart, ReportTable, Section
from rightsize.output.report.sources import source_of
from rightsize.prices.node_kinds import NOT_EC2, PACKED
from rightsize.results import Interval
from rightsize.review import Review


def nodes_section(review: Review) -> Section:
    """Node sets, what they cost, and how full they are."""
    frame = _steps(review)
    known = review.money.terms.commitments.known
    adds_up = np.isclose(frame["usd"].iloc[:1].sum() - frame["usd"], frame["saved"], atol=0.005)
    table = ReportTable(
        "steps", "From today's node set to the end state", frame,
        (
            Column("label", "node set"), Column("nodes", "nodes", "number"),
            Column("usd_low", "low", "usd"), Column("usd", "USD", "usd"),
            Column("usd_high", "high", "usd"), Column("saved_low", "saved, low", "usd"),
            Column("saved", "saved against today", "usd"), Column("saved_high", "saved, high", "usd"),
        ),
        note=f"Machines and root volumes for a month of {review.plan_terms.hours:g} h at the newest "
             "prices; each node set but today's survives "
             "the loss of a node during a rollout. Savings: "
             + ("what the bill falls by." if known else "on-demand equivalent."),
        formulas={"saved": "D${first}-D{row}"} if bool(adds_up.all()) else {},
    )  # fmt: skip
    notes = [] if review.plans is None else list(review.plans.notes)
    tables = [table]
    charts = [*_waterfall(review, frame), *_packed(review), *_over_time(review)]
    if review.replay is not None:
        tables.append(_replayed(review))
    tables += levers_table(review)
    said = tuple(f"{note[:1].upper()}{note[1:]}." for note in notes)
    return Section("nodes", "Nodes now and planned", said, tuple(tables), tuple(charts))


def _steps(review: Review) -> pd.DataFrame:
    rows = []
    for step in review.steps:
        cost = step.cost.machines
        low, mid, high = _ends(None)
        if review.steps[0].kind == "today":
            found = saving(review.steps[0].cost, step.cost, review.plan_terms)
            low, mid, high = _ends(found.realisable or found.on_demand_equivalent)
        costs = dict(zip(("usd_low", "usd", "usd_high"), _ends(cost), strict=True))
        rows.append({"label": step.label, "nodes": step.nodes, **costs,
                     "saved_low": low, "saved": mid, "saved_high": high})  # fmt: skip
    columns = ["label", "nodes", "usd_low", "usd", "usd_high", "saved_low", "saved", "saved_high"]
    numbers = dict.fromkeys(columns[2:], float)
    return pd.DataFrame(rows, columns=columns).astype(numbers)


def _ends(usd: Interval | None) -> tuple[float, float, float]:
    return (np.nan,) * 3 if usd is None else (usd.low, usd.mid, usd.high)


def _waterfall(review: Review, frame: pd.DataFrame) -> list[ReportChart]:
    if len(frame) < 2 or frame["usd"].isna().any():
        return []
    alt = "; ".join(f"{r.label}: {r.nodes} nodes, ${r.usd:,.0f}" for r in frame.itertuples())
    axes = saving_waterfall(frame, source_of(review))
    return [ReportChart("saving-waterfall", axes, f"Steps down: {alt}.")]


def _packed(review: Review) -> list[ReportChart]:
    before, after = review.packed
    if not len(after):
        return []
    promised = next((s.nodes for s in review.steps if s.kind == "this-step"), len(after))
    spare = promised - _kept_machines(review) - len(after)
    if spare > 0:
        # Kept free to survive the loss of a node: nothing is placed on them.
        empty = pd.DataFrame(0.0, index=range(spare), columns=after.columns)
        after = pd.concat([after, empty], ignore_index=True)
    axes = packed_nodes(before, after, source_of(review))
    kept = f", {spare} of them kept free for the loss of a node" if spare > 0 else ""
    alt = f"Bars: requests on each of {len(before)} nodes now and {len(after)} planned{kept}."
    return [ReportChart("packed-nodes", axes, alt)]


def _kept_machines(review: Review) -> int:
    """EC2 nodes that no general machine replaces: every plan has them, and no chart places them."""
    if review.plans is None:
        return 0
    general = (*PACKED, *NOT_EC2)
    return sum(one.nodes for one in review.plans.today.groups if one.kind not in general)


def _over_time(review: Review) -> list[ReportChart]:
    days = review.nodes_by_day
    if not len(days):
        return []
    times = pd.to_datetime(days["day"], utc=True)
    ends = pd.DataFrame({"time": times + pd.Timedelta(days=1), "seen": days["nodes"]})
    # A step is drawn up to its end: the first day begins a day before that.
    ends = pd.concat([ends.head(1).assign(time=times.min()), ends], ignore_index=True)
    hours = ends
    if review.replay is not None:
        # Nodes that every plan keeps ran, too, and are in no replay.
        kept = round(float(days["nodes"].mean()) - review.replay.seen_nodes)
        replays = (("before", review.replay.before), ("after", review.replay.after))
        frames = [
            one.timeline[["time"]]
            .assign(**{name: one.timeline["nodes"] + kept})
            .assign(time=lambda t: pd.to_datetime(t["time"], utc=True))
            for name, one in replays
            if one is not None
        ]
        hours = pd.concat([ends, *frames], ignore_index=True)
    promised = next((s.nodes for s in review.steps if s.kind == "this-step"), None)
    axes = nodes_over_time(hours, source_of(review), promised)
    alt = (
        f"Line: nodes at once, {days['nodes'].min():.1f} to {days['nodes'].max():.1f} seen by day."
    )
    return [ReportChart("nodes-by-hour", axes, alt)]


def _replayed(review: Review) -> ReportTable:
    assert review.replay is not None
    rows = [
        {"setting": f"{trial.autoscaler.kind} {trial.autoscaler.setting}", "requests": name, "end": one.last, "mean": one.mean,
         "peak": one.peak, "hours": one.node_hours, "events": one.scaling_events}
        for trial in dict.fromkeys((review.replay.trials[0], review.replay.realising))
        for name, one in (("today's", trial.before), ("recommended", trial.after))
        if one is not None
    ]  # fmt: skip
    columns = ["setting", "requests", "end", "mean", "peak", "hours", "events"]
    frame = pd.DataFrame(rows, columns=columns)
    one = review.replay.before
    return ReportTable(
        "replay", "The month again, under an autoscaler", frame,
        (
            Column("setting", "setting"), Column("requests", "requests"),
            Column("end", "nodes at the end", "number"), Column("mean", "mean nodes", "number"),
            Column("peak", "most nodes", "number"), Column("hours", "node-hours", "number"),
            Column("events", "joined or left, in one order of arrival", "number"),
        ),
        note=f"The month's pods hour by hour from the {one.first} nodes that ran, under "
             f"{one.autoscaler.kind}'s own rules; seen in the month: "
             f"{review.replay.seen_nodes:.1f} nodes on the mean. "
             + " ".join(f"{line[:1].upper()}{line[1:]}." for line in month_lines(review.replay)),
    )  # fmt: skip
