"""Namespaces divided over several istiods, each of which watches only what its own need.

A revision alone saves nothing: its istiod still watches everything. A shard has `discoverySelectors`
of its own: its namespaces and those that they call. Cutting few calls keeps the second set small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rightsize.errors import UsageError
from rightsize.istiod.model import IstiodModel, MeshLoad
from rightsize.istiod.replicas import ReplicaPlan, hourly_worth, plan_for, quick_plan
from rightsize.namespaces.egress import ROOT_NAMESPACE
from rightsize.namespaces.partition import partition
from rightsize.namespaces.shard_loads import Namespaces
from rightsize.prices.unit_price import UnitPrice

_MOST_SHARDS = 6
_MOST_REPLICAS = 6
_ROOM = 0.5
"""Share of a node that one istiod pod may take: the rest of the node must stay useful."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One revision: the namespaces it injects, and those it watches besides."""

    number: int
    members: tuple[str, ...]
    watched: tuple[str, ...]
    """All it must watch: members, namespaces that these call, and the root namespace."""
    load: MeshLoad
    plan: ReplicaPlan
    share: float
    """Share of the mesh's load (proxies and push work)."""


@dataclass(frozen=True)
class Sharding:
    """A division into shards, and what it costs."""

    shards: tuple[Shard, ...]
    cut_services: float
    """Services watched by a shard that does not own them, summed over shards."""
    cut_calls: float
    """Calls between namespaces of different shards, as services called."""
    total_calls: float
    heaviest: float
    """Load of the heaviest shard over the mean."""
    worth: float
    """Requests of all istiods at unit prices, USD/h: ranks divisions, is no sum on a bill."""
    fits: bool
    """Every pod stays within the room of a node."""


@dataclass(frozen=True)
class ShardAdvice:
    """The division to take, among those looked at."""

    chosen: Sharding
    looked_at: tuple[Sharding, ...]
    reason: str
    notes: tuple[str, ...]


def divide(
    mesh: Namespaces,
    model: IstiodModel,
    shards: int,
    price: UnitPrice,
    *,
    room: tuple[float, float] | None = None,
    tolerance: float = 0.15,
    kept: Sequence[str] = (),
) -> Sharding:
    """Divide the mesh into this many shards and size each one's istiod.

    Parameters
    ----------
    price : UnitPrice
        Ranks CPU against memory.
    room : tuple of float, optional
        Cores and bytes that one istiod pod may request.
    tolerance : float
        How far a shard may stand above the mean load.
    kept : sequence of str
        Namespaces that every shard watches besides.
    """
    loads = mesh.loads
    weights = mesh.calls + mesh.calls.T
    found = partition(weights, loads, shards, tolerance=tolerance)
    parts = tuple(
        _shard(mesh, model, found.parts == number, number, price, room, kept)
        for number in range(shards)
    )
    services = np.array([float(s.load.services) for s in parts])
    fits = room is None or all(_within(s.plan, room) for s in parts)
    inside = mesh.calls.sum() - np.trace(mesh.calls)
    return Sharding(
        shards=parts,
        cut_services=float(services.sum() - model.load.services),
        cut_calls=found.cut,
        total_calls=float(inside),
        heaviest=found.heaviest,
        worth=sum(hourly_worth(s.plan, price) for s in parts),
        fits=fits,
    )


def choose_shards(
    mesh: Namespaces,
    model: IstiodModel,
    price: UnitPrice,
    *,
    shards: int | None = None,
    node: tuple[float, float] | None = None,
    kept: Sequence[str] = (),
) -> ShardAdvice:
    """Divide into the number of shards that fit and have the cheapest istiods.

    Parameters
    ----------
    shards : int, optional
        Wanted number; the model chooses without.
    node : tuple of float, optional
        Allocatable cores and bytes of the node type: a pod may take half of it.
    kept : sequence of str
        Namespaces that every shard watches besides: those that hold configuration alone.

    Raises
    ------
    UsageError
        For more shards than namespaces.
    """
    most = len(mesh.names)
    if shards is not None and not 1 <= shards <= most:
        raise UsageError(f"{shards} shards of {most} namespaces", hint=f"give 1 to {most}")
    room = None if node is None else (node[0] * _ROOM, node[1] * _ROOM)
    counts = range(1, min(_MOST_SHARDS, most) + 1)
    wanted = sorted({*counts, *([] if shards is None else [shards])})
    looked_at = tuple(divide(mesh, model, n, price, room=room, kept=kept) for n in wanted)
    notes = _notes(model, room, kept)
    if shards is not None:
        chosen = looked_at[wanted.index(shards)]
        return ShardAdvice(chosen, looked_at, f"{shards} shards were asked for", notes)
    fitting = [s for s in looked_at if s.fits]
    if not fitting:
        chosen = min(looked_at, key=lambda s: max(p.plan.memory.high for p in s.shards))
        reason = "none of the divisions fits half a node: the one with the smallest pods is shown"
    else:
        chosen = min(fitting, key=lambda s: s.worth)
        count = len(chosen.shards)
        more = f"; {count - 1} would cost more or not fit"
        reason = (
            "1 istiod costs least"
            if count == 1
            else f"{count} shards cost least of those that fit{more}"
        )
    return ShardAdvice(chosen, looked_at, reason, notes)


def _shard(
    mesh: Namespaces,
    model: IstiodModel,
    members: npt.NDArray[np.bool_],
    number: int,
    price: UnitPrice,
    room: tuple[float, float] | None,
    kept: Sequence[str],
) -> Shard:
    asked = np.array([name in kept for name in mesh.names])
    watched = members | (mesh.calls[members].sum(axis=0) > 0) | asked
    load = _load(mesh, model.load, members, watched)
    replicas = quick_plan(model, load, price, _MOST_REPLICAS)
    plan = plan_for(model, load, replicas)
    while room is not None and not _within(plan, room) and replicas < _MOST_REPLICAS:
        # Further pods take proxies off each one; services they cannot share.
        replicas += 1
        plan = plan_for(model, load, replicas)
    return Shard(
        number=number + 1,
        members=_names(mesh, members),
        watched=tuple(sorted({*_names(mesh, watched), ROOT_NAMESPACE, *kept})),
        load=load,
        plan=plan,
        share=float(mesh.loads[members].sum()),
    )


def _load(
    mesh: Namespaces,
    whole: MeshLoad,
    members: npt.NDArray[np.bool_],
    watched: npt.NDArray[np.bool_],
) -> MeshLoad:
    """The shard's part: its own proxies, the services it watches, pushes by both."""
    proxies = float(mesh.proxies[members].sum() / max(mesh.proxies.sum(), 1.0))
    services = float(mesh.services[watched].sum() / max(mesh.services.sum(), 1.0))
    churn = float(mesh.churn[watched].sum() / max(mesh.churn.sum(), 1e-9))
    return replace(
        whole,
        services=whole.services * services,
        proxies=whole.proxies * proxies,
        endpoints=None if whole.endpoints is None else whole.endpoints * services,
        # A change is pushed to every proxy of a shard that watches it.
        pushes=whole.pushes * proxies * churn,
        pushed_mib=None if whole.pushed_mib is None else whole.pushed_mib * proxies * churn,
    )


def _within(plan: ReplicaPlan, room: tuple[float, float]) -> bool:
    return plan.cpu_request <= room[0] and plan.memory.high <= room[1]


def _names(mesh: Namespaces, chosen: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(name for name, there in zip(mesh.names, chosen, strict=True) if there)


def _notes(
    model: IstiodModel, room: tuple[float, float] | None, kept: Sequence[str]
) -> tuple[str, ...]:
    notes = [
        "services of a namespace are spread from pilot_services by what was seen of it: estimates",
        "a call to a namespace first made after the window is not in the shard's selectors: it "
        "leaves the mesh until that namespace is labelled",
    ]
    if not kept:
        notes.append(
            "namespaces that hold nothing but Istio's objects (ServiceEntry, VirtualService, ...) are "
            "not seen here, and from Istio 1.22 on those objects are passed over where a namespace "
            "is not watched: give them with -f or --keep"
        )
    if room is None:
        notes.append("the node type of istiod is not known: no bound on the size of a pod")
    if not model.trusted:
        notes.append("istiod's history follows another law (see rightsize control-plane)")
    return tuple(notes)


def migration_order(mesh: Namespaces, shard: Shard) -> tuple[str, ...]:
    """Namespaces of a shard in the order to move them: small ones first, gateways last.

    Namespaces without proxies do not move: their label would inject them.
    """
    size: Mapping[str, tuple[bool, float, str]] = {
        name: (bool(gateway), float(proxies), name)
        for name, proxies, gateway in zip(mesh.names, mesh.proxies, mesh.gateways, strict=True)
    }
    moved = set(shard.members) - set(mesh.without_proxies)
    return tuple(sorted(moved, key=lambda name: size[name]))
