"""The report as a workbook: a sheet for each table, assumptions a reader may change.

Each formula is stored with the value that it gives, for what shows a workbook and does not compute.
"""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime
from itertools import accumulate

from xlsxwriter import Workbook
from xlsxwriter.utility import xl_col_to_name

from rightsize.output.report.model import Column, Report, ReportTable, shown
from rightsize.output.report.sheet import FONT, FORMATS, Sheet, cell_of

_WORD = re.compile(r"[A-Za-z_]+")
_PLACE = re.compile(r"\{(\d+)\}")
_OPERATOR = re.compile(r"(?<=[\w)])([-+*/])")
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_NARROWEST, _WIDEST = 7, 60
_NOTE_WIDTH = 110
"""A table's note goes over as many of its columns as make this."""

_TOP = 3
"""First row of a table, from 0: below title, note and headings."""


def workbook_bytes(report: Report) -> bytes:
    """Render the workbook; the same report gives the same bytes.

    Totals are formulas over their column; tables with `formulas` compute these columns from the
    sheet "Assumptions", with values in named cells.
    """
    out = io.BytesIO()
    book = Workbook(out, {"in_memory": True, "default_format_properties": FONT})
    book.set_properties({"author": "rightsize", "created": _EPOCH})
    _summary(book, report)
    _assumptions(book, report)
    if report.what_if:
        _what_if(book, report)
    used = {"summary", "assumptions", "what if"}
    for table in report.tables:
        _table(book, _sheet_name(table.name, used), table)
    book.close()
    return out.getvalue()


def _summary(book: Workbook, report: Report) -> None:
    """Figures and actions; a figure's note goes over the four columns of an action's text."""
    sheet = Sheet(book, "Summary", [34, 13, 13, 13, 24, 24, 46, 20])
    sheet.title(report.title, 14)
    sheet.across(1, 0, sheet.last, report.subtitle)
    sheet.across(2, 0, sheet.last, report.banner)
    row = 4
    sheet.heads(row, ["figure", "low", "mid", "high", "note", "", "", ""], range(1, 4))
    for figure in report.figures:
        row += 1
        sheet.across(row, 4, sheet.last, figure.note)
        value = "unknown" if figure.value is None else figure.value
        sheet.ranged(row, figure.label, value, figure.kind)
    row += 2
    heads = ["what to do now", "low", "mid", "high", "effort", "risk", "how", "owner"]
    sheet.heads(row, heads, range(1, 4))
    for action in report.actions:
        row += 1
        sheet.ranged(row, action.title, action.usd_per_month, "usd")
        texts = (action.effort, action.risk, action.how, action.owner)
        for column, text in enumerate(texts, 4):
            sheet.write(row, column, text)
        sheet.height(row, [action.title, *texts], [sheet.widths[0], *sheet.widths[4:]])
    sheet.on_paper(row, 0)


def _assumptions(book: Workbook, report: Report) -> None:
    """Values that formulas read, which may be changed; then those that the report was made with."""
    sheet = Sheet(book, "Assumptions", [26, 16, 10, 84])
    sheet.heads(0, ["assumption", "value", "unit", "why"], {1})
    read = _read_by_formulas(report)
    row = 0
    for one in sorted(report.assumptions, key=lambda one: one.name not in read):
        row += 1
        changes = one.name in read
        why = one.text if changes else f"{one.text}; no formula here reads it"
        for column, text in ((0, one.name), (2, one.unit), (3, why)):
            sheet.write(row, column, text)
        yellow = {"bg_color": "#FFF4CC"} if changes else {}
        sheet.write(row, 1, one.value, "General", **yellow)
        sheet.height(row, [why], sheet.widths[3:])
        if changes:
            book.define_name(one.name, f"=Assumptions!$B${row + 1}")
    row += 2
    sheet.across(row, 0, sheet.last,
                 "Yellow cells may be changed: What if and the tables follow. The others are "
                 "settings: change them in rightsize.toml and make the report again.")  # fmt: skip
    sheet.on_paper(row, 0)


def _read_by_formulas(report: Report) -> set[str]:
    """Names of assumptions that a formula of some sheet holds."""
    formulas = [line.formula for line in report.what_if]
    formulas += [one for t in report.tables if len(t.frame) for one in t.formulas.values()]
    words = {word for formula in formulas for word in _WORD.findall(formula)}
    return words & {one.name for one in report.assumptions}


def _what_if(book: Workbook, report: Report) -> None:
    """Lines that follow the assumptions as the reader changes them."""
    sheet = Sheet(book, "What if", [34, 18, 84])
    sheet.heads(0, ["what", "value", "from"], {1})
    for row, line in enumerate(report.what_if, 1):
        formula = _PLACE.sub(lambda found: f"B{int(found[1]) + 1}", line.formula)
        said = _OPERATOR.sub(r" \1 ", formula)
        sheet.write(row, 0, line.label)
        sheet.write(row, 1, cell_of(line.value, line.kind), FORMATS[line.kind], formula)
        sheet.write(row, 2, said)
        sheet.height(row, [line.label, said], [sheet.widths[0], sheet.widths[2]])
    last = len(report.what_if) + 2
    said = "Change the yellow cells of the sheet Assumptions: these lines follow."
    sheet.across(last, 0, sheet.last, said)
    sheet.on_paper(last, 0)


def _table(book: Workbook, name: str, table: ReportTable) -> None:
    end = _TOP + len(table.frame)
    columns = [(column, _cells(table, column)) for column in table.columns]
    sheet = Sheet(book, name, [_width(column, cells) for column, cells in columns])
    sheet.title(table.title)
    over = (n for n, width in enumerate(accumulate(sheet.widths)) if width >= _NOTE_WIDTH)
    sheet.across(1, 0, next(over, sheet.last), table.note)
    numbers = {n for n, (column, _) in enumerate(columns) if column.kind != "text"}
    sheet.heads(_TOP - 1, [_heading(column) for column, _ in columns], numbers)
    for place, (column, cells) in enumerate(columns):
        formula = table.formulas.get(column.name, "")
        number = _number_format(column, cells, computed=bool(formula))
        for row, cell in enumerate(cells, _TOP):
            read = formula.format(row=row + 1, first=_TOP + 1, last=end)
            sheet.write(row, place, cell, number, read)
    for row, texts in enumerate(zip(*(cells for _, cells in columns), strict=True), _TOP):
        sheet.height(row, texts, sheet.widths)
    sheet.sheet.freeze_panes(_TOP, 0)
    if end > _TOP:
        sheet.sheet.autofilter(_TOP - 1, 0, end - 1, sheet.last)
        _totals(sheet, table, end)
    sheet.on_paper(end if table.totals() and end > _TOP else end - 1, _TOP - 1)


def _totals(sheet: Sheet, table: ReportTable, row: int) -> None:
    totals = table.totals()
    if totals and table.columns[0].name not in totals:
        sheet.write(row, 0, table.total_label, bold=True, text_wrap=False)
    for place, column in enumerate(table.columns):
        if column.name in totals:
            letter, total = xl_col_to_name(place), cell_of(totals[column.name], column.kind)
            formula = f"SUM({letter}{_TOP + 1}:{letter}{row})"
            number = _number_format(column, [total], computed=column.name in table.formulas)
            sheet.write(row, place, total, number, formula, bold=True)


def _cells(table: ReportTable, column: Column) -> list[str | float]:
    """A column's values as the page rounds them, `unknown` where there is none."""
    values = table.frame[column.name]
    # What formulas read is not rounded, or they would not give what the page shows.
    read = table.formulas and column.name not in table.formulas
    if not read or column.total or column.kind == "usd":
        values = shown(values, column.kind)
    return [cell_of(value, column.kind) for value in values.tolist()]


def _number_format(column: Column, cells: list[str | float], *, computed: bool) -> str:
    """Counts have no decimals, unless a changed assumption may give them some."""
    whole = all(isinstance(cell, str) or float(cell).is_integer() for cell in cells)
    counts = column.kind == "number" and whole and not computed
    return "#,##0" if counts else FORMATS[column.kind]


def _heading(column: Column) -> str:
    """With the unit that the cells do without."""
    unit = {"cpu": ", cores", "memory": ", MiB"}.get(column.kind, "")
    return f"{column.label}{unit}"


def _width(column: Column, cells: list[str | float]) -> int:
    """In characters: each value on one line where that is not too long, the heading on a few."""
    # A total is about a digit longer, and bold; an amount has a dollar sign.
    room = {"text": 1, "cpu": 2, "memory": 2}.get(column.kind, 4)
    values = [cell if isinstance(cell, str) else f"{cell:,.2f}" for cell in cells]
    words = _heading(column).split()
    heading = [len(_heading(column)) // 3, *(len(word) + 2 for word in words)]
    return min(max(*(len(v) + room for v in values), *heading, _NARROWEST) + 1, _WIDEST)


def _sheet_name(name: str, used: set[str]) -> str:
    """At most 31 characters, none that a workbook refuses, none twice in whatever case."""
    base = re.sub(r"[\[\]:*?/\\]", "-", name)[:28]
    candidate, number = base, 2
    while candidate.lower() in used:
        candidate, number = f"{base}-{number}", number + 1
    used.add(candidate.lower())
    return candidate
