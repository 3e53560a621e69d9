"""The month's review: every figure of the report, with nothing yet said about how it looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from rightsize.config import Settings
from rightsize.cost.answer import MoneyAnswer, lots_of, planned, price_answer, terms_for
from rightsize.cost.fleet import PlannedFleet
from rightsize.cost.months import month_facts, scaled
from rightsize.cost.plan import PlanCost, Terms, price_plan
from rightsize.cost.realised import MonthFacts, Realised, realised_saving
from rightsize.cost.saving import Saving, saving
from rightsize.errors import NoDataError
from rightsize.istiod.source import study_istiod
from rightsize.istiod.thresholds import Outlook
from rightsize.nodes.answer import MonthAnswer, NodeAnswer, answer
from rightsize.nodes.demand import scheduled_pods
from rightsize.nodes.plan import NodePlan, NodePlans
from rightsize.nodes.plans import plan_nodes
from rightsize.prices.book import snapshot_book
from rightsize.prices.shapes import catalogue_of
from rightsize.recommend import recommend
from rightsize.results import Advice, Recommendation
from rightsize.review.incidents import incidents
from rightsize.review.machines import node_groups, replayed_month
from rightsize.review.month import Month, month_of
from rightsize.review.out_of_sample import mesh_workloads, review_backtest
from rightsize.review.packing import packed_shares
from rightsize.review.promises import kept_promises, lowered
from rightsize.review.risk import windows_above
from rightsize.sizing.backtest import Backtest
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import newest_containers

_KEYS = ["namespace", "workload", "container"]
_SECONDS_A_PLAN = 4.0
"""A report is read, not bought from: a plan's last tenth of a percent is not worth a minute."""


@dataclass(frozen=True)
class Step:
    """One stage on the way from today's fleet to the end state."""

    label: str
    cost: PlanCost
    nodes: int


@dataclass(frozen=True)
class Review:
    """A month of one cluster. Money is in USD for the days of the month that the snapshot holds."""

    month: Month
    cluster: str
    simulated: bool
    advice: Advice
    money: MoneyAnswer
    """Bill, allocation and plans of the month's days, at prices of its end."""
    plans: NodeAnswer | None
    end_plans: NodePlans | None
    """Plans with every request at its end state."""
    steps: tuple[Step, ...]
    available: Saving | None
    """This step's requests, from today's fleet to the promised one of the same type."""
    end_state: Saving | None
    promised: pd.DataFrame
    """Earlier recommendations with what became of them; empty on a first report."""
    lowered: pd.DataFrame
    """Mesh containers whose requests in force fell since the month before."""
    realised: Realised | None
    """None without a month before, or without prices."""
    earlier: str | None
    """Label of the month whose report promised; None for a first report."""
    incidents: pd.DataFrame
    risk: pd.DataFrame
    """Windows of the month above the sizes, in force and recommended."""
    packed: tuple[pd.DataFrame, pd.DataFrame]
    """How full each node is, now and with this step's requests."""
    nodes_by_day: pd.DataFrame
    node_groups: pd.DataFrame
    """The month's machines by node group and purchase type."""
    replay: MonthAnswer | None
    """The month's pods hour by hour, with today's and the recommended requests."""
    backtest: Backtest | None
    """Policies out of sample; None while history is shorter than one fold."""
    workloads: int
    """Mesh workloads of the snapshot, of which the back-test may take a sample."""
    outlook: Outlook | None
    quality: pd.DataFrame


def review_month(
    snapshot: Snapshot,
    label: str | None = None,
    settings: Settings | None = None,
    *,
    earlier: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> Review:
    """Review one month of a snapshot.

    Parameters
    ----------
    snapshot : Snapshot
    label : str, optional
        The month, such as `2026-10`; the snapshot's last one by default.
    settings : Settings, optional
    earlier : mapping of month label to promises, optional
        What earlier reports recommended (`promises_of`).
    """
    rules = settings or Settings()
    month = month_of(snapshot, label)
    ours = snapshot.only(month.days)
    past = snapshot.only(day for day in snapshot.days if day <= month.days[-1])
    advice = recommend(past, rules)
    plans, end_plans = _plans(ours, rules, advice)
    prices = rules.prices.model_copy(update={"hours_per_month": month.hours})
    money = price_answer(ours, plans, prices, at=month.end)
    steps = _steps(plans, end_plans, money.terms)
    before = [day for day in snapshot.days if day.strftime("%Y-%m") == month.label_before]
    promised_in = _last_before(month.label, earlier or {})
    promised = kept_promises((earlier or {}).get(promised_in or "", ()), _in_force(ours))
    facts = month_facts(ours, money.terms.book)
    facts_before = _facts_before(snapshot, before, rules, len(month.days))
    fell = _lowered(facts_before, facts, advice)
    return Review(
        month=month,
        cluster=snapshot.manifest.cluster,
        simulated=snapshot.manifest.simulated,
        advice=advice,
        money=money,
        plans=plans,
        end_plans=end_plans,
        steps=steps,
        available=_saving(steps, "this step's requests", money.terms),
        end_state=_saving(steps, "end-state requests", money.terms),
        promised=promised,
        lowered=fell,
        realised=_realised(facts_before, facts, promised, fell, promised_in),
        earlier=promised_in,
        incidents=incidents(snapshot, month),
        risk=windows_above(ours, advice),
        packed=packed_shares(ours, _placement(plans), advice),
        nodes_by_day=_nodes_by_day(ours.read("nodes")),
        node_groups=node_groups(ours.read("nodes"), money.terms.book),
        replay=replayed_month(ours, rules.nodes, advice, money.terms.region),
        backtest=review_backtest(past),
        workloads=len(mesh_workloads(past)),
        outlook=_outlook(past, rules),
        quality=_quality(ours, month),
    )


def at_end_state(advice: Advice) -> Advice:
    """The same advice with every request at its target, as if all steps were taken."""

    def moved(row: Recommendation) -> Recommendation:
        cpu = replace(row.cpu, recommended_request=row.cpu.target_request)
        memory = replace(row.memory, recommended_request=row.memory.target_request)
        return replace(row, cpu=cpu, memory=memory)

    return replace(advice, recommendations=tuple(moved(row) for row in advice.recommendations))


def _plans(
    snapshot: Snapshot, settings: Settings, advice: Advice
) -> tuple[NodeAnswer | None, NodePlans | None]:
    """Plans for today's and this step's requests, and for those of the end state."""
    rules = settings.nodes.model_copy(
        update={"time_limit": min(settings.nodes.time_limit, _SECONDS_A_PLAN)}
    )
    try:
        found = answer(snapshot, rules, advice=advice, prices=settings.prices)
    except NoDataError:
        return None, None
    end = scheduled_pods(
        snapshot.read("pods"),
        snapshot.read("containers"),
        at=rules.demand,
        advice=at_end_state(advice),
    )
    book = snapshot_book(snapshot, found.region, settings.prices.machines)
    catalogue, _ = catalogue_of(book)
    nodes = snapshot.read("nodes", days=snapshot.days[-1:])
    return found, plan_nodes(end, catalogue, rules, nodes)


def _steps(plans: NodeAnswer | None, end_plans: NodePlans | None, terms: Terms) -> tuple[Step, ...]:
    """Today's fleet, then what stays needed after each change, all of today's type but the last."""
    if plans is None or plans.after is None or end_plans is None:
        return ()
    today = PlannedFleet("today", lots_of(plans.today))
    named: list[tuple[str, NodePlan]] = [
        ("today's requests, packed", plans.before.named("same-type")),
        ("this step's requests", plans.after.named("same-type")),
        ("end-state requests", end_plans.named("same-type")),
        ("cheapest mix", end_plans.named("mix")),
    ]
    fleets = [("today", today), *((label, planned(plan)) for label, plan in named)]
    costs = [(label, price_plan(fleet, terms)) for label, fleet in fleets if fleet is not None]
    return tuple(Step(label, cost, round(cost.nodes)) for label, cost in costs)


def _placement(plans: NodeAnswer | None) -> pd.DataFrame | None:
    if plans is None or plans.after is None:
        return None
    return plans.after.named("same-type").promised_placement


def _saving(steps: Sequence[Step], label: str, terms: Terms) -> Saving | None:
    """From today's fleet; None where the planner found no such fleet."""
    by_label = {step.label: step for step in steps}
    if "today" not in by_label or label not in by_label:
        return None
    return saving(by_label["today"].cost, by_label[label].cost, terms)


def _last_before(label: str, earlier: Mapping[str, object]) -> str | None:
    return max((one for one in earlier if one < label), default=None)


def _in_force(snapshot: Snapshot) -> pd.DataFrame:
    """Requests of each workload's newest pod, workloads that are gone left out."""
    newest = newest_containers(snapshot)
    return newest[newest["there"]][[*_KEYS, "cpu_request", "memory_request"]]


def _facts_before(
    snapshot: Snapshot, days: Sequence[date], settings: Settings, length: int
) -> MonthFacts | None:
    """The month before, scaled to `length` days."""
    if not days:
        return None
    part = snapshot.only(days)
    terms = terms_for(part, settings.prices, part.manifest.region, part.manifest.end)
    return scaled(month_facts(part, terms.book), length / len(days))


def _lowered(before: MonthFacts | None, after: MonthFacts, advice: Advice) -> pd.DataFrame:
    columns = [*_KEYS, "cpu_request_before", "cpu_request_now"]
    columns += ["memory_request_before", "memory_request_now", "pod_hours_now"]
    if before is None:
        return pd.DataFrame(columns=columns)
    mesh = {
        (row.namespace, row.workload, row.container)
        for row in advice.recommendations
        if row.workload is not None
    }
    fell = lowered(before.requests, after.requests)
    ours = [key in mesh for key in fell[_KEYS].itertuples(index=False, name=None)]
    return fell[np.array(ours, dtype=bool)].reset_index(drop=True)


def _realised(
    before: MonthFacts | None,
    after: MonthFacts,
    promised: pd.DataFrame,
    fell: pd.DataFrame,
    earlier: str | None,
) -> Realised | None:
    """What the applied changes saved: those promised, or on a first report those seen."""
    if before is None:
        return None
    rows = promised[promised["state"].isin(["applied", "partly"])] if earlier else fell
    applied = set(rows[_KEYS].itertuples(index=False, name=None))
    return realised_saving(before, after, applied)


def _nodes_by_day(nodes: pd.DataFrame) -> pd.DataFrame:
    hours = (nodes["last_seen"] - nodes["first_seen"]).dt.total_seconds() / 3600 + 1 / 12
    by_day = nodes.assign(hours=hours.clip(upper=24.0)).groupby("day")["hours"].sum()
    return pd.DataFrame({"day": by_day.index, "nodes": by_day.to_numpy() / 24.0})


def _outlook(snapshot: Snapshot, settings: Settings) -> Outlook | None:
    try:
        return study_istiod(snapshot, settings.policy)[1]
    except NoDataError:
        return None


def _quality(snapshot: Snapshot, month: Month) -> pd.DataFrame:
    """What is missing and what that costs, one row each; days first."""
    manifest = snapshot.manifest
    part = [day for day, record in manifest.days.items() if not record.complete]
    rows = [
        {
            "what": "days of the month",
            "found": f"{len(month.days)} of {month.length}",
            "costs": "" if month.whole else "figures cover these days only; nothing is added",
        },
        {
            "what": "days not over when collected",
            "found": str(len(part)),
            "costs": "collect again to complete them" if part else "",
        },
    ]
    rows += [{"what": m.what, "found": "missing", "costs": m.costs} for m in manifest.missing]
    return pd.DataFrame(rows)
