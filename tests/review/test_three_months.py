"""Histories of three months with savings that are known: applied mid-month, undone, gone, repriced."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from rightsize.prices.book import snapshot_book
from rightsize.review.savings import Months, Running
from tests.review.two_months import CORES_A_NODE, NEW_PRICE, OLD_PRICE, Month, promise, written

DAYS = 4
HOURS = 24 * DAYS
AUGUST = Month(date(2026, 8, 1), DAYS)
EARLY = Month(date(2026, 9, 1), 2)
LATE = Month(date(2026, 9, 3), 2, web=0.1)
OCTOBER = Month(date(2026, 10, 1), DAYS, web=0.1)
ASKED = {"2026-08": [promise("web", 0.1)]}
Ran = Callable[..., Running | None]


def saved(hours: float, price: float = OLD_PRICE, pods: int = 10, cores: float = 0.4) -> float:
    """What the nodes cost that lowered requests do without."""
    return pods * cores * hours / CORES_A_NODE * price


@pytest.fixture
def ran(tmp_path: Path) -> Ran:
    def run(
        *months: Month,
        label: str = "2026-10",
        asked: Mapping[str, Sequence[Mapping[str, object]]] = ASKED,
        results: Mapping[str, Mapping[str, object]] | None = None,
    ) -> Running | None:
        snapshot = written(tmp_path / "snapshot", *months)
        book = snapshot_book(snapshot, "us-east-1", {})
        return Months(snapshot, book, results or {}).running(label, asked)

    return run


def test_a_change_made_mid_month_is_credited_from_its_day_and_in_every_month_after(
    ran: Ran,
) -> None:
    found = ran(AUGUST, EARLY, LATE, OCTOBER)
    assert found is not None
    assert found.since == "2026-09"
    assert found.months["usd"].tolist() == pytest.approx([saved(48), saved(HOURS)], rel=1e-6)
    assert found.this_month is not None
    assert found.this_month.mid == pytest.approx(saved(HOURS), rel=1e-6)
    assert found.to_date.mid == pytest.approx(saved(48 + HOURS), rel=1e-6)
    assert found.unknown == ()


def test_each_promise_has_its_first_day_and_its_money_to_date(ran: Ran) -> None:
    october = replace(OCTOBER, api=0.1)
    asked = {"2026-08": [promise("web", 0.1)],
             "2026-09": [promise("web", 0.1, now=0.1), promise("api", 0.1)]}  # fmt: skip
    found = ran(AUGUST, EARLY, LATE, october, asked=asked)
    assert found is not None
    lives = found.promises.set_index("workload")
    assert lives.loc["web", ["asked_in", "applied_on"]].tolist() == ["2026-08", "2026-09-03"]
    assert lives.loc["api", ["asked_in", "applied_on"]].tolist() == ["2026-09", "2026-10-01"]
    assert lives.loc["web", "to_date_usd"] == pytest.approx(saved(48 + HOURS), rel=1e-6)
    assert lives.loc["api", "to_date_usd"] == pytest.approx(saved(HOURS, pods=5), rel=1e-6)
    assert lives["to_date_usd"].sum() == pytest.approx(found.to_date.mid)


def test_what_is_undone_ends_the_credit_and_keeps_what_it_brought(ran: Ran) -> None:
    back = replace(OCTOBER, web=0.5)
    found = ran(AUGUST, EARLY, LATE, back)
    assert found is not None
    assert found.this_month is not None
    assert found.this_month.mid == 0
    assert found.to_date.mid == pytest.approx(saved(48), rel=1e-6)


def test_a_workload_that_is_gone_saves_nothing_more(ran: Ran) -> None:
    found = ran(AUGUST, EARLY, LATE, replace(OCTOBER, pods=(0, 5)))
    assert found is not None
    assert found.this_month is not None
    assert found.this_month.mid == 0
    assert found.to_date.mid == pytest.approx(saved(48), rel=1e-6)


def test_a_new_price_changes_what_is_saved_from_its_month_on(ran: Ran) -> None:
    found = ran(AUGUST, EARLY, LATE, replace(OCTOBER, price=NEW_PRICE))
    assert found is not None
    assert found.months["usd"].tolist() == pytest.approx(
        [saved(48), saved(HOURS, NEW_PRICE)], rel=1e-6
    )


def test_part_of_a_month_is_credited_for_its_days_alone(ran: Ran) -> None:
    found = ran(AUGUST, EARLY, LATE, replace(OCTOBER, days=2))
    assert found is not None
    assert found.this_month is not None
    assert found.this_month.mid == pytest.approx(saved(48), rel=1e-6)


def test_months_that_only_their_report_knows_count_with_what_it_said(ran: Ran) -> None:
    credit = {"namespace": "shop", "workload": "web", "container": "istio-proxy",
              "asked_in": "2026-08", "applied_on": "2026-09-15", "usd": 7.0}  # fmt: skip
    results = {"2026-09": {"realised": {"low": 6.0, "mid": 7.0, "high": 8.0}, "credits": [credit]}}
    found = ran(AUGUST, OCTOBER, results=results)
    assert found is not None
    assert found.since == "2026-09"
    assert found.to_date.mid == pytest.approx(7.0 + saved(HOURS), rel=1e-6)
    life = found.promises.iloc[0]
    assert life["applied_on"] == "2026-09-15"
    assert life["to_date_usd"] == pytest.approx(found.to_date.mid)


def test_a_month_that_nobody_knows_is_named_and_in_no_sum(ran: Ran) -> None:
    november = replace(OCTOBER, first=date(2026, 11, 1))
    found = ran(AUGUST, EARLY, LATE, november, label="2026-11")
    assert found is not None
    assert found.unknown == ("2026-10",)
    assert found.to_date.mid == pytest.approx(saved(48 + HOURS), rel=1e-6)


def test_advice_that_nobody_followed_is_no_saving(ran: Ran) -> None:
    quiet = replace(OCTOBER, web=0.5, pods=(8, 5))
    assert ran(AUGUST, replace(EARLY, days=4), quiet) is None


def test_damaged_credits_of_a_report_are_left_out(ran: Ran) -> None:
    for credits in (None, "x", [1], [{"namespace": "shop"}]):
        results = {"2026-09": {"realised": {"low": 6, "mid": 7, "high": 8}, "credits": credits}}
        found = ran(AUGUST, OCTOBER, results=results)
        assert found is not None
        assert isinstance(found.promises, pd.DataFrame)
