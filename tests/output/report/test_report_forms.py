"""Every form of the report says the same, safely, and byte for byte the same each time."""

from __future__ import annotations

import csv
import io
import json
import re

import openpyxl
import pytest

from rightsize.output.report.files import table_csv, write_report
from rightsize.output.report.html import html_page
from rightsize.output.report.markdown import markdown_page
from rightsize.output.report.workbook import workbook_bytes
from tests.output.report.made_report import NASTY, made_report


def test_names_from_outside_are_escaped_in_the_page():
    page = html_page(made_report(NASTY))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_names_from_outside_are_escaped_in_markdown():
    assert "<script>" not in markdown_page(made_report(NASTY))


@pytest.mark.parametrize("name", [n for n in NASTY if n[0] in "=+-@\t\r"])
def test_cells_that_look_like_formulas_are_neutralised(name):
    made = made_report([name])
    rows = list(csv.reader(io.StringIO(table_csv(made.tables[0], made), newline="")))
    assert rows[1][2][0] == "'"
    sheet = openpyxl.load_workbook(io.BytesIO(workbook_bytes(made)))["bill"]
    assert sheet["A4"].data_type != "f"
    assert str(sheet["A4"].value)[0] == "'"


def test_a_total_is_the_sum_of_the_cents_that_are_shown():
    made = made_report(["a", "b", "c"], [1.004, 1.004, 1.004])
    assert made.tables[0].totals()["usd"] == 3.0
    assert re.search(r"<tfoot>.*>\$3\.00<", html_page(made))


def test_an_empty_table_says_so():
    page = html_page(made_report([]))
    assert "No rows." in page
    assert "<tfoot>" not in page
    assert "Total" not in markdown_page(made_report([]))


def test_the_page_asks_the_network_for_nothing():
    page = html_page(made_report(["a"]))
    assert "http://" not in page
    assert "https://" not in page


def test_the_same_report_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_report(made_report(["a", "b"]), tmp_path / name)
    files = [p for p in (tmp_path / "a").rglob("*") if p.is_file()]
    assert len(files) == 4 + 2 + 2
    for path in files:
        twin = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.read_bytes() == twin.read_bytes(), path.name


def test_unknown_values_are_null_in_json_and_said_in_the_page(tmp_path):
    made = made_report(["a"], [float("nan")])
    write_report(made, tmp_path)
    assert json.loads((tmp_path / "tables" / "bill.json").read_text())[0]["usd"] is None
    assert json.loads((tmp_path / "report.json").read_text())["facts"]["a"] is None
    assert "unknown" in html_page(made)


def test_every_figure_links_to_its_table_and_its_method():
    page = html_page(made_report(["a"]))
    for target in ("table-bill", "method-bill"):
        assert f'href="#{target}"' in page
        assert f'id="{target}"' in page


def test_five_thousand_rows_render():
    assert html_page(made_report([f"w{n}" for n in range(5000)])).count("<tr>") >= 5000


def test_negative_numbers_stay_numbers_in_the_csv():
    made = made_report(["a"])
    rows = list(csv.DictReader(io.StringIO(table_csv(made.tables[0], made))))
    assert float(rows[0]["change_usd"]) == -1.5


def test_headings_of_the_csv_say_units_month_and_cluster_so_that_months_can_be_appended():
    made = made_report(["a"])
    text = table_csv(made.tables[0], made)
    heads, row = text.splitlines()
    assert heads == (
        "month,cluster,workload,nodes,hours,rate_usd_per_hour,usd,share,cpu_cores,memory_bytes,"
        "change_usd"
    )
    assert row.startswith("2026-10,demo,a,")


def test_no_amount_is_a_negative_zero():
    made = made_report(["a"], [-0.001])
    assert "-0.0," not in table_csv(made.tables[0], made)


def test_nasty_names_stay_one_row_each_in_markdown_and_csv():
    made = made_report(NASTY)
    lines = [line for line in markdown_page(made).splitlines() if line.startswith("| ")]
    bill = [line for line in lines if line.count(" | ") >= 8]
    assert len(bill) == 1 + len(NASTY) + 1
    rows = list(csv.reader(io.StringIO(table_csv(made.tables[0], made), newline="")))
    assert len(rows) == 1 + len(NASTY)


def test_dollars_and_backslashes_in_names_are_no_formulas_in_charts(tmp_path):
    files = write_report(made_report(["$\\frac{1}{"]), tmp_path)
    assert tmp_path / "charts" / "c.svg" in files
    assert "$\\frac{1}{" in (tmp_path / "charts" / "c.svg").read_text()
