"""A month, or its end, of which no row of a node was collected: unknown money, and never zero."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from rightsize.config import Settings
from rightsize.cost.answer import price_answer
from rightsize.nodes.answer import answer
from rightsize.output.money_rows import money_to_dict
from rightsize.recommend import recommend
from rightsize.review.review import review_month
from rightsize.snapshot import Snapshot
from tests.review.two_months import OCTOBER, Month, written_of

DAYS = 4


def without_nodes_from(path: Path, first: int) -> Snapshot:
    """Four days, of which those from `first` on have no row of a node."""

    def drop(number: int, tables: dict[str, pd.DataFrame]) -> None:
        if number >= first:
            tables["nodes"] = tables["nodes"].iloc[:0]

    return written_of(path, replace(Month(OCTOBER, DAYS), price=0.192), drop)


@pytest.fixture(scope="module")
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return without_nodes_from(tmp_path_factory.mktemp("nowhere") / "snapshot", 0)


def test_what_hangs_on_machines_is_unknown_in_the_bill(nowhere: Snapshot) -> None:
    money = price_answer(nowhere)
    lines = {line.kind: line.usd for line in money.today.lines}
    assert lines["ec2"] is None
    assert lines["ebs"] is None
    assert lines["data-transfer"] is None
    assert lines["eks"] is not None
    assert money.allocation.sidecar_usd is None


def test_the_json_has_null_for_each_of_them(nowhere: Snapshot) -> None:
    found = money_to_dict(price_answer(nowhere))
    assert found["cross_zone"]["locality_routing_saves"] is None
    assert found["allocation"]["total"] is None


def test_todays_node_set_costs_an_unknown_amount(nowhere: Snapshot) -> None:
    today = answer(nowhere, names=("mix",)).today
    assert not today.known
    assert today.usd_per_hour is None


def test_the_month_is_reviewed_all_the_same(nowhere: Snapshot) -> None:
    review = review_month(nowhere, "2026-10", Settings())
    assert review.money.today.total is None
    assert review.available is None
    assert "today" not in {step.kind for step in review.steps}


def test_nodes_of_the_newest_day_that_has_any_are_planned_with(tmp_path: Path) -> None:
    """A metrics server that lost kube-state-metrics for a day does not lose the plan."""
    part, whole = (without_nodes_from(tmp_path / str(days), days) for days in (2, DAYS))
    plans = [
        answer(one, names=("same-type",), advice=recommend(one)).after.named("same-type")
        for one in (part, whole)
    ]
    assert plans[0].promised is not None
    assert plans[0].promised.nodes == plans[1].promised.nodes
