"""A month's amounts in other currencies: at stated rates, beside the dollars."""

from __future__ import annotations

from pathlib import Path

import pytest

from rightsize.config import Settings
from rightsize.mesh import load
from rightsize.output.report.bill import bill_section
from rightsize.review import Review
from tests.review.two_months import OCTOBER, Month, written

RATES = {
    "EUR": {"usd": 1.08, "as_of": "2026-10-31"},
    "JPY": {"usd": 0.0067, "as_of": "2026-10-30"},
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("currencies") / "snapshot"
    written(folder, Month(OCTOBER, 2))
    return folder


def reviewed(path: Path, rates: dict[str, object]) -> Review:
    settings = Settings.model_validate({"review": {"currencies": rates}})
    return load(path, settings).review("2026-10")


def test_the_bill_its_causes_and_the_savings_stand_in_each_currency(path: Path) -> None:
    review = reviewed(path, RATES)
    (table,) = (one for one in bill_section(review).tables if one.name == "currencies")
    rows = table.frame.set_index("what")
    assert rows.loc["bill", "usd"] == pytest.approx(review.money.allocation.total_usd)
    assert {"mesh", "idle", "saving available", "saving realised"} <= set(rows.index)
    for code, rate in RATES.items():
        assert (rows[code] * rate["usd"]).dropna().to_numpy() == pytest.approx(
            rows["usd"].dropna().to_numpy()
        )
        assert f"1 {code} = {rate['usd']:g} USD ({rate['as_of']})" in table.note
    # What is unknown in dollars is unknown in every currency.
    assert (rows["EUR"].isna() == rows["usd"].isna()).all()


def test_without_a_rate_there_are_dollars_alone(path: Path) -> None:
    names = {table.name for table in bill_section(reviewed(path, {})).tables}
    assert "currencies" not in names
