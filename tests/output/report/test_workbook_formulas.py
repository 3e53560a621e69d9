"""The workbook computes: its formulas give the report's figures, and follow the assumptions."""

from __future__ import annotations

import io
import re

import openpyxl
import pytest

from rightsize.output.report.workbook import workbook_bytes
from tests.output.report.evaluated import changed, evaluated
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
        assert (value.fill.fgColor.rgb == "00FFF4CC") == used, name.value
        seen += 1
    assert seen == 3


def test_a_sheet_prints_one_page_wide_with_its_headings_and_its_whole_note(book):
    sheet = openpyxl.load_workbook(book)["bill"]
    assert sheet.page_setup.fitToWidth == 1
    assert sheet.print_title_rows == "$3:$3"
    assert sheet.print_area.endswith("$I$7")
    assert sheet["A2"].alignment.wrap_text
    for other in openpyxl.load_workbook(book):
        assert other.print_area, other.title
