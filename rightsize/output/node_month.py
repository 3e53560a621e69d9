"""The replayed month as a table, sentences and JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from rich.table import Table

from rightsize.nodes.answer import MonthAnswer, Trial
from rightsize.nodes.month import MonthReplay, OrderRange
from rightsize.results import HOURS_PER_MONTH


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
            "no longer wait and no overprovisioning pod spares scaling events beyond chance here, nor does a "
            "larger minimum"
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


def month_to_dict(month: MonthAnswer) -> dict[str, Any]:
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
