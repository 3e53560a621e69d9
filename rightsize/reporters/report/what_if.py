"""The workbook's sheet "What if": the saving again, from assumptions a reader may change."""

from __future__ import annotations

from rightsize.analysis.review import Review
from rightsize.analysis.review.review import Step
from rightsize.reporters.report.machines import THIS_STEP
from rightsize.reporters.report.model import Assumption, WhatIf


def scenario_assumptions(review: Review) -> tuple[Assumption, ...]:
    """What the sheet starts from; without a plan or a price only the discount."""
    discount = Assumption(
        "price_discount", 0.0, "share", "what you pay less than list price; workbook only"
    )
    found = _fleets(review)
    if found is None:
        return (discount,)
    today, step, usd = found
    return (
        discount,
        Assumption("nodes_now", today.nodes, "nodes", "seen at the end of the month"),
        Assumption("nodes_planned", step.nodes, "nodes", "promised for this step's requests"),
        Assumption("usd_per_node_hour", usd, "USD/h", "one of today's nodes at list price"),
    )


def what_if_of(review: Review) -> tuple[WhatIf, ...]:
    """Machine cost now and planned, and the saving; empty without a plan or a price."""
    found = _fleets(review)
    if found is None:
        return ()
    today, step, usd = found
    rate = usd * review.month.hours
    now, planned = today.nodes * rate, step.nodes * rate
    fleet = "*usd_per_node_hour*hours_of_month*(1-price_discount)"
    return (
        WhatIf("machines now", f"nodes_now{fleet}", "usd", now),
        WhatIf("machines planned", f"nodes_planned{fleet}", "usd", planned),
        WhatIf("saving for the days of the month", "{1}-{2}", "usd", now - planned),
        WhatIf("saving in a year of 8,760 h", "{3}/hours_of_month*8760", "usd",
               (now - planned) / review.month.hours * 8760),
    )  # fmt: skip


def _fleets(review: Review) -> tuple[Step, Step, float] | None:
    """Today's fleet, this step's, and the list price of one node, its root volume left out."""
    steps = {step.label: step for step in review.steps}
    today, step = steps.get("today"), steps.get(THIS_STEP)
    if today is None or step is None or today.cost.ec2 is None or not today.nodes:
        return None
    return today, step, today.cost.ec2.mid / today.nodes / review.month.hours
