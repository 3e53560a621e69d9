"""The bill: by cause, by line, by namespace, by node group and purchase type, by workload."""

from __future__ import annotations

import numpy as np
import pandas as pd
from xlsxwriter.utility import xl_col_to_name

from rightsize.cost.allocation import PARTS, summed, whole_cents
from rightsize.cost.machines import bought
from rightsize.output.charts.money import bill_parts, cost_by_namespace
from rightsize.output.report.currencies import currencies_table
from rightsize.output.report.figures import figures_of
from rightsize.output.report.model import Column, ReportChart, ReportTable, Section
from rightsize.output.report.sources import ranged, source_of
from rightsize.review import Review

_WHAT = {
    "mesh": "sidecars, istiod, gateways, node agents: what they request",
    "application": "what the applications' own containers request",
    "system": "kube-system, and what kubelet and operating system hold back",
    "gpu": "what machines with GPUs cost beyond their cores and memory",
    "idle": "paid for, and requested by nobody",
    "shared": "belongs to no machine: control plane, traffic between zones",
    "unused": "commitments that cover no machine of this cluster",
}


def bill_section(review: Review) -> Section:
    """What the month cost, and who causes it."""
    parts = _parts(review)
    rows = review.money.allocation.rows.assign(
        component=lambda t: t["component"].fillna("–"),
        namespace=lambda t: t["namespace"].fillna("–"),
    )
    known = parts.dropna(subset=["usd"]).sort_values("usd", ascending=False)
    charts = []
    converted = currencies_table(review, parts, figures_of(review))
    if len(known):
        said = ", ".join(f"{r.part} ${r.usd:,.2f}" for r in known.itertuples())
        lacks = parts.loc[parts["usd"].isna(), "part"]
        unknown = f"; unknown: {', '.join(lacks)}" if len(lacks) else ""
        charts.append(
            ReportChart(
                "bill-parts",
                bill_parts(known, source_of(review)),
                f"Bars, the bill by cause: {said}{unknown}.",
            )
        )
    sidecars = summed(rows[rows["component"] == "sidecar"], ["namespace"]).dropna(subset=["usd"])
    if len(sidecars):
        charts.append(
            ReportChart(
                "sidecar-cost",
                cost_by_namespace(ranged(review, sidecars), source_of(review)),
                f"Bars: what sidecars cost by namespace, ${sidecars['usd'].sum():,.2f} in all.",
            )
        )
    return Section(
        "bill",
        "The bill",
        (
            f"What ran on {review.money.covered_hours / 24:g} days of {review.month.name}.",
            *(f"{note[:1].upper()}{note[1:]}." for note in review.money.notes),
        ),
        (
            ReportTable(
                "parts", "By cause: the mesh, applications, idle", parts,
                (
                    Column("part", "cause"), Column("what", "what"), Column("low", "low", "usd"),
                    Column("usd", "USD", "usd", total=True), Column("high", "high", "usd"),
                    Column("share", "share of the bill", "percent"),
                ),
                note="Range: the age of the machines' prices; of traffic between zones, what is not known of it.",
                formulas={"share": "D{row}/SUM(D${first}:D${last})"} if parts["usd"].sum() else {},
            ),
            *([] if converted is None else [converted]),
            _lines(review),
            _namespaces(review),
            node_groups_table(review),
            ReportTable(
                "allocation", "By workload", rows,
                (
                    Column("part", "cause"), Column("component", "component"),
                    Column("namespace", "namespace"), Column("workload", "workload"),
                    Column("usd", "USD", "usd", total=True),
                ),
                note="Machines and shared costs, split over requests; adds up to the bill's known lines.",
            ),
        ),
        tuple(charts),
    )  # fmt: skip


def _parts(review: Review) -> pd.DataFrame:
    """One row a cause, with the share of the bill; the mesh first."""
    allocation = review.money.allocation
    parts = ranged(review, allocation.by_part())
    for part, kind in (("shared", False), ("unused", True)):
        others = [
            line.usd
            for line in review.money.today.lines
            if line.usd is not None
            and not line.of_machines
            and (line.kind == "unused-commitment") is kind
        ]
        for end in ("low", "high"):
            parts.loc[parts["part"] == part, end] = sum(getattr(one, end) for one in others)
    total = allocation.total_usd
    parts["share"] = parts["usd"] / total if total else np.nan
    parts["what"] = parts["part"].map(_WHAT)
    order = {part: place for place, part in enumerate(_WHAT)}
    return parts.sort_values("part", key=lambda names: names.map(order)).reset_index(drop=True)


def _lines(review: Review) -> ReportTable:
    lines = review.money.today.lines
    ends = {
        end: np.array(
            [np.nan if line.usd is None else getattr(line.usd, end) for line in lines], dtype=float
        )
        for end in ("low", "mid", "high")
    }
    # Rounded as the causes are: by largest remainder, so that both add up to the same bill.
    known = ~np.isnan(ends["mid"])
    ends["mid"][known] = whole_cents(ends["mid"][known]) / 100
    frame = pd.DataFrame(
        {
            "line": [line.name for line in lines],
            **ends,
            "source": [line.source or "–" for line in lines],
            "note": [line.note or "–" for line in lines],
        }
    )
    return ReportTable(
        "bill", "By line", frame,
        (
            Column("line", "line"), Column("low", "low", "usd"),
            Column("mid", "USD", "usd", total=True), Column("high", "high", "usd"),
            Column("source", "source of the price"), Column("note", "note"),
        ),
        note=f"For the {review.money.terms.hours:g} h that were seen; what is unknown is in no sum.",
        known_lines=review.money.today.total is not None,
    )  # fmt: skip


def _namespaces(review: Review) -> ReportTable:
    frame = review.money.allocation.by_namespace().reset_index()
    frame["namespace"] = frame["namespace"].replace("", "(no namespace)")
    frame["total"] = frame[list(PARTS)].sum(axis=1, skipna=False)
    used = [part for part in PARTS if not (frame[part] == 0).all()]
    frame = frame.sort_values(["total", "namespace"], ascending=[False, True])
    return ReportTable(
        "namespaces", "By namespace", frame.reset_index(drop=True),
        (
            Column("namespace", "namespace"),
            *(Column(part, part, "usd", total=True) for part in used),
            Column("total", "total", "usd", total=True),
        ),
        formulas={"total": f"SUM(B{{row}}:{xl_col_to_name(len(used))}{{row}})"},
    )  # fmt: skip


def node_groups_table(review: Review) -> ReportTable:
    """Machines by node group and purchase type; the workbook computes their cost."""
    hours = review.money.terms.hours
    frame = review.node_groups.assign(nodes=lambda table: table["node_hours"] / hours)
    known = review.money.terms.commitments.known
    return ReportTable(
        "node-groups", "By node group and purchase type", frame,
        (
            Column("node_group", "node group"), Column("instance_type", "type"),
            Column("purchase_option", "purchase"),
            Column("nodes", "mean nodes", "number"),
            Column("node_hours", "node-hours", "number", total=True),
            Column("usd_per_hour", "USD/h of a node", "rate"),
            Column("usd", "USD", "usd", total=True),
        ),
        note="Machines at each day's list price, "
             + ("before commitments." if known else "commitments are unknown.")
             + ("" if len(bought(review.money.machines)) == len(review.money.machines)
                else " Nodes of Fargate and Hybrid Nodes are no machines: what they cost is a line."),
        formulas={
            "node_hours": "ROUND(D{row}*hours_of_month,2)",
            "usd": "ROUND(D{row}*hours_of_month*F{row}*(1-price_discount),2)",
        },
    )  # fmt: skip
