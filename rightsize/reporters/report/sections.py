"""The report's sections, each from one part of the review, in the order a reader needs them."""

from __future__ import annotations

from rightsize.analysis.review import Review
from rightsize.reporters.report.bill import bill_section
from rightsize.reporters.report.growth import growth_section, quality_section
from rightsize.reporters.report.machines import nodes_section
from rightsize.reporters.report.model import Section
from rightsize.reporters.report.promised import incidents_section, promised_section
from rightsize.reporters.report.sizes import backtest_section, requests_section, risk_section


def sections_of(review: Review) -> tuple[Section, ...]:
    """All sections."""
    return (
        bill_section(review),
        requests_section(review),
        nodes_section(review),
        promised_section(review),
        incidents_section(review),
        risk_section(review),
        backtest_section(review),
        growth_section(review),
        quality_section(review),
    )
