"""What else would lower the bill: a table of the page, and actions for now."""

from __future__ import annotations

from collections.abc import Mapping

from rightsize.cost.levers.lever import Lever, LeverKind
from rightsize.cost.plan import extended_surcharge
from rightsize.output.lever_rows import lever_rows
from rightsize.output.report.model import Action, Column, ReportTable, written_range
from rightsize.review import Review

_DONE_BY: Mapping[LeverKind, tuple[str, str, str]] = {
    "graviton": (
        "Move to Graviton where images allow",
        "arm64 images, then node groups",
        "medium: each image must be built and tested",
    ),
    "commitment": (
        "Commit for a year, once this step is in force",
        "one purchase",
        "medium: paid whether used or not",
    ),
    "spot": (
        "Run stateless pods on Spot",
        "a node group and budgets",
        "medium: pods are evicted at two minutes' notice",
    ),
    "extended-support": (
        "Upgrade Kubernetes out of extended support",
        "one upgrade of the cluster",
        "low: a supported path",
    ),
}
"""Title, effort and risk. Fargate's steps come with the recommended requests."""


def levers_table(review: Review) -> tuple[ReportTable, ...]:
    """One row for each lever; no table where none applies."""
    if not review.levers:
        return ()
    frame = lever_rows(review.levers).drop(columns="realisable")
    frame["lever"] = [one.name for one in review.levers]
    known = all(one.realisable for one in review.levers if one.usd is not None)
    return (
        ReportTable(
            "levers", "What else would lower the bill", frame,
            (
                Column("lever", "lever"), Column("low", "low", "usd"),
                Column("usd", "saved, USD", "usd"), Column("high", "high", "usd"),
                Column("condition", "condition"),
            ),
            note=f"Each alone, with this step's requests in force, for a month of "
                 f"{review.plan_terms.hours:g} h; they act on the same machines, so they do not add up."
                 + ("" if known else " On-demand equivalent where commitments are unknown."),
        ),
    )  # fmt: skip


def support_action(review: Review) -> list[Action]:
    """The upgrade that ends extended support."""
    return [_action(one) for one in review.levers if one.kind == "extended-support"]


def lever_actions(review: Review) -> list[Action]:
    """The other levers with known dollars, by dollars."""
    found = [
        one
        for one in review.levers
        if one.kind not in ("extended-support", "fargate")
        and one.usd is not None
        and one.usd.mid > 0
    ]
    return [_action(one) for one in sorted(found, key=_worth)]


def _worth(lever: Lever) -> float:
    return 0.0 if lever.usd is None else -lever.usd.mid


def _action(lever: Lever) -> Action:
    title, effort, risk = _DONE_BY[lever.kind]
    owner = "FinOps" if lever.kind == "commitment" else "platform"
    return Action(title, lever.usd, effort, risk, lever.condition, owner)


def part_of_bill(review: Review) -> str:
    """What extended support adds to the bill, where it applies."""
    terms = review.money.terms
    if terms.eks_support != "extended":
        return ""
    surcharge = extended_surcharge(terms)
    usd = "unknown" if surcharge is None else written_range(surcharge, "usd")
    return f", {usd} of it for EKS extended support"
