"""The month's review: every figure of the report, with nothing yet said about how it looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from rightsize.beside import Beside, at_need
from rightsize.config import NodeSettings, Settings
from rightsize.cost.answer import MoneyAnswer
from rightsize.cost.levers import find_levers
from rightsize.cost.machines import bought
from rightsize.cost.months import MonthFacts, month_facts, scaled
from rightsize.cost.node_sets import PlannedNodeSet
from rightsize.cost.plan import Terms, added, price_plan
from rightsize.cost.planned import lots_of
from rightsize.cost.planned import planned as planned_node_set
from rightsize.cost.realised import Realised, realised_saving
from rightsize.cost.saving import Saving, as_replayed, saving
from rightsize.dns.study import study_dns
from rightsize.errors import NoDataError
from rightsize.istiod.source import study_istiod
from rightsize.istiod.thresholds import Outlook
from rightsize.nodes.answer import NodeAnswer, answer, planned
from rightsize.nodes.plan import PLAN_NAMES, NodePlan, NodePlans
from rightsize.recommend import recommend
from rightsize.results import Advice, Interval, Recommendation
from rightsize.review.accounts import accounts_of
from rightsize.review.charges import month_against, month_money
from rightsize.review.incidents import incidents
from rightsize.review.machines import node_groups, replayed_month
from rightsize.review.model import STEP_LABELS, Review, Step, StepKind, fargate_saving
from rightsize.review.month import Month, month_of
from rightsize.review.out_of_sample import mesh_workloads, review_backtest
from rightsize.review.packing import packed_shares
from rightsize.review.promises import lowered
from rightsize.review.risk import windows_above
from rightsize.review.savings import Credit, Months, Promises, Running
from rightsize.review.strip import MOST_MONTHS, month_strip, reported, unreported
from rightsize.snapshot import Snapshot

_KEYS = ["namespace", "workload", "container"]
_SECONDS_A_PLAN = 4.0
"""A report is read, not bought from: a plan's last tenth of a percent is not worth a minute."""


def review_month(
    snapshot: Snapshot,
    label: str | None = None,
    settings: Settings | None = None,
    *,
    earlier: Promises | None = None,
    results: Mapping[str, Mapping[str, Any]] | None = None,
    beside: Beside = at_need,
) -> Review:
    """Review one month of a snapshot.

    Parameters
    ----------
    label : str, optional
        The month, such as `2026-10`; the snapshot's last one by default.
    earlier : mapping of month label to promises, optional
        What earlier reports recommended (`promises_of`).
    results : mapping of month label to results, optional
        What earlier reports found (`facts` of their `report.json`).
    beside : Beside
        Computes what needs little of the rest meanwhile.
    """
    rules = settings or Settings()
    month = month_of(snapshot, label)
    ours = snapshot.only(month.days)
    past = snapshot.only(day for day in snapshot.days if day <= month.days[-1])
    money = month_money(ours, rules, month.end)
    against = None
    if rules.review.bill is not None:
        # A bill that cannot be read ends the run here, and not after a minute of work.
        against = month_against(rules.review.bill, ours, month, rules, money)
    of_today = beside(planned, ours, _quick(rules), rules.prices, ("same-type",))
    seen = beside(incidents, snapshot, month)
    advice = recommend(past, rules)
    of_the_end = beside(
        planned, ours, _quick(rules), rules.prices, PLAN_NAMES, at_end_state(advice)
    )
    of_month = beside(replayed_month, ours, rules.nodes, advice, money.terms.book)
    backtest = beside(review_backtest, past)
    plans, end_plans = _plans(ours, rules, advice, of_today, of_the_end)
    plan_terms = replace(money.terms, hours=rules.prices.hours_per_month)
    steps = _steps(plans, end_plans, plan_terms)
    history = Months(snapshot, money.terms.book, results or {})
    # Without a row of a node nothing is known of what the month cost, but of its pods.
    facts = history.facts(month.label) or month_facts(ours, money.terms.book)
    before = history.facts(month.label_before)
    promises = {name: rows for name, rows in (earlier or {}).items() if name < month.label}
    fell = _lowered(before, facts, advice)
    credit = history.credit(month.label, promises)
    if not promises and before is not None and len(facts.requests):
        credit = replace(credit, realised=_first(before, facts, fell), baseline=month.label_before)
    money_before = _money_of(snapshot, month.label_before, rules)
    running = history.running(month.label, promises)
    outlook = _outlook(past, rules)
    after = next((step.cost for step in steps if step.kind == "this-step"), None)
    levers = find_levers(ours, plans, after, plan_terms, _quick(rules), rules.prices)
    accounts = accounts_of(past, month, money, money_before, rules.review)
    risk, dns = windows_above(ours, advice), study_dns(ours, rules)
    packed = packed_shares(ours, _placement(plans), advice)
    # Last of all what the second process takes longest for.
    replay = of_month()
    available = _saving(steps, "this-step", plan_terms)
    goes = None if available is None else round(available.nodes)
    if available is not None and replay is not None:
        available = as_replayed(available, replay.freed(round(available.nodes)))
    if available is not None:
        available = _with(available, fargate_saving(levers))
    review = Review(
        month=month,
        cluster=snapshot.manifest.cluster,
        simulated=snapshot.manifest.simulated,
        advice=advice,
        money=money,
        money_before=money_before,
        plan_terms=plan_terms,
        plans=plans,
        end_plans=end_plans,
        steps=steps,
        available=available,
        planned=goes,
        end_state=_saving(steps, "end-state", plan_terms),
        promised=_with_money(credit, running),
        lowered=fell,
        realised=credit.realised,
        baseline=credit.baseline,
        running=running,
        earlier=max(promises, default=None),
        strip=(),
        facts=facts,
        facts_before=before,
        incidents=seen(),
        risk=risk,
        packed=packed,
        nodes_by_day=_nodes_by_day(bought(money.machines)),
        node_groups=node_groups(bought(money.machines)),
        replay=replay,
        backtest=backtest(),
        workloads=len(mesh_workloads(past)),
        outlook=outlook,
        dns=dns,
        quality=_quality(ours, month, money),
        levers=levers,
        against=against,
        currencies=rules.review.currencies,
        accounts=accounts,
    )
    strip = reported(month.label, results or {})
    for label in _labels_before(snapshot, month.label) - set(strip):
        known = history.facts(label)
        spent = money_before if label == month.label_before else _money_of(snapshot, label, rules)
        assert spent is not None
        strip[label] = unreported(label, spent, None if known is None else known.traffic)
    return replace(review, strip=month_strip(review, strip))


def _labels_before(snapshot: Snapshot, label: str) -> set[str]:
    """Months of the snapshot before one, as far back as the report looks."""
    found = {day.strftime("%Y-%m") for day in snapshot.days}
    return set(sorted(one for one in found if one < label)[1 - MOST_MONTHS :])


def _money_of(snapshot: Snapshot, label: str, settings: Settings) -> MoneyAnswer | None:
    days = [day for day in snapshot.days if day.strftime("%Y-%m") == label]
    if not days:
        return None
    part = snapshot.only(days)
    return month_money(part, settings, part.manifest.end)


def at_end_state(advice: Advice) -> Advice:
    """The same advice with every request at its target, as if all steps were taken."""

    def moved(row: Recommendation) -> Recommendation:
        cpu = replace(row.cpu, recommended_request=row.cpu.target_request)
        memory = replace(row.memory, recommended_request=row.memory.target_request)
        return replace(row, cpu=cpu, memory=memory)

    return replace(advice, recommendations=tuple(moved(row) for row in advice.recommendations))


def _quick(settings: Settings) -> NodeSettings:
    """Of plans that are to be read, and not bought from."""
    return settings.nodes.model_copy(
        update={"time_limit": min(settings.nodes.time_limit, _SECONDS_A_PLAN)}
    )


def _plans(
    snapshot: Snapshot,
    settings: Settings,
    advice: Advice,
    of_today: Callable[[], NodePlans],
    of_the_end: Callable[[], NodePlans],
) -> tuple[NodeAnswer | None, NodePlans | None]:
    """Plans for today's and this step's requests, and for those of the end state."""
    try:
        found = answer(
            snapshot,
            _quick(settings),
            advice=advice,
            prices=settings.prices,
            graviton=True,
            of_today=of_today,
        )
    except NoDataError:
        return None, None
    return found, of_the_end()


def _steps(plans: NodeAnswer | None, end_plans: NodePlans | None, terms: Terms) -> tuple[Step, ...]:
    """Today's node set, then what stays needed after each change, all of today's type but the last."""
    if plans is None or plans.after is None or end_plans is None:
        return ()
    today = PlannedNodeSet("today", lots_of(plans.today)) if plans.today.known else None
    named: list[tuple[StepKind, NodePlan]] = [
        ("packed", plans.before.named("same-type")),
        ("this-step", plans.after.named("same-type")),
        ("end-state", end_plans.named("same-type")),
        ("mix", end_plans.named("mix")),
    ]
    node_sets: list[tuple[StepKind, PlannedNodeSet | None]] = [("today", today)]
    node_sets += [(kind, planned_node_set(plan)) for kind, plan in named]
    costs = [
        (kind, price_plan(node_set, terms)) for kind, node_set in node_sets if node_set is not None
    ]
    return tuple(Step(kind, STEP_LABELS[kind], cost, round(cost.nodes)) for kind, cost in costs)


def _placement(plans: NodeAnswer | None) -> pd.DataFrame | None:
    if plans is None or plans.after is None:
        return None
    return plans.after.named("same-type").promised_placement


def _saving(steps: Sequence[Step], kind: StepKind, terms: Terms) -> Saving | None:
    """From today's node set; None where the planner found no such node set."""
    by_kind = {step.kind: step for step in steps}
    if "today" not in by_kind or kind not in by_kind:
        return None
    return saving(by_kind["today"].cost, by_kind[kind].cost, terms)


def _with(found: Saving, more: Interval | None) -> Saving:
    """The saving with what the same requests save beside nodes."""
    if more is None:
        return found
    usd, real = (
        None if one is None else added([one, more])
        for one in (found.on_demand_equivalent, found.realisable)
    )
    return replace(found, on_demand_equivalent=usd, realisable=real)


def _with_money(credit: Credit, running: Running | None) -> pd.DataFrame:
    """The promises with what each saved: `usd` in the month (0 where not in force, NaN if unknown),
    `to_date_usd`, and `applied_on` (first day in force of all months)."""
    if credit.promised.empty:
        return credit.promised.assign(usd=np.nan, to_date_usd=np.nan)
    keys = [*_KEYS, "asked_in"]
    saved = credit.by_promise().drop(columns="applied_on")
    found = credit.promised.astype(dict.fromkeys(_KEYS, object)).merge(saved, on=keys, how="left")
    if running is None:
        return found.assign(to_date_usd=found["usd"])
    lives = running.promises.rename(columns={"applied_on": "first"})
    found = found.merge(lives, on=keys, how="left")
    first = pd.to_datetime(found.pop("first")).dt.date
    return found.assign(applied_on=first.where(first.notna(), None))


def credits_of(review: Review) -> list[dict[str, Any]]:
    """What the month credited to each promise, as plain rows for the months to come."""
    columns = [*_KEYS, "asked_in", "applied_on", "usd"]
    rows = review.promised.reindex(columns=columns)
    days = [None if pd.isna(day) else str(day) for day in rows["applied_on"]]
    money = [None if pd.isna(usd) else float(usd) for usd in rows["usd"]]
    names = rows[[*_KEYS, "asked_in"]].astype(object).itertuples(index=False, name=None)
    return [
        dict(zip(columns, (*name, day, usd), strict=True))
        for name, day, usd in zip(names, days, money, strict=True)
    ]


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


def _first(before: MonthFacts, after: MonthFacts, fell: pd.DataFrame) -> Realised | None:
    """On a first report: what the requests that fell since the month before saved."""
    if not before.hours or not after.hours:
        return None
    applied = set(fell[_KEYS].itertuples(index=False, name=None))
    return realised_saving(scaled(before, after.hours / before.hours), after, applied)


def _nodes_by_day(machines: pd.DataFrame) -> pd.DataFrame:
    by_day = machines.groupby("day")["hours"].sum()
    return pd.DataFrame({"day": by_day.index, "nodes": by_day.to_numpy() / 24.0})


def _outlook(snapshot: Snapshot, settings: Settings) -> Outlook | None:
    try:
        return study_istiod(snapshot, settings.policy)[1]
    except NoDataError:
        return None


def _quality(snapshot: Snapshot, month: Month, money: MoneyAnswer) -> pd.DataFrame:
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
    without = len(month.days) - money.machines["day"].nunique()
    if without:
        costs = "no amount and no share covers these days"
        if without == len(month.days):
            costs = "machines, the mesh's cost and every share are unknown"
        rows.append(
            {
                "what": "days without a row of a node, or of what ran",
                "found": str(without),
                "costs": costs,
            }
        )
    if money.allocation.blind:
        costs = "the bill is known; the mesh's cost, idle and every other cause are unknown"
        rows.append({"what": "days with a container", "found": "0", "costs": costs})
    if not money.allocation.complete and len(money.machines):
        names = ", ".join(money.today.unpriced) or "their type is unknown"
        rows.append(
            {
                "what": "machines without a price",
                "found": f"{len(money.allocation.unpriced)} ({names})",
                "costs": "the bill, and every cause that requests them, are unknown",
            }
        )
    rows += [{"what": m.what, "found": "missing", "costs": m.costs} for m in manifest.missing]
    return pd.DataFrame(rows)
