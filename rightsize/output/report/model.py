"""What a report is made of, whatever form it is written in: figures, tables, charts, text."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from rightsize.data_files import data_file
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Interval

Kind = Literal["text", "usd", "rate", "number", "percent", "cpu", "memory"]
"""How a column's values are written: USD, USD/h, plain numbers, shares, cores, bytes."""
_UNITS: Mapping[Kind, tuple[str, str]] = {
    "text": ("", ""),
    "number": ("", ""),
    "usd": ("usd", "usd"),
    "rate": ("usd_per_hour", "usd_per"),
    "percent": ("share", "share"),
    "cpu": ("cores", "cores"),
    "memory": ("bytes", "bytes"),
}
"""Unit of a kind, and the word by which a column's name says it already."""


@dataclass(frozen=True)
class Column:
    """One column of a table: its name in the frame, its heading, and how it is written."""

    name: str
    label: str
    kind: Kind = "text"
    total: bool = False
    """The table's last row holds the sum of this column."""
    link: str = ""
    """Column of the frame with the address that a cell leads to, on the page."""
    choose: bool = False
    """The page offers its values to choose rows by."""

    @property
    def heading(self) -> str:
        """Its name with its unit, for files that other programs read: `cpu_request_cores`."""
        unit, said = _UNITS[self.kind]
        return self.name if said in self.name or not unit else f"{self.name}_{unit}"


@dataclass(frozen=True)
class ReportTable:
    """A table for people: a frame with documented columns. `name` is also its file's name."""

    name: str
    title: str
    frame: pd.DataFrame
    columns: tuple[Column, ...]
    note: str = ""
    formulas: Mapping[str, str] = field(default_factory=dict)
    """Workbook only: column name to a formula with `{row}`, `{first}` and `{last}` (rows of the sheet)
    and assumption names. Evaluated, it gives the frame's value."""

    known_lines: bool = False
    """The last row is the sum of the rows that are known, and called that."""

    def totals(self) -> dict[str, float]:
        """Sum of each column that has a total, over the values as they are shown.

        NaN, unknown, where one of them is, but for a table of `known_lines`: there, where all are.
        """
        least = min(len(self.frame), 1)
        return {
            column.name: round(
                float(
                    shown(self.frame[column.name], column.kind).sum(
                        skipna=self.known_lines, min_count=least
                    )
                ),
                _DECIMALS[column.kind],
            )
            for column in self.columns
            if column.total
        }

    @property
    def total_label(self) -> str:
        """What the last row is called."""
        lacks = any(self.frame[column.name].isna().any() for column in self.columns if column.total)
        return "Known lines" if self.known_lines and lacks else "Total"


@dataclass(frozen=True)
class ReportChart:
    """A chart with the words that stand for it where it cannot be seen."""

    name: str
    axes: Axes
    alt: str


@dataclass(frozen=True)
class Figure:
    """One of the month's figures: a value with its range, unit, and the table behind it."""

    label: str
    value: Interval | float | None
    kind: Kind
    note: str
    table: str
    """Name of the table behind it."""
    method: str
    """Anchor of the method that explains it."""


@dataclass(frozen=True)
class Action:
    """Something to do now, with what it brings."""

    title: str
    usd_per_month: Interval | None
    effort: str
    risk: str
    how: str
    owner: str = "platform"
    """Who does it: the platform's engineers, or teams."""


@dataclass(frozen=True)
class Section:
    """A part of the report in the order a reader needs it."""

    anchor: str
    title: str
    paragraphs: tuple[str, ...] = ()
    tables: tuple[ReportTable, ...] = ()
    charts: tuple[ReportChart, ...] = ()


@dataclass(frozen=True)
class Method:
    """How a kind of figure comes about; figures link here."""

    anchor: str
    title: str
    text: str


def methods(page: Literal["report", "fleet"]) -> tuple[Method, ...]:
    """The methods that a page explains, as `data/methods.toml` has them."""
    found = tomllib.loads(data_file("methods.toml").read_text(encoding="utf-8"))
    return tuple(Method(**one) for one in found[page])


@dataclass(frozen=True)
class Assumption:
    """A value the figures rest on; a reader may change it in the workbook."""

    name: str
    """A valid workbook name: letters and underscores."""
    value: float
    unit: str
    text: str


@dataclass(frozen=True)
class WhatIf:
    """A line of the workbook's sheet that follows the assumptions as the reader changes them."""

    label: str
    formula: str
    """Over names of assumptions and, as `{1}`, the value of the sheet's first line."""
    kind: Kind
    value: float
    """What the formula gives for the assumptions as they are."""


@dataclass(frozen=True)
class Report:
    """A month's review, ready to be written in every form."""

    title: str
    subtitle: str
    banner: str
    """Shown on top where the figures are simulated or the month is not over; may be empty."""
    figures: tuple[Figure, ...]
    actions: tuple[Action, ...]
    sections: tuple[Section, ...]
    methods: tuple[Method, ...]
    assumptions: tuple[Assumption, ...]
    facts: Mapping[str, object]
    """The month's results as plain values, kept for the months to come."""
    what_if: tuple[WhatIf, ...] = ()

    @property
    def tables(self) -> tuple[ReportTable, ...]:
        return tuple(table for section in self.sections for table in section.tables)

    @property
    def charts(self) -> tuple[ReportChart, ...]:
        return tuple(chart for section in self.sections for chart in section.charts)


_DECIMALS: dict[Kind, int] = {
    "text": 0,
    "usd": 2,
    "rate": 6,
    "number": 2,
    "percent": 6,
    "cpu": 3,
    "memory": 0,
}


_SMALL = 0.01


def shown(values: pd.Series, kind: Kind) -> pd.Series:
    """Values rounded as they are shown, so that totals equal the sum of what is read."""
    if kind == "text":
        return values
    exact = values.astype(float)
    if kind == "cpu":
        # Up to the millicore, as `format_cpu` and every reason write it.
        return (exact * 1000).round(6).map(np.ceil) / 1000 + 0.0
    # Adding nothing turns -0.0 into 0.0.
    return exact.round(_DECIMALS[kind]) + 0.0


def written(value: Any, kind: Kind) -> str:
    """One value as a person reads it; `unknown` where there is none.

    >>> written(1234.5, "usd"), written(0.125, "percent"), written(0.05, "cpu")
    ('$1,234.50', '12.5 %', '50m')
    """
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return "unknown"
    if kind == "text" or isinstance(value, str):
        return str(value)
    number = float(value)
    if kind == "usd":
        return f"-${-number:,.2f}" if round(number, 2) < 0 else f"${abs(number):,.2f}"
    if kind == "rate":
        return f"${number:,.4f}"
    if kind == "percent":
        # Small risks are not to be read as none.
        return f"{number * 100:,.2f} %" if 0 < abs(number) < _SMALL else f"{number * 100:,.1f} %"
    if kind == "cpu":
        return format_cpu(number)
    if kind == "memory":
        return format_memory(number)
    return f"{number:,.0f}" if number.is_integer() else f"{number:,.2f}"


def signed(share: float) -> str:
    """A change as a person reads it.

    >>> signed(0.0312), signed(-1e-9)
    ('+3.1%', '0.0%')
    """
    return f"{share:+.1%}" if round(share, 3) else "0.0%"


def middle(value: Interval | float | None, kind: Kind) -> str:
    """A figure without its range."""
    return written(value.mid if isinstance(value, Interval) else value, kind)


def spread(value: Interval | float | None, kind: Kind) -> str:
    """A figure's range alone, empty where it has none: `$80.00 to $150.00`."""
    if not isinstance(value, Interval) or value.low == value.high:
        return ""
    return f"{written(value.low, kind)} to {written(value.high, kind)}"


def written_range(value: Interval | float | None, kind: Kind) -> str:
    """A figure with its range: `$120.00 ($80.00 to $150.00)`."""
    ends = spread(value, kind)
    return f"{middle(value, kind)} ({ends})" if ends else middle(value, kind)
