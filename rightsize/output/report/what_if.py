"""The workbook's sheet "What if": the saving again, from assumptions a reader may change."""

from __future__ import annotations

from dataclasses import dataclass

from rightsize.output.report.model import Assumption, WhatIf
from rightsize.review import Review
from rightsize.review.model import Step


@dataclass(frozen=True)
class _NodeSet:
    nodes: float
    machine: float
    """USD/h of one node at list price."""
    volume: float
    """USD/h of its root volume."""

    def cost(self, hours: float) -> float:
        return self.nodes * (self.machine + self.volume) * hours


def scenario_assumptions(review: Review) -> tuple[Assumption, ...]:
    """What the sheet starts from; without a plan or a price only the discount."""
    discount = Assumption(
        "price_discount", 0.0, "share", "what you pay less than list price; workbook only"
    )
    found = _node_sets(review)
    if found is None:
        return (discount,)
    now, planned = found
    price = "of one node, at list price"
    return (
        discount,
        Assumption("nodes_now", now.nodes, "nodes", "seen at the end of the month"),
        Assumption("nodes_planned", planned.nodes, "nodes", "promised for this step's requests"),
        Assumption("usd_per_node_hour", now.machine, "USD/h", f"{price}, today's node set"),
        Assumption("usd_per_planned_hour", planned.machine, "USD/h", f"{price}, as planned"),
        Assumption("usd_per_volume_hour", now.volume, "USD/h", "root volume of one node"),
    )


def what_if_of(review: Review) -> tuple[WhatIf, ...]:
    """Machine cost now and planned, and the saving; empty without a plan or a price."""
    found = _node_sets(review)
    if found is None:
        return ()
    hours = review.plan_terms.hours
    now, planned = (node_set.cost(hours) for node_set in found)
    rest = "*(1-price_discount)+usd_per_volume_hour)*hours_per_month"
    return (
        WhatIf("machines now", f"nodes_now*(usd_per_node_hour{rest}", "usd", now),
        WhatIf("machines planned", f"nodes_planned*(usd_per_planned_hour{rest}", "usd", planned),
        WhatIf("saving a month", "{1}-{2}", "usd", now - planned),
        WhatIf("saving in a year of 8,760 h", "{3}/hours_per_month*8760", "usd",
               (now - planned) / hours * 8760),
    )  # fmt: skip


def _node_sets(review: Review) -> tuple[_NodeSet, _NodeSet] | None:
    steps = {step.kind: step for step in review.steps}
    today, step = steps.get("today"), steps.get("this-step")
    if today is None or step is None:
        return None
    found = _node_set(today, review.plan_terms.hours), _node_set(step, review.plan_terms.hours)
    return None if found[0] is None or found[1] is None else (found[0], found[1])


def _node_set(step: Step, hours: float) -> _NodeSet | None:
    """None where a price is unknown."""
    volumes = [line.usd for line in step.cost.lines if line.kind == "ebs"]
    if step.cost.ec2 is None or not step.nodes or any(usd is None for usd in volumes):
        return None
    each = step.nodes * hours
    volume = sum(usd.mid for usd in volumes if usd is not None)
    return _NodeSet(step.nodes, step.cost.ec2.mid / each, volume / each)
