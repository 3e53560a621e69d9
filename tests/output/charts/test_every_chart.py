"""Each chart says what it shows, in what unit, from where; and can be read by everybody."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations

import matplotlib.colors as mcolors
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer

from rightsize.errors import NoDataError
from rightsize.output.charts import (
    bill_parts,
    cost_by_namespace,
    exceptions_curve,
    nodes_over_time,
    packed_nodes,
    save,
    saving_waterfall,
    waste_against_risk,
)
from rightsize.output.charts.style import COLOURS, INK, ON_DARK, PAPER, SOFT, TEXTS, laid_out

SOURCE = "cluster prod, 2026-10-01 to 2026-10-31 UTC; on-demand prices of us-east-1"
STEPS = pd.DataFrame(
    {"label": ["today", "today's requests, packed", "this step's requests", "end-state requests"],
     "nodes": [24, 23, 19, 20], "usd": [3467.0, 3323.0, 2745.0, 2900.0],
     "usd_low": [3418.0, 2991.0, 2564.0, 2700.0], "usd_high": [3516.0, 3369.0, 2783.0, 2950.0]}
)  # fmt: skip
PARTS = pd.DataFrame(
    {"part": ["application", "mesh", "idle", "system", "shared"],
     "usd": [1552.0, 808.0, 807.0, 301.0, 295.0]}
).assign(low=lambda t: t["usd"] * 0.98, high=lambda t: t["usd"] * 1.02)  # fmt: skip


def shares(nodes: int) -> pd.DataFrame:
    part = np.linspace(0.1, 0.4, nodes)
    return pd.DataFrame({"cpu_mesh": part, "cpu_other": 0.9 - part, "memory_mesh": part / 2,
                         "memory_other": 0.3})  # fmt: skip


def hours() -> pd.DataFrame:
    times = pd.date_range("2026-10-01", periods=744, freq="h")
    return pd.DataFrame({"time": times, "seen": 24.0, "before": 21.0, "after": 18.0})


def policies() -> pd.DataFrame:
    return pd.DataFrame({"policy": ["cautious", "balanced", "krr", "today"],
                         "cpu_slack": [0.32, 0.28, 0.24, 0.93],
                         "cpu_above": [0.002, 0.008, 0.04, 0.011]})  # fmt: skip


CHARTS = {
    "bill": lambda: bill_parts(PARTS, SOURCE),
    "waterfall": lambda: saving_waterfall(STEPS, SOURCE),
    "namespaces": lambda: cost_by_namespace(
        PARTS.rename(columns={"part": "namespace"}), SOURCE
    ),
    "exceptions": lambda: exceptions_curve(
        pd.DataFrame({"exceptions": range(4), "usd": [np.nan, 700.0, 400.0, 390.0]}), 2, SOURCE
    ),
    "nodes": lambda: nodes_over_time(hours(), SOURCE, promised=19),
    "packed": lambda: packed_nodes(shares(24), shares(19), SOURCE),
    "risk": lambda: waste_against_risk(policies(), source=SOURCE),
}  # fmt: skip


@pytest.fixture(params=list(CHARTS))
def axes(request) -> Axes:
    return CHARTS[request.param]()


def words(axes: Axes) -> str:
    texts = [axes.get_title(loc="left"), axes.get_xlabel(), axes.get_ylabel()]
    texts += [text.get_text() for text in axes.texts]
    return " | ".join(texts)


def luminance(colour: str) -> float:
    rgb = np.array(mcolors.to_rgb(colour))
    linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_each_says_its_source_its_window_and_its_unit(axes):
    assert axes.get_figure().get_supxlabel() == SOURCE
    assert re.search(r"USD|nodes|share|%", words(axes))
    assert len(axes.get_title(loc="left")) > 10


def test_no_word_covers_another_as_it_is_written(axes, tmp_path):
    save(axes, tmp_path / "chart.png")
    figure = axes.get_figure()
    figure.canvas.draw()
    texts = [*axes.texts, axes.title, axes._left_title, *axes.get_xticklabels()]
    assert not any("\\n" in text.get_text() for text in texts)
    boxes = [
        (text.get_text(), text.get_window_extent().shrunk(0.98, 0.9))
        for text in texts
        if text.get_text().strip() and text.get_visible()
    ]
    hits = [(a, b) for (a, one), (b, two) in combinations(boxes, 2) if one.overlaps(two)]
    assert hits == []


def test_no_word_is_cut_off_at_the_edge(axes):
    figure = axes.get_figure()
    figure.canvas.draw()
    for text in axes.texts:
        box = text.get_window_extent()
        assert box.x0 >= 0, text.get_text()
        assert box.x1 <= figure.bbox.width + 1, text.get_text()


def test_each_is_the_same_bytes_twice(axes, request, tmp_path):
    again = CHARTS[request.node.callspec.params["axes"]]()
    for suffix in (".png", ".svg"):
        one, two = save(axes, tmp_path / f"a{suffix}"), save(again, tmp_path / f"b{suffix}")
        assert one.read_bytes() == two.read_bytes()
    svg = (tmp_path / "a.svg").read_text()
    assert "<dc:date>" not in svg


def test_files_drawn_together_share_one_layout_and_the_chart_finds_its_own_again(axes, tmp_path):
    with laid_out(axes):
        places = []
        for suffix in (".png", ".svg"):
            save(axes, tmp_path / f"chart{suffix}")
            places.append(axes.get_position().bounds)
    assert places[0] == places[1]
    axes.set_ylabel("a label\nof three\nlines")
    save(axes, tmp_path / "again.png")
    assert axes.get_position().x0 > places[0][0]


@pytest.mark.parametrize("name", list(TEXTS))
def test_words_are_dark_enough_on_paper_and_light_enough_in_the_dark(name):
    assert contrast(TEXTS[name], PAPER) >= 4.5
    assert contrast(ON_DARK.get(TEXTS[name], TEXTS[name]), ON_DARK[PAPER]) >= 4.5


def test_soft_words_can_be_read_too():
    assert contrast(SOFT, PAPER) >= 4.5
    assert contrast(ON_DARK[SOFT], ON_DARK[PAPER]) >= 4.5


def test_colours_are_those_of_okabe_and_ito():
    known = {"#e69f00", "#56b4e9", "#009e73", "#0072b2", "#d55e00", "#cc79a7", "#999999", INK}
    assert set(COLOURS.values()) == known


@pytest.mark.parametrize("name", ["bill", "waterfall", "namespaces"])
def test_money_is_drawn_with_its_range(name):
    drawn = CHARTS[name]()
    whiskers = [c for c in drawn.containers if isinstance(c, ErrorbarContainer)]
    assert len(whiskers) == 1
    assert "range" in words(drawn)


def test_the_waterfall_states_each_step_and_what_stays():
    said = words(CHARTS["waterfall"]())
    for part in ("−$144", "−$578", "+$155", "$3,467", "$2,900"):
        assert part in said


def test_a_node_set_that_only_grows_is_no_saving():
    steps = STEPS.assign(usd=[100.0, 110.0, 120.0, 130.0], usd_low=90.0, usd_high=140.0)
    assert saving_waterfall(steps, SOURCE).get_title(loc="left") == (
        "No node set is cheaper than today's"
    )


def test_many_namespaces_are_cut_and_it_says_so():
    costs = pd.DataFrame({"namespace": [f"team-{n}-{'x' * 200}" for n in range(50)],
                          "usd": np.arange(50.0)})  # fmt: skip
    axes = cost_by_namespace(costs, SOURCE)
    assert len(axes.get_yticklabels()) == 20
    assert "the 30 cheaper ones are in the table" in words(axes)
    assert max(len(label.get_text()) for label in axes.get_yticklabels()) <= 40


def test_hundreds_of_nodes_still_fit():
    axes = packed_nodes(shares(300), shares(200), SOURCE)
    assert "300 nodes now, 200 planned" in axes.get_title(loc="left")


def test_nodes_are_drawn_without_a_replay_too():
    axes = nodes_over_time(hours()[["time", "seen"]], SOURCE)
    assert "seen: 24.0" in words(axes)
    assert "recommended" not in words(axes)


def test_without_any_policy_there_is_no_chart():
    with pytest.raises(NoDataError, match="no policy"):
        waste_against_risk(policies().assign(cpu_above=np.nan))


@pytest.mark.parametrize("name", ["bill", "namespaces"])
def test_names_at_an_axis_are_escaped_in_every_form(name, tmp_path, monkeypatch):
    evil = "\x1b[1m\u202e--><script>"
    monkeypatch.setattr("tests.output.charts.test_every_chart.PARTS", PARTS.assign(part=evil))
    monkeypatch.setattr("tests.output.charts.test_every_chart.SOURCE", evil)
    axes = CHARTS[name]()
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks([0, 1], [evil, evil])
    path = save(axes, tmp_path / "chart.svg")
    ElementTree.parse(path)
    assert "\x1b" not in path.read_text()
    assert "\u202e" not in path.read_text()
