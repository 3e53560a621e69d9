"""A workbook's values as a spreadsheet would show them: its formulas, evaluated."""

from __future__ import annotations

from pathlib import Path

import formulas
import openpyxl


def evaluated(book: Path) -> dict[tuple[str, str], object]:
    """(sheet, cell) to value, formulas evaluated by the package `formulas`."""
    model = formulas.ExcelModel().loads(str(book)).finish()
    found = {}
    for key, ranges in model.calculate().items():
        name = str(key)
        if "!" not in name or ":" in name.rpartition("!")[2]:
            continue
        sheet, _, cell = name.rpartition("!")
        title = sheet.strip("'").partition("]")[2].strip("'")
        value = ranges.value[0, 0] if hasattr(ranges, "value") else ranges
        found[title.lower(), cell] = value
    return found


def changed(book: Path, out: Path, **assumptions: float) -> Path:
    """The workbook with other assumptions, as a reader would type them."""
    opened = openpyxl.load_workbook(book)
    for row in opened["Assumptions"].iter_rows(min_row=2):
        if row[0].value in assumptions:
            row[1].value = assumptions.pop(row[0].value)
    assert not assumptions
    opened.save(out)
    return out
