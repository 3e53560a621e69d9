"""The workbook computes: its formulas give the report's figures, and follow the assumptions."""

from __future__ import annotations

import io
import re

import openpyxl
import pandas as pd
import pytest

from rightsize.output.report.workbook import workbook_bytes
from tests.output.report.evaluated import changed, evaluated, stored
from tests.output.report.made_report import made_report


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "report.xlsx"
    path.write_bytes(workbook_bytes(made_report(["a", "b", "c"])))
    return path


def test_a_total_is_a_formula_that_gives_the_pages_total(book):
    sheet = openpyxl.load_workbook(book)["bill"]
    assert sheet["E7"].value == "=SUM(E4:E6)"
    assert evaluated(book)["bill", "E7"] == made_report(["a", "b", "c"]).tables[0].totals()["usd"]


def test_a_changed_assumption_changes_rows_totals_and_the_what_if(book, tmp_path):
    values = evaluated(changed(book, tmp_path / "b.xlsx", hours_per_month=10.0, discount=0.25))
    assert values["bill", "E4"] == pytest.approx(2 * 10 * 0.096 * 0.75)
    assert values["bill", "E7"] == pytest.approx(3 * 1.44)
    assert values["what if", "B2"] == pytest.approx(2 * 10 * 0.75)
    assert values["what if", "B3"] == pytest.approx(2 * 0.75 * 8760)


def test_what_if_gives_the_value_it_states_before_anything_is_changed(book):
    values = evaluated(book)
    for row, line in enumerate(made_report(["a"]).what_if, 2):
        assert values["what if", f"B{row}"] == pytest.approx(line.value)


def test_each_formula_is_stored_with_its_value_for_what_does_not_compute(book):
    values = evaluated(book)
    found = stored(book)
    assert len(found) == 3 + 2 + 2
    for cell, value in found.items():
        assert value == pytest.approx(values[cell]), cell
    assert pd.read_excel(book, sheet_name="bill", header=2)["USD a month"].iloc[-1] == 2.88


def test_an_unknown_value_is_named_and_makes_the_total_unknown(tmp_path):
    path = tmp_path / "report.xlsx"
    path.write_bytes(workbook_bytes(made_report(["a", "b"], [float("nan"), 2.5])))
    values = evaluated(path)
    assert openpyxl.load_workbook(path)["bill"]["E4"].value == "unknown"
    assert values["bill", "E6"] == "unknown"


def test_negative_numbers_stay_numbers_and_carry_their_unit():
    book = openpyxl.load_workbook(io.BytesIO(workbook_bytes(made_report(["a"]))))
    cell = book["bill"]["I4"]
    assert (cell.data_type, cell.value) == ("n", -1.5)
    assert "$" in cell.number_format


def test_an_empty_table_has_its_heading_and_no_total():
    book = openpyxl.load_workbook(io.BytesIO(workbook_bytes(made_report([]))))
    assert book["bill"]["A3"].value == "workload"
    assert book["bill"].max_row == 3


def test_every_yellow_cell_is_read_by_a_formula_and_every_other_is_not(book):
    opened = openpyxl.load_workbook(book)
    formulas = [c.value for s in opened for row in s.iter_rows() for c in row if c.data_type == "f"]
    seen = 0
    for name, value in opened["Assumptions"].iter_rows(min_row=2, max_col=2):
        if name.value is None or value.value is None:
            continue
        used = any(re.search(rf"\b{name.value}\b", formula) for formula in formulas)
        assert (value.fill.fgColor.rgb == "FFFFF4CC") == used, name.value
        seen += 1
    assert seen == 3


def test_a_sheet_prints_one_page_wide_with_its_headings(book):
    sheet = openpyxl.load_workbook(book)["bill"]
    assert sheet.sheet_properties.pageSetUpPr.fitToPage
    assert sheet.page_setup.fitToHeight == 0
    assert sheet.print_title_rows == "$3:$3"
    assert sheet.print_area.endswith("$I$7")
    for other in openpyxl.load_workbook(book):
        assert other.print_area, other.title


def test_every_text_is_wrapped_in_a_row_that_is_high_enough(tmp_path):
    path = tmp_path / "report.xlsx"
    path.write_bytes(workbook_bytes(made_report(["long words " * 40, "w" * 300, "short"])))
    seen = 0
    for sheet in openpyxl.load_workbook(path):
        merged = {str(r).split(":")[0]: r.max_col for r in sheet.merged_cells.ranges}
        width = {
            n: d.width for d in sheet.column_dimensions.values() for n in range(d.min, d.max + 1)
        }
        for cell in (cell for row in sheet.iter_rows(min_row=2) for cell in row):
            if cell.data_type != "s" or cell.value == "Total":
                continue
            columns = range(cell.column, merged.get(cell.coordinate, cell.column) + 1)
            lines = -(-len(cell.value) // (1.2 * sum(width[n] for n in columns)))
            assert cell.alignment.wrap_text, (sheet.title, cell.coordinate)
            assert sheet.row_dimensions[cell.row].height >= lines * 13, (
                sheet.title,
                cell.coordinate,
            )
            seen += 1
    assert seen > 20
