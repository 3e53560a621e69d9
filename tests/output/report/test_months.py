"""Months beside each other, and the sentence about them."""

from __future__ import annotations

from rightsize.output.report.months import month_sentence
from rightsize.review.model import StripMonth

SEPTEMBER = StripMonth("2026-09", 720.0, 3000.0, 600.0)


def test_months_are_compared_by_the_day_as_they_are_not_equally_long() -> None:
    october = StripMonth("2026-10", 744.0, 3100.0, 775.0)
    assert month_sentence((SEPTEMBER, october)) == (
        "The bill of 2026-10 was $100.00 a day, 0.0% against 2026-09; "
        "the mesh's share of it went from 20.0 % to 25.0 %; what earlier advice saved is unknown."
    )


def test_the_sentence_says_what_came_of_nodes_and_of_earlier_advice() -> None:
    before = StripMonth("2026-09", 720.0, 3000.0, 600.0, 24.0)
    october = StripMonth("2026-10", 744.0, 3100.0, 775.0, 20.0, None, None, 142.85, 216.58)
    said = month_sentence((before, october))
    assert "24.0 nodes on the mean became 20.0" in said
    assert said.endswith("earlier advice saved $142.85, $216.58 to date.")
    first = month_sentence((before, october), first=True)
    assert first.endswith("; requests that fell since saved $142.85.")


def test_a_month_without_one_before_it_says_so() -> None:
    assert month_sentence((SEPTEMBER,)).endswith("no month before it is known.")


def test_an_unknown_bill_is_no_change_of_zero() -> None:
    unknown = StripMonth("2026-10", 744.0)
    assert "unknown" in month_sentence((SEPTEMBER, unknown))
    assert "unknown" in month_sentence((unknown, SEPTEMBER))
