"""From a month's review to the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rightsize.config import Settings
from rightsize.output.report.accounts import accounts_section
from rightsize.output.report.against import against_section
from rightsize.output.report.bill import bill_section
from rightsize.output.report.figures import actions_of, figures_of
from rightsize.output.report.growth import growth_section, quality_section
from rightsize.output.report.machines import nodes_section
from rightsize.output.report.model import Assumption, Report, Section, methods
from rightsize.output.report.months import months_section
from rightsize.output.report.promised import incidents_section, promised_section
from rightsize.output.report.sizes import backtest_section, requests_section, risk_section
from rightsize.output.report.what_if import scenario_assumptions, what_if_of
from rightsize.review import Review
from rightsize.review.promises import promises_of
from rightsize.review.review import credits_of


def build_report(
    review: Review, settings: Settings, *, chapters: tuple[Section, ...] = ()
) -> Report:
    """Put the review into words, tables and charts; further `chapters` come last."""
    month = review.month
    region = review.money.terms.region or "region unknown"
    return Report(
        title=f"Mesh cost review, {month.name}",
        subtitle=(
            f"Cluster {review.cluster}, {region}; {month.days[0]} to {month.days[-1]} (UTC), "
            f"{len(month.days)} of {month.length} days; profile {review.advice.policy}"
        ),
        banner=_banner(review),
        figures=figures_of(review),
        actions=actions_of(review),
        sections=(*_sections(review), *chapters),
        methods=methods("report"),
        assumptions=(*_assumptions(review, settings), *scenario_assumptions(review)),
        facts=_facts(review),
        what_if=what_if_of(review),
    )


def _banner(review: Review) -> str:
    parts = []
    if review.simulated:
        parts.append("Simulated: the demo mesh is synthetic, and no figure here was measured.")
    if not review.month.whole:
        month = review.month
        parts.append(
            f"Part of a month: {len(month.days)} of {month.length} days; nothing is added for the "
            "days that are missing."
        )
    return " ".join(parts)


def _assumptions(review: Review, settings: Settings) -> tuple[Assumption, ...]:
    policy, prices = settings.policy, settings.prices
    return (
        Assumption(
            "hours_of_month", review.money.terms.hours, "h", "hours that the month's days cover"
        ),
        Assumption("hours_per_month", review.plan_terms.hours, "h", "a month of plans and savings"),
        Assumption("max_cut", policy.max_cut, "share", "largest cut of a request in one step"),
        Assumption("limit_margin", policy.limit_margin, "share", "a limit is the peak plus this"),
        Assumption(
            "price_drift_per_year",
            prices.price_drift_per_year,
            "share",
            "a price may have moved by this for each year of its age",
        ),
        Assumption("root_volume", prices.root_volume_gib, "GiB", "root volume of a node"),
        Assumption(
            "rollout_surge", settings.nodes.surge, "share", "pods that a rollout adds for a while"
        ),
    )


def _facts(review: Review) -> Mapping[str, Any]:
    """What later months compare with; the schema of `report.json` in `docs/report.md`."""
    money = review.money
    return {
        "month": review.month.label,
        "cluster": review.cluster,
        "simulated": review.simulated,
        "promises": promises_of(review.advice),
        "hours": money.terms.hours,
        "bill_usd": money.today.total,
        "mesh_usd": money.allocation.mesh_usd,
        "strip": asdict(review.strip[-1]),
        "month_facts": review.facts.as_json(),
        "nodes": {step.label: step.nodes for step in review.steps},
        "available": None if review.available is None else review.available.on_demand_equivalent,
        "realised": None if review.realised is None else review.realised.by_tool,
        "credits": credits_of(review),
    }


def _sections(review: Review) -> tuple[Section, ...]:
    """Each from one part of the review, in the order a reader needs them."""
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
