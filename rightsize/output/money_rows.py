"""The money answer as plain rows: the documented, versioned JSON, and tables for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd
from rich.table import Table

from rightsize.cost.allocation import Allocation, known_sum
from rightsize.cost.answer import MoneyAnswer
from rightsize.cost.levers.lever import Lever
from rightsize.cost.plan import CostLine, PlanCost, extended_surcharge
from rightsize.cost.planned import PricedPlan
from rightsize.cost.saving import Saving
from rightsize.nodes.plan import PlanName
from rightsize.output.lever_rows import dollars, interval_fields, lever_fields, lever_table
from rightsize.prices.shapes import Coverage

SCHEMA_VERSION = 1
_PLANS = {
    "same-type": "same type, fewer nodes",
    "single-type": "cheapest single type",
    "mix": "cheapest mix",
}


def money_to_dict(answer: MoneyAnswer, levers: Sequence[Lever] = ()) -> dict[str, Any]:
    """The JSON document that `docs/money.md` describes: USD a month, null where unknown."""
    price = answer.terms.other.get("cross_zone")
    moved = answer.traffic
    return {
        "schema_version": SCHEMA_VERSION,
        "cluster": answer.cluster,
        "simulated": answer.simulated,
        "window": {"start": answer.start.isoformat(), "end": answer.end.isoformat()},
        "region": answer.region,
        "hours_per_month": answer.terms.hours,
        "hours_seen": round(answer.covered_hours, 2),
        "commitments_known": answer.terms.commitments.known,
        "today": _plan(answer.today),
        "plans": [
            {
                "name": plan.name,
                "before": None if plan.before is None else _plan(plan.before),
                "after": None if plan.after is None else _plan(plan.after),
                "saving_by_requests": _saving(plan.saving),
                "saving_against_today": _saving(plan.against_today),
                "realisable": interval_fields(plan.realisable),
            }
            for plan in answer.plans
        ],
        "priced_types": None if answer.coverage is None else asdict(answer.coverage),
        "recommendations": [
            {
                "name": one.name,
                "workloads": one.workloads,
                "usd_alone": _cents(one.alone_usd),
                "usd_share": _cents(one.share_usd),
                "frees": one.frees,
                "realisable": one.realisable,
            }
            for one in answer.valued
        ],
        "levers": [lever_fields(one) for one in levers],
        "cross_zone": {
            "gb": None if moved.nothing_known else interval_fields(moved.moved.scaled(1e-9)),
            "gb_with_locality_routing": None
            if moved.nothing_known
            else round(moved.local / 1e9, 3),
            "gb_of_unknown_zones": round(moved.unknown / 1e9, 3),
            "locality_routing_saves": None
            if price is None or moved.nothing_known
            else interval_fields(moved.locality_saving(price)),
        },
        "access_log": {
            "lines": round(answer.logs.lines) if answer.logs.known else None,
            "gb": round(answer.logs.bytes / 1e9, 3) if answer.logs.known else None,
        },
        "allocation": {
            "rule": "requests" if answer.by_requests is None else "larger",
            "by_requests": None if answer.by_requests is None else _parts(answer.by_requests),
            "total": answer.allocation.total_usd,
            "known_total": answer.allocation.total_cents / 100,
            "complete": answer.allocation.complete,
            **_parts(answer.allocation),
            "unpriced_nodes": list(answer.allocation.unpriced),
            "rows": _records(allocation_rows(answer)),
        },
        "notes": [*answer.notes, allocation_rule(answer)],
    }


def bill_rows(answer: MoneyAnswer) -> pd.DataFrame:
    """The bill by line: `line`, `low`, `usd`, `high` (USD a month), `source`, `note`."""
    return pd.DataFrame(
        [
            {
                "line": line.name,
                "low": None if line.usd is None else line.usd.low,
                "usd": None if line.usd is None else line.usd.mid,
                "high": None if line.usd is None else line.usd.high,
                "source": line.source,
                "note": line.note,
            }
            for line in answer.today.lines
        ]
    ).astype(dict.fromkeys(("low", "usd", "high"), float))


def allocation_rows(answer: MoneyAnswer) -> pd.DataFrame:
    """The bill by cause: `part`, `component`, `namespace`, `workload`, `usd` a month (NaN where a
    machine has no price)."""
    rows = answer.allocation.rows[["part", "component", "namespace", "workload", "usd"]]
    texts = rows.astype(object)
    return texts.where(texts.notna(), None).astype({"usd": float})


def money_tables(
    answer: MoneyAnswer, levers: Sequence[Lever] = (), *, workloads: int = 15
) -> list[Table]:
    """The bill, the plans, the recommendations, the levers and the causes, for a terminal."""
    mark = ", simulated" if answer.simulated else ""
    tables = [_bill_table(answer, mark)]
    if answer.plans:
        tables.append(_plan_table(answer.plans, mark, answer.coverage))
    if answer.valued:
        tables.append(_valued_table(answer, mark))
    if levers:
        tables.append(lever_table(levers, mark))
    tables += [_part_table(answer, mark), _cause_table(answer, workloads, mark)]
    return tables


def _bill_table(answer: MoneyAnswer, mark: str) -> Table:
    today = answer.today
    nodes = "unknown" if math.isnan(today.nodes) else f"{today.nodes:.1f}"
    table = _table(f"Bill of {nodes} nodes, USD a month{_support(answer)}{mark}", "USD")
    for line in today.lines:
        table.add_row(line.name, dollars(line.usd), _source(line))
    named = "known lines" if today.unknown and today.total is not None else "total"
    table.add_row(named, dollars(today.total), _left_out(today.unknown))
    return table


def _support(answer: MoneyAnswer) -> str:
    """What of the bill is for extended support."""
    if answer.terms.eks_support != "extended":
        return ""
    return f", {dollars(extended_surcharge(answer.terms))} of it for EKS extended support"


def _plan_table(
    plans: tuple[PricedPlan, ...], mark: str, coverage: Coverage | None = None
) -> Table:
    title = f"Promised node sets, EC2 and all, USD a month{mark}"
    table = Table(title=title, title_justify="left")
    table.add_column("plan")
    for name in ("nodes", "now", "after", "saved by requests", "against today", "promised"):
        table.add_column(name, justify="right")
    for plan in plans:
        now, after, saved = plan.before, plan.after, plan.saving
        overall = plan.against_today
        table.add_row(
            _PLANS[plan.name] + cheapest_of(plan.name, coverage),
            f"{'-' if now is None else f'{now.nodes:g}'} to "
            f"{'-' if after is None else f'{after.nodes:g}'}",
            dollars(None if now is None else now.total),
            dollars(None if after is None else after.total),
            dollars(None if saved is None else saved.on_demand_equivalent),
            dollars(None if overall is None else overall.on_demand_equivalent),
            "unknown" if plan.realisable is None else dollars(plan.realisable),
        )
    return table


def cheapest_of(name: PlanName, coverage: Coverage | None) -> str:
    """What stands beside "cheapest" where many types have no price."""
    if name == "same-type" or coverage is None or coverage.nearly_all:
        return ""
    return f" of the {coverage.priced} of {coverage.candidates} types with a price"


def _valued_table(answer: MoneyAnswer, mark: str) -> Table:
    title = f"What each change is worth, same type of node, USD a month{mark}"
    table = Table(title=title, title_justify="left")
    table.add_column("change")
    table.add_column("alone", justify="right")
    table.add_column("its share", justify="right")
    table.add_column("frees a node")
    for one in answer.valued:
        table.add_row(one.name, dollars(one.alone_usd), dollars(one.share_usd), one.frees)
    return table


def _part_table(answer: MoneyAnswer, mark: str) -> Table:
    table = Table(title=f"What it goes to, USD a month{mark}", title_justify="left")
    table.add_column("part")
    for name in ("USD", "share"):
        table.add_column(name, justify="right")
    split = answer.allocation
    total = split.total_usd
    parts = split.by_part()
    rows = [
        (str(name), None if pd.isna(usd) else float(usd))
        for name, usd in zip(parts["part"], parts["usd"], strict=True)
    ]
    rows.append(("of mesh: sidecars", split.sidecar_usd))
    for name, usd in sorted(rows, key=lambda row: -(row[1] or 0.0)):
        share = "unknown" if total is None or usd is None else f"{usd / total:.1%}"
        table.add_row(name, dollars(usd), share if total != 0 else "")
    if total is None:
        table.add_row("known, not the total", dollars(split.total_cents / 100), "")
    else:
        table.add_row("known lines" if answer.today.unknown else "total", dollars(total), "")
    return table


def _cause_table(answer: MoneyAnswer, workloads: int, mark: str) -> Table:
    table = Table(title=f"Who causes it, USD a month{mark}", title_justify="left")
    for name in ("part", "namespace", "workload"):
        table.add_column(name)
    table.add_column("USD", justify="right")
    rows = answer.allocation.rows
    for row in allocation_rows(answer).head(workloads).to_dict("records"):
        name = f"{row['workload']} ({row['component']})" if row["component"] else row["workload"]
        usd = None if pd.isna(row["usd"]) else row["usd"]
        table.add_row(row["part"], row["namespace"] or "", str(name), dollars(usd))
    rest = rows.iloc[workloads:]
    if len(rest):
        table.add_row("", "", f"{len(rest)} more", dollars(known_sum(rest)))
    table.add_row("total", "", "", dollars(answer.allocation.total_usd))
    return table


def _table(title: str, unit: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("line")
    table.add_column(unit, justify="right")
    table.add_column("source and note")
    return table


def _source(line: CostLine) -> str:
    return "; ".join(part for part in (line.note, line.source) if part)


def _plan(cost: PlanCost) -> dict[str, Any]:
    return {
        "nodes": None if math.isnan(cost.nodes) else round(cost.nodes, 3),
        "total": interval_fields(cost.total),
        "not_in_total": list(cost.unknown),
        "unpriced": list(cost.unpriced),
        "lines": [
            {
                "name": line.name,
                "usd": interval_fields(line.usd),
                "source": line.source,
                "note": line.note,
            }
            for line in cost.lines
        ],
    }


def _saving(saving: Saving | None) -> dict[str, Any] | None:
    if saving is None:
        return None
    return {
        "on_demand_equivalent": interval_fields(saving.on_demand_equivalent),
        "realisable": interval_fields(saving.realisable),
        "nodes": None if math.isnan(saving.nodes) else round(saving.nodes, 3),
        "note": saving.note,
    }


def _parts(split: Allocation) -> dict[str, float | None]:
    return {"mesh": split.mesh_usd, "sidecars": split.sidecar_usd, "idle": split.idle_usd}


def allocation_rule(answer: MoneyAnswer) -> str:
    """How machines are split, and what OpenCost's specification makes of it."""
    other = answer.by_requests
    if other is None:
        return (
            "machines are split by requests, GPUs apart; OpenCost's specification charges the larger of "
            "request and use (--allocation larger)"
        )
    here = answer.allocation
    changed = ", ".join(
        f"{name} {dollars(now)} instead of {dollars(before)}"
        for name, now, before in (
            ("mesh", here.mesh_usd, other.mesh_usd),
            ("idle", here.idle_usd, other.idle_usd),
        )
    )
    return (
        "machines are split by the larger of request and use, GPUs apart, as OpenCost's specification "
        f"has it, against requests alone: {changed} USD"
    )


def _left_out(names: tuple[str, ...]) -> str:
    return f"without {', '.join(names)}" if names else ""


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them: null where unknown."""
    texts = frame.astype(object)
    return [
        {str(k): v for k, v in row.items()}
        for row in texts.where(texts.notna(), None).to_dict("records")
    ]


def _cents(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
