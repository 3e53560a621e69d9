"""The report as one self-contained page: no network, no script needed, fit for print and phone."""

from __future__ import annotations

import base64
import io
from functools import cache

import matplotlib as mpl
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from rightsize.reporters.charts.style import figure_of
from rightsize.reporters.report.model import (
    Report,
    ReportChart,
    ReportTable,
    middle,
    shown,
    spread,
    written,
    written_range,
)

_LONG = 60


def html_page(report: Report) -> str:
    """Render the page; every text from outside is escaped."""
    return _environment().get_template("report.html").render(report=report)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rightsize.reporters.report"),
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
    with mpl.rc_context({"svg.hashsalt": chart.name, "svg.fonttype": "path"}):
        figure_of(chart.axes).savefig(out, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(out.getvalue().encode()).decode()


def _body(table: ReportTable) -> list[list[tuple[str, str, str]]]:
    """Rows of (text, class, sort key)."""
    columns = [
        (column, shown(table.frame[column.name], column.kind).tolist()) for column in table.columns
    ]
    return [
        [
            (
                written(values[row], column.kind),
                _class(column.kind, values),
                "" if column.kind == "text" else _sort_key(values[row]),
            )
            for column, values in columns
        ]
        for row in range(len(table.frame))
    ]


def _class(kind: str, values: list[object]) -> str:
    """Long texts get a wider column, or their rows grow taller than a screen."""
    if kind != "text":
        return "number"
    return "text long" if any(len(str(value)) > _LONG for value in values) else "text"


def _sort_key(value: float) -> str:
    return "" if value != value else f"{value:.12g}"


def _foot(table: ReportTable) -> list[str]:
    totals = table.totals()
    if not totals or not len(table.frame):
        return []
    return [
        written(totals[column.name], column.kind) if column.name in totals else
        ("Total" if position == 0 else "")
        for position, column in enumerate(table.columns)
    ]  # fmt: skip
