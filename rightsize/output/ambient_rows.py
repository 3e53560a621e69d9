"""Ambient mode, as JSON, tables and lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rightsize.ambient.answer import AmbientAnswer, AmbientCosts
from rightsize.ambient.cost import BreakEven, NamespaceCost, NodeChange
from rightsize.ambient.facts import read_on
from rightsize.ambient.obstacles import Obstacle
from rightsize.ambient.order import Wave
from rightsize.ambient.running import Autoscaler, RunningAmbient, Waypoint
from rightsize.ambient.study import AmbientStudy
from rightsize.ambient.waypoints import WaypointNeed
from rightsize.files.known import version_text
from rightsize.output.tables import Column, Table
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Interval

JSON_VERSION = 1
_NEEDS = {
    "objects": "yes: routes or policies",
    "traffic": "yes: gRPC",
    "telemetry": "for its metrics",
    "unknown": "not known",
    "none": "no",
}


def ambient_to_dict(answer: AmbientAnswer, *, simulated: bool) -> Mapping[str, object]:
    """The answer of `rightsize ambient --format json`; see docs/ambient.md."""
    study = answer.study
    return {
        "schema_version": JSON_VERSION,
        "simulated": simulated,
        "istio_release": None if study.release is None else version_text(study.release),
        "facts_read_on": read_on(),
        "namespaces": [_namespace(study, need) for need in study.needs],
        "obstacles": [_obstacle(one) for one in study.obstacles],
        "costs": None if answer.costs is None else _costs(answer.costs),
        "running": None if answer.running is None else asdict(answer.running),
        "notes": list(study.notes),
    }


def ambient_parts(answer: AmbientAnswer) -> list[Table | str]:
    """The same for people."""
    study, costs = answer.study, answer.costs
    running = answer.running
    return [
        *([namespaces_table(study)] if study.needs else []),
        *([obstacles_table(study.obstacles)] if study.obstacles else []),
        *(f"{title}: {why}. Instead: {instead}." for title, why, instead in _explained(study)),
        *([] if costs is None else cost_parts(costs)),
        *([] if running is None else running_parts(running)),
        *(f"note: {note}" for note in study.notes),
    ]


def running_parts(running: RunningAmbient) -> list[Table | str]:
    """ztunnels by node class and waypoints of a mesh that runs ambient mode."""
    names = ", ".join(running.namespaces) or "none by its label"
    parts: list[Table | str] = [f"in ambient mode: {names}"]
    if running.ztunnels:
        columns = [
            Column("instance type", lambda one: one.instance_type),
            Column("nodes", lambda one: one.nodes, figure=True),
            Column("CPU p99", lambda one: format_cpu(one.cpu), figure=True),
            Column("memory peak", lambda one: format_memory(one.memory), figure=True),
            Column("requests", lambda one: _request(one.cpu_request, one.memory_request)),
            Column("", lambda one: "sets the size of all" if one.decides else ""),
        ]
        parts.append(Table("ztunnel by node class", columns, running.ztunnels))
    if running.waypoints:
        columns = [
            Column("waypoint", lambda one: f"{one.namespace}/{one.name}"),
            Column("pods", lambda one: one.pods, figure=True),
            Column("CPU p99 of all", lambda one: format_cpu(one.cpu), figure=True),
            Column("requests/s", lambda one: f"{one.requests_per_second:,.1f}", figure=True),
            Column("serves", lambda one: _serves(one, running.services_read)),
            Column("HPA", lambda one: _scaler(one.autoscaler, "none")),
            Column("advised HPA", _advised),
        ]
        parts.append(Table("Waypoints", columns, running.waypoints))
    if running.missing:
        parts.append(
            f"labelled with a waypoint of which no proxy was seen: {'; '.join(running.missing)}; calls "
            "go there without one, past its routes and policies (condition istio.io/WaypointBound)"
        )
    return parts


def _serves(one: Waypoint, services_read: bool) -> str:
    if one.users is None:
        return "not known: no labels"
    if services_read:
        return ", ".join(one.users) or "nobody: remove it"
    return (
        ", ".join(one.users) or "no namespace or pod; Services were not read (-f, --kube-context)"
    )


def _advised(one: Waypoint) -> str:
    return "none" if one.unused else _scaler(one.advised, "no request is known")


def _scaler(found: Autoscaler | None, otherwise: str) -> str:
    if found is None:
        return otherwise
    target = "" if found.target is None else f" at {found.target:g} % CPU"
    return f"{found.least} to {found.most} pods{target}"


def _request(cpu: float | None, memory: float | None) -> str:
    shown = ["no CPU" if cpu is None else format_cpu(cpu)]
    shown.append("no memory" if memory is None else format_memory(memory))
    return ", ".join(shown)


def cost_parts(costs: AmbientCosts) -> list[Table | str]:
    """Costs by namespace, waves, figures, and what is to be measured first."""
    parts: list[Table | str] = [costs_table(costs)]
    if costs.waves:
        base = costs.base
        nodes = "" if base is None else f", from {base.nodes} nodes with right-sized sidecars"
        parts.append(waves_table(costs.waves, f"An order{nodes}"))
    parts += [f"figure: {figure.text}" for figure in costs.figures.values()]
    istiod = costs.istiod_memory
    if istiod.high > 0:
        parts.append(f"istiod with fewer clients: {_bytes(istiod)} less in all")
    if costs.measure:
        columns = [
            Column("what", lambda one: one.what),
            Column("why", lambda one: one.why),
            Column("query", lambda one: one.query),
        ]
        parts.append(Table("Measure in the first namespace", columns, costs.measure))
    return [*parts, *(f"note: {note}" for note in costs.notes)]


def costs_table(costs: AmbientCosts) -> Table:
    """One row for each namespace: requests of both modes, and what the difference is worth."""
    columns = [
        Column("namespace", lambda one: one.namespace),
        Column(
            "sidecars request", lambda one: _size(one.before.cpu, one.before.memory), whole=True
        ),
        Column("ambient requests", _after),
        Column("worth saved, USD/month", lambda one: _money(one.usd), figure=True),
        Column("alone: nodes saved", lambda one: _nodes(one.alone), figure=True),
        Column("ambient is cheaper", lambda one: _even(one.break_even)),
    ]
    return Table(
        "Against right-sized sidecars, shares of ztunnels included", columns, costs.namespaces
    )


def waves_table(waves: Sequence[Wave], title: str) -> Table:
    """One row for each wave; figures are cumulative."""
    columns = [
        Column("wave", lambda wave: wave.number, figure=True),
        Column("namespaces", lambda wave: ", ".join(wave.namespaces)),
        Column("new waypoints", lambda wave: len(wave.waypoints), figure=True),
        Column("nodes saved so far", lambda wave: _nodes(wave.saving), figure=True),
        Column("USD/month so far", _wave_money, figure=True),
    ]
    return Table(title, columns, waves)


def _wave_money(wave: Wave) -> str:
    usd = None if wave.saving is None else wave.saving.usd
    return "not computed" if usd is None else _money(usd)


def _after(one: NamespaceCost) -> str:
    return _size(one.after["mid"].cpu, one.after["mid"].memory)


def _size(cpu: float, memory: float) -> str:
    return f"{format_cpu(cpu)}, {format_memory(memory)}"


def _money(usd: Interval) -> str:
    if usd.low == usd.high:
        return f"{usd.mid:,.0f}"
    return f"{usd.mid:,.0f} ({usd.low:,.0f} to {usd.high:,.0f})"


def _nodes(change: NodeChange | None) -> str:
    return "not computed" if change is None else _money(change.nodes)


def _bytes(found: Interval) -> str:
    low, mid, high = (format_memory(value) for value in (found.low, found.mid, found.high))
    return f"{mid} ({low} to {high})"


def _even(found: BreakEven) -> str:
    if found.rate is None:
        return {"always": "at every rate", "never": "at no rate"}.get(found.cheaper, "")
    rate = found.rate
    return f"{found.cheaper} {rate.mid:,.0f} requests/s ({rate.low:,.0f} to {rate.high:,.0f})"


def _costs(costs: AmbientCosts) -> Mapping[str, object]:
    return {
        "nodes_with_right_sized_sidecars": None if costs.base is None else costs.base.nodes,
        "namespaces": [asdict(one) for one in costs.namespaces],
        "together": None if costs.together is None else asdict(costs.together),
        "waves": [asdict(wave) for wave in costs.waves],
        "figures": [
            {**asdict(figure), "unit": "cores for one request/s, bytes of one proxy"}
            for figure in costs.figures.values()
        ],
        "ztunnel_request": asdict(costs.ztunnel),
        "istiod_memory_bytes": asdict(costs.istiod_memory),
        "measure_first": [asdict(one) for one in costs.measure],
        "notes": list(costs.notes),
    }


def namespaces_table(study: AmbientStudy) -> Table:
    """One row for each namespace with sidecars."""

    def pods(need: WaypointNeed) -> object:
        return int(study.sidecars.get(need.namespace, 0))

    def stands(need: WaypointNeed) -> str:
        own = study.obstacles_of(need.namespace)
        stops = "stays on sidecars; " if study.stopped(need.namespace) else ""
        return f"{stops}{len(own)}" if own else stops.rstrip("; ") or "nothing seen"

    columns = [
        Column("namespace", lambda need: need.namespace),
        Column("sidecars", pods, figure=True),
        Column("requests/s", lambda n: n.requests_per_second, lambda x: f"{x:,.1f}", figure=True),
        Column("waypoint", lambda need: _NEEDS[need.need]),
        Column("why", lambda need: "; ".join(need.reasons)),
        Column("obstacles", stands),
    ]
    return Table("Ambient mode by namespace, busy hour", columns, study.needs)


def obstacles_table(obstacles: Sequence[Obstacle]) -> Table:
    """One row for each feature in use."""
    columns = [
        Column("namespace", lambda one: one.namespace or "whole mesh"),
        Column("what", lambda one: one.feature.title),
        Column("effect", lambda one: one.feature.effect),
        Column("object", lambda one: one.subject),
        Column("where", lambda one: one.where),
        Column("evidence", lambda one: one.evidence),
        Column("releases", lambda one: one.feature.span),
    ]
    return Table("What stands in the way", columns, obstacles)


def _explained(study: AmbientStudy) -> list[tuple[str, str, str]]:
    seen = {one.feature.id: one.feature for one in study.obstacles}
    return [(f.title, f.why, f.instead) for f in seen.values()]


def _namespace(study: AmbientStudy, need: WaypointNeed) -> Mapping[str, object]:
    return {
        **asdict(need),
        "sidecars": int(study.sidecars.get(need.namespace, 0)),
        "stays_on_sidecars": study.stopped(need.namespace),
        "obstacles": len(study.obstacles_of(need.namespace)),
    }


def _obstacle(one: Obstacle) -> Mapping[str, object]:
    feature = one.feature
    return {
        "id": feature.id,
        "effect": feature.effect,
        "title": feature.title,
        "namespace": one.namespace,
        "object": one.subject,
        "where": one.where,
        "evidence": one.evidence,
        "releases": feature.span,
        "why": feature.why,
        "instead": feature.instead,
        "documentation": feature.page,
        "source": feature.paths or None,
    }
