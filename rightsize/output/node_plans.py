"""Node plans as tables, rows and JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pandas as pd
from rich.table import Table

from rightsize.nodes.answer import NodeAnswer
from rightsize.nodes.graviton import Graviton
from rightsize.nodes.plan import NodePlan, NodePlans, NodeSet, PackedNodeSet
from rightsize.output.money_rows import cheapest_of
from rightsize.output.node_month import month_lines, month_to_dict
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
        "replay": None if answer.month is None else month_to_dict(answer.month),
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
        "today",
        "in use",
        "",
        "",
        str(today.nodes) if today.known else "unknown",
        _usd(today, hours),
        _types(today),
        "",
    )
    for requests, plans in (("today", answer.before), ("recommended", answer.after)):
        for plan in plans.plans if plans else ():
            name = plan.name + cheapest_of(plan.name, answer.before.coverage)
            table.add_row(requests, name, *_cells(plan, hours))
    return table


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
        "nodes": node_set.nodes if node_set.known else None,
        "usd_per_hour": node_set.usd_per_hour,
        "usd_per_month": _month(node_set, hours),
        "groups": [
            {
                "instance_type": g.instance_type,
                "capacity_type": g.capacity_type,
                "zone": g.zone,
                "nodes": g.nodes,
                "kind": g.kind,
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
