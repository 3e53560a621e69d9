"""The report's sections, each from one part of the review, in the order a reader needs them."""

from __future__ import annotations

from rightsize.output.report.accounts import accounts_section
from rightsize.output.report.against import against_section
from rightsize.output.report.bill import bill_section
from rightsize.output.report.growth import growth_section, quality_section
from rightsize.output.report.machines import nodes_section
from rightsize.output.report.model import Section
from rightsize.output.report.months import months_section
from rightsize.output.report.promised import incidents_section, promised_section
from rightsize.output.report.sizes import backtest_section, requests_section, risk_section
from rightsize.review import Review


def sections_of(review: Review) -> tuple[Section, ...]:
    """All sections."""
    return (
        months_section(review),
        bill_section(review),
        *(() if review.against is None else (against_section(review.against),)),
        accounts_section(review),
        requests_section(review),
        nodes_section(review),
        promised_section(review),
        incidents_section(review),
        risk_section(review),
        backtest_section(review),
        growth_section(review),
        quality_section(review),
    )
