"""The whole report on the demo mesh: complete, adding up, and fit to be read anywhere."""

from __future__ import annotations

import json
import re
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from openpyxl.utils import get_column_letter

from rightsize.demo import demo_snapshot
from tests.cli.run import rightsize
from tests.output.report.evaluated import changed, evaluated, recalculated, stored
from tests.output.report.recomputed import Recomputed
from tests.output.report.reconciled import reconcile
from tests.servers.browser import PHONE, WIDE, chromium, open_page, overflow
from tests.servers.require import require_program

pytestmark = pytest.mark.servers
CHARTS = {
    "bill-parts", "sidecar-cost", "requests-cpu", "requests-memory", "exceptions", "packed-nodes",
    "saving-waterfall", "nodes-by-hour", "waste-against-risk", "istiod-growth",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    work = tmp_path_factory.mktemp("work")
    done = rightsize("report", "-o", work / "reports" / "2026-10", cwd=work)
    assert done.returncode == 0, done.stderr
    return work / "reports" / "2026-10"


@pytest.fixture(scope="module")
def results(folder) -> dict:
    return json.loads((folder / "report.json").read_text())


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def values(folder) -> dict:
    """The workbook's cells, its formulas evaluated."""
    return evaluated(folder / "report.xlsx")


def test_every_chart_is_there_as_png_and_svg_and_says_its_source(folder):
    assert {path.stem for path in (folder / "charts").iterdir()} == CHARTS
    for name in CHARTS:
        svg = (folder / "charts" / f"{name}.svg").read_text()
        assert "simulated demo mesh" in svg
        assert "2026-" in svg
        assert (folder / "charts" / f"{name}.png").stat().st_size > 5000


def test_every_total_is_the_sum_of_its_csv_to_the_cent(folder, results):
    checked = 0
    for name, totals in results["totals"].items():
        table = pd.read_csv(folder / "tables" / f"{name}.csv")
        for column, total in totals.items():
            found = next(one for one in (column, f"{column}_usd") if one in table)
            assert round(table[found].sum(), 2) == total, (name, column)
            checked += 1
    assert checked > 10


def test_the_page_shows_these_totals(browser, folder, results):
    page = open_page(browser, folder / "index.html").page
    for name in ("bill", "parts", "namespaces", "node-groups", "allocation"):
        foot = page.locator(f"#data-{name} tfoot").inner_text()
        for column, total in results["totals"][name].items():
            if column != "node_hours":
                assert f"${total:,.2f}" in foot, (name, column)


def test_namespaces_causes_lines_and_workloads_add_up_to_the_same_bill(results):
    totals = results["totals"]
    bill = totals["bill"]["mid"]
    assert totals["parts"]["usd"] == totals["allocation"]["usd"] == totals["namespaces"]["total"]
    assert totals["parts"]["usd"] == bill
    assert totals["namespaces"]["mesh"] == pytest.approx(results["figures"][0]["value"]["mid"])


def test_the_workbook_agrees_with_the_json(folder, results, values):
    book = openpyxl.load_workbook(folder / "report.xlsx")
    checked = 0
    for name, totals in results["totals"].items():
        sheet = book[name]
        last = [cell for cell in sheet[sheet.max_row] if cell.data_type == "f"]
        sums = [values[name, cell.coordinate] for cell in last if "SUM(" in cell.value]
        if totals:
            assert sorted(sums) == pytest.approx(sorted(totals.values()), abs=0.005), name
            checked += len(sums)
    assert checked > 10
    saving = results["figures"][2]["value"]
    assert values["what if", "B4"] == pytest.approx(saving["mid"], abs=0.01)


def test_what_is_stored_beside_each_formula_is_what_libreoffice_computes(folder, tmp_path):
    require_program("soffice")
    computed = recalculated(folder / "report.xlsx", tmp_path)
    found = stored(folder / "report.xlsx")
    assert found.keys() == computed.keys()
    assert len(found) > 100
    for cell, value in found.items():
        assert value == pytest.approx(computed[cell], abs=0.005, rel=1e-5), cell


def test_every_cell_of_the_workbook_is_what_the_page_shows(folder, results, values):
    book = openpyxl.load_workbook(folder / "report.xlsx")
    checked = 0
    for name in results["totals"]:
        table = pd.read_csv(folder / "tables" / f"{name}.csv")
        # Month and cluster are the file's own, but where a table is about months itself.
        table = table.iloc[:, len(table.columns) - book[name].max_column :]
        for number, column in enumerate(table.columns, 1):
            letter = get_column_letter(number)
            if not pd.api.types.is_numeric_dtype(table[column]):
                continue
            for row, shown in enumerate(table[column], 4):
                if pd.notna(shown):
                    cell = f"{letter}{row}"
                    value = values.get((name, cell), book[name][cell].value)
                    value *= 2**20 if column.endswith("_bytes") else 1
                    assert value == pytest.approx(shown, abs=0.006, rel=1e-5), (name, cell)
                    checked += 1
    assert checked > 1000


def test_every_amount_is_found_again_from_the_parquet_files_alone(folder):
    snapshot, data = demo_snapshot(), Path(__file__).parents[3] / "data"
    now, before = (Recomputed(snapshot, month, data) for month in ("2026-10", "2026-09"))
    assert reconcile(folder, now, before) > 250


def test_what_recomputes_the_report_imports_nothing_of_the_program():
    for name in ("recomputed.py", "reconciled.py"):
        assert "rightsize" not in (Path(__file__).parent / name).read_text()


def test_at_both_ends_of_the_range_the_causes_add_up_to_the_lines(folder):
    parts, lines = (pd.read_csv(folder / "tables" / f"{n}.csv") for n in ("parts", "bill"))
    for end in ("low_usd", "high_usd"):
        assert parts[end].sum() == pytest.approx(lines[end].sum(), abs=0.03), end


def test_twice_the_hours_and_a_discount_change_the_workbooks_machines(folder, values, tmp_path):
    before = values
    other = changed(folder / "report.xlsx", tmp_path / "b.xlsx", hours_of_month=2 * 744.0,
                    hours_per_month=2 * 730.0, price_discount=0.25)  # fmt: skip
    after = evaluated(other)
    machines = [key for key in before if key[0] == "node-groups" and key[1].startswith("G")]
    total = max(machines, key=lambda key: int(key[1][1:]))
    assert after[total] == pytest.approx(2 * 0.75 * before[total], abs=0.02)
    assert after["what if", "B2"] < 2 * before["what if", "B2"]
    assert after["what if", "B2"] > 1.5 * before["what if", "B2"]


def test_every_figure_leads_to_its_table_and_method_on_the_page(browser, folder):
    page = open_page(browser, folder / "index.html").page
    links = page.locator(".figures a")
    assert links.count() == 10
    for target in links.evaluate_all("all => all.map((one) => one.getAttribute('href'))"):
        assert target.startswith("#")
        assert page.locator(target).count() == 1, target
    assert page.locator("a[href^='http']").count() == 0


def test_the_mesh_cost_and_the_saving_are_read_in_the_tables_behind_them(folder, results):
    parts = pd.read_csv(folder / "tables" / "parts.csv").set_index("part")
    mesh, share, saving = (figure["value"] for figure in results["figures"][:3])
    assert parts.loc["mesh", "usd"] == pytest.approx(mesh["mid"], abs=0.005)
    assert parts.loc["mesh", "share"] == pytest.approx(share, abs=1e-5)
    steps = pd.read_csv(folder / "tables" / "steps.csv").set_index("label")
    row = steps.loc["this step's requests", ["saved_low_usd", "saved_usd", "saved_high_usd"]]
    assert list(row[1:]) == pytest.approx([saving[end] for end in ("mid", "high")], abs=0.005)
    # Cluster Autoscaler's defaults take none of the 24 nodes away: as set, nothing is saved.
    replay = pd.read_csv(folder / "tables" / "replay.csv")
    default = replay[replay["setting"].str.endswith("=0.5")]
    assert default["end"].tolist() == [24, 24]
    assert saving["low"] == 0.0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(browser, folder, scheme):
    page = open_page(browser, folder / "index.html", scheme=scheme).page
    found = Axe().run(page).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert serious == [], [(one["id"], one["nodes"][0]["html"]) for one in serious]


@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_it_opens_quietly_and_fits_the_window(browser, folder, size):
    opened = open_page(browser, folder / "index.html", size)
    assert opened.messages == []
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []
    assert overflow(opened.page) == 0


def test_on_paper_it_is_a4_upright_but_for_the_widest_table(browser, folder):
    page = open_page(browser, folder / "index.html").page
    pdf = page.pdf(prefer_css_page_size=True)
    boxes = re.findall(rb"/MediaBox \[([^\]]+)\]", pdf)
    sheets = [tuple(round(float(n)) for n in box.split()[2:]) for box in boxes]
    assert set(sheets) == {(595, 842), (842, 595)}
    assert 5 < len(sheets) < 30
    assert sheets[0] == (595, 842)


def test_docs_name_every_section_chart_and_table_form(browser, folder):
    page = open_page(browser, folder / "index.html").page
    text = (Path(__file__).parents[3] / "docs" / "report.md").read_text()
    titles = page.locator("section h2").all_inner_texts()
    assert len(titles) > 10
    for title in titles:
        assert title in text, title
    for chart in CHARTS:
        assert f"`{chart}`" in text, chart
