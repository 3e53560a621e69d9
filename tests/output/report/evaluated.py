"""A workbook's values as a spreadsheet would show them: its formulas, evaluated."""

from __future__ import annotations

import subprocess
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


def stored(book: Path) -> dict[tuple[str, str], object]:
    """(sheet, cell) to the value that is stored beside each formula, for what does not compute."""
    formulas_of, values_of = (
        openpyxl.load_workbook(book),
        openpyxl.load_workbook(book, data_only=True),
    )
    return {
        (sheet.title.lower(), cell.coordinate): values_of[sheet.title][cell.coordinate].value
        for sheet in formulas_of
        for row in sheet.iter_rows()
        for cell in row
        if cell.data_type == "f"
    }


def recalculated(book: Path, folder: Path) -> dict[tuple[str, str], object]:
    """The same cells as LibreOffice computes them, out of a copy without stored values."""
    bare = changed(book, folder / "bare.xlsx")
    assert set(stored(bare).values()) == {None}
    command = ["soffice", f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless",
               "--convert-to", "xlsx", "--outdir", folder / "out", bare]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return stored(folder / "out" / "bare.xlsx")
