"""The report as one self-contained page: no network, no script needed, fit for print and phone."""

from __future__ import annotations

import base64
import io
from functools import cache

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from rightsize.output.charts.style import ON_DARK, draw
from rightsize.output.report.model import (
    Kind,
    Report,
    ReportChart,
    ReportTable,
    middle,
    shown,
    spread,
    written,
    written_range,
)

_LONG = 40


def html_page(report: Report) -> str:
    """Render the page; every text from outside is escaped."""
    return _environment().get_template("report.html").render(report=report)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rightsize.output.report"),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "image": image_uri,
        "written_range": written_range,
        "middle": middle,
        "spread": spread,
    }
    environment.globals["body"] = _body
    environment.globals["foot"] = _foot
    return environment


def image_uri(chart: ReportChart) -> str:
    """The chart as an SVG data URI, the same bytes every time."""
    out = io.StringIO()
    draw(chart.axes, out, salt=chart.name)
    drawn = out.getvalue().replace("<defs>", f"<style>{_dark_rules()}</style><defs>", 1)
    return "data:image/svg+xml;base64," + base64.b64encode(drawn.encode()).decode()


@cache
def _dark_rules() -> str:
    """Colours for a reader with dark pages; matplotlib writes them into style attributes."""
    rules = "".join(
        f'[style*="{what}: {light}"]{{{what}:{dark}!important}}'
        for light, dark in ON_DARK.items()
        for what in ("fill", "stroke")
    )
    return f"@media screen and (prefers-color-scheme:dark){{{rules}}}"


def _body(table: ReportTable) -> list[list[tuple[str, str, str, str]]]:
    """Rows of (text, class, sort key, address)."""
    columns = []
    for column in table.columns:
        cells = _cells(table.frame[column.name], column.kind)
        links = table.frame[column.link] if column.link else [""] * len(cells)
        columns.append([(*cell, link) for cell, link in zip(cells, links, strict=True)])
    return [list(row) for row in zip(*columns, strict=True)]


def _cells(values: pd.Series, kind: Kind) -> list[tuple[str, str, str]]:
    """Texts of a column: long ones get more room, zeros and unknowns are softer."""
    if kind == "text":
        texts = [written(value, kind) for value in values]
        place = "text long" if any(len(text) > _LONG for text in texts) else "text"
        return [(text, place, "") for text in texts]
    return [
        (written(value, kind), "number" if value and value == value else "number none",
         _sort_key(value))
        for value in shown(values, kind).tolist()
    ]  # fmt: skip


def _sort_key(value: float) -> str:
    return "" if value != value else f"{value:.12g}"


def _foot(table: ReportTable) -> list[str]:
    totals = table.totals()
    if not totals or not len(table.frame):
        return []
    return [
        written(totals[column.name], column.kind) if column.name in totals else
        (table.total_label if position == 0 else "")
        for position, column in enumerate(table.columns)
    ]  # fmt: skip
