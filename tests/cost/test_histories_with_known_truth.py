"""Days of which the dollars are known: prices that change, Spot, another region, gaps, ended pods."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from rightsize.config import PriceSettings
from rightsize.cost.answer import MoneyAnswer, price_answer
from rightsize.snapshot import frame
from tests.review.two_months import OCTOBER, Month, written_of

DAYS = 4
MONTH = Month(OCTOBER, DAYS)
NODE_HOURS = MONTH.nodes * 24
Tables = dict[str, pd.DataFrame]
Billed = Callable[[Callable[[int, Tables], None]], MoneyAnswer]


@pytest.fixture
def billed(tmp_path: Path) -> Billed:
    """The bill of four days, of which `change` alters the tables."""

    def bill(change: Callable[[int, Tables], None]) -> MoneyAnswer:
        found = written_of(tmp_path / "snapshot", replace(MONTH, price=0.192), change)
        seen = found.read("nodes")["day"].nunique()
        return price_answer(found, settings=PriceSettings(hours_per_month=24.0 * seen))

    return bill


def ec2(money: MoneyAnswer) -> float:
    assert money.today.ec2 is not None
    return money.today.ec2.mid


def test_each_day_costs_its_own_price(billed: Billed) -> None:
    def rise(number: int, tables: Tables) -> None:
        tables["prices"]["usd_per_hour"] = [0.192, 0.192, 0.210, 0.240][number]

    assert ec2(billed(rise)) == pytest.approx(NODE_HOURS * (0.192 * 2 + 0.210 + 0.240), rel=1e-6)


def test_spot_costs_what_it_cost_on_each_day(billed: Billed) -> None:
    def spot(number: int, tables: Tables) -> None:
        tables["nodes"]["capacity_type"] = "spot"
        zones = sorted(set(tables["nodes"]["zone"].dropna().astype(str)))
        row = tables["prices"].iloc[0].to_dict() | {"purchase_option": "spot"}
        row |= {"usd_per_hour": [0.06, 0.07, 0.08, 0.09][number]}
        tables["prices"] = frame("prices", pd.DataFrame([row | {"zone": one} for one in zones]))

    assert ec2(billed(spot)) == pytest.approx(NODE_HOURS * 0.30, rel=1e-6)


def test_prices_of_another_region_price_nothing(billed: Billed) -> None:
    def elsewhere(_: int, tables: Tables) -> None:
        tables["prices"]["region"] = "eu-west-1"
        tables["prices"]["usd_per_hour"] = 0.5

    assert ec2(billed(elsewhere)) == pytest.approx(NODE_HOURS * DAYS * 0.192, rel=0.02)


def test_days_without_nodes_are_in_no_numerator_and_no_denominator(billed: Billed) -> None:
    def gap(number: int, tables: Tables) -> None:
        if number >= 2:
            tables["nodes"] = tables["nodes"].iloc[:0]

    whole, part = billed(lambda number, tables: None), billed(gap)
    assert part.covered_hours == 48
    assert ec2(part) == pytest.approx(NODE_HOURS * 2 * 0.192, rel=1e-6)
    ratios = [one.allocation.mesh_usd / one.allocation.total_usd for one in (whole, part)]
    assert ratios[1] == pytest.approx(ratios[0], rel=0.01)


def test_pods_that_completed_before_the_day_hold_nothing(billed: Billed) -> None:
    def completed(_: int, tables: Tables) -> None:
        over = tables["pods"]["workload"] == "api"
        tables["pods"]["phase"] = tables["pods"]["phase"].astype(object).mask(over, "Succeeded")

    money = billed(completed)
    workloads = set(money.allocation.rows["workload"].dropna())
    assert "web" in workloads
    assert "api" not in workloads
    assert money.allocation.total_usd == pytest.approx(
        money.today.total.mid if money.today.total else 0.0, abs=0.01
    )


def test_prices_of_another_region_than_the_nodes_are_said_first(billed: Billed) -> None:
    def elsewhere(_: int, tables: Tables) -> None:
        tables["nodes"]["region"] = "eu-west-1"

    said = billed(elsewhere).notes[0]
    assert "nodes run in eu-west-1, and the prices are those of us-east-1" in said
    assert not any("nodes run in" in note for note in billed(lambda number, tables: None).notes)
