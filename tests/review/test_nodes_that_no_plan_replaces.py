"""Nodes of Fargate and machines with GPUs: counted once, and alike, in every figure of a review."""

from __future__ import annotations

import pandas as pd
import pytest

from rightsize.config import Settings
from rightsize.output.report.machines import nodes_section
from rightsize.review import Review, review_month
from tests.review.two_months import OCTOBER, Month, written_of
from tests.tiny_mesh import tiny_nodes

FARGATE, GPU = "fargate-ip-10-0-0-1", "node-gpu"


def mixed(_: int, tables: dict[str, pd.DataFrame]) -> None:
    """Six machines, of which one has GPUs, and a node of Fargate; each of these runs one pod."""
    nodes = tables["nodes"]
    named = {"first_seen": nodes["first_seen"].min(), "last_seen": nodes["last_seen"].max()}
    more = tiny_nodes(2).assign(node=[FARGATE, GPU], instance_type=[None, "g4dn.xlarge"], **named)
    tables["nodes"] = pd.concat([nodes, more], ignore_index=True)
    tables["pods"].loc[tables["pods"].index[:2], "node"] = [FARGATE, GPU]


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory) -> Review:
    month = Month(OCTOBER, 2, pods=(20, 5), web=0.275)
    assert month.nodes == pytest.approx(5.33, abs=0.01)
    snapshot = written_of(tmp_path_factory.mktemp("mixed") / "s", month, mixed)
    rules = Settings.model_validate({"nodes": {"time_limit": 0.2}})
    return review_month(snapshot, settings=rules)


def test_only_machines_are_counted_as_nodes_and_have_a_price(review: Review) -> None:
    assert set(review.node_groups["instance_type"]) == {"m5.xlarge", "g4dn.xlarge"}
    assert (review.node_groups["usd"] > 0).all()
    seen = float(review.nodes_by_day["nodes"].mean())
    assert seen == pytest.approx(6.33, abs=0.01)
    assert review.strip[-1].nodes == pytest.approx(seen, abs=0.01)


def test_a_chart_holds_nodes_against_the_same_nodes(review: Review) -> None:
    charts = {chart.name: chart for chart in nodes_section(review).charts}
    before, after = review.packed
    assert len(before) == 6
    promised = next(step.nodes for step in review.steps if step.kind == "this-step")
    assert f"{len(before)} nodes now and {promised - 1} planned" in charts["packed-nodes"].alt
    (line, *_) = charts["nodes-by-hour"].axes.get_lines()
    ends = {text.get_text().split(":")[0] for text in charts["nodes-by-hour"].axes.texts}
    assert {"seen", "promised"} <= ends
    replayed = charts["nodes-by-hour"].axes.get_lines()[1].get_ydata()
    assert review.replay is not None
    assert min(replayed) == min(review.replay.before.timeline["nodes"]) + 1
    assert len(after) <= promised - 1
    assert max(line.get_ydata()) == pytest.approx(6.33, abs=0.01)
