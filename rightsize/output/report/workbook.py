"""The report as a workbook: a sheet for each table, assumptions a reader may change."""

from __future__ import annotations

import io
import math
import re
import zipfile
from datetime import UTC, datetime

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.workbook.defined_name import DefinedName
from openpyxl.worksheet.properties import PageSetupProperties
from openpyxl.worksheet.worksheet import Worksheet

from rightsize.border import csv_cell
from rightsize.output.report.model import Report, ReportTable, shown

_FORMATS = {
    "usd": '"$"#,##0.00',
    "rate": '"$"#,##0.0000',
    "number": "#,##0.00",
    "percent": "0.00 %",
    "cpu": '0.000 "cores"',
    "memory": '#,##0 "B"',
    "text": "@",
}
_WORD = re.compile(r"[A-Za-z_]+")
_PLACE = re.compile(r"\{(\d+)\}")
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_NOTE_COLUMNS = 6
_LINE_POINTS = 15.0
_HEAD = PatternFill("solid", fgColor="DDE6F0")
_INPUT = PatternFill("solid", fgColor="FFF4CC")


def workbook_bytes(report: Report) -> bytes:
    """Render the workbook; the same report gives the same bytes.

    Totals are formulas over their column; tables with `formulas` compute these columns from the
    sheet "Assumptions", with values in named cells.
    """
    book = Workbook()
    summary = book.active
    summary.title = "Summary"
    _summary(summary, report)
    _assumptions(book, report)
    _what_if(book, report)
    used = {"Summary", "Assumptions", "What if"}
    for table in report.tables:
        _table(book.create_sheet(_sheet_name(table.name, used)), table)
    book.calculation.fullCalcOnLoad = True
    book.properties.creator = "rightsize"
    book.properties.created = book.properties.modified = _EPOCH.replace(tzinfo=None)
    out = io.BytesIO()
    book.save(out)
    return _undated(out.getvalue())


def _summary(sheet: Worksheet, report: Report) -> None:
    sheet.append([csv_cell(report.title)])
    sheet.append([csv_cell(report.subtitle)])
    sheet.append([csv_cell(report.banner)])
    sheet.append([])
    sheet.append(["figure", "low", "mid", "high", "note"])
    for figure in report.figures:
        value = figure.value
        if value is None:
            numbers: list[object] = ["unknown"] * 3
        elif isinstance(value, float | int):
            numbers = [value] * 3
        else:
            numbers = [value.low, value.mid, value.high]
        sheet.append([figure.label, *numbers, csv_cell(figure.note)])
        for cell in sheet[sheet.max_row][1:4]:
            cell.number_format = _FORMATS[figure.kind]
    sheet.append([])
    sheet.append(["what to do now", "low", "mid", "high", "effort", "risk", "how", "owner"])
    for action in report.actions:
        usd = action.usd_per_month
        money = [None] * 3 if usd is None else [usd.low, usd.mid, usd.high]
        text = [csv_cell(t) for t in (action.effort, action.risk, action.how, action.owner)]
        sheet.append([csv_cell(action.title), *money, *text])
        for cell in sheet[sheet.max_row][1:4]:
            cell.number_format = _FORMATS["usd"]
    sheet["A1"].font = Font(bold=True, size=14)
    _widths(sheet, [44, 14, 14, 14, 50, 30, 60, 30])
    for row in sheet.iter_rows(min_row=6):
        for cell in row:
            cell.alignment = Alignment(wrap_text=True, vertical="top")
    _on_paper(sheet, 1)


def _assumptions(book: Workbook, report: Report) -> None:
    """Values that formulas read, which may be changed; then those that the report was made with."""
    sheet = book.create_sheet("Assumptions")
    sheet.append(["assumption", "value", "unit", "why"])
    read = _read_by_formulas(report)
    for assumption in sorted(report.assumptions, key=lambda one: one.name not in read):
        changes = assumption.name in read
        why = assumption.text if changes else f"{assumption.text}; no formula here reads it"
        sheet.append([assumption.name, assumption.value, assumption.unit, why])
        if not changes:
            continue
        place = f"Assumptions!$B${sheet.max_row}"
        book.defined_names[assumption.name] = DefinedName(assumption.name, attr_text=place)
        sheet.cell(sheet.max_row, 2).fill = _INPUT
    sheet.append([])
    sheet.append(["Yellow cells may be changed: What if and the tables follow. The others are "
                  "settings: change them in rightsize.toml and make the report again."])  # fmt: skip
    _header(sheet, 1)
    _widths(sheet, [34, 22, 18, 90])
    _on_paper(sheet, 1)


def _read_by_formulas(report: Report) -> set[str]:
    """Names of assumptions that a formula of some sheet holds."""
    formulas = [line.formula for line in report.what_if]
    formulas += [one for t in report.tables if len(t.frame) for one in t.formulas.values()]
    words = {word for formula in formulas for word in _WORD.findall(formula)}
    return words & {one.name for one in report.assumptions}


def _what_if(book: Workbook, report: Report) -> None:
    """Lines that follow the assumptions as the reader changes them."""
    if not report.what_if:
        return
    sheet = book.create_sheet("What if")
    sheet.append(["what", "value", "from"])
    places = {str(n): f"B{n + 1}" for n in range(1, len(report.what_if) + 1)}
    for line in report.what_if:
        formula = _PLACE.sub(lambda found: places[found[1]], line.formula)
        sheet.append([line.label, f"={formula}", formula])
        sheet.cell(sheet.max_row, 2).number_format = _FORMATS[line.kind]
    sheet.append([])
    sheet.append(["Change the yellow cells of the sheet Assumptions: these lines follow."])
    _header(sheet, 1)
    _widths(sheet, [52, 20, 70])
    _on_paper(sheet, 1)


def _table(sheet: Worksheet, table: ReportTable) -> None:
    sheet.append([csv_cell(table.title)])
    sheet.append([csv_cell(table.note)])
    sheet.append([column.label for column in table.columns])
    # What formulas read is not rounded, or they would not give what the page shows.
    exact = {c.name for c in table.columns if table.formulas and not c.total and c.kind != "usd"}
    columns = [
        (table.frame[c.name] if c.name in exact else shown(table.frame[c.name], c.kind)).tolist()
        for c in table.columns
    ]
    end = len(table.frame) + 3
    for position, row in enumerate(zip(*columns, strict=True), 4):
        cells: list[object] = []
        for column, value in zip(table.columns, row, strict=True):
            formula = table.formulas.get(column.name)
            known = value is not None and value == value
            cells.append(
                "=" + formula.format(row=position, first=4, last=end)
                if formula and known
                else csv_cell(value)
                if known
                else "unknown"
            )
        sheet.append(cells)
    last = sheet.max_row
    for number, column in enumerate(table.columns, 1):
        letter = get_column_letter(number)
        for cell in sheet[letter][3:last]:
            cell.number_format = _FORMATS[column.kind]
        if column.total and last > 3:
            lacks = math.isnan(table.totals()[column.name])
            total = sheet.cell(
                last + 1, number, "unknown" if lacks else f"=SUM({letter}4:{letter}{last})"
            )
            total.number_format, total.font = _FORMATS[column.kind], Font(bold=True)
    if last > 3 and table.totals():
        first = sheet.cell(last + 1, 1)
        first.value = first.value or table.total_label
        first.font = Font(bold=True)
    _header(sheet, 3)
    sheet["A1"].font = Font(bold=True, size=12)
    sheet.freeze_panes = "A4"
    if last > 3:
        sheet.auto_filter.ref = f"A3:{get_column_letter(len(table.columns))}{last}"
    widths = [36 if c.kind == "text" else 16 for c in table.columns]
    _widths(sheet, widths)
    _note(sheet, table.note, widths)
    _on_paper(sheet, 3)


def _header(sheet: Worksheet, row: int) -> None:
    for cell in sheet[row]:
        cell.font, cell.fill = Font(bold=True), _HEAD
        cell.alignment = Alignment(wrap_text=True, vertical="top")


def _note(sheet: Worksheet, note: str, widths: list[int]) -> None:
    """The note over the table's columns, in as many lines as it takes there."""
    across = max(min(len(widths), _NOTE_COLUMNS), 1)
    room = sum(widths[:across])
    if across > 1:
        sheet.merge_cells(start_row=2, start_column=1, end_row=2, end_column=across)
    sheet["A2"].alignment = Alignment(wrap_text=True, vertical="top")
    sheet.row_dimensions[2].height = _LINE_POINTS * max(-(-len(note) // room), 1)


def _on_paper(sheet: Worksheet, heads: int) -> None:
    """One page wide, as many long as it takes, headings and page numbers on each."""
    sheet.print_area = sheet.dimensions
    sheet.print_title_rows = f"{heads}:{heads}"
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.paperSize = Worksheet.PAPERSIZE_A4
    sheet.page_setup.fitToWidth, sheet.page_setup.fitToHeight = 1, 0
    sheet.oddFooter.center.text = "&A, page &P of &N"


def _widths(sheet: Worksheet, widths: list[int]) -> None:
    for number, width in enumerate(widths, 1):
        sheet.column_dimensions[get_column_letter(number)].width = width


def _sheet_name(name: str, used: set[str]) -> str:
    """At most 31 characters, none that a workbook refuses, none twice."""
    base = re.sub(r"[\[\]:*?/\\]", "-", name)[:28]
    candidate, number = base, 2
    while candidate in used:
        candidate, number = f"{base}-{number}", number + 1
    used.add(candidate)
    return candidate


def _undated(book: bytes) -> bytes:
    """The same archive with fixed times: openpyxl stamps entries and properties with now."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(book)) as source,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for entry in source.infolist():
            data = source.read(entry)
            if entry.filename == "docProps/core.xml":
                data = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", b"2000-01-01T00:00:00Z", data)
            fixed = zipfile.ZipInfo(entry.filename, (2000, 1, 1, 0, 0, 0))
            fixed.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(fixed, data)
    return out.getvalue()
