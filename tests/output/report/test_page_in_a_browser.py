"""The page in a real browser: safe, sortable, readable on a phone, in the dark, on paper."""

from __future__ import annotations

import re

import pytest

from rightsize.output.report.html import html_page
from tests.output.report.made_report import NASTY, made_report
from tests.servers.browser import PHONE, chromium, open_page, overflow

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def page_of(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")

    def write(name, names, usd=None):
        path = folder / f"{name}.html"
        if not path.exists():
            path.write_text(html_page(made_report(names, usd)))
        return path

    return write


@pytest.fixture
def many(page_of):
    return page_of("many", [f"w{n}" for n in range(20)], [float(n % 7 - 1) for n in range(20)])


def first_column(page):
    return page.locator("#data-bill tbody tr:not([hidden]) td:first-child").all_inner_texts()


@pytest.mark.parametrize("script", [True, False])
def test_nothing_is_said_on_the_console_and_nothing_asked_of_the_network(browser, many, script):
    opened = open_page(browser, many, script=script)
    assert opened.messages == []
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []


def test_a_click_sorts_by_number_and_a_second_one_the_other_way(browser, many):
    page = open_page(browser, many).page
    head = page.get_by_role("button", name="USD a month")
    cells = page.locator("#data-bill tbody td:nth-child(5)")
    head.click()
    rising = [float(re.sub(r"[$,]", "", text)) for text in cells.all_inner_texts()]
    assert rising == sorted(rising)
    assert rising[0] == -1.0
    head.press("Enter")
    falling = [float(re.sub(r"[$,]", "", text)) for text in cells.all_inner_texts()]
    assert falling == sorted(falling, reverse=True)
    sort = page.locator("#data-bill th[aria-sort]")
    assert sort.get_attribute("aria-sort") == "descending"


def test_names_sort_by_the_numbers_in_them_and_unknown_values_stay_last(browser, page_of):
    path = page_of("unknown", ["w10", "w2", "w1"], [float("nan"), 2.0, 1.0])
    page = open_page(browser, path).page
    page.get_by_role("button", name="workload").click()
    assert first_column(page) == ["w1", "w2", "w10"]
    for _ in range(2):
        page.get_by_role("button", name="USD a month").click()
        assert first_column(page)[-1] == "w10"


def test_the_filter_leaves_the_rows_that_match_and_says_how_many(browser, many):
    page = open_page(browser, many).page
    page.get_by_role("searchbox").fill("w1")
    assert first_column(page) == ["w1", *(f"w1{n}" for n in range(10))]
    assert page.get_by_role("status").inner_text() == "11 of 20 rows; the total is of all"
    page.get_by_role("searchbox").fill("")
    assert len(first_column(page)) == 20


def test_without_scripts_every_row_is_there(browser, many):
    page = open_page(browser, many, script=False).page
    assert page.locator("#data-bill tbody tr").count() == 20
    assert page.locator("input").count() == 0


def test_names_from_outside_run_nothing_and_stand_as_they_are(browser, page_of):
    path = page_of("nasty", NASTY)
    opened = open_page(browser, path)
    assert opened.messages == []
    assert opened.page.locator("#data-bill tbody tr").count() == len(NASTY)
    assert NASTY[0] in first_column(opened.page)
    assert opened.page.locator("script").count() == 1
    assert opened.page.locator("img").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, (1280, 900)])
def test_long_names_do_not_make_the_page_wider_than_the_window(browser, page_of, size, scheme):
    page = open_page(browser, page_of("nasty", NASTY), size, scheme).page
    assert overflow(page) == 0


def test_dark_readers_get_a_dark_page_and_dark_charts(browser, many):
    shades = {}
    for scheme in ("light", "dark"):
        page = open_page(browser, many, scheme=scheme).page
        shades[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert shades == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}
    svg = open_page(browser, many, scheme="dark").page.evaluate(
        """async () => {
            const image = document.querySelector("figure img");
            await image.decode();
            const canvas = document.createElement("canvas");
            canvas.width = canvas.height = 2;
            const brush = canvas.getContext("2d");
            brush.drawImage(image, 0, 0, 2, 2, 0, 0, 2, 2);
            return Array.from(brush.getImageData(0, 0, 1, 1).data);
        }"""
    )
    assert max(svg[:3]) < 64


def test_an_empty_table_says_so(browser, page_of):
    page = open_page(browser, page_of("empty", [])).page
    assert page.locator("#data-bill tbody").inner_text() == "No rows."


def test_five_thousand_rows_open_sort_and_filter(browser, page_of):
    opened = open_page(browser, page_of("long", [f"w{n}" for n in range(5000)]))
    page = opened.page
    assert page.locator("#data-bill tbody tr").count() == 5000
    page.get_by_role("button", name="workload").click()
    page.get_by_role("button", name="workload").click()
    assert page.locator("#data-bill tbody td:first-child").first.inner_text() == "w4999"
    page.get_by_role("searchbox").fill("w123")
    assert len(first_column(page)) == 11
    box = page.locator("#data-bill").locator("xpath=..").bounding_box()
    assert box["height"] < 700
    assert opened.messages == []


def test_on_paper_every_row_of_a_filtered_table_is_printed(browser, many):
    page = open_page(browser, many).page
    page.get_by_role("searchbox").fill("w19")
    page.emulate_media(media="print")
    assert page.locator("#data-bill tbody tr:visible").count() == 20
    assert page.get_by_role("searchbox").count() == 0
    assert page.evaluate("getComputedStyle(document.querySelector('.scroll')).maxHeight") == "none"
    pdf = page.pdf(prefer_css_page_size=True)
    sheets = {tuple(map(float, box.split())) for box in re.findall(rb"/MediaBox \[([^\]]+)\]", pdf)}
    assert {(round(w), round(h)) for _, _, w, h in sheets} == {(595, 842)}


@pytest.mark.parametrize("width", [390, 1280, 1600])
def test_columns_beyond_the_edge_are_announced_and_charts_are_never_cut_on_a_phone(
    browser, many, width
):
    page = open_page(browser, many, (width, 900)).page
    cut = page.evaluate(
        "() => Array.from(document.querySelectorAll('.scroll')).filter((box) =>"
        " (box.scrollWidth > box.clientWidth + 1) === box.parentElement.querySelector('.more').hidden"
        ").length"
    )
    assert cut == 0
    charts = page.locator("figure")
    assert charts.evaluate_all("all => all.every((f) => f.scrollWidth <= f.clientWidth + 1)")
    assert overflow(page) == 0
