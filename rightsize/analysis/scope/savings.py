"""What a scope gives back: configuration, proxy memory, istiod memory. Predictions, not promises.

Applying a scope and cutting memory are two phases: a request may only follow once the new usage
shows. Nothing here changes a request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from rightsize.analysis.control_plane.model import IstiodModel, MeshLoad
from rightsize.analysis.scope.discovery import DiscoveryScope
from rightsize.analysis.scope.egress import EgressScope
from rightsize.analysis.scope.proxy_memory import ProxyMemoryLaw
from rightsize.results import Interval

STATIC_CLUSTERS = 8.0
"""Clusters every proxy has whatever it may call: xds-grpc, sds-grpc, agent, prometheus_stats,
zipkin or its like, BlackHoleCluster, PassthroughCluster, InboundPassthroughCluster
(istio/istio, tools/packaging/common/envoy_bootstrap.json and pilot/pkg/networking/core)."""


@dataclass(frozen=True, slots=True)
class NamespaceSaving:
    """Effect of one namespace's Sidecar. Memory in bytes, over all of its proxies."""

    namespace: str
    proxies: int
    clusters_now: float
    clusters_scoped: float
    memory: Interval | None
    """None where the law of proxy memory is not known."""


@dataclass(frozen=True)
class ScopeSaving:
    """Effect of all Sidecars and of the discovery selectors."""

    by_namespace: tuple[NamespaceSaving, ...]
    proxy_law: ProxyMemoryLaw | None
    istiod_memory: Interval | None
    """Bytes that one istiod pod gives back through discovery selectors."""
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
    egress : sequence of EgressScope
    discovery : DiscoveryScope
    proxies : DataFrame
        One row a sidecar: `namespace`, `pod`, `clusters` (see `proxies_of`).
    law : ProxyMemoryLaw or None
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
        notes.append("proxies do not tell their active clusters: no drop of memory is predicted")
    else:
        notes.append(f"proxy memory: {law.text}")
    return ScopeSaving(by_namespace, law, _istiod(discovery, model, notes), tuple(notes))


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


def scoped_clusters(now: float, hosts: int, services: float) -> float:
    """Clusters left when `hosts` of `services` stay, each with as many clusters as the mean."""
    by_service = max(now - STATIC_CLUSTERS, 0.0) / max(services, 1.0)
    return STATIC_CLUSTERS + by_service * min(float(hosts), services)


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


def istiod_memory_saved(model: IstiodModel, share: float) -> Interval:
    """Bytes one istiod pod gives back when `share` of services and endpoints is not watched."""
    load = model.load
    prices = {c.driver: c.value for c in model.memory.coefficients}
    gone = {"services": load.services * share, "endpoints": (load.endpoints or 0.0) * share}
    parts = [prices[d].scaled(amount) for d, amount in gone.items() if d in prices]
    return Interval(
        sum(p.low for p in parts), sum(p.mid for p in parts), sum(p.high for p in parts)
    )


def scoped_load(load: MeshLoad, share_left: float) -> MeshLoad:
    """The load with this share of services and endpoints still watched."""
    return MeshLoad(
        services=load.services * share_left,
        proxies=load.proxies,
        pushes=load.pushes,
        endpoints=None if load.endpoints is None else load.endpoints * share_left,
        pushed_mib=None if load.pushed_mib is None else load.pushed_mib * share_left,
    )
