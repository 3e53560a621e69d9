"""Control-plane growth against thresholds, and the quality of the data."""

from __future__ import annotations

import pandas as pd

from rightsize.istiod.thresholds import Crossing
from rightsize.output.charts.control_plane import growth_with_thresholds
from rightsize.output.dns_rows import dns_line
from rightsize.output.report.model import Column, ReportChart, ReportTable, Section, written
from rightsize.review import Review


def growth_section(review: Review) -> Section:
    """When the mesh passes the marks, and istiod its request, limit and node."""
    ahead = review.outlook
    title = "Control-plane growth"
    if ahead is None:
        unknown = "istiod's metrics are not in the snapshot."
        return Section("growth", title, (unknown, dns_line(review.dns)))
    rows = [
        {
            "what": c.threshold.what.replace("cpu", "CPU"),
            "now": _amount(c, c.now.mid),
            "mark": _amount(c, c.threshold.value),
            "when": _when(c),
        }
        for c in ahead.crossings
    ]
    frame = pd.DataFrame(rows, columns=["what", "now", "mark", "when"])
    table = ReportTable("growth", "Marks ahead", frame, (
        Column("what", "mark"), Column("now", "now"), Column("mark", "at"),
        Column("when", "passed: expected, and nine in ten between"),
    ))  # fmt: skip
    charts = []
    if ahead.of("services") is not None:
        axes = growth_with_thresholds(ahead, cluster=review.cluster, simulated=review.simulated)
        alt = "Line: services to come, with the band that holds nine in ten, and the marks."
        charts.append(ReportChart("istiod-growth", axes, alt))
    said = (*(f"{note[:1].upper()}{note[1:]}." for note in ahead.notes), dns_line(review.dns))
    return Section("growth", title, said, (table,), tuple(charts))


def quality_section(review: Review) -> Section:
    """Days, gaps, missing metrics."""
    frame = review.quality.assign(costs=review.quality["costs"].replace("", "nothing"))
    table = ReportTable("quality", "What is missing and what that costs", frame, (
        Column("what", "what"), Column("found", "found"), Column("costs", "costs the answer"),
    ))  # fmt: skip
    return Section("quality", "Data quality", (), (table,))


def _amount(crossing: Crossing, value: float) -> str:
    quantity = crossing.threshold.quantity
    if quantity == "memory":
        return f"{value / 2**30:.2f} GiB"
    if quantity == "cpu":
        return written(round(value, 3), "cpu")
    return f"{value:,.0f} {quantity}"


def _when(crossing: Crossing) -> str:
    if crossing.passed:
        return "passed"
    earliest, expected, latest = crossing.earliest, crossing.expected, crossing.latest
    if earliest is None and expected is None:
        return "not within two years"
    later = "beyond two years"
    return f"{expected or later} ({earliest or '–'} to {latest or later})"
