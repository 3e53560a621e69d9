"""A month reviewed against the one before, where what was saved is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from rightsize.config import Settings
from rightsize.review import Review, review_month
from tests.review.two_months import (
    APP_CORES,
    CORES_A_NODE,
    NEW_PRICE,
    OCTOBER,
    SEPTEMBER,
    Month,
    promise,
    written,
)

DAYS = 4
HOURS = 24 * DAYS
BEFORE = Month(SEPTEMBER, DAYS)
Reviewed = Callable[[Month, Sequence[dict[str, object]]], Review]


@pytest.fixture
def reviewed(tmp_path: Path) -> Reviewed:
    settings = Settings()
    settings = settings.model_copy(
        update={"nodes": settings.nodes.model_copy(update={"time_limit": 0.2})}
    )

    def review(after: Month, promises: Sequence[dict[str, object]]) -> Review:
        snapshot = written(tmp_path / "snapshot", BEFORE, after)
        return review_month(snapshot, "2026-10", settings, earlier={"2026-09": promises})

    return review


def test_the_known_saving_is_found_beside_growing_traffic_and_a_new_price(
    reviewed: Reviewed,
) -> None:
    after = Month(OCTOBER, DAYS, pods=(12, 6), web=0.1, requests=1.2e6, price=NEW_PRICE)
    found = reviewed(after, [promise("web", 0.1), promise("api", 0.1)])
    kept = dict(zip(found.promised["workload"], found.promised["state"], strict=True))
    assert kept == {"web": "applied", "api": "not applied"}
    assert found.realised is not None
    # Without the change twelve proxies of `web` would still ask for half a core each.
    removed = after.pods[0] * 0.4
    saved = removed / CORES_A_NODE * NEW_PRICE * HOURS
    assert found.realised.by_tool.mid == pytest.approx(saved, rel=1e-6)
    assert found.realised.by_tool.low == pytest.approx(found.realised.by_tool.high, rel=1e-6)
    assert found.realised.by_price == pytest.approx(
        BEFORE.nodes * (NEW_PRICE - BEFORE.price) * HOURS, rel=1e-6
    )
    # All of it is due to the one change that was applied.
    assert found.realised.by_change[["workload", "usd"]].values.tolist() == [
        ["web", pytest.approx(saved)]
    ]
    machines = found.realised.machines.iloc[0]
    assert machines["node_hours_before"] == pytest.approx(BEFORE.nodes * HOURS)
    assert machines["node_hours"] == pytest.approx(after.nodes * HOURS)
    assert machines["usd"] == pytest.approx(after.usd_per_hour * HOURS)
    # Two more pods of `web` and one of `api`, as large as they were: what traffic cost.
    grown = (2 + 1) * (0.5 + APP_CORES) / CORES_A_NODE * NEW_PRICE * HOURS
    assert found.realised.by_other == pytest.approx(-grown, rel=1e-6)
    assert found.realised.traffic_change == pytest.approx(0.2)
    assert found.realised.fall == pytest.approx(
        (BEFORE.usd_per_hour - after.usd_per_hour) * HOURS, rel=1e-6
    )


def test_nothing_applied_saves_nothing_though_traffic_and_nodes_fell(reviewed: Reviewed) -> None:
    after = Month(OCTOBER, DAYS, pods=(8, 4), requests=0.8e6)
    found = reviewed(after, [promise("web", 0.1), promise("api", 0.1)])
    assert set(found.promised["state"]) == {"not applied"}
    assert found.realised is not None
    assert found.realised.fall > 0
    by_tool = found.realised.by_tool
    assert (by_tool.low, by_tool.mid, by_tool.high) == (0.0, 0.0, 0.0)
    assert found.realised.traffic_change == pytest.approx(-0.2)


def test_what_was_applied_without_a_promise_is_not_the_reports_merit(reviewed: Reviewed) -> None:
    after = Month(OCTOBER, DAYS, web=0.1)
    found = reviewed(after, [promise("api", 0.1)])
    assert found.realised is not None
    assert found.realised.by_tool.high == 0.0
    assert found.realised.by_other == pytest.approx(found.realised.fall)


def test_each_promise_is_distinguished_from_the_requests_in_force(reviewed: Reviewed) -> None:
    after = Month(OCTOBER, DAYS, web=0.3, api=0.1)
    half = promise("web", 0.3) | {"recommended_memory": 2.0**27}
    gone = promise("old", 0.1)
    found = reviewed(after, [half, promise("api", 0.2), gone])
    kept = dict(zip(found.promised["workload"], found.promised["state"], strict=True))
    assert kept == {"web": "partly", "api": "changed otherwise", "old": "gone"}


def test_incidents_stand_beside_those_of_the_month_before(reviewed: Reviewed) -> None:
    after = Month(OCTOBER, DAYS, web=0.1, oom_kills=1)
    found = reviewed(after, [promise("web", 0.1)])
    row = found.incidents.set_index("workload").loc["web"]
    assert row["oom_kills"] == DAYS
    assert row["oom_kills_before"] == 0


def test_months_of_unequal_length_are_compared_at_the_later_ones(tmp_path: Path) -> None:
    snapshot = written(tmp_path / "snapshot", Month(SEPTEMBER, 2), Month(OCTOBER, DAYS))
    found = review_month(snapshot, "2026-10", earlier={})
    assert found.realised is not None
    assert found.realised.fall == pytest.approx(0.0, abs=1e-6)
    assert found.earlier is None
