"""Promised against realised, and incidents before and after."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rightsize.analysis.review import Review
from rightsize.reporters.report.model import Column, ReportTable, Section
from rightsize.reporters.report.sources import workload_names


def promised_section(review: Review) -> Section:
    """What earlier reports recommended, and what came of it."""
    if review.earlier is None:
        said = ["This is the first report: no earlier month promised anything. Below is what fell "
                "in the requests in force since the month before."]  # fmt: skip
        frame = workload_names(review.lowered)
        columns: tuple[Column, ...] = (
            Column("name", "workload"), Column("container", "container"),
            Column("cpu_request_before", "CPU before", "cpu"),
            Column("cpu_request_now", "CPU now", "cpu"),
            Column("memory_request_before", "memory before", "memory"),
            Column("memory_request_now", "memory now", "memory"),
        )  # fmt: skip
    else:
        applied = int(review.promised["state"].isin(["applied", "partly"]).sum())
        said = [f"The report of {review.earlier} recommended {len(review.promised)} changes; "
                f"{applied} are in force, wholly or in part."]  # fmt: skip
        frame = workload_names(review.promised)
        columns = (
            Column("name", "workload"), Column("container", "container"),
            Column("state", "state"),
            Column("cpu_request", "CPU then", "cpu"), Column("recommended_cpu", "promised", "cpu"),
            Column("cpu_now", "in force", "cpu"),
            Column("memory_request", "memory then", "memory"),
            Column("recommended_memory", "promised", "memory"),
            Column("memory_now", "in force", "memory"),
        )  # fmt: skip
    tables = [ReportTable("promised", "Promised and in force", frame, columns)]
    realised = review.realised
    if realised is not None:
        change = realised.traffic_change
        if change is not None:
            said.append(f"Traffic changed by {change:+.1%} against the month before.")
        causes = pd.DataFrame(
            {
                "cause": ["lowered requests", "traffic, replicas and others", "prices",
                          "fall of the machines' cost"],
                "low": [realised.by_tool.low, np.nan, np.nan, np.nan],
                "usd": [realised.by_tool.mid, realised.by_other, -realised.by_price, realised.fall],
                "high": [realised.by_tool.high, np.nan, np.nan, np.nan],
            }
        )  # fmt: skip
        tables.append(ReportTable("realised", "Where the difference comes from", causes, (
            Column("cause", "cause"), Column("low", "low", "usd"), Column("usd", "USD", "usd"),
            Column("high", "high", "usd"),
        ), note="Against the month before, scaled to the same number of days; a saving is positive. "
                "The last row is the sum of the others."))  # fmt: skip
    else:
        said.append(
            "What was saved cannot be told: there is no month before, or a price is unknown."
        )
    return Section("promised", "Promised against realised", tuple(said), tuple(tables))


def incidents_section(review: Review) -> Section:
    """OOM kills, restarts and throttling, this month and the one before."""
    frame = workload_names(review.incidents)
    table = ReportTable("incidents", "OOM kills and throttling", frame, (
        Column("name", "workload"), Column("component", "component"),
        Column("oom_kills_before", "OOM kills before", "number"),
        Column("oom_kills", "OOM kills", "number"),
        Column("restarts_before", "restarts before", "number"),
        Column("restarts", "restarts", "number"),
        Column("throttled_share_before", "throttled before", "percent"),
        Column("throttled_share", "throttled", "percent"),
    ), note="Before: the month before; throttled: share of CFS periods.")  # fmt: skip
    said = () if len(frame) else ("None: no OOM kill, and no workload throttled above 1 %.",)
    return Section("incidents", "Incidents before and after", said, (table,))
