"""Promised against realised, and incidents before and after."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rightsize.cost.realised import Realised
from rightsize.output.report.model import Column, ReportTable, Section, signed, written
from rightsize.output.report.sources import workload_names
from rightsize.review import Review

_KEYS = ["namespace", "workload", "container"]
STATES = ("applied", "partly", "undone", "changed otherwise", "not applied", "gone", "unknown")
_QUIET = ("not applied", "gone", "unknown")
_NAMED = 6
"""Workloads that a state's row names."""
_TOTAL = Column("usd", "saved, USD", "usd", total=True)


def promised_section(review: Review) -> Section:
    """What earlier reports recommended, and what came of it."""
    said, table = _first(review) if review.earlier is None else _kept(review)
    tables = [table] if review.earlier is None else [_states(review), table]
    if review.realised is None:
        said.append("What was saved is unknown: there is no month before, or a price is unknown.")
    else:
        change = review.realised.traffic_change
        if change is not None:
            said.append(f"Traffic changed by {signed(change)} against {review.baseline}.")
        tables += [_causes(review), _node_set(review.realised)]
    return Section("promised", "Promised against realised", tuple(said), tuple(tables))


def _first(review: Review) -> tuple[list[str], ReportTable]:
    said = ["This is the first report: no earlier month promised anything. Below is what fell "
            "in the requests in force since the month before."]  # fmt: skip
    columns = (
        Column("name", "workload"), Column("container", "container"),
        Column("cpu_request_before", "CPU before", "cpu"),
        Column("cpu_request_now", "CPU now", "cpu"),
        Column("memory_request_before", "memory before", "memory"),
        Column("memory_request_now", "memory now", "memory"), _TOTAL,
    )  # fmt: skip
    return said, _promised_table(review, review.lowered, columns)


def _kept(review: Review) -> tuple[list[str], ReportTable]:
    applied = int(review.promised["state"].isin(["applied", "partly"]).sum())
    said = [f"Reports up to {review.earlier} recommended {len(review.promised)} changes; in "
            f"force, wholly or in part: {applied}."]  # fmt: skip
    if review.running is not None:
        said.insert(0, running_text(review))
    columns = (
        Column("name", "workload"), Column("container", "container"),
        Column("state", "state"), Column("asked_in", "asked in"), Column("applied", "in force from"),
        Column("cpu_request", "CPU then", "cpu"), Column("recommended_cpu", "promised", "cpu"),
        Column("cpu_now", "in force", "cpu"),
        Column("memory_request", "memory then", "memory"),
        Column("recommended_memory", "promised", "memory"),
        Column("memory_now", "in force", "memory"), _TOTAL,
        Column("to_date_usd", "saved to date, USD", "usd", total=True),
    )  # fmt: skip
    order = {state: place for place, state in enumerate(STATES)}
    rows = review.promised.assign(
        applied=review.promised["applied_on"].map(lambda day: "" if pd.isna(day) else str(day))
    )
    # What nobody followed and what is gone saved nothing: the table by state counts it.
    rows = rows[~rows["state"].isin(_QUIET) | (rows["to_date_usd"].fillna(0.0) != 0)]
    rows = rows.sort_values(
        ["state", "usd"], key=lambda c: c.map(order) if c.name == "state" else -c, kind="stable"
    )
    return said, _promised_table(review, rows.reset_index(drop=True), columns)


def _states(review: Review) -> ReportTable:
    """How many promises are in each state, and which: one row a state."""
    rows = workload_names(review.promised)
    found = []
    for state in STATES:
        mine = rows[rows["state"] == state]
        if len(mine):
            names = list(dict.fromkeys(mine["name"]))
            more = f" and {len(names) - _NAMED} others" if len(names) > _NAMED else ""
            found.append({"state": state, "count": len(mine),
                          "workloads": ", ".join(names[:_NAMED]) + more,
                          "usd": mine["usd"].sum(skipna=False),
                          "to_date_usd": mine["to_date_usd"].sum(skipna=False)})  # fmt: skip
    columns = (
        Column("state", "state"), Column("count", "changes", "number", total=True),
        Column("workloads", "workloads"), _TOTAL,
        Column("to_date_usd", "saved to date, USD", "usd", total=True),
    )  # fmt: skip
    frame = pd.DataFrame(found, columns=[column.name for column in columns])
    return ReportTable("promised-states", "Promises by state", frame, columns)


def running_text(review: Review) -> str:
    """What advice has saved since it was first followed; empty where it has not."""
    running = review.running
    if running is None:
        return ""
    since = pd.Period(running.since, freq="M").strftime("%B %Y")
    now, hours = running.this_month, review.money.terms.hours
    if now is not None and now.mid == 0:
        said = f"Since {since}: nothing of it is in force this month"
    else:
        month = "unknown" if now is None else written(now.mid, "usd")
        said = f"Running since {since}: {month} in the {hours:g} h of this month"
    lacks = f", without {', '.join(running.unknown)}" if running.unknown else ""
    return f"{said}, {written(running.to_date.mid, 'usd')} to date{lacks}"


def _promised_table(review: Review, rows: pd.DataFrame, columns: tuple[Column, ...]) -> ReportTable:
    if review.realised is None:
        rows = rows.assign(usd=np.nan)
    elif "usd" not in rows.columns:
        saved = review.realised.by_change.astype(dict.fromkeys(_KEYS, object))
        rows = rows.astype(dict.fromkeys(_KEYS, object)).merge(saved, on=_KEYS, how="left")
        rows["usd"] = rows["usd"].fillna(0.0)
    return ReportTable("promised", "Promised and in force", workload_names(rows), columns,
                       note="Saved: the whole saving below, shared by the request-hours that each "
                            "change took away; what is not in force saved nothing.")  # fmt: skip


def _causes(review: Review) -> ReportTable:
    realised = review.realised
    assert realised is not None
    tool, rest = realised.by_tool, realised.fall + realised.by_price
    rows = pd.DataFrame(
        [
            ("lowered requests", tool.low, tool.mid, tool.high),
            ("traffic, replicas and others", rest - tool.high, realised.by_other, rest - tool.low),
            ("prices", *[-realised.by_price] * 3),
            ("fall of the machines' cost", *[realised.fall] * 3),
        ],
        columns=["cause", "low", "usd", "high"],
    )
    columns = (Column("cause", "cause"), Column("low", "low", "usd"), Column("usd", "USD", "usd"),
               Column("high", "high", "usd"))  # fmt: skip
    return ReportTable(
        "realised", "Where the difference comes from", rows, columns,
        note=f"Against {review.baseline}, scaled to the same number of hours; a saving is positive. "
             "The last row is the sum of the others. Low and high: by the resource that explains "
             "least and most.",
    )  # fmt: skip


def _node_set(realised: Realised) -> ReportTable:
    rows = realised.machines.assign(
        hours_fell=realised.machines["node_hours_before"] - realised.machines["node_hours"],
        usd_fell=realised.machines["usd_before"] - realised.machines["usd"],
    )
    columns = (
        Column("instance_type", "instance type"), Column("purchase_option", "purchase type"),
        Column("node_hours_before", "node-hours before", "number", total=True),
        Column("node_hours", "node-hours", "number", total=True), Column("hours_fell", "fell by", "number", total=True),
        Column("usd_before", "USD before", "usd", total=True),
        Column("usd", "USD", "usd", total=True), Column("usd_fell", "fell by, USD", "usd", total=True),
    )  # fmt: skip
    return ReportTable(
        "node-sets", "Node-hours and dollars of both months", rows, columns,
        note="The month before is scaled to as many days; each month at its own prices.",
    )  # fmt: skip


def incidents_section(review: Review) -> Section:
    """OOM kills, restarts and throttling, this month and the one before."""
    frame = workload_names(review.incidents)
    table = ReportTable("incidents", "OOM kills and throttling", frame, (
        Column("name", "workload"), Column("component", "component"),
        Column("oom_kills_before", "OOM kills before", "number"),
        Column("oom_kills", "OOM kills", "number"),
        Column("restarts_before", "restarts before", "number"),
        Column("restarts", "restarts", "number"),
        Column("throttled_share_before", "throttled before", "percent"),
        Column("throttled_share", "throttled", "percent"),
    ), note="Before: the month before; throttled: share of CFS periods.")  # fmt: skip
    said = () if len(frame) else ("None: no OOM kill, and no workload throttled above 1 %.",)
    return Section("incidents", "Incidents before and after", said, (table,))
