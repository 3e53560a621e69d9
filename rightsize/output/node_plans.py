"""Node plans as tables, rows and JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import pandas as pd
from rich.table import Table

from rightsize.nodes.answer import MonthAnswer, NodeAnswer, Trial
from rightsize.nodes.graviton import Graviton
from rightsize.nodes.month import MonthReplay, OrderRange
from rightsize.nodes.plan import NodePlan, NodePlans, NodeSet, PackedNodeSet
from rightsize.output.money_rows import cheapest_of
from rightsize.prices.burstable import baseline_share
from rightsize.results import HOURS_PER_MONTH

SCHEMA_VERSION = 1
_EXCUSES_SHOWN = 8


def answer_to_dict(answer: NodeAnswer, hours: float = HOURS_PER_MONTH) -> dict[str, Any]:
    """The answer for JSON. `docs/nodes.md` describes every field."""
    return {
        "schema_version": SCHEMA_VERSION,
        "cluster": answer.cluster,
        "simulated": answer.simulated,
        "start": answer.start.isoformat(),
        "end": answer.end.isoformat(),
        "region": answer.region,
        "hours_per_month": hours,
        "today": _node_set(answer.today, hours),
        "plans": _plans(answer.before, hours),
        "plans_recommended": None if answer.after is None else _plans(answer.after, hours),
        "priced_types": asdict(answer.before.coverage),
        "pods": answer.before.pods,
        "assumptions": [*answer.notes, *answer.before.assumptions],
        "expected": _expected_fields(answer),
        "graviton": None if answer.graviton is None else _graviton(answer.graviton, hours),
        "replay": None if answer.month is None else _month_answer(answer.month),
    }


def answer_to_frame(answer: NodeAnswer, hours: float = HOURS_PER_MONTH) -> pd.DataFrame:
    """One row for each plan and set of requests; USD per month, empty where unknown."""
    rows = []
    for requests, plans in (("today", answer.before), ("recommended", answer.after)):
        for plan in plans.plans if plans else ():
            packed, promised = plan.packed, plan.promised
            rows.append(
                {
                    "requests": requests,
                    "plan": plan.name,
                    "packed_nodes": packed.node_set.nodes if packed else None,
                    "packed_usd_per_month": _month(packed.node_set, hours) if packed else None,
                    "optimality_gap": packed.optimality_gap if packed else None,
                    "promised_nodes": promised.nodes if promised else None,
                    "promised_usd_per_month": _month(promised, hours) if promised else None,
                    "types": _types(promised or (packed.node_set if packed else None)),
                    "binding": plan.binding,
                    "unplaced_pods": len(plans.unplaced) if plans else 0,
                }
            )
    return pd.DataFrame(rows)


def answer_table(answer: NodeAnswer, hours: float = HOURS_PER_MONTH) -> Table:
    """The plans for people."""
    title = f"Nodes of {answer.cluster}"
    table = Table(title=f"{title} (simulated)" if answer.simulated else title)
    for name in ("requests", "plan"):
        table.add_column(name)
    for name in ("packed", "gap", "promised", "USD/month"):
        table.add_column(name, justify="right")
    for name in ("types", "binds"):
        table.add_column(name)
    today = answer.today
    table.add_row(
        "today", "in use", "", "", str(today.nodes or "?"), _usd(today, hours), _types(today), ""
    )
    for requests, plans in (("today", answer.before), ("recommended", answer.after)):
        for plan in plans.plans if plans else ():
            name = plan.name + cheapest_of(plan.name, answer.before.coverage)
            table.add_row(requests, name, *_cells(plan, hours))
    return table


def month_table(month: MonthAnswer) -> Table:
    """The replayed month for people, by setting of the autoscaler."""
    table = Table(title=f"From {month.before.first} nodes: {month.before.autoscaler.kind}")
    table.add_column("setting")
    table.add_column("requests")
    for name in ("at the end", "node-hours", "mean nodes", "peak", "joined or left"):
        table.add_column(name, justify="right")
    for trial in month.trials:
        for requests, replay in (("today", trial.before), ("recommended", trial.after)):
            if replay is not None:
                table.add_row(trial.autoscaler.setting, requests, *_month_cells(replay))
    return table


def month_lines(month: MonthAnswer, hours: float = HOURS_PER_MONTH) -> list[str]:
    """Which nodes go by themselves, the setting under which most go, and on what conditions."""
    default, best = month.trials[0], month.realising
    said = [_ends(default, "its default")]
    if best is not default:
        said.append(_ends(best, "a change of its settings"))
    said += _event_lines(best)
    said += _calmer_lines(best, month.calmer, hours)
    said += _replacement_lines(month, hours)
    return [*said, *month.holds]


def _event_lines(trial: Trial) -> list[str]:
    """Scaling events as a range, and whether the recommended requests change them."""
    before, after = trial.before.events, None if trial.after is None else trial.after.events
    if before.orders == 1:
        return []
    head = f"nodes joined or left with it, over {before.orders} orders of arrival"
    if after is None:
        return [f"{head}: {_range(before)}"]
    verdict = "a real difference" if before.differs(after) else "no difference beyond chance"
    return [f"{head}: {_range(before)} today, {_range(after)} recommended, {verdict}"]


def _calmer_lines(best: Trial, tried: tuple[Trial, ...], hours: float) -> list[str]:
    """What spares scaling events beyond chance, with its price."""
    have = best.end.events
    lines = []
    for trial in tried:
        events = trial.end.events
        if events.high < have.low:
            more = (trial.end.usd_per_hour - best.end.usd_per_hour) * hours
            price = "a price that is not known" if math.isnan(more) else f"{more:,.0f} USD a month"
            lines.append(
                f"fewer nodes join or leave, {_range(events)} instead of {_range(have)}, for {price}: "
                f"{trial.autoscaler.setting}"
            )
    if not lines and tried:
        lines.append(
            "no longer wait and no overprovisioning pod spares scaling events beyond chance here"
        )
    return lines


def _replacement_lines(month: MonthAnswer, hours: float) -> list[str]:
    """What Karpenter saves beside by other types, apart from the nodes that go."""
    if month.replacement is None:
        return []
    now, then = (one.end for one in (month.trials[0], month.replacement))
    types = ", ".join(f"{count} {name}" for name, count in then.types.items())
    costs = [float(one.timeline["usd"].iloc[-1]) * hours for one in (now, then)]
    if any(math.isnan(cost) for cost in costs):
        return []
    return [
        f"where its NodePool allows every type planned with, {now.autoscaler.kind} also replaces nodes "
        f"by cheaper ones: {costs[1]:,.0f} USD a month at the end instead of {costs[0]:,.0f} ({types}), "
        f"with {_range(then.events)} nodes that join or leave; not in any figure above"
    ]


def _range(counts: OrderRange) -> str:
    return f"{counts.median:g} ({counts.low} to {counts.high})"


def _ends(trial: Trial, what: str) -> str:
    scaler = trial.autoscaler
    head = f"{scaler.kind} with {scaler.setting} ({what})"
    if trial.freed <= 0:
        return f"{head}: no node goes, so nothing is saved until it is set otherwise"
    if trial.after is None:
        return f"{head}: ends at {trial.end.ends.high} nodes at most with today's requests"
    alone, more = trial.by_consolidation, trial.by_requests
    return (
        f"{head}: ends at {trial.end.ends.high} nodes at most, {alone} fewer by consolidation alone and {more} "
        "by the recommended requests"
    )


def _month_cells(replay: MonthReplay) -> tuple[str, ...]:
    return (
        _ends_at(replay.ends),
        f"{replay.node_hours:,.0f}",
        f"{replay.mean:.1f}",
        str(replay.peak),
        _range(replay.events),
    )


def _ends_at(ends: OrderRange) -> str:
    return str(ends.low) if ends.low == ends.high else f"{ends.low} to {ends.high}"


def _month_answer(month: MonthAnswer) -> dict[str, Any]:
    return {
        "autoscaler": month.before.autoscaler.kind,
        "instance_type": month.before.instance_type,
        "seen_mean_nodes": month.seen_nodes,
        "settings": [
            {
                "setting": trial.autoscaler.setting,
                "nodes_at_start": trial.before.first,
                "nodes_at_end_today": trial.before.ends.high,
                "nodes_at_end_today_range": asdict(trial.before.ends),
                "nodes_at_end_recommended": None if trial.after is None else trial.after.ends.high,
                "nodes_at_end_recommended_range": None
                if trial.after is None
                else asdict(trial.after.ends),
                "freed_by_consolidation": trial.by_consolidation,
                "freed_by_requests": None if trial.after is None else trial.by_requests,
            }
            for trial in month.trials
        ],
        "realising": month.realising.autoscaler.setting,
        "holds": list(month.holds),
        "calmer": [_calm(trial) for trial in month.calmer],
        "replacement": None if month.replacement is None else _priced(month.replacement.end),
        "today": _replay(month.before),
        "recommended": None if month.after is None else _replay(month.after),
    }


def _calm(trial: Trial) -> dict[str, Any]:
    return {"setting": trial.autoscaler.setting, **_priced(trial.end)}


def _priced(replay: MonthReplay) -> dict[str, Any]:
    usd = replay.usd_per_hour
    return {
        "nodes_at_end_range": asdict(replay.ends),
        "scaling_events_range": asdict(replay.events),
        "mean_usd_per_hour": None if math.isnan(usd) else usd,
        "types_at_end": [
            {"instance_type": name, "nodes": nodes} for name, nodes in replay.types.items()
        ],
    }


def _replay(replay: MonthReplay) -> dict[str, Any]:
    timeline = replay.timeline
    return {
        "node_hours": replay.node_hours,
        "mean_nodes": replay.mean,
        "nodes_at_end": replay.last,
        "peak_nodes": replay.peak,
        "scaling_events": replay.scaling_events,
        "scaling_events_range": asdict(replay.events),
        "unplaced_pods": len(replay.unplaced),
        "hours": [time.isoformat() for time in timeline["time"]],
        "nodes": timeline["nodes"].tolist(),
        "pods": timeline["pods"].tolist(),
    }


def remarks(answer: NodeAnswer, hours: float = HOURS_PER_MONTH) -> list[str]:
    """What a reader must know beside the table, a sentence each."""
    said = ["Simulated: no figure of this cluster was measured."] if answer.simulated else []
    said += [*_expected(answer, hours), *_graviton_line(answer, hours)]
    last = answer.after or answer.before
    for plan in last.plans:
        if plan.reason:
            said.append(f"{plan.name}: {plan.reason}")
    for pod in last.unplaced[:_EXCUSES_SHOWN]:
        said.append(f"no place for {pod.namespace}/{pod.pod}: {pod.reason}")
    if len(last.unplaced) > _EXCUSES_SHOWN:
        said.append(
            f"and {len(last.unplaced) - _EXCUSES_SHOWN} more pods without a place (--format json)"
        )
    for plan in last.plans:
        if plan.name == "single-type":
            said += [f"{e.option}: {e.reason}" for e in plan.excuses[:_EXCUSES_SHOWN]]
    said += [*answer.notes, *last.assumptions]
    if answer.month is not None:
        seen, replayed = answer.month.seen_nodes, answer.month.before.mean
        said.append(f"the snapshot saw {seen:.1f} nodes on average, the replay has {replayed:.1f}")
        said += month_lines(answer.month, hours)
    return said


def _expected(answer: NodeAnswer, hours: float) -> list[str]:
    """What becomes of the promised node set of the types in use, under the autoscaler in use."""
    freed, promised = answer.freed, answer.promised
    if freed is None or promised is None:
        return []
    planned = freed.planned
    if planned <= 0:
        return ["Expected: no node goes, since the pods need the nodes that run or more"]
    kind = freed.setting.kind
    now, then = answer.today.usd_per_hour, promised.usd_per_hour
    money = ""
    if now is not None and then is not None:
        each = (now - then) / planned * hours
        money = (
            f", {each * freed.expected:,.0f} USD of machines a month "
            f"({each * freed.by_default:,.0f} to {each * planned:,.0f}, before commitments)"
        )
    return [
        f"Expected: {freed.expected} of {answer.today.nodes} nodes go{money}: the same-type plan "
        f"does without {planned}; {kind} takes {freed.by_default} of them by its defaults, "
        f"{freed.expected} with {freed.setting.setting}"
    ]


def _expected_fields(answer: NodeAnswer) -> dict[str, Any] | None:
    freed = answer.freed
    if freed is None:
        return None
    return {
        "freed": freed.expected,
        "freed_by_default": freed.by_default,
        "freed_by_plan": freed.planned,
        "with_setting": freed.setting.setting,
    }


def _graviton(found: Graviton, hours: float) -> dict[str, Any]:
    return {
        "arm64": _plan(found.arm, hours),
        "x86": _plan(found.x86, hours),
        "unplaced_pods": found.unplaced,
        "namespaces": [asdict(one) for one in found.namespaces],
        "daemonsets": list(found.daemonsets),
        "condition": found.condition,
    }


def _graviton_line(answer: NodeAnswer, hours: float) -> list[str]:
    """The cheapest mix of arm64 beside the types in use and the cheapest mix of x86."""
    found = answer.graviton
    if found is None:
        return []
    in_use = [one for one in (answer.after or answer.before).plans if one.name == "same-type"]
    costs = []
    for plans in ([found.arm], in_use, [found.x86]):
        plan = plans[0] if plans else None
        packed = None if plan is None or plan.packed is None else plan.packed.node_set
        costs.append(
            [
                "unknown" if one is None else _usd(one, hours)
                for one in (packed, None if plan is None else plan.promised)
            ]
        )
    (arm, arm_promised), (now, now_promised), (x86, x86_promised) = costs
    if found.unplaced or found.arm.reason:
        why = found.arm.reason or f"{found.unplaced} pods find no machine on one of both"
        return [f"Graviton: {why}"]
    return [
        f"Graviton packs to {arm} USD a month, promised {arm_promised}; the types in use to {now}, "
        f"promised {now_promised}; the cheapest mix of x86 to {x86}, promised {x86_promised}. "
        f"Condition: {found.condition}"
    ]


def _plans(plans: NodePlans, hours: float) -> list[dict[str, Any]]:
    unplaced = [
        {"namespace": p.namespace, "workload": p.workload, "pod": p.pod, "reason": p.reason}
        for p in plans.unplaced
    ]
    return [_plan(plan, hours) | {"unplaced": unplaced} for plan in plans.plans]


def _plan(plan: NodePlan, hours: float) -> dict[str, Any]:
    use = None
    if plan.use is not None:
        use = dict(zip(("cpu", "memory", "pod_slots"), plan.use, strict=True))
    return {
        "name": plan.name,
        "packed": None if plan.packed is None else _packed(plan.packed, hours),
        "promised": None if plan.promised is None else _node_set(plan.promised, hours),
        "binding": plan.binding,
        "use": use,
        "reason": plan.reason,
        "excuses": [{"option": e.option, "reason": e.reason} for e in plan.excuses],
    }


def _packed(packed: PackedNodeSet, hours: float) -> dict[str, Any]:
    bound = packed.lower_bound_usd_per_hour
    return _node_set(packed.node_set, hours) | {
        "lower_bound_usd_per_month": None if bound is None else bound * hours,
        "lower_bound_nodes": packed.lower_bound_nodes,
        "optimality_gap": packed.optimality_gap,
    }


def _node_set(node_set: NodeSet, hours: float) -> dict[str, Any]:
    return {
        "nodes": node_set.nodes,
        "usd_per_hour": node_set.usd_per_hour,
        "usd_per_month": _month(node_set, hours),
        "groups": [
            {
                "instance_type": g.instance_type,
                "capacity_type": g.capacity_type,
                "zone": g.zone,
                "nodes": g.nodes,
                "usd_per_hour": g.usd_per_hour,
                "burstable_baseline": baseline_share(g.instance_type),
            }
            for g in node_set.groups
        ],
    }


def _cells(plan: NodePlan, hours: float) -> tuple[str, str, str, str, str, str]:
    if plan.packed is None:
        return ("–", "", "–", "", "", plan.reason or "")
    promised = plan.promised
    return (
        str(plan.packed.node_set.nodes),
        f"{plan.packed.optimality_gap:.1%}",
        str(promised.nodes) if promised else "–",
        _usd(promised, hours) if promised else "",
        _types(promised or plan.packed.node_set),
        plan.binding,
    )


def _month(node_set: NodeSet, hours: float) -> float | None:
    usd = node_set.usd_per_hour
    return None if usd is None else usd * hours


def _usd(node_set: NodeSet, hours: float) -> str:
    usd = _month(node_set, hours)
    return "unknown" if usd is None else f"{usd:,.0f}"


def _types(node_set: NodeSet | None) -> str:
    if node_set is None:
        return ""
    return ", ".join(f"{nodes} {name}" for name, nodes in node_set.by_type.items())
