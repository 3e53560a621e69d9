"""The report's sections, each from one part of the review, in the order a reader needs them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rightsize.analysis.review import Review
from rightsize.reporters.charts.control_plane import growth_with_thresholds
from rightsize.reporters.charts.money import (
    cost_by_namespace,
    exceptions_curve,
    nodes_over_time,
    packed_nodes,
    saving_waterfall,
)
from rightsize.reporters.charts.usage import request_against_usage
from rightsize.reporters.report.model import Column, ReportChart, ReportTable, Section
from rightsize.results import Recommendation


def sections_of(review: Review) -> tuple[Section, ...]:
    """All sections."""
    return (
        _bill(review),
        _requests(review),
        _nodes(review),
        _promised(review),
        _incidents(review),
        _growth(review),
        _risk(review),
        _quality(review),
    )


def _source(review: Review) -> str:
    kind = "simulated demo mesh" if review.simulated else f"cluster {review.cluster}"
    month = review.month
    return f"{kind}, {month.days[0]} to {month.days[-1]} UTC; {review.money.terms.region or 'region unknown'}"


def _bill(review: Review) -> Section:
    money = review.money
    lines = pd.DataFrame(
        {
            "line": [line.name for line in money.today.lines],
            "low": [np.nan if line.usd is None else line.usd.low for line in money.today.lines],
            "mid": [np.nan if line.usd is None else line.usd.mid for line in money.today.lines],
            "high": [np.nan if line.usd is None else line.usd.high for line in money.today.lines],
            "source": [line.source or "-" for line in money.today.lines],
            "note": [line.note or "-" for line in money.today.lines],
        }
    )
    rows = money.allocation.rows.assign(
        component=lambda t: t["component"].fillna("-"),
        namespace=lambda t: t["namespace"].fillna("-"),
    )
    by_namespace = money.allocation.by_namespace().reset_index()
    parts = [c for c in by_namespace.columns if c != "namespace"]
    by_namespace["namespace"] = by_namespace["namespace"].replace("", "(no namespace)")
    by_namespace["total"] = by_namespace[parts].sum(axis=1)
    groups = _node_groups(review)
    sidecars = rows[rows["component"] == "sidecar"].groupby("namespace")["usd"].sum().reset_index()
    charts = []
    if len(sidecars):
        alt = f"Bars: what sidecars cost by namespace, ${sidecars['usd'].sum():,.2f} in all."
        charts.append(
            ReportChart("sidecar-cost", cost_by_namespace(sidecars, _source(review)), alt)
        )
    return Section(
        "bill",
        "The bill",
        (
            f"What ran on {len(review.month.days)} days of {review.month.name}. Mesh: sidecars, "
            "istiod, gateways. Idle: paid for and not requested by anybody.",
            *money.notes,
        ),
        (
            ReportTable("bill", "Lines of the bill", lines, (
                Column("line", "line"), Column("low", "low", "usd"),
                Column("mid", "USD", "usd", total=True), Column("high", "high", "usd"),
                Column("source", "source"), Column("note", "note"),
            )),
            ReportTable("namespaces", "By namespace", by_namespace, (
                Column("namespace", "namespace"),
                *(Column(part, part, "usd", total=True) for part in parts),
                Column("total", "total", "usd", total=True),
            )),
            ReportTable("node-groups", "By node group and purchase type", groups, (
                Column("group", "node group"), Column("instance_type", "type"),
                Column("purchase", "purchase"), Column("node_hours", "node-hours", "number", total=True),
                Column("usd_per_hour", "USD/h", "usd"), Column("usd", "USD", "usd", total=True),
            ), formulas={"usd": "D{row}*E{row}"}),
            ReportTable("allocation", "By cause", rows, (
                Column("part", "part"), Column("component", "component"),
                Column("namespace", "namespace"), Column("workload", "workload"),
                Column("usd", "USD", "usd", total=True),
            ), note="Machines and shared costs, split over requests; adds up to the bill's known lines."),
        ),
        tuple(charts),
    )  # fmt: skip


def _node_groups(review: Review) -> pd.DataFrame:
    lots = review.money.today.fleet.mid
    book = review.money.terms.book
    rows = []
    for lot in lots:
        price = book.price(lot.instance_type, lot.purchase_option, lot.zone)
        hours = lot.count * review.month.hours
        usd = np.nan if price is None else round(price.usd_per_hour, 4)
        rows.append(
            {
                "group": lot.zone or "-",
                "instance_type": lot.instance_type,
                "purchase": lot.purchase_option,
                "node_hours": round(hours, 2),
                "usd_per_hour": usd,
                "usd": round(hours, 2) * usd,
            }
        )
    columns = ["group", "instance_type", "purchase", "node_hours", "usd_per_hour", "usd"]
    return pd.DataFrame(rows, columns=columns)


def _requests(review: Review) -> Section:
    rows = [_size_row(row) for row in review.advice.recommendations]
    columns = [
        Column("component", "component"), Column("name", "workload"),
        Column("replicas", "mean pods", "number"),
        *(Column(f"cpu_{n}", f"CPU {label}", "cpu") for n, label in _SIZES),
        *(Column(f"memory_{n}", f"memory {label}", "memory") for n, label in _SIZES),
        Column("reason", "why"),
    ]  # fmt: skip
    names = [column.name for column in columns]
    frame = pd.DataFrame(rows, columns=names)
    table = ReportTable("requests", "Requests against usage", frame, tuple(columns))
    advice = review.advice
    charts = []
    if any(r.component == "sidecar" and r.workload for r in advice.recommendations):
        for resource in ("cpu", "memory"):
            alt = f"Points: {resource} requested, recommended and used by each workload's sidecar."
            axes = request_against_usage(advice, resource)
            charts.append(ReportChart(f"requests-{resource}", axes, alt))
    if advice.overrides is not None:
        curve = exceptions_curve(
            advice.overrides.usd_per_month, advice.overrides.chosen, _source(review)
        )
        alt = f"Line: cost of sidecar requests by number of exceptions; {advice.overrides.chosen} chosen."
        charts.append(ReportChart("exceptions", curve, alt))
    return Section(
        "requests",
        "Requests against usage",
        ("Percentiles pool the 5-minute windows of all pods. The step is what to apply now, the end "
         "state is where the steps lead.",),
        (table,),
        tuple(charts),
    )  # fmt: skip


_SIZES = (
    ("request", "request"),
    ("p50", "p50"),
    ("p95", "p95"),
    ("peak", "peak"),
    ("recommended_request", "step"),
    ("target_request", "end state"),
)


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


def _nodes(review: Review) -> Section:
    rows = []
    for step in review.steps:
        machines = [
            line.usd
            for line in step.cost.lines
            if line.usd is not None and line.name.startswith(("EC2", "EBS"))
        ]
        low, mid, high = (
            (float("nan"),) * 3
            if step.cost.unpriced
            else (sum(getattr(m, end) for m in machines) for end in ("low", "mid", "high"))
        )
        rows.append({"label": step.label, "nodes": step.nodes, "usd_low": low, "usd": mid,
                     "usd_high": high})  # fmt: skip
    frame = pd.DataFrame(rows, columns=["label", "nodes", "usd_low", "usd", "usd_high"])
    table = ReportTable("steps", "From today's fleet to the end state", frame, (
        Column("label", "fleet"), Column("nodes", "nodes", "number"),
        Column("usd_low", "low", "usd"), Column("usd", "USD", "usd"),
        Column("usd_high", "high", "usd"),
    ), note="Machines and root volumes for the days of the month; each fleet but today's survives "
            "the loss of a node during a rollout.")  # fmt: skip
    charts = []
    if frame["usd"].notna().all() and len(frame) > 1:
        alt = "; ".join(f"{r['label']}: {r['nodes']} nodes, ${r['usd']:,.0f}" for r in rows)
        charts.append(
            ReportChart("saving-waterfall", saving_waterfall(frame, _source(review)), alt)
        )
    before, after = review.packed
    if len(after):
        alt = f"Bars: requests on each of {len(before)} nodes now and {len(after)} planned."
        charts.append(
            ReportChart("packed-nodes", packed_nodes(before, after, _source(review)), alt)
        )
    days = review.nodes_by_day
    if len(days):
        after_step = next(
            (s.nodes for s in review.steps if s.label == "this step's requests"), None
        )
        axes = nodes_over_time(days, after_step, _source(review))
        alt = f"Line: nodes by day, {days['nodes'].min():.1f} to {days['nodes'].max():.1f}."
        charts.append(ReportChart("nodes-by-day", axes, alt))
    notes = [] if review.plans is None else list(review.plans.notes)
    return Section("nodes", "Nodes now and planned", tuple(notes), (table,), tuple(charts))


def _promised(review: Review) -> Section:
    if review.earlier is None:
        said = ["This is the first report: no earlier month promised anything. Below is what fell "
                "in the requests in force since the month before."]  # fmt: skip
        frame = review.lowered.assign(
            name=lambda t: t["namespace"].astype(str) + "/" + t["workload"].astype(str)
        )
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
        frame = review.promised.assign(
            name=lambda t: t["namespace"].astype(str) + "/" + t["workload"].astype(str)
        )
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


def _incidents(review: Review) -> Section:
    frame = review.incidents.assign(
        name=lambda t: t["namespace"].astype(str) + "/" + t["workload"].astype(str)
    )
    table = ReportTable("incidents", "OOM kills and throttling", frame, (
        Column("component", "component"), Column("name", "workload"),
        Column("oom_kills_before", "OOM kills before", "number"),
        Column("oom_kills", "OOM kills", "number"),
        Column("restarts_before", "restarts before", "number"),
        Column("restarts", "restarts", "number"),
        Column("throttled_share_before", "throttled before", "percent"),
        Column("throttled_share", "throttled", "percent"),
    ), note="Before: the month before; throttled: share of CFS periods.")  # fmt: skip
    said = () if len(frame) else ("None: no OOM kill, and no workload throttled above 1 %.",)
    return Section("incidents", "Incidents before and after", said, (table,))


def _growth(review: Review) -> Section:
    ahead = review.outlook
    if ahead is None:
        return Section(
            "growth", "Control-plane growth", ("istiod's metrics are not in the snapshot.",)
        )
    rows = [
        {
            "what": c.threshold.what,
            "now": c.now.mid,
            "mark": c.threshold.value,
            "when": "passed" if c.passed else _dates(c.earliest, c.expected, c.latest),
        }
        for c in ahead.crossings
        if c.threshold.quantity in ("services", "proxies", "endpoints")
    ]
    table = ReportTable("growth", "Marks ahead", pd.DataFrame(rows, columns=["what", "now", "mark", "when"]), (
        Column("what", "mark"), Column("now", "now", "number"), Column("mark", "at", "number"),
        Column("when", "passed (expected, and nine in ten between)"),
    ))  # fmt: skip
    charts = []
    if ahead.of("services") is not None:
        axes = growth_with_thresholds(ahead, cluster=review.cluster, simulated=review.simulated)
        charts.append(
            ReportChart("istiod-growth", axes, "Line: services to come with their band and marks.")
        )
    return Section("growth", "Control-plane growth", tuple(ahead.notes), (table,), tuple(charts))


def _dates(earliest: object, expected: object, latest: object) -> str:
    if earliest is None and expected is None:
        return "not within two years"
    return f"{expected or 'beyond two years'} ({earliest or '-'} to {latest or 'beyond two years'})"


def _risk(review: Review) -> Section:
    windows = review.risk["windows"].replace(0, np.nan)
    frame = review.risk.assign(
        name=lambda t: t["namespace"].astype(str) + "/" + t["workload"].astype(str),
        now=lambda t: t["cpu_above_now"] / windows,
        recommended=lambda t: t["cpu_above_recommended"] / windows,
        memory=lambda t: t["memory_above_recommended"] / windows,
    )
    table = ReportTable("risk", "Windows above the sizes", frame, (
        Column("component", "component"), Column("name", "workload"),
        Column("windows", "windows", "number", total=True),
        Column("now", "above CPU request now", "percent"),
        Column("recommended", "above recommended CPU request", "percent"),
        Column("memory", "above recommended memory limit", "percent"),
    ), note="5-minute windows of the month, in-sample.")  # fmt: skip
    return Section("risk", "Risk", (), (table,))


def _quality(review: Review) -> Section:
    table = ReportTable("quality", "What is missing and what that costs", review.quality, (
        Column("what", "what"), Column("found", "found"), Column("costs", "costs the answer"),
    ))  # fmt: skip
    return Section("quality", "Data quality", (), (table,))
