"""Promises by state, and who owns an action."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rightsize.config import ReviewSettings, Settings
from rightsize.output.report.figures import actions_of, owners_of
from rightsize.output.report.promised import promised_section
from rightsize.review import Review, review_month
from tests.review.two_months import OCTOBER, SEPTEMBER, Month, promise, written


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory) -> Review:
    path: Path = tmp_path_factory.mktemp("promises") / "snapshot"
    after = Month(OCTOBER, 3, web=0.1, oom_kills=1)
    snapshot = written(path, Month(SEPTEMBER, 3), after)
    rules = Settings(review=ReviewSettings(team=("namespace",)))
    rules = rules.model_copy(update={"nodes": rules.nodes.model_copy(update={"time_limit": 0.2})})
    asked = [promise("web", 0.1), promise("api", 0.1), promise("old", 0.1)]
    return review_month(snapshot, "2026-10", rules, earlier={"2026-09": asked})


def test_promises_that_nobody_followed_are_one_row_a_state(review: Review) -> None:
    states, rows = (table.frame for table in promised_section(review).tables[:2])
    assert states[["state", "count", "workloads"]].to_numpy().tolist() == [
        ["applied", 1, "shop/web"], ["not applied", 1, "shop/api"], ["gone", 1, "shop/old"],
    ]  # fmt: skip
    assert rows["name"].tolist() == ["shop/web"]
    assert rows["applied"].tolist() == ["2026-10-01"]
    assert states["to_date_usd"].sum() == pytest.approx(rows["to_date_usd"].sum())


def test_an_action_on_workloads_is_their_teams(review: Review) -> None:
    assert owners_of(review, [("shop", "web"), ("shop", "api")]) == "shop"
    assert {action.owner for action in actions_of(review)} <= {"shop", "platform"}


def test_without_a_team_the_owner_of_the_namespace_is_named(review: Review) -> None:
    nameless = replace(review, accounts=replace(review.accounts, owners={}))
    many = [(f"n{number}", "web") for number in range(5)]
    assert owners_of(nameless, [("shop", "web")]) == "owner of shop"
    assert owners_of(nameless, many).endswith("owner of n2 and others")
