"""What if the mesh were larger, or had no sidecars: requests, replicas, nodes, dollars.

What is measured on this mesh is carried on by its own laws; what was never measured on it
(ambient mode) rests on published figures, and each answer says which is which.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from rightsize.errors import NoDataError, UsageError
from rightsize.istiod.mesh_today import MeshToday, Scale
from rightsize.istiod.model import IstiodModel, MeshLoad
from rightsize.istiod.published import RATE, SIDECAR, WAYPOINT, ZTUNNEL
from rightsize.istiod.replicas import ReplicaPlan, plan_for, quick_plan
from rightsize.namespaces.proxy_memory import STATIC_CLUSTERS, ProxyMemoryLaw
from rightsize.nodes.plan import NodeSet
from rightsize.prices.node_kinds import PACKED
from rightsize.prices.unit_price import UnitPrice
from rightsize.results import HOURS_PER_MONTH, Interval
from rightsize.simulate.to_measure import (
    AMBIENT,
    Measurement,
    istiod_measurements,
    sidecar_measurement,
)

Mode = Literal["sidecar", "ambient"]
AMBIENT_HEADROOM = 1.5
"""Requests over published usage. An assumption: no published figure states a request."""
_WAYPOINT_PODS = 2
"""Pods of each waypoint, so that one may be lost."""
_MOST_REPLICAS = 12


@dataclass(frozen=True)
class Outcome:
    """The mesh at the scale asked about, in one mode. CPU in cores, memory in bytes, totals."""

    mode: Mode
    scale: Scale
    istiod: ReplicaPlan
    istiod_cpu: Interval
    istiod_memory: Interval
    """Expected use of all istiod pods; what they request is `istiod`, sized on the upper ends."""
    data_plane_cpu: Interval
    data_plane_memory: Interval
    proxies: Interval
    """Pods of the data plane: sidecars, or ztunnels and waypoints."""
    nodes: Interval | None
    usd_per_month: Interval | None
    assumptions: tuple[str, ...]
    to_measure: tuple[Measurement, ...]
    """What would narrow the intervals; empty where they are narrow."""


def simulate(
    today: MeshToday,
    scale: Scale,
    model: IstiodModel,
    law: ProxyMemoryLaw | None,
    price: UnitPrice,
    *,
    mode: Mode = "sidecar",
) -> Outcome:
    """Carry the mesh of today to another scale.

    Parameters
    ----------
    law : ProxyMemoryLaw or None
        Without it sidecars keep their size, and the answer says so.
    price : UnitPrice
        Ranks replicas of istiod against their size.

    Raises
    ------
    UsageError
        For a scale that is not positive.
    """
    asked = (scale.services, scale.pods, scale.requests_per_second)
    if not np.isfinite(asked).all():
        raise UsageError("services, pods and requests per second must be numbers")
    if min(scale.services, scale.pods) <= 0 or scale.requests_per_second < 0:
        raise UsageError("services and pods must be more than zero, requests per second not less")
    if not 0 <= scale.waypoint_share <= 1:
        raise UsageError(f"waypoint share {scale.waypoint_share}: a share is from 0 to 1")
    said: list[str] = []
    if mode == "sidecar":
        cpu, memory, proxies = _sidecars(today, scale, law, said)
    else:
        cpu, memory, proxies = _ambient(today, scale, said)
    plan, istiod_cpu, istiod_memory = _istiod(today, scale, model, price, mode, proxies, said)
    nodes, usd = _nodes(
        today,
        scale,
        mode,
        (cpu, memory),
        (plan.replicas * plan.cpu_request, plan.replicas * plan.memory.high),
        proxies,
        said,
    )
    return Outcome(
        mode=mode,
        scale=scale,
        istiod=plan,
        istiod_cpu=istiod_cpu,
        istiod_memory=istiod_memory,
        data_plane_cpu=cpu,
        data_plane_memory=memory,
        proxies=proxies,
        nodes=nodes,
        usd_per_month=usd,
        assumptions=tuple(said),
        to_measure=_to_measure(today, scale, model, law, mode, plan.replicas),
    )


def _to_measure(
    today: MeshToday,
    scale: Scale,
    model: IstiodModel,
    law: ProxyMemoryLaw | None,
    mode: Mode,
    replicas: int,
) -> tuple[Measurement, ...]:
    if mode == "ambient":
        unknown = "published figures, which were not measured on this mesh"
        return (Measurement("data plane", unknown, AMBIENT),)
    load = load_at(today, scale, model.load)
    return (
        *sidecar_measurement(law, grows=scale.services > today.scale.services),
        *istiod_measurements(model.memory, load, replicas),
        *istiod_measurements(model.cpu, load, replicas),
    )


def load_at(today: MeshToday, scale: Scale, now: MeshLoad, *, churn: float = 2.0) -> MeshLoad:
    """istiod's load at a scale: pushes grow with the pods to the power of `churn`.

    Each pod's start is pushed to every proxy, so that pushes grow with the square of the pods
    while the pods' own rate of change stays; 1 is the lower end (changes do not grow along).
    """
    pods = scale.pods / today.scale.pods
    pushes = pods**churn
    return replace(
        now,
        services=scale.services,
        proxies=now.proxies * pods,
        endpoints=None if now.endpoints is None else now.endpoints * pods,
        pushes=now.pushes * pushes,
        pushed_mib=None if now.pushed_mib is None else now.pushed_mib * pushes,
    )


def _istiod(
    today: MeshToday,
    scale: Scale,
    model: IstiodModel,
    price: UnitPrice,
    mode: Mode,
    proxies: Interval,
    said: list[str],
) -> tuple[ReplicaPlan, Interval, Interval]:
    high = load_at(today, scale, model.load)
    low = load_at(today, scale, model.load, churn=1.0)
    if mode == "ambient":
        share = proxies.mid / max(scale.pods, 1.0)
        high = replace(high, proxies=high.proxies * share, pushes=high.pushes * share)
        low = replace(low, proxies=low.proxies * share, pushes=low.pushes * share)
        said.append(
            "istiod is taken to serve a ztunnel or waypoint as it serves a sidecar: a law fitted "
            "on sidecars, not measured for ambient"
        )
    replicas = quick_plan(model, high, price, _MOST_REPLICAS)
    plan = plan_for(model, high, replicas)
    memory, most = model.memory.at(low, replicas), model.memory.at(high, replicas)
    cpu = model.cpu.at(low, replicas)
    said.append(
        "pushes grow with the square of the pods (each change goes to every proxy); the lower end "
        "of istiod's CPU has them grow with the pods alone"
    )
    if not model.trusted:
        said.append("istiod's history follows another law (see rightsize control-plane)")
    return (
        plan,
        Interval(min(cpu.low, plan.cpu.mid), plan.cpu.mid, plan.cpu.high).scaled(replicas),
        Interval(min(memory.low, most.mid), most.mid, most.high).scaled(replicas),
    )


def _sidecars(
    today: MeshToday, scale: Scale, law: ProxyMemoryLaw | None, said: list[str]
) -> tuple[Interval, Interval, Interval]:
    """Requests of all sidecars: as today, raised where the larger configuration asks for it."""
    added = Interval.exactly(0.0)
    if law is None or today.clusters is None:
        said.append("proxies do not report their clusters: sidecars keep their memory request")
    else:
        growth = max(scale.services / today.scale.services - 1, 0.0)
        added = law.bytes_per_cluster.scaled(max(today.clusters - STATIC_CLUSTERS, 0) * growth)
        said.append(
            f"sidecars without a scope learn of every service; memory by cluster: {law.text}"
        )
    sizes = [
        max(today.sidecar_memory, today.sidecar_memory_used + more)
        for more in (added.low, added.mid, added.high)
    ]
    said.append("CPU of a sidecar stays: each pod is taken to serve what it serves today")
    return (
        Interval.exactly(today.sidecar_cpu * scale.pods),
        Interval(sizes[0], sizes[1], sizes[2]).scaled(scale.pods),
        Interval.exactly(scale.pods),
    )


def _ambient(
    today: MeshToday, scale: Scale, said: list[str]
) -> tuple[Interval, Interval, Interval]:
    """ztunnels and waypoints at published figures: nothing of it was measured on this mesh.

    A request crosses the ztunnel of the caller's node and that of the called; the low end has no
    waypoint at all (layer 4 only), the high end sends every request through one.
    """
    if today.nodes is None:
        raise NoDataError(
            "the number of nodes is not known, so that ztunnels cannot be counted",
            hint="collect with kube-state-metrics",
        )
    growth = scale.pods / today.scale.pods
    ztunnels = today.nodes * growth
    thousands = scale.requests_per_second / RATE
    tunnel_cpu = 2 * thousands * ZTUNNEL.cpu
    tunnel_memory = ztunnels * ZTUNNEL.memory
    waypoints = today.namespaces * growth * _WAYPOINT_PODS
    shares = (0.0, scale.waypoint_share, 1.0)
    cpus = [AMBIENT_HEADROOM * (tunnel_cpu + s * thousands * WAYPOINT.cpu) for s in shares]
    memories = [
        AMBIENT_HEADROOM * (tunnel_memory + (s > 0) * waypoints * WAYPOINT.memory) for s in shares
    ]
    said += [
        f"published, not measured on this mesh: {ZTUNNEL.text}",
        f"published, not measured on this mesh: {WAYPOINT.text}",
        f"for comparison: {SIDECAR.text}",
        f"requests are {AMBIENT_HEADROOM:g} times the published usage, which is an assumption",
        f"{scale.requests_per_second:,.0f} requests/s cross two ztunnels each, "
        f"{scale.waypoint_share:.0%} a waypoint (none at the low end, all at the high); two pods "
        "for the waypoint of each namespace",
    ]
    return (
        Interval(cpus[0], cpus[1], cpus[2]),
        Interval(memories[0], memories[1], memories[2]),
        Interval(ztunnels, ztunnels + (scale.waypoint_share > 0) * waypoints, ztunnels + waypoints),
    )


def grown(node_set: NodeSet, growth: float, extra: float) -> tuple[float, float | None]:
    """Nodes, and USD a month, with the machines that are packed grown and the others kept."""
    packed = NodeSet(tuple(one for one in node_set.groups if one.kind in PACKED))
    kept = NodeSet(tuple(one for one in node_set.groups if one.kind not in (*PACKED, "fargate")))
    count = float(np.ceil(packed.nodes * growth + extra)) if packed.nodes else 0.0
    usd, beside = packed.usd_per_hour, kept.usd_per_hour
    if usd is None or beside is None:
        return count + kept.nodes, None
    each = usd / max(packed.nodes, 1)
    return count + kept.nodes, (count * each + beside) * HOURS_PER_MONTH


def _nodes(
    today: MeshToday,
    scale: Scale,
    mode: Mode,
    data_plane: tuple[Interval, Interval],
    istiod: tuple[float, float],
    proxies: Interval,
    said: list[str],
) -> tuple[Interval | None, Interval | None]:
    """Nodes for today's pods at the new sizes, times the growth of pods, and istiod's own.

    `istiod` holds the cores and bytes that all of its pods request.
    """
    if today.node_set is None or not today.node_cpu or not today.node_memory:
        said.append("nodes and dollars: not computed, the snapshot holds no node or no price")
        return None, None
    growth = scale.pods / today.scale.pods
    found: list[tuple[float, float | None]] = []
    for end in ("low", "mid", "high"):
        cpu, memory = (float(getattr(total, end)) / scale.pods for total in data_plane)
        if mode == "sidecar":
            node_set = today.node_set(cpu - today.sidecar_cpu, memory - today.sidecar_memory, False)
        else:
            node_set = today.node_set(cpu, memory, True)
        extra = max(istiod[0] / today.node_cpu, istiod[1] / today.node_memory)
        found.append(grown(node_set, growth, extra))
    if any(group.kind == "fargate" for group in node_set.groups):
        said.append("pods on Fargate are charged by the pod: in no node and no dollar of this")
    said.append(
        f"nodes: packed for the pods of today at the new sizes on the types in use, times "
        f"{growth:.2f}, with istiod's own beside them; a plan, not a replay"
    )
    counts = sorted(count for count, _ in found)
    prices = sorted(usd for _, usd in found if usd is not None)
    if len(prices) < len(found):
        said.append("dollars: not computed, a type in use has no known price")
        return Interval(counts[0], found[1][0], counts[2]), None
    mid = found[1][1] or 0.0
    return Interval(counts[0], found[1][0], counts[2]), Interval(prices[0], mid, prices[2])
