"""Writes a report in every form into one folder."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rightsize.border import csv_cell, write_files
from rightsize.errors import OutputError
from rightsize.output.charts import image
from rightsize.output.charts.style import laid_out
from rightsize.output.report.html import html_page
from rightsize.output.report.markdown import markdown_page
from rightsize.output.report.model import Report, ReportTable, shown
from rightsize.output.report.workbook import workbook_bytes
from rightsize.results import Interval

RESULTS = "report.json"


def make_folder(folder: Path) -> None:
    """Make a report's folder and those in it.

    Raises
    ------
    OutputError
        If that cannot be done: raised before a minute of work, rather than after it.
    """
    try:
        for name in ("tables", "charts"):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error


def write_report(
    report: Report, folder: Path, more: Mapping[str, bytes] | None = None
) -> list[Path]:
    """Write page, Markdown, workbook, tables as CSV and JSON, charts as PNG and SVG.

    The same report gives the same bytes. All files are made first, with `more` files by path below
    the folder, then written; none where there is no room for all.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    make_folder(folder)
    with ExitStack() as charts:
        for chart in report.charts:
            charts.enter_context(laid_out(chart.axes))
        return write_files(folder, {**_files(report), **(more or {})})


def _files(report: Report) -> dict[str, str | bytes]:
    files: dict[str, str | bytes] = {
        "index.html": html_page(report),
        "report.md": markdown_page(report),
        RESULTS: report_json(report),
        "report.xlsx": workbook_bytes(report),
    }
    for table in report.tables:
        files[f"tables/{table.name}.csv"] = table_csv(table, report)
        files[f"tables/{table.name}.json"] = table_json(table)
    for chart in report.charts:
        for suffix in (".png", ".svg"):
            files[f"charts/{chart.name}{suffix}"] = image(chart.axes, suffix)
    return files


def report_json(report: Report) -> str:
    """Figures, actions, assumptions and the month's results, for the months to come."""
    body = {
        "schema_version": 1,
        "title": report.title,
        "banner": report.banner,
        "figures": [
            {"label": f.label, "kind": f.kind, "value": _plain(f.value), "note": f.note}
            for f in report.figures
        ],
        "actions": [
            {"title": a.title, "usd_per_month": _plain(a.usd_per_month), "effort": a.effort,
             "risk": a.risk, "how": a.how, "owner": a.owner}
            for a in report.actions
        ],
        "assumptions": {a.name: {"value": a.value, "unit": a.unit} for a in report.assumptions},
        "totals": {table.name: _plain(table.totals()) for table in report.tables},
        "facts": _plain(dict(report.facts)),
    }  # fmt: skip
    return json.dumps(body, indent=1, sort_keys=True) + "\n"


def table_csv(table: ReportTable, report: Report) -> str:
    """The table's columns as CSV, rounded as shown; cells that look like formulas are quoted.

    Headings say the unit, and `month` and `cluster` come first, so that months can be appended.
    """
    names = [column.name for column in table.columns]
    frame = table.frame[names].copy()
    for column in table.columns:
        values = shown(frame[column.name], column.kind)
        frame[column.name] = values.map(csv_cell) if column.kind == "text" else values
    frame = frame.set_axis([column.heading for column in table.columns], axis=1)
    for name in ("cluster", "month"):
        if name not in frame.columns:
            frame.insert(0, name, str(csv_cell(str(report.facts.get(name, "")))))
    return frame.to_csv(index=False, lineterminator="\n")


def table_json(table: ReportTable) -> str:
    """The table's columns as a list of objects, null where unknown."""
    names = [column.name for column in table.columns]
    rows = [
        {str(name): _plain(value) for name, value in row.items()}
        for row in table.frame[names].to_dict("records")
    ]
    return json.dumps(rows, indent=1) + "\n"


def _unwritable(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"{folder}: cannot be written ({error.strerror})", hint="give another folder with -o"
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Interval):
        return {"low": value.low, "mid": value.mid, "high": value.high}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
