"""A back-test as table, Markdown, JSON and CSV."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
from rich.table import Table

from rightsize.results import Resource
from rightsize.sizing.backtest import Backtest
from rightsize.sizing.profiles import promises
from rightsize.sizing.reasons import formatted

SCHEMA_VERSION = 1

COLUMNS = {
    "cpu_slack": ("CPU unused", "%"),
    "cpu_above": ("CPU above request", "%"),
    "throttled": ("CPU above limit", "%"),
    "memory_slack": ("memory unused", "%"),
    "memory_above": ("memory above request", "%"),
    "memory_limit_slack": ("memory limit unused", "%"),
    "memory_hit": ("7-day windows hit", "%"),
    "cpu_change": ("CPU change", "%"),
    "memory_change": ("memory change", "%"),
    "usd_per_hour": ("cost", "USD/h"),
    "abstentions": ("abstained", ""),
}
"""Measures of the table: heading and unit. `docs/policies.md` says what each means."""


def backtest_table(result: Backtest) -> Table:
    """Totals, one row for each policy, for a terminal."""
    table = Table(title=f"Back-test: {result.split}; means over workloads, out of sample")
    table.add_column("policy")
    for heading, unit in COLUMNS.values():
        table.add_column(f"{heading}{', ' + unit if unit else ''}", justify="right")
    for row in _rows(result):
        table.add_row(*row)
    return table


def stretches_table(result: Backtest) -> Table:
    """Every stretch of every workload: what each policy requested, and how it did."""
    table = Table(title="Stretch by stretch")
    for heading in ("workload", "container", "from", "to", "policy"):
        table.add_column(heading)
    for heading in ("CPU request", "above, %", "memory request", "memory limit", "hit, %"):
        table.add_column(heading, justify="right")
    for row in result.windows.to_dict("records"):
        table.add_row(
            "/".join(str(row[name]) for name in ("namespace", "workload") if row[name]),
            str(row["container"]),
            f"{row['start']:%Y-%m-%d %H:%M}",
            f"{row['end']:%Y-%m-%d %H:%M}",
            str(row["policy"]),
            _quantity("cpu", row["cpu_request"]),
            _percent(row["cpu_above"]),
            _quantity("memory", row["memory_request"]),
            _quantity("memory", row["memory_limit"]),
            _percent(row["memory_hit"]),
        )
    return table


def backtest_markdown(result: Backtest) -> str:
    """Totals, one row for each policy, as a Markdown table."""
    heads = ["policy", *(f"{h}{', ' + u if u else ''}" for h, u in COLUMNS.values())]
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * len(COLUMNS) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in _rows(result)]
    return "\n".join(lines) + "\n"


def backtest_to_dict(result: Backtest) -> dict[str, Any]:
    """Everything, for JSON: shares between 0 and 1, cores, bytes, USD/h; null is unknown."""
    return {
        "schema_version": SCHEMA_VERSION,
        "split": result.split,
        "left_out": result.left_out,
        "promises": {
            name: {"cpu_above": promise.cpu_above, "memory_hit": promise.memory_hit}
            for name, promise in promises().items()
        },
        "totals": _records(result.totals),
        "workloads": _records(result.workloads),
    }


def remarks(result: Backtest) -> list[str]:
    """What a reader of the table should know."""
    totals = result.totals
    lines = [
        f"{int(totals['workloads'].max())} workloads, {int(totals['folds'].max())} stretches scored"
        + (f"; {result.left_out} workloads have too little history" if result.left_out else "")
    ]
    for row in totals.to_dict("records"):
        promise = promises().get(str(row["policy"]))
        if promise is None:
            continue
        kept = [
            f"{what} {row[name]:.1%} ({'kept' if row[name] <= promised else 'NOT kept'}: "
            f"promised {promised:.0%})"
            for what, name, promised in (
                ("CPU windows above request", "cpu_above", promise.cpu_above),
                ("7-day windows hit", "memory_hit", promise.memory_hit),
            )
            if row[name] == row[name]
        ]
        if kept:
            lines.append(f"{row['policy']}: " + "; ".join(kept))
        if row["abstentions"] and row["abstention_usd_per_hour"] == row["abstention_usd_per_hour"]:
            lines.append(
                f"{row['policy']}: keeping today's sizes where it abstains costs "
                f"{row['abstention_usd_per_hour']:,.4f} USD/h"
            )
    if totals["usd_per_hour"].isna().all():
        lines.append("Cost is unknown: give --usd-per-core-hour and --usd-per-gib-hour")
    return lines


def _rows(result: Backtest) -> list[list[str]]:
    rows = []
    for row in result.totals.to_dict("records"):
        cells = [str(row["policy"])]
        for name, (_, unit) in COLUMNS.items():
            value = row[name]
            if pd.isna(value):
                cells.append("–")
            elif unit == "%":
                cells.append(f"{value * 100:.1f}")
            elif unit:
                cells.append(f"{value:,.4f}")
            else:
                cells.append(f"{int(value)} of {int(2 * row['folds'])}")
        rows.append(cells)
    return rows


def _quantity(resource: Resource, value: float) -> str:
    return "–" if pd.isna(value) else formatted(resource, value)


def _percent(share: float) -> str:
    return "–" if pd.isna(share) else f"{share * 100:.1f}"


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", double_precision=12))
    return records
