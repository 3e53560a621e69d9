"""One sheet of a workbook: its cells with their formats, as wide and high as what they hold."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from rightsize.border import csv_cell
from rightsize.output.report.model import Kind
from rightsize.results import Interval

FORMATS: Mapping[Kind, str] = {
    "usd": '"$"#,##0.00;-"$"#,##0.00',
    "rate": '"$"#,##0.0000',
    "number": "#,##0.00",
    "percent": "0.00 %",
    "cpu": "0.000",
    "memory": "#,##0.0",
    "text": "@",
}
FONT = {"font_name": "Arial", "font_size": 10}
_MIB = 2**20
_LINE_POINTS = 13.5
_MOST_POINTS = 409.0
"""Highest row that a workbook allows."""

_LETTERS = 1.12
"""Letters of English in the width of a digit, and a bit less: rows are rather too high."""

_LONGEST = 32_767
"""Characters of a cell (Microsoft, "Excel specifications and limits")."""

_A4 = 9


@dataclass(frozen=True)
class Sheet:
    """A sheet with columns of known widths, in digits of the workbook's font."""

    workbook: Workbook
    name: str
    widths: Sequence[int]
    sheet: Worksheet = field(init=False)
    formats: dict[tuple[object, ...], Format] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sheet", self.workbook.add_worksheet(self.name))
        for column, width in enumerate(self.widths):
            self.sheet.set_column(column, column, width)

    @property
    def last(self) -> int:
        """Number of the last column, from 0."""
        return len(self.widths) - 1

    def write(
        self, row: int, column: int, cell: str | float, number: str = "@", formula: str = "",
        **look: Any,
    ) -> None:  # fmt: skip
        """A text, a number, or a formula with the value that it gives."""
        style = self._format(number, **look)
        if isinstance(cell, str):
            self.sheet.write_string(row, column, text_cell(cell), style)
        elif formula:
            self.sheet.write_formula(row, column, f"={formula}", style, cell)
        else:
            self.sheet.write_number(row, column, cell, style)

    def title(self, text: str, size: int = 12) -> None:
        self.write(0, 0, text, bold=True, font_size=size, text_wrap=False)

    def heads(self, row: int, labels: Sequence[str], numbers: Iterable[int]) -> None:
        for column, label in enumerate(labels):
            side: dict[str, Any] = {"align": "right", "indent": 1} if column in numbers else {}
            self.write(row, column, label, bold=True, bg_color="#DDE6F0", **side)
        # The filter's button stands over a part of its heading.
        self.height(row, labels, [width - 1 for width in self.widths])

    def ranged(
        self, row: int, label: str, value: Interval | float | str | None, kind: Kind
    ) -> None:
        """A label with its low, mid and high; what has no range stands in the middle alone."""
        self.write(row, 0, label)
        ends = [None, value, None]
        if isinstance(value, Interval):
            ends = [value.low, value.mid, value.high]
        for column, end in enumerate(ends, 1):
            if end is not None:
                self.write(row, column, cell_of(end, kind), FORMATS[kind])

    def across(self, row: int, first: int, last: int, text: str) -> None:
        """A text over several columns, in as many lines as it takes there."""
        if last > first:
            self.sheet.merge_range(row, first, row, last, text_cell(text), self._format("@"))
        else:
            self.write(row, first, text)
        self.height(row, [text], [sum(self.widths[first : last + 1])])

    def height(self, row: int, cells: Sequence[object], widths: Sequence[int]) -> None:
        """A row as high as its texts take in these widths: no program does it for merged cells."""
        lines = [
            len(textwrap.wrap(cell, max(int(width * _LETTERS), 1), break_on_hyphens=False))
            for cell, width in zip(cells, widths, strict=True)
            if isinstance(cell, str)
        ]
        points = max([1, *lines]) * _LINE_POINTS + 1
        self.sheet.set_row(row, min(points, _MOST_POINTS))

    def on_paper(self, last_row: int, heads: int) -> None:
        """One page wide, as many long as it takes, headings and page numbers on each."""
        self.sheet.print_area(0, 0, last_row, self.last)
        self.sheet.repeat_rows(heads)
        self.sheet.set_landscape()
        self.sheet.set_paper(_A4)
        self.sheet.fit_to_pages(1, 0)
        self.sheet.set_footer("&C&A, page &P of &N")

    def _format(self, number: str, **look: Any) -> Format:
        """Text is wrapped at the top of its cell; numbers stand on the right."""
        side = {"text_wrap": True} if number == "@" else {"align": "right", "indent": 1}
        wanted = {"num_format": number, "valign": "top", **side, **look}
        key = tuple(sorted(wanted.items()))
        if key not in self.formats:
            self.formats[key] = self.workbook.add_format(wanted)
        return self.formats[key]


def cell_of(value: Any, kind: Kind = "number") -> str | float:
    """What stands in a cell: a number, memory in MiB, text, `unknown` where there is nothing.

    >>> cell_of(2.0**27, "memory"), cell_of(float("nan"))
    (128.0, 'unknown')
    """
    if isinstance(value, int | float):
        number = value / _MIB if kind == "memory" else value
        return number if math.isfinite(number) else "unknown"
    return "unknown" if pd.isna(value) else str(value)


def text_cell(text: str) -> str:
    return str(csv_cell(text))[:_LONGEST]
