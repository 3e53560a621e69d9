"""Ambient mode, as JSON, tables and lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from rightsize.ambient.facts import read_on
from rightsize.ambient.obstacles import Obstacle
from rightsize.ambient.study import AmbientStudy
from rightsize.ambient.waypoints import WaypointNeed
from rightsize.files.known import version_text
from rightsize.output.tables import Column, Table

JSON_VERSION = 1
_NEEDS = {
    "objects": "yes: routes or policies",
    "traffic": "yes: gRPC",
    "telemetry": "for its metrics",
    "unknown": "not known",
    "none": "no",
}


def ambient_to_dict(study: AmbientStudy, *, simulated: bool) -> Mapping[str, object]:
    """The answer of `rightsize ambient --format json`; see docs/ambient.md."""
    return {
        "schema_version": JSON_VERSION,
        "simulated": simulated,
        "istio_release": None if study.release is None else version_text(study.release),
        "facts_read_on": read_on(),
        "namespaces": [_namespace(study, need) for need in study.needs],
        "obstacles": [_obstacle(one) for one in study.obstacles],
        "notes": list(study.notes),
    }


def ambient_parts(study: AmbientStudy) -> list[Table | str]:
    """The same for people."""
    return [
        namespaces_table(study),
        *([obstacles_table(study.obstacles)] if study.obstacles else []),
        *(f"{title}: {why}. Instead: {instead}." for title, why, instead in _explained(study)),
        *(f"note: {note}" for note in study.notes),
    ]


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
