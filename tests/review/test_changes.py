"""What changed since the month before: price, pods and sizes, each alone and all together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightsize.config import Settings
from rightsize.cost.answer import MoneyAnswer
from rightsize.cost.plan import PlanCost
from rightsize.review.changes import _logarithmic_mean, changes_of
from rightsize.review.charges import month_money
from rightsize.review.month import month_of
from tests.review.two_months import OCTOBER, SEPTEMBER, Month, written

BEFORE = Month(SEPTEMBER, 3)
SHARES = ["price", "pods", "size"]


def changed(path: Path, now: Month) -> pd.DataFrame:
    snapshot = written(path / "s", BEFORE, replace(now, first=OCTOBER))
    months = [month_of(snapshot, label) for label in ("2026-09", "2026-10")]
    old, new = (month_money(snapshot.only(m.days), Settings(), m.end) for m in months)
    return changes_of(new, old)


def of(table: pd.DataFrame, part: str) -> pd.Series:
    return table.set_index(["part", "namespace"]).loc[(part, "shop")]


@pytest.mark.parametrize(
    ("now", "cause"),
    [
        (replace(BEFORE, price=BEFORE.price * 1.2), "price"),
        (replace(BEFORE, pods=(20, 10)), "pods"),
        (replace(BEFORE, web=0.25, api=0.25), "size"),
    ],
)
def test_one_cause_alone_makes_the_whole_change(now: Month, cause: str, tmp_path: Path) -> None:
    mesh = of(changed(tmp_path, now), "mesh")
    assert abs(mesh["change"]) > 0.1
    # Node-hours follow the requests but for the machines' rounding.
    assert mesh[cause] == pytest.approx(mesh["change"], rel=0.02)


def test_all_causes_together_leave_no_rest(tmp_path: Path) -> None:
    now = replace(BEFORE, price=0.25, pods=(14, 9), web=0.3, api=0.6)
    table = changed(tmp_path, now)
    total = table[[*SHARES, "other"]].sum(axis=1)
    assert (total - table["change"]).abs().max() < 1e-9
    mesh = of(table, "mesh")
    assert mesh["other"] == pytest.approx(0.0, abs=0.02)
    assert (mesh[SHARES].abs() > 0.01).all()


def test_what_went_altogether_is_pods(tmp_path: Path) -> None:
    table = changed(tmp_path, BEFORE).assign(now=0.0)
    assert set(table.columns) >= {"before", "now", *SHARES}
    gone = replace(BEFORE, pods=(10, 0), web=0.5)
    mesh = of(changed(tmp_path / "gone", gone), "mesh")
    assert mesh["pods"] == pytest.approx(mesh["change"], rel=0.05)


def test_lines_of_which_one_became_unknown_have_not_fallen(tmp_path: Path) -> None:
    snapshot = written(tmp_path / "s", BEFORE, replace(BEFORE, first=OCTOBER))
    months = [month_of(snapshot, label) for label in ("2026-09", "2026-10")]
    whole = [month_money(snapshot.only(m.days), Settings(), m.end) for m in months]
    blind = [replace(one, today=without_a_line(one.today)) for one in whole]

    def shared(before: MoneyAnswer, now: MoneyAnswer) -> float:
        return changes_of(now, before).set_index("part")["change"]["shared"]

    same = shared(*whole)
    assert np.isfinite(same)
    assert np.isnan(shared(whole[0], blind[1]))
    assert np.isnan(shared(blind[0], whole[1]))
    # What neither month knows tells nothing of the rest.
    assert shared(*blind) == same


def without_a_line(cost: PlanCost) -> PlanCost:
    first = next(line for line in cost.lines if line.usd is not None and not line.of_machines)
    rest = (replace(line, usd=None) if line is first else line for line in cost.lines)
    return replace(cost, lines=tuple(rest))


@given(st.floats(0.01, 1e5), st.floats(0.01, 1e5), st.floats(0.01, 100), st.floats(0.01, 100))
def test_the_split_is_exact_and_favours_neither_month(
    before: float, now: float, pods_before: float, pods_now: float
) -> None:
    weight = _logarithmic_mean(np.array([before, now]), np.array([now, before]))
    assert weight[0] == pytest.approx(weight[1], rel=1e-9)
    pods = weight[0] * np.log(pods_now / pods_before)
    rest = weight[0] * np.log((now / pods_now) / (before / pods_before))
    assert pods + rest == pytest.approx(now - before, rel=1e-6, abs=1e-6 * before)
