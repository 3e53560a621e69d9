"""Teams, unit costs, what changed since the month before, the next quarter, and the budget."""

from __future__ import annotations

import pandas as pd

from rightsize.output.report.model import Column, ReportTable, Section, written, written_range
from rightsize.review import Review
from rightsize.review.accounts import Budget
from rightsize.review.forecast import CONFIDENCE, LEAST_DAYS, Forecast

_SHOWN_CHANGES = 15
_SHOWN_COSTS = 40


def accounts_section(review: Review) -> Section:
    """What a finance reader asks beside the bill."""
    accounts = review.accounts
    text = [budget_sentence(accounts.budget)] if accounts.budget is not None else []
    tables = []
    if accounts.teams is None:
        text.append("No showback: review.team in the settings says how a workload's team is found.")
    else:
        tables.append(_teams(accounts.teams))
    tables += [_unit_costs(accounts.unit_costs)] if len(accounts.unit_costs) else []
    if len(accounts.changes):
        tables.append(_changes(accounts.changes, review.month.label_before))
    if accounts.forecast is None:
        text.append(f"No forecast: it needs {LEAST_DAYS} whole days with a known bill.")
    else:
        tables.append(_forecast(accounts.forecast))
    return Section("accounts", "Teams, unit costs, outlook", tuple(text), tuple(tables))


def budget_sentence(budget: Budget) -> str:
    allowed, whole = written(budget.allowed, "usd"), written(budget.usd, "usd")
    part = f"the budget of {whole} a month allows {allowed} for the days seen"
    if budget.spent is None:
        return f"Whether the budget was kept is unknown, since the bill is: {part}."
    spent = written_range(budget.spent, "usd")
    kept = "was kept" if budget.kept else "was exceeded"
    # More lines cannot bring a bill back under its budget.
    by = " by the known lines" if budget.kept and budget.unknown else ""
    lacks = f"; unknown: {', '.join(budget.unknown)}" if budget.unknown else ""
    unsure = "" if budget.sure else "; within the range of the bill it may be otherwise"
    return f"The budget {kept}{by}: {spent} was spent, {part}{unsure}{lacks}."


def _teams(frame: pd.DataFrame) -> ReportTable:
    return ReportTable(
        "teams", "By team", frame,
        (
            Column("team", "team"),
            Column("application_usd", "applications, USD", "usd"),
            Column("sidecar_usd", "sidecars, USD", "usd"),
            Column("spread_usd", "part of common costs, USD", "usd"),
            Column("usd", "USD", "usd", total=True),
            Column("share", "share of the bill", "percent"),
        ),
        note="Common costs are idle room, the system, the control plane, gateways and traffic; "
             "review.spread says how they are given to teams.",
    )  # fmt: skip


def _unit_costs(frame: pd.DataFrame) -> ReportTable:
    named = frame.assign(
        namespace=frame["namespace"].fillna("(the mesh)"),
        workload=frame["workload"].fillna("(all)"),
    )
    whole = frame["workload"].isna()
    rest = named[~whole].sort_values("usd", ascending=False, kind="stable", na_position="first")
    shown = pd.concat([named[whole], rest.head(_SHOWN_COSTS)], ignore_index=True)
    return ReportTable(
        "unit-costs", "What a million requests cost", shown,
        (
            Column("namespace", "namespace"), Column("workload", "workload"),
            Column("requests", "requests served", "number"), Column("usd", "USD", "usd"),
            Column("usd_per_million", "USD per million requests", "rate"),
            Column("before", "the month before", "rate"), Column("change", "change", "percent"),
        ),
        note="A workload's own containers and its sidecar; for the mesh all that is the mesh's. "
             f"The {_SHOWN_COSTS} dearest workloads; TCP connections are no requests.",
    )  # fmt: skip


def _changes(frame: pd.DataFrame, before: str) -> ReportTable:
    return ReportTable(
        "changes", f"What changed most since {before}", frame.head(_SHOWN_CHANGES),
        (
            Column("part", "cause"), Column("namespace", "namespace"),
            Column("before", "before, USD a day", "usd"), Column("now", "now, USD a day", "usd"),
            Column("change", "change, USD a day", "usd"), Column("price", "of it price", "usd"),
            Column("pods", "of it pods", "usd"), Column("size", "of it sizes", "usd"),
            Column("other", "of it other", "usd"),
        ),
        note=f"By the day, since months are not equally long; the {_SHOWN_CHANGES} largest of "
             f"{len(frame)}. Price: what a unit of requests cost on their machines; pods: how many ran; "
             "sizes: what each requests; other: idle room, control plane, traffic.",
    )  # fmt: skip


def _forecast(found: Forecast) -> ReportTable:
    rows = [
        {"month": month, "low": usd.low, "mid": usd.mid, "high": usd.high}
        for month, usd in found.months
    ]
    grows = round(found.usd_per_day_per_month, 2)
    way = f"{'grows' if grows > 0 else 'falls'} by {written(abs(grows), 'usd')} a day each month"
    return ReportTable(
        "forecast", "The next three months", pd.DataFrame(rows),
        (
            Column("month", "month"), Column("low", "low", "usd"),
            Column("mid", "expected, USD", "usd", total=True), Column("high", "high", "usd"),
        ),
        note=f"Estimate: the trend of {found.days} days ({way if grows else 'flat'}) goes on, at the "
             f"prices of each day; the interval holds {CONFIDENCE:.0%} of outcomes, and is wider by the "
             "bill's own range. It knows of no change that is planned, the recommendations included.",
    )  # fmt: skip
