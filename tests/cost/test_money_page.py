"""The money page says what the data says."""

from __future__ import annotations

from pathlib import Path

from rightsize.cost.money_page import claim_table, other_costs_table

PAGE = (Path(__file__).parents[2] / "docs" / "money.md").read_text()


def test_the_default_prices_stand_in_the_page_with_date_and_source() -> None:
    assert other_costs_table() in PAGE
    assert "checked live" in other_costs_table()


def test_the_page_shows_what_the_newsletters_claim_implies() -> None:
    assert claim_table() in PAGE
    assert "| implied by the claim | 0.84 | 4,300 |" in PAGE
    assert "| m5.xlarge | 0.192 | 981 |" in PAGE
