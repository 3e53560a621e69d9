"""Months beside each other: this one, and those that earlier reports found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from rightsize.cost.answer import MoneyAnswer
from rightsize.cost.machines import bought
from rightsize.review.model import Review, StripMonth

MOST_MONTHS = 13


def reported(label: str, results: Mapping[str, Mapping[str, Any]]) -> dict[str, StripMonth]:
    """Months before this one that earlier reports found."""
    return {
        month: found
        for month, facts in results.items()
        if month < label and (found := _read(month, facts)) is not None
    }


def unreported(label: str, money: MoneyAnswer, requests: float | None) -> StripMonth:
    """A month of which no report is there, but days are in the snapshot."""
    return replace(_of_money(label, money), requests=requests)


def month_strip(review: Review, before: Mapping[str, StripMonth]) -> tuple[StripMonth, ...]:
    """Return up to thirteen months, the reviewed one last."""
    months = {**before, review.month.label: this_month(review)}
    return tuple(months[label] for label in sorted(months)[-MOST_MONTHS:])


def this_month(review: Review) -> StripMonth:
    """The reviewed month's line, as `report.json` keeps it."""
    line = _of_money(review.month.label, review.money)
    available = review.available
    promised = None if available is None else available.realisable or available.on_demand_equivalent
    return replace(
        line,
        requests=review.facts.traffic,
        # A node set that would have to grow promises nothing.
        promised_usd=None if promised is None else max(promised.mid, 0.0),
        realised_usd=None if review.realised is None else review.realised.by_tool.mid,
        cumulative_usd=_to_date(review),
    )


def _to_date(review: Review) -> float | None:
    """What advice saved so far: nothing yet where this month is known to be the first that may."""
    if review.running is not None:
        return review.running.to_date.mid
    return None if review.realised is None else review.realised.by_tool.mid


def _of_money(label: str, money: MoneyAnswer) -> StripMonth:
    hours = money.covered_hours
    seen = float(bought(money.machines)["hours"].sum())
    return StripMonth(
        label,
        hours or None,
        money.allocation.total_usd,
        money.allocation.mesh_usd,
        seen / hours if hours else None,
    )


def _read(label: str, facts: Mapping[str, Any]) -> StripMonth | None:
    line = facts.get("strip")
    if not isinstance(line, Mapping):
        return None
    names = [field.name for field in fields(StripMonth) if field.name != "month"]
    values = {name: line.get(name) for name in names}
    if any(not isinstance(value, int | float | None) for value in values.values()):
        return None
    return StripMonth(label, **{k: None if v is None else float(v) for k, v in values.items()})
