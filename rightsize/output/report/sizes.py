"""Requests against usage, the risk taken, and how the policies did on what they had not seen."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rightsize.output.charts.backtest import waste_against_risk
from rightsize.output.charts.money import exceptions_curve
from rightsize.output.charts.usage import request_against_usage
from rightsize.output.report.model import Column, ReportChart, ReportTable, Section
from rightsize.output.report.sources import ranged, source_of, workload_names
from rightsize.results import Recommendation
from rightsize.review import Review
from rightsize.review.out_of_sample import MOST_WORKLOADS

_SIZES = (
    ("request", "request"),
    ("p50", "p50"),
    ("p95", "p95"),
    ("peak", "peak"),
    ("recommended_request", "this step"),
    ("target_request", "end state"),
)


def requests_section(review: Review) -> Section:
    """What sidecars, istiod and gateways request, use and should request."""
    columns = (
        Column("name", "workload"), Column("component", "component"),
        Column("replicas", "mean pods", "number"),
        *(Column(f"cpu_{n}", f"CPU {label}", "cpu") for n, label in _SIZES),
        *(Column(f"memory_{n}", f"memory {label}", "memory") for n, label in _SIZES),
        Column("reason", "why"),
    )  # fmt: skip
    rows = [_size_row(row) for row in review.advice.recommendations]
    frame = pd.DataFrame(rows, columns=[column.name for column in columns])
    return Section(
        "requests",
        "Requests against usage",
        ("Percentiles pool the 5-minute windows of all pods of a workload, one pod each. The step "
         "is what to apply now, the end state is where the steps lead. "
         f"{_window(review)}",),
        (ReportTable("requests", "Sizes in force, use, and recommendation", frame, columns),),
        tuple(_charts(review)),
    )  # fmt: skip


def _window(review: Review) -> str:
    """The days behind the sizes, where they are more than the month's."""
    advice, month = review.advice, review.month
    if advice.start.date() >= month.days[0]:
        return ""
    return (
        f"Unlike the page's money, sizes rest on all history up to the month's end, from "
        f"{advice.start:%Y-%m-%d} on: a size must hold for more than one month."
    )


def _charts(review: Review) -> list[ReportChart]:
    advice = review.advice
    charts = []
    if any(r.component == "sidecar" and r.workload for r in advice.recommendations):
        for resource in ("cpu", "memory"):
            alt = f"Points: {resource} requested, recommended and used by each workload's sidecar."
            axes = request_against_usage(advice, resource)
            charts.append(ReportChart(f"requests-{resource}", axes, alt))
    if advice.overrides is not None:
        usd = [np.nan if one is None else one for one in advice.overrides.usd_per_month]
        curve = ranged(review, pd.DataFrame({"exceptions": range(len(usd)), "usd": usd}))
        axes = exceptions_curve(curve, advice.overrides.chosen, source_of(review))
        alt = f"Line: worth of sidecar requests by number of exceptions; {advice.overrides.chosen} chosen."
        charts.append(ReportChart("exceptions", axes, alt))
    return charts


def _size_row(row: Recommendation) -> dict[str, object]:
    cells: dict[str, object] = {
        "component": row.component,
        "name": row.key,
        "replicas": row.replicas,
        "reason": row.reason,
    }
    for resource, size in (("cpu", row.cpu), ("memory", row.memory)):
        usage = size.usage
        values = (size.request, usage.p50, usage.p95, usage.peak, size.recommended_request)
        for (name, _), value in zip(_SIZES, (*values, size.target_request), strict=True):
            cells[f"{resource}_{name}"] = np.nan if value is None else value
    return cells


def risk_section(review: Review) -> Section:
    """Windows of the month above the sizes, in force and recommended."""
    windows = review.risk["windows"].replace(0, np.nan)
    frame = workload_names(review.risk).assign(
        now=lambda t: t["cpu_above_now"] / windows,
        recommended=lambda t: t["cpu_above_recommended"] / windows,
        memory=lambda t: t["memory_above_recommended"] / windows,
    )
    frame = frame.sort_values(["recommended", "name"], ascending=[False, True])
    table = ReportTable(
        "risk", "Windows above the sizes", frame.reset_index(drop=True),
        (
            Column("name", "workload"), Column("component", "component"),
            Column("windows", "windows", "number", total=True),
            Column("cpu_above_now", "above CPU request now", "number", total=True),
            Column("cpu_above_recommended", "above recommended", "number", total=True),
            Column("now", "share now", "percent"),
            Column("recommended", "share recommended", "percent"),
            Column("memory", "share above recommended memory limit", "percent"),
        ),
        note="5-minute windows of all pods in the month; the sizes were found on them, among others.",
        formulas={"now": "IF(C{row}>0,D{row}/C{row},\"\")",
                  "recommended": "IF(C{row}>0,E{row}/C{row},\"\")"},
    )  # fmt: skip
    return Section("risk", "Risk", (), (table,))


def backtest_section(review: Review) -> Section:
    """Waste against risk, out of sample."""
    result = review.backtest
    if result is None:
        said = "No workload has the 21 days of history that one back-test needs."
        return Section("backtest", "Waste against risk, out of sample", (said,))
    totals = result.totals
    held = result.windows[["namespace", "workload", "container"]].drop_duplicates().shape[0]
    sampled = "a sample of " if review.workloads > MOST_WORKLOADS else ""
    some = f"{sampled}{held} of {review.workloads}"
    left = f" Too short a history: {result.left_out}." if result.left_out else ""
    text = (
        f"Each policy was fitted on 14 days and scored on the 7 that came next, over and over, on "
        f"{some} mesh workloads.{left} Waste is the share of a request that nobody used, risk the "
        "share of windows that used more CPU than requested."
    )
    kind = "simulated demo mesh" if review.simulated else f"cluster {review.cluster}"
    start, end = result.windows["start"].min(), result.windows["end"].max()
    source = f"{kind}, scored {start:%Y-%m-%d} to {end:%Y-%m-%d} UTC, {some}"
    charts = []
    if totals[["cpu_slack", "cpu_above"]].notna().all(axis=1).any():
        axes = waste_against_risk(totals, source=f"{source} workloads; {result.split} days")
        alt = "Points: CPU waste and risk of each policy; " + "; ".join(
            f"{r.policy} {r.cpu_slack:.0%} and {r.cpu_above:.2%}" for r in totals.itertuples()
        )
        charts.append(ReportChart("waste-against-risk", axes, f"{alt}."))
    table = ReportTable(
        "backtest", "Policies on history they had not seen", totals,
        (
            Column("policy", "policy"),
            Column("cpu_slack", "CPU request unused", "percent"),
            Column("cpu_above", "windows above CPU request", "percent"),
            Column("memory_slack", "memory request unused", "percent"),
            Column("memory_hit", "7-day windows of a pod above memory limit", "percent"),
            Column("abstentions", "kept today's size", "number"),
            Column("folds", "folds", "number"),
        ),
        note="Means over workloads, every one alike. “today” is what is in force.",
    )  # fmt: skip
    return Section(
        "backtest", "Waste against risk, out of sample", (text,), (table,), tuple(charts)
    )
