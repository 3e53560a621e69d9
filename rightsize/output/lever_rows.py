"""Levers as rows: for JSON, for frames, and as a table for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.table import Table

from rightsize.cost.levers.lever import Lever
from rightsize.results import Interval


def lever_rows(levers: Sequence[Lever]) -> pd.DataFrame:
    """`lever` (its kind), `low`, `usd`, `high` (USD a month, NaN if unknown), `realisable`,
    `condition`."""
    rows = [
        {
            "lever": one.kind,
            "low": None if one.usd is None else one.usd.low,
            "usd": None if one.usd is None else one.usd.mid,
            "high": None if one.usd is None else one.usd.high,
            "realisable": one.realisable,
            "condition": one.condition,
        }
        for one in levers
    ]
    columns = ["lever", "low", "usd", "high", "realisable", "condition"]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[1:4], float))


def lever_table(levers: Sequence[Lever], mark: str) -> Table:
    title = f"What else would lower the bill, each alone, USD a month{mark}"
    table = Table(title=title, title_justify="left")
    table.add_column("lever")
    table.add_column("USD", justify="right")
    table.add_column("condition")
    for one in levers:
        known = one.usd is None or one.realisable
        equivalent = "" if known else "on-demand equivalent; "
        table.add_row(one.name, dollars(one.usd), equivalent + one.condition)
    return table


def lever_fields(lever: Lever) -> dict[str, Any]:
    return {
        "kind": lever.kind,
        "usd": interval_fields(lever.usd),
        "realisable": lever.realisable,
        "condition": lever.condition,
        "figures": dict(lever.figures),
        "pods_by_namespace": None if lever.namespaces is None else dict(lever.namespaces),
    }


def dollars(value: Interval | float | None) -> str:
    """`1,234`, `1,234 (1,100-1,400)` for a range, `unknown` for None."""
    if value is None:
        return "unknown"
    if isinstance(value, Interval):
        mid = f"{value.mid:,.0f}"
        low, high = f"{value.low:,.0f}", f"{value.high:,.0f}"
        return mid if low == mid == high else f"{mid} ({low} to {high})"
    return f"{value:,.2f}"


def interval_fields(value: Interval | None) -> dict[str, float] | None:
    if value is None:
        return None
    return {"low": round(value.low, 2), "mid": round(value.mid, 2), "high": round(value.high, 2)}
