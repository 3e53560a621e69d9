"""The month in five figures, and what to do now."""

from __future__ import annotations

from collections.abc import Sequence

from rightsize.cost.saving import as_replayed, saving
from rightsize.output.report.levers import lever_actions, part_of_bill, support_action
from rightsize.output.report.model import Action, Figure, written, written_range
from rightsize.output.report.promised import running_text
from rightsize.output.report.sources import price_range
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Interval, Rule
from rightsize.review import Review

_MOST_ACTIONS = 5
_MOST_OWNERS = 3


def figures_of(review: Review) -> tuple[Figure, ...]:
    """Mesh cost, its share of the bill, saving available, saving realised, risk taken."""
    money = review.money
    total = money.allocation.total_usd
    mesh = money.allocation.mesh_usd
    share = mesh / total if mesh is not None and total else None
    days = f"{money.covered_hours / 24:g} of {review.month.length} days"
    return (
        Figure("Mesh cost", None if mesh is None else price_range(review).scaled(mesh), "usd",
               f"sidecars, istiod, gateways: what they request; {days}", "parts", "bill"),
        Figure("Share of the cluster's bill", share, "percent", _bill_note(review), "parts", "bill"),
        Figure("Saving available", _available(review), "usd", _available_note(review),
               "steps", "saving"),
        Figure("Saving realised", _realised(review), "usd", _realised_note(review),
               "promised", "realised"),
        Figure("Risk taken", _risk(review), "percent",
               "of 5-minute windows above the recommended CPU request, on the history it was found on",
               "risk", "risk"),
    )  # fmt: skip


def _bill_note(review: Review) -> str:
    """The bill with its range, and whether that is all of it."""
    money = review.money
    if money.today.total is None or not money.allocation.complete:
        known = money.allocation.total_cents / 100
        return f"of a bill that is unknown; known of it: {written(known, 'usd')}"
    lines = ", known lines" if money.today.unknown else ""
    return f"of {written_range(money.today.total, 'usd')}{lines}{part_of_bill(review)}"


def actions_of(review: Review) -> tuple[Action, ...]:
    """At most five actions for now, safety first; what is expected to bring nothing is none."""
    found = [
        *_safety(review),
        *_apply(review),
        *_settings(review),
        *support_action(review),
        *_nodes(review),
        *_scale_points(review),
        *lever_actions(review),
    ]
    worth = [one for one in found if one.usd_per_month is None or one.usd_per_month.mid >= 0.005]
    return tuple(worth[:_MOST_ACTIONS])


def _available(review: Review) -> Interval | None:
    saving = review.available
    if saving is None:
        return None
    usd = saving.realisable or saving.on_demand_equivalent
    if usd is None:
        return None
    # A node set that would have to grow is no saving; the table behind shows it.
    return Interval(max(usd.low, 0.0), max(usd.mid, 0.0), max(usd.high, 0.0))


def _available_note(review: Review) -> str:
    saving = review.available
    if saving is None:
        return "unknown: no plan or no price"
    nodes = max(round(saving.nodes), 0)
    kind = "" if saving.realisable else ", on-demand equivalent, commitments unknown"
    return (
        f"a month of {review.plan_terms.hours:g} h, {_count(nodes, 'node')} fewer{kind}"
        f"{_goes(review)}{_on_fargate(review)}"
    )


def _goes(review: Review) -> str:
    """How the autoscaler comes to that count."""
    if review.replay is None or review.planned is None or review.planned <= 0:
        return ""
    freed = review.replay.freed(review.planned)
    scaler = freed.setting.kind
    plan = "" if freed.expected == freed.planned else f" of {freed.planned} that could go"
    if freed.by_default >= freed.expected:
        return f"{plan}; {scaler} takes them by its defaults"
    default = "none" if freed.by_default == 0 else str(freed.by_default)
    return f"{plan}, with {freed.setting.setting}; {scaler}'s defaults take {default} away"


def _on_fargate(review: Review) -> str:
    usd = review.fargate_saving
    return "" if usd is None else f"; {written(usd.mid, 'usd')} of it in sizes of Fargate"


def _realised(review: Review) -> Interval | None:
    return None if review.realised is None else review.realised.by_tool


def _realised_note(review: Review) -> str:
    if review.realised is None:
        return "unknown: no month before, or no prices"
    if review.earlier is None:
        return "first report: from requests that fell since the month before"
    if review.running is not None:
        return running_text(review)
    return f"of what reports up to {review.earlier} promised"


def _risk(review: Review) -> float | None:
    windows = review.risk["windows"].sum()
    if not windows:
        return None
    return float(review.risk["cpu_above_recommended"].sum() / windows)


def _safety(review: Review) -> list[Action]:
    raised = [
        row
        for row in review.advice.recommendations
        if row.workload is not None
        and Rule.EVENT in (row.cpu.rule, row.memory.rule)
        and row.changes
    ]
    if not raised:
        return []
    names = ", ".join(row.key for row in raised[:4]) + (" and others" if len(raised) > 4 else "")
    return [
        Action(
            f"Raise {_count(len(raised), 'throttled or OOM-killed workload')}",
            None,
            "one pull request",
            "high while left as it is",
            f"{names}: rightsize recommend -f values.yaml writes the sizes",
            owners_of(review, [(str(row.namespace), str(row.workload)) for row in raised]),
        )
    ]


def owners_of(review: Review, workloads: Sequence[tuple[str, str]]) -> str:
    """Teams of some workloads, or the owners of their namespaces where no team is known."""
    teams = review.accounts.owners
    named = dict.fromkeys(
        teams.get((namespace, workload), f"owner of {namespace}")
        for namespace, workload in workloads
    )
    first = list(named)[:_MOST_OWNERS]
    return ", ".join(first) + (" and others" if len(named) > len(first) else "")


def _apply(review: Review) -> list[Action]:
    default = review.advice.mesh_default
    if default is None or not default.changes:
        return []
    cpu, memory = default.cpu.recommended_request, default.memory.recommended_request
    shown = " and ".join(
        text
        for text in (
            None if cpu is None else format_cpu(cpu),
            None if memory is None else format_memory(memory),
        )
        if text
    )
    return [
        Action(
            f"Set the mesh default to {shown}",
            _from_requests(review),
            "one pull request and a rollout",
            "low: one step, exceptions pinned",
            "rightsize recommend -f values.yaml; the money comes with the nodes that go away",
        )
    ]


def _from_requests(review: Review) -> Interval | None:
    """What the requests alone bring: nodes that today's requests would let go are not theirs.

    Where today's requests need more nodes than there are, only nodes that are there can go.
    """
    steps = {step.kind: step for step in review.steps}
    today, packed, after = (steps.get(kind) for kind in ("today", "packed", "this-step"))
    if today is None or packed is None or after is None:
        return None
    before = packed if packed.nodes < today.nodes else today
    found = saving(before.cost, after.cost, review.plan_terms)
    if review.replay is not None:
        found = as_replayed(found, review.replay.freed(round(found.nodes)))
    usd = found.realisable or found.on_demand_equivalent
    return None if usd is None else Interval(max(usd.low, 0), max(usd.mid, 0), max(usd.high, 0))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _nodes(review: Review) -> list[Action]:
    steps = {step.kind: step for step in review.steps}
    packed, today = steps.get("packed"), steps.get("today")
    if packed is None or today is None or packed.nodes >= today.nodes:
        return []
    fewer = today.nodes - packed.nodes
    usd = saving(today.cost, packed.cost, review.plan_terms).on_demand_equivalent
    return [
        Action(
            f"Let the autoscaler take {_count(fewer, 'node')} away",
            # Nothing but the autoscaler's settings keeps the node: it may have to stay.
            None if usd is None else Interval(0.0, max(usd.mid, 0.0), max(usd.high, 0.0)),
            "autoscaler settings",
            "medium: pods move",
            "today's requests already fit on fewer nodes of the same type",
        )
    ]


def _settings(review: Review) -> list[Action]:
    """The setting without which no node goes, and with it no dollar."""
    if review.replay is None or review.planned is None:
        return []
    freed = review.replay.freed(review.planned)
    if freed.by_default >= freed.expected:
        return []
    first = review.replay.before.first
    held = "".join(f"; {line}" for line in review.replay.holds[:1])
    default = "none" if freed.by_default == 0 else str(freed.by_default)
    return [
        Action(
            f"Set {freed.setting.kind} so that nodes go",
            None,
            "autoscaler settings",
            "medium: pods move",
            f"its defaults take {default} of {first} nodes away, {freed.setting.setting} takes the "
            f"{freed.expected} of this step in the month's replay{held}",
        )
    ]


def _scale_points(review: Review) -> list[Action]:
    points = review.advice.scale_points
    if not points:
        return []
    names = "; ".join(f"{p.namespace}/{p.hpa}: {p.advice}" for p in points[:3])
    return [
        Action(
            f"Move the target of {_count(len(points), 'autoscaler')} along",
            None,
            "one pull request",
            "low",
            names,
            owners_of(review, [(str(p.namespace), str(p.workload)) for p in points]),
        )
    ]
