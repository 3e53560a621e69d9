"""What a scope gives back: configuration, proxy memory, istiod memory. Predictions, not promises.

Applying a scope and cutting memory are two phases: a request may only follow once the new usage
shows. Nothing here changes a request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from rightsize.istiod.mesh_today import MeshToday
from rightsize.istiod.model import IstiodModel
from rightsize.namespaces.discovery import DiscoveryScope
from rightsize.namespaces.egress import EgressScope
from rightsize.namespaces.injection import InjectionCandidate
from rightsize.namespaces.proxy_memory import ProxyMemoryLaw, scoped_clusters
from rightsize.results import HOURS_PER_MONTH, Interval

_SMALLEST_REQUEST = 40.0 * 2**20


@dataclass(frozen=True, slots=True)
class NamespaceSaving:
    """Effect of one namespace's Sidecar. Memory in bytes, over all of its proxies."""

    namespace: str
    proxies: int
    clusters_now: float
    clusters_scoped: float
    memory: Interval | None
    """None where the law of proxy memory is not known."""


@dataclass(frozen=True, slots=True)
class NodeSaving:
    """What requests that have followed the usage would free: by the plan of nodes, not replayed."""

    nodes: Interval
    usd_per_month: Interval | None
    """None where a price is not known."""


@dataclass(frozen=True)
class ScopeSaving:
    """Effect of all Sidecars and of the discovery selectors."""

    by_namespace: tuple[NamespaceSaving, ...]
    proxy_law: ProxyMemoryLaw | None
    istiod_memory: Interval | None
    """Bytes that one istiod pod gives back through discovery selectors."""
    istiod_memory_of_sidecars: Interval | None
    """Bytes that one istiod pod gives back through smaller configurations."""
    notes: tuple[str, ...]

    @property
    def proxy_memory(self) -> Interval | None:
        """Bytes over all proxies; None where nothing is known."""
        known = [n.memory for n in self.by_namespace if n.memory is not None]
        if not known:
            return None
        return Interval(
            sum(m.low for m in known), sum(m.mid for m in known), sum(m.high for m in known)
        )


@dataclass(frozen=True, slots=True)
class InjectionSaving:
    """What goes with the sidecars of all candidates."""

    proxies: int
    cpu_request: float
    """Cores requested by them, where set."""
    memory_request: float
    """Bytes, likewise."""
    istiod_memory: Interval | None
    """Bytes that one istiod pod gives back for the proxies it no longer serves."""
    nodes: NodeSaving | None


def injection_saving(
    candidates: Sequence[InjectionCandidate], today: MeshToday | None, model: IstiodModel | None
) -> InjectionSaving | None:
    """Predict what leaving out the candidates' sidecars gives back; None without candidates.

    Their requests go with them, so that nodes and dollars follow at once.
    """
    if not candidates:
        return None
    proxies = sum(c.pods for c in candidates)
    istiod = None
    if model is not None:
        price = next((c.value for c in model.memory.coefficients if c.driver == "proxies"), None)
        istiod = None if price is None else price.scaled(proxies / max(model.replicas, 1.0))
    nodes = None
    if today is not None and today.node_set is not None and today.without is not None:
        before = today.node_set(0.0, 0.0, False)
        after = today.without({(c.namespace, c.workload) for c in candidates})
        usd = None
        if before.usd_per_hour is not None and after.usd_per_hour is not None:
            hourly = before.usd_per_hour - after.usd_per_hour
            usd = Interval.exactly(hourly * HOURS_PER_MONTH)
        nodes = NodeSaving(Interval.exactly(float(before.nodes - after.nodes)), usd)
    return InjectionSaving(
        proxies,
        sum(c.cpu_request or 0.0 for c in candidates),
        sum(c.memory_request or 0.0 for c in candidates),
        istiod,
        nodes,
    )


def scope_saving(
    egress: Sequence[EgressScope],
    discovery: DiscoveryScope,
    proxies: pd.DataFrame,
    *,
    law: ProxyMemoryLaw | None,
    model: IstiodModel | None,
) -> ScopeSaving:
    """Predict what the scopes give back.

    Parameters
    ----------
    proxies : DataFrame
        One row a sidecar: `namespace`, `pod`, `clusters` (see `proxies_of`).
    model : IstiodModel or None
        For the number of services, and istiod's own memory.
    """
    notes = [
        "applying a scope is a phase of its own: requests are cut only after usage has dropped"
    ]
    services = None if model is None else model.load.services
    if services is None:
        notes.append("the number of services is not known: no drop of configuration is predicted")
    by_namespace = () if services is None else _namespaces(egress, proxies, services, law)
    if law is None:
        notes.append("proxies do not report their active clusters: no drop of memory is predicted")
    else:
        notes.append(f"proxy memory: {law.text}")
    watched = _istiod(discovery, model, notes)
    pushed = _istiod_of_sidecars(by_namespace, model, notes)
    return ScopeSaving(by_namespace, law, watched, pushed, tuple(notes))


def _namespaces(
    egress: Sequence[EgressScope],
    proxies: pd.DataFrame,
    services: float,
    law: ProxyMemoryLaw | None,
) -> tuple[NamespaceSaving, ...]:
    by_namespace: Mapping[str, pd.DataFrame] = {
        str(name): rows for name, rows in proxies.groupby("namespace")
    }
    found = []
    for scope in egress:
        rows = by_namespace.get(scope.namespace)
        if rows is None:
            continue
        now = float(rows["clusters"].mean())
        wild = sum(host.endswith("/*") for host in scope.hosts if host not in scope.given)
        if wild:
            # A whole namespace in scope: how many services it holds is not known.
            continue
        scoped = min(now, scoped_clusters(now, len(scope.hosts), services))
        saved = None if law is None else law.saved(now, scoped).scaled(len(rows))
        found.append(NamespaceSaving(scope.namespace, len(rows), now, scoped, saved))
    return tuple(found)


def _istiod(
    discovery: DiscoveryScope, model: IstiodModel | None, notes: list[str]
) -> Interval | None:
    if model is None or not discovery.workloads:
        return None
    share = discovery.left_out_workloads / discovery.workloads
    notes.append(
        f"istiod: {share:.0%} of the workloads are in namespaces left out of discovery; the same "
        "share of services is assumed to go"
    )
    return istiod_memory_saved(model, share)


def _istiod_of_sidecars(
    by_namespace: Sequence[NamespaceSaving], model: IstiodModel | None, notes: list[str]
) -> Interval | None:
    """What istiod keeps for a connected proxy, as far as that follows the proxy's clusters."""
    if model is None or not by_namespace:
        return None
    price = next((c.value for c in model.memory.coefficients if c.driver == "proxies"), None)
    if price is None:
        return None
    gone = sum(n.proxies * (1 - n.clusters_scoped / max(n.clusters_now, 1.0)) for n in by_namespace)
    each = gone / max(model.replicas, 1.0)
    notes.append(
        "istiod, by Sidecars: what it keeps for a proxy is taken to shrink with the proxy's "
        "clusters, an assumption; the lower end is nothing"
    )
    return Interval(0.0, price.mid * each, price.high * each)


def istiod_memory_saved(model: IstiodModel, share: float) -> Interval:
    """Bytes one istiod pod gives back when `share` of services and endpoints is not watched."""
    load = model.load
    prices = {c.driver: c.value for c in model.memory.coefficients}
    gone = {"services": load.services * share, "endpoints": (load.endpoints or 0.0) * share}
    parts = [prices[d].scaled(amount) for d, amount in gone.items() if d in prices]
    return Interval(
        sum(p.low for p in parts), sum(p.mid for p in parts), sum(p.high for p in parts)
    )


def node_saving(saving: ScopeSaving, today: MeshToday) -> NodeSaving | None:
    """Nodes and dollars once requests have followed the drop of memory; None where not known.

    Sidecars give back their mean saving, as far as their request stands above the smallest one.
    """
    memory = saving.proxy_memory
    sidecars = sum(n.proxies for n in saving.by_namespace)
    if memory is None or today.node_set is None or not sidecars:
        return None
    # Today's pods may be fewer or more than those with known clusters: by pod, then.
    room = max(today.sidecar_memory - _SMALLEST_REQUEST, 0.0)
    cuts = [min(total / sidecars, room) for total in (memory.low, memory.mid, memory.high)]
    before = today.node_set(0.0, 0.0, False)
    after = [today.node_set(0.0, -cut, False) for cut in cuts]
    nodes = sorted(float(before.nodes - node_set.nodes) for node_set in after)
    usd: list[float] = []
    for node_set in after:
        if before.usd_per_hour is not None and node_set.usd_per_hour is not None:
            usd.append((before.usd_per_hour - node_set.usd_per_hour) * HOURS_PER_MONTH)
    usd.sort()
    return NodeSaving(
        Interval(nodes[0], nodes[1], nodes[2]),
        Interval(usd[0], usd[1], usd[2]) if len(usd) == len(after) else None,
    )
