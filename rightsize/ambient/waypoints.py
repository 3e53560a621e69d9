"""Which namespaces need a waypoint: their objects, their traffic, or what reads their metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rightsize.ambient.obstacles import Obstacle
from rightsize.ambient.rates import Rates
from rightsize.ambient.readers import Reader

Need = Literal["objects", "traffic", "telemetry", "unknown", "none"]
"""`objects`: a route or policy of layer 7; `traffic`: gRPC that is balanced by request;
`telemetry`: only metrics of requests that somebody reads; `unknown`: HTTP, but no objects were read;
`none`: mutual TLS and policies of layer 4 are all that it has."""
NEEDED: tuple[Need, ...] = ("objects", "traffic", "telemetry")
_LEAST_GRPC = 0.01
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class WaypointNeed:
    """One namespace. Rates are those of its busy hour."""

    namespace: str
    need: Need
    reasons: tuple[str, ...]
    requests_per_second: float
    """HTTP and gRPC requests into the namespace."""
    connections_per_second: float
    """Connections of TCP into it."""


def waypoint_needs(
    namespaces: Iterable[str],
    obstacles: Sequence[Obstacle],
    readers: Sequence[Reader],
    rates: Rates,
    *,
    objects_read: bool,
) -> tuple[WaypointNeed, ...]:
    """Who needs a waypoint, by namespace.

    Parameters
    ----------
    namespaces : iterable of str
        Those with sidecars.
    obstacles, readers : sequence
        From objects and files; `objects_read` says whether any were given.
    """
    found = []
    for name in sorted(namespaces):
        rate = rates.busy_into(name)
        need, reasons = _need(name, obstacles, readers, rates, rate, objects_read)
        connections = rates.busy_into(name, layer_7=False)
        found.append(WaypointNeed(name, need, reasons, rate, connections))
    return tuple(found)


def _need(
    name: str,
    obstacles: Sequence[Obstacle],
    readers: Sequence[Reader],
    rates: Rates,
    rate: float,
    objects_read: bool,
) -> tuple[Need, tuple[str, ...]]:
    bound = [
        one
        for one in obstacles
        if one.feature.effect == "waypoint"
        and (one.namespace == name or (one.namespace is None and rate > 0))
    ]
    if bound:
        return "objects", _short([f"{one.subject} ({one.evidence})" for one in bound])
    if rates.grpc_share(name) > _LEAST_GRPC:
        return "traffic", (
            f"{rates.grpc_share(name):.0%} of its requests are gRPC: sidecars balance them request "
            "by request, ztunnel connection by connection",
        )
    reading = [one for one in readers if one.namespace in (None, name)] if rate > 0 else []
    if reading:
        places = [f"{one.metric} is read in {one.where}" for one in reading]
        return "telemetry", _short(places)
    if rate > 0 and not objects_read:
        return "unknown", ("HTTP, and no objects, rules or dashboards were read",)
    if rate > 0:
        return "none", (
            "HTTP without a route, policy or reader of layer 7; sidecars retry twice by default, "
            "ztunnel never",
        )
    return "none", ("no HTTP was seen",)


def _short(texts: Sequence[str]) -> tuple[str, ...]:
    unique = list(dict.fromkeys(texts))
    more = [f"and {len(unique) - _SHOWN} more"] if len(unique) > _SHOWN else []
    return (*unique[:_SHOWN], *more)
