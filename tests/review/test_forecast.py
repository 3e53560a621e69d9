"""The next quarter: a trend with an interval that holds as many outcomes as it says."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from rightsize.config import Settings
from rightsize.output.report.accounts import budget_sentence
from rightsize.results import Interval
from rightsize.review.accounts import Budget, daily_bill
from rightsize.review.charges import month_money
from rightsize.review.forecast import CONFIDENCE, LEAST_DAYS, forecast
from rightsize.review.month import month_of
from tests.review.two_months import OCTOBER, SEPTEMBER, Month, written

FIRST = date(2026, 9, 1)


def daily(values: np.ndarray) -> pd.Series:
    return pd.Series(values, index=[FIRST + timedelta(days=n) for n in range(len(values))])


def test_a_straight_line_goes_on():
    found = forecast(daily(100 + 2.0 * np.arange(30)))
    months = dict(found.months)
    assert list(months) == ["2026-10", "2026-11", "2026-12"]
    first = (date(2026, 10, 1) - FIRST).days
    truth = sum(100 + 2.0 * (first + n) for n in range(31))
    assert months["2026-10"].mid == pytest.approx(truth)
    assert months["2026-10"].high - months["2026-10"].low < 1e-3
    assert found.usd_per_day_per_month == pytest.approx(2 * 365 / 12)


def test_a_forecast_is_not_surer_than_the_bill_that_it_rests_on():
    months = forecast(daily(np.full(30, 100.0)), Interval(80.0, 100.0, 130.0)).months
    usd = months[0][1]
    assert (usd.low, usd.mid, usd.high) == pytest.approx((2480, 3100, 4030))


def test_days_without_a_known_bill_are_left_out_and_too_few_give_no_forecast():
    values = 100 + np.zeros(LEAST_DAYS + 2)
    values[[3, 4]] = np.nan
    assert forecast(daily(values)).days == LEAST_DAYS
    values[5] = np.nan
    assert forecast(daily(values)) is None


def test_a_bill_is_never_forecast_below_nothing():
    found = forecast(daily(np.linspace(100, 5, 30) + 3 * (-1.0) ** np.arange(30)))
    assert all(usd.low >= 0 or usd.low == usd.mid for _, usd in found.months)


@pytest.mark.parametrize("memory", [0.0, 0.6])
def test_the_interval_holds_as_many_months_as_it_says(memory):
    rng = np.random.default_rng(7)
    inside, drawn = 0, 300
    for _ in range(drawn):
        noise = np.zeros(122)
        for n in range(1, len(noise)):
            noise[n] = memory * noise[n - 1] + rng.normal(0, 5)
        truth = 200 + 0.3 * np.arange(122) + noise
        month, usd = forecast(daily(truth[:61])).months[0]
        assert month == "2026-11"
        inside += usd.low <= truth[61:91].sum() <= usd.high
    assert inside / drawn > CONFIDENCE - 0.12


def test_a_budget_is_held_against_the_days_seen():
    assert Budget(3100.0, Interval(900.0, 1000.0, 1100.0), 1000.0).kept
    assert Budget(3100.0, Interval(900.0, 1000.01, 1100.0), 1000.0).kept is False
    assert Budget(3100.0, None, 1000.0).kept is None


def test_a_bill_that_the_budget_lies_within_is_not_sure():
    assert not Budget(3100.0, Interval(900.0, 950.0, 1100.0), 1000.0).sure
    assert Budget(3100.0, Interval(900.0, 950.0, 1000.0), 1000.0).sure
    assert Budget(3100.0, Interval(1010.0, 1050.0, 1100.0), 1000.0).sure


def test_lines_that_are_unknown_are_named_beside_a_budget_that_was_kept():
    said = budget_sentence(
        Budget(3100.0, Interval(900.0, 950.0, 990.0), 1000.0, ("load balancers",))
    )
    assert "was kept by the known lines" in said
    assert "unknown: load balancers" in said


@pytest.mark.parametrize("commitment", [None, 0.3, 2.0])
def test_the_days_that_a_forecast_rests_on_add_up_to_the_bill(tmp_path, commitment):
    prices = {"commitment_usd_per_hour": commitment, "commitment_discount": 0.28}
    rules = Settings.model_validate({"prices": {} if commitment is None else prices})
    found = written(tmp_path / "s", Month(SEPTEMBER, 2, web=0.9), Month(OCTOBER, 3))
    month = month_of(found)
    money = month_money(found.only(month.days), rules, month.end)
    days = daily_bill(found, money)
    assert days.loc[list(month.days)].sum() == pytest.approx(money.allocation.total_usd, abs=0.01)
    assert days.iloc[0] > days.iloc[-1]
