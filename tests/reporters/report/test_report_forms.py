"""Every form of the report says the same, safely, and byte for byte the same each time."""

from __future__ import annotations

import io
import json

import openpyxl
import pandas as pd
import pytest

from rightsize.reporters.charts import new_axes
from rightsize.reporters.report.files import table_csv, write_report
from rightsize.reporters.report.html import html_page
from rightsize.reporters.report.markdown import markdown_page
from rightsize.reporters.report.model import (
    Action,
    Assumption,
    Column,
    Figure,
    Method,
    Report,
    ReportChart,
    ReportTable,
    Section,
)
from rightsize.reporters.report.workbook import workbook_bytes
from rightsize.results import Interval

NASTY = ['<script>alert("x")</script>', "=cmd|' /C calc'!A0", "+1+1", "-2", "@sum", "w" * 200]


def report(names: list[str], usd: list[float] | None = None) -> Report:
    frame = pd.DataFrame({"workload": names, "usd": usd or [1.005] * len(names)})
    frame["hours"] = 730.0
    table = ReportTable(
        name="bill",
        title="The bill",
        frame=frame,
        columns=(
            Column("workload", "workload"),
            Column("hours", "hours", "number"),
            Column("usd", "USD a month", "usd", total=True),
        ),
    )
    axes = new_axes()
    axes.plot([1, 2], [3, 4])
    return Report(
        title="Mesh cost review, October 2026",
        subtitle="Cluster demo",
        banner="",
        figures=(Figure("Mesh cost", Interval(1, 2, 3), "usd", "of the bill", "bill", "bill"),),
        actions=(Action("Apply the patch", Interval(1, 2, 3), "1 hour", "low", "see the diff"),),
        sections=(Section("bill", "The bill", ("Text.",), (table,), (ReportChart("c", axes, "A line"),)),),
        methods=(Method("bill", "Bill", "Nodes times hours."),),
        assumptions=(Assumption("hours_per_month", 730.0, "h", "AWS's own"),),
        facts={"a": float("nan"), "b": Interval(1, 2, 3)},
    )  # fmt: skip


def test_names_from_outside_are_escaped_in_the_page():
    page = html_page(report(NASTY))
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_names_from_outside_are_escaped_in_markdown():
    assert "<script>" not in markdown_page(report(NASTY))


@pytest.mark.parametrize("name", [n for n in NASTY if n[0] in "=+-@"])
def test_cells_that_look_like_formulas_are_neutralised(name):
    made = report([name])
    cell = table_csv(made.tables[0]).splitlines()[1].split(",")[0].strip('"')
    assert cell[0] == "'"
    sheet = openpyxl.load_workbook(io.BytesIO(workbook_bytes(made)))["bill"]
    assert sheet["A4"].data_type != "f"
    assert str(sheet["A4"].value)[0] == "'"


def test_a_total_is_the_sum_of_the_cents_that_are_shown():
    made = report(["a", "b", "c"], [1.004, 1.004, 1.004])
    assert made.tables[0].totals() == {"usd": 3.0}
    assert '<td class="number">$3.00</td>' in html_page(made)


def test_an_empty_table_says_so():
    page = html_page(report([]))
    assert "No rows." in page
    assert "<tfoot>" not in page
    assert "Total" not in markdown_page(report([]))


def test_the_page_asks_the_network_for_nothing():
    page = html_page(report(["a"]))
    assert "http://" not in page
    assert "https://" not in page


def test_the_same_report_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_report(report(["a", "b"]), tmp_path / name)
    files = [p for p in (tmp_path / "a").rglob("*") if p.is_file()]
    assert len(files) == 4 + 2 + 2
    for path in files:
        twin = tmp_path / "b" / path.relative_to(tmp_path / "a")
        assert path.read_bytes() == twin.read_bytes(), path.name


def test_unknown_values_are_null_in_json_and_said_in_the_page(tmp_path):
    made = report(["a"], [float("nan")])
    write_report(made, tmp_path)
    assert json.loads((tmp_path / "tables" / "bill.json").read_text())[0]["usd"] is None
    assert json.loads((tmp_path / "report.json").read_text())["facts"]["a"] is None
    assert "unknown" in html_page(made)


def test_every_figure_links_to_its_table_and_its_method():
    page = html_page(report(["a"]))
    for target in ("table-bill", "method-bill"):
        assert f'href="#{target}"' in page
        assert f'id="{target}"' in page


def test_five_thousand_rows_render():
    assert html_page(report([f"w{n}" for n in range(5000)])).count("<tr>") >= 5000
