"""Everything that `rightsize scope` says, from one snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rightsize.config import NodeSettings
from rightsize.cost.other import UnitCost
from rightsize.errors import NoDataError, UsageError
from rightsize.istiod.mesh_today import MeshToday, mesh_today
from rightsize.istiod.model import IstiodModel, fit_istiod
from rightsize.istiod.observations import IstiodTables
from rightsize.istiod.source import read_istiod
from rightsize.namespaces.configuration import Configuration
from rightsize.namespaces.destination_rules import (
    ServiceRules,
    alive_by_day,
    error_shares,
    service_rules,
)
from rightsize.namespaces.discovery import DiscoveryScope, discovery_scope
from rightsize.namespaces.egress import ROOT_NAMESPACE, EgressScope, egress_scopes
from rightsize.namespaces.export import EXPORT
from rightsize.namespaces.injection import InjectionCandidate, injection_candidates
from rightsize.namespaces.proxy_memory import ProxyMemoryLaw, fit_proxy_memory, proxies_of
from rightsize.namespaces.savings import (
    InjectionSaving,
    NodeSaving,
    ScopeSaving,
    injection_saving,
    node_saving,
    scope_saving,
)
from rightsize.namespaces.traffic import namespace_labels, read_edges
from rightsize.namespaces.zone_preference import SENT, zone_preferences
from rightsize.quantity import format_cpu
from rightsize.snapshot import DayRecord, Snapshot
from rightsize.snapshot.views import (
    CONTAINER,
    POD,
    plain_text,
    pods_with_workloads,
    usage_of_pods,
    windows_of_containers,
)

_MEMORY_DAYS = 7
_DEPENDED_ON = (
    "VirtualService",
    "ServiceEntry",
    "HTTPRoute",
    "EnvoyFilter",
    "Service",
    "ConfigMap",
)
_PROVIDERS = (
    "what meshConfig.extensionProviders and EnvoyFilters name (tracing, external authorization, "
    "log and rate-limit services) is called by Envoy itself and stands in no metric; a sidecar only "
    "has clusters of its scope: give their hosts with --host"
)
"""istio/istio, pilot/pkg/networking/core/cluster.go: services = proxy.SidecarScope.Services()."""


_TRAFFIC_METRICS = {"istio_requests_total", "istio_tcp_connections_opened_total"}
_IDLE_CPU = 0.02
"""Cores: 42 sidecars of a mesh without load used 2m to 6m (kubeflow/community-distribution #3557)."""
_OWNER = ["namespace", "workload"]
_CPU = ["namespace", "pod", "container", "cpu"]


@dataclass(frozen=True)
class ScopeStudy:
    """Scopes, rules and candidates with what they rest on."""

    edges: pd.DataFrame
    """See `rightsize.namespaces.traffic.edges`."""
    egress: tuple[EgressScope, ...]
    silent: tuple[str, ...]
    """Namespaces with sidecars that were never seen to call anybody: left unscoped."""
    discovery: DiscoveryScope
    injection: tuple[InjectionCandidate, ...]
    rules: ServiceRules
    saving: ScopeSaving
    nodes: NodeSaving | None
    """None where nodes, prices or the law of proxy memory are not known."""
    without_sidecars: InjectionSaving | None
    """None where there is no candidate."""
    model: IstiodModel | None
    notes: tuple[str, ...]


def study_scope(
    snapshot: Snapshot,
    *,
    given_hosts: Sequence[str] = (),
    given_namespaces: Sequence[str] = (),
    configuration: Configuration | None = None,
    settings: NodeSettings | None = None,
    cross_zone: UnitCost | None = None,
) -> ScopeStudy:
    """Study the traffic of a snapshot.

    Parameters
    ----------
    given_hosts : sequence of str
        Egress hosts for every namespace besides those seen, as `namespace/dnsName`; the root
        namespace's are always given.
    given_namespaces : sequence of str
        Namespaces to watch whatever was seen.
    configuration : Configuration, optional
        Istio's own objects, which metrics do not show.
    settings : NodeSettings, optional
        For the plan of nodes behind the dollars.
    cross_zone : UnitCost, optional
        Price of a GB between zones.

    Raises
    ------
    NoDataError
        Without traffic: nothing may be scoped.
    """
    edges = read_edges(snapshot)
    if edges.empty:
        raise NoDataError(
            "the snapshot has no traffic between workloads: nothing can be scoped",
            hint="collect with istio_requests_total and istio_tcp_* in Prometheus",
        )
    pods, containers = snapshot.read("pods"), snapshot.read("containers")
    sidecars = containers[containers["component"] == "sidecar"]
    namespaces = sorted(set(sidecars["namespace"].astype(str)))
    tables = read_istiod(snapshot)
    routes = virtual_services(tables.control_plane)
    egress = egress_scopes(
        edges,
        namespaces,
        window_days=len(snapshot.days),
        end=pd.Timestamp(snapshot.manifest.end),
        given=tuple(dict.fromkeys((f"{ROOT_NAMESPACE}/*", *given_hosts))),
        configuration=configuration,
        routes_unknown=not routes_known(configuration, routes),
    )
    discovery = discovery_scope(
        edges,
        pods,
        containers,
        labels=namespace_labels(snapshot.read("namespaces")),
        given=given_namespaces,
        configuration=configuration,
    )
    notes = [
        *_route_notes(configuration, routes),
        *_lacking(configuration),
        _provider_note(configuration),
    ]
    model = _model(tables, notes)
    proxies, law, missing = fitted_proxies(snapshot)
    notes += missing
    proxies = _running(proxies, pods)
    saving = scope_saving(egress, discovery, proxies, law=law, model=model)
    candidates, doubts = proven_idle(snapshot, injection_candidates(edges, pods, containers))
    notes += doubts
    today = _today(snapshot, proxies, model, settings, notes)
    return ScopeStudy(
        edges=edges,
        egress=egress,
        silent=tuple(sorted(set(namespaces) - {e.namespace for e in egress} - {ROOT_NAMESPACE})),
        discovery=discovery,
        injection=candidates,
        rules=with_standing_rules(_rules(snapshot, edges, pods, cross_zone), configuration),
        saving=saving,
        nodes=None if today is None else node_saving(saving, today),
        without_sidecars=injection_saving(candidates, today, model),
        model=model,
        notes=tuple(notes),
    )


def _may_lack_traffic(record: DayRecord) -> bool:
    """Whether traffic of the day may go unseen; a record that does not say is no proof."""
    return record.absent is None or bool(_TRAFFIC_METRICS & set(record.absent))


def proven_idle(
    snapshot: Snapshot, candidates: tuple[InjectionCandidate, ...]
) -> tuple[tuple[InjectionCandidate, ...], list[str]]:
    """Candidates of which nothing speaks against it, and what speaks against the others.

    Traffic that no metric reports is not none: without TCP metrics on every day nobody is idle for
    sure, and a proxy that works has something to do.
    """
    if not candidates:
        return (), []
    records = snapshot.manifest.days.values()
    blind = sum(_may_lack_traffic(record) for record in records)
    if blind:
        return (), [
            f"{len(candidates)} workloads show no traffic, and keep their sidecars: on {blind} of "
            f"{len(records)} days a metric of HTTP or TCP traffic may lack, so none is proven"
        ]
    mesh = pods_with_workloads(snapshot)[["namespace", "pod", "workload"]].drop_duplicates()
    names = pd.DataFrame([(c.namespace, c.workload) for c in candidates], columns=_OWNER)
    used = usage_of_pods(snapshot, mesh.merge(names, on=_OWNER), columns=_CPU)
    proxies = plain_text(used[used["container"].astype(str) == "istio-proxy"])
    cpu = proxies.merge(mesh, on=["namespace", "pod"]).groupby(_OWNER)["cpu"].quantile(0.95)
    kept, doubts = [], []
    for one in candidates:
        level = float(cpu.get((one.namespace, one.workload), np.nan))
        why = (
            f"its p95 CPU of {format_cpu(level)} says that it has some" if level > _IDLE_CPU else ""
        )
        if np.isnan(level):
            why = "no CPU of its proxy is known"
        if why:
            doubts.append(
                f"{one.namespace}/{one.workload} shows no traffic, and keeps its sidecar: {why}"
            )
        else:
            kept.append(one)
    return tuple(kept), doubts


def _rules(
    snapshot: Snapshot, edges: pd.DataFrame, pods: pd.DataFrame, price: UnitCost | None
) -> ServiceRules:
    """Rules from the worst hour of each service, and from the zones of both ends of its calls."""
    worst, sent, hours = [], [], 0
    for _, part in snapshot.by_day("traffic"):
        day = pd.DataFrame(part.to_pandas())
        worst.append(error_shares(day))
        grouped = day.groupby(list(SENT), observed=True)[["requests", "bytes"]].sum()
        sent.append(grouped.reset_index().astype(dict.fromkeys(SENT, str)))
        hours += day["time"].nunique()
    errors = pd.concat(worst, ignore_index=True)
    errors = errors.groupby("destination_service")["error_share"].max().reset_index()
    last = snapshot.days[-1:]
    zones = zone_preferences(
        pd.concat(sent).groupby(list(SENT), as_index=False).sum(),
        alive_by_day(pods[pods["day"] == pods["day"].max()]),
        snapshot.read("nodes", days=last),
        hours=hours,
        price=price,
    )
    return service_rules(edges, pods, errors, zones)


def _lacking(configuration: Configuration | None) -> list[str]:
    """Kinds of objects that scopes depend on and the files do not hold."""
    if configuration is None:
        return []
    missing = [kind for kind in _DEPENDED_ON if kind not in configuration.kinds]
    if not missing:
        return []
    return [f"the files hold no {', '.join(missing)}: there are none, or they were not exported"]


def _provider_note(configuration: Configuration | None) -> str:
    if configuration is None or not configuration.providers:
        return _PROVIDERS
    return (
        f"extension providers of the mesh stay in every scope: {', '.join(configuration.providers)}; "
        "what EnvoyFilters name stands in no metric: give those hosts with --host"
    )


def routes_known(configuration: Configuration | None, routes: float | None) -> bool:
    """Whether the files hold every VirtualService that istiod knows (`pilot_virt_services`).

    Where istiod does not report how many, a file without any may just not have been asked for them.
    """
    if routes == 0:
        return True
    if configuration is None:
        return False
    if routes is None:
        return configuration.routes_read or configuration.virtual_services > 0
    return configuration.virtual_services >= routes


def _route_notes(configuration: Configuration | None, routes: float | None) -> list[str]:
    if configuration is not None and not routes_known(configuration, routes):
        many = "an unknown number" if routes is None else f"{routes:.0f}"
        return [
            f"the files hold {configuration.virtual_services} VirtualServices and routes, istiod "
            f"knows {many}: hosts are written as */host until all are given "
            f"(export them with: {EXPORT})"
        ]
    if configuration is not None:
        return [
            f"{len(configuration.routes)} VirtualServices of the files hold for sidecars: their "
            "hosts stay in scope wherever one of their calls was seen"
        ]
    if routes != 0:
        many = "an unknown number of" if routes is None else f"{routes:.0f}"
        return [
            f"{many} VirtualServices: hosts are written as */host, so that a route for them "
            "stays wherever it is kept. Where one sends a host's calls to another service, metrics "
            "name the second only: give the VirtualServices with -f, or the first host with "
            "--host, else its route is lost"
        ]
    return []


def with_standing_rules(rules: ServiceRules, configuration: Configuration | None) -> ServiceRules:
    """Say of each rule whether its host has one already."""
    known = {} if configuration is None else configuration.rules
    found = []
    for rule in rules.rules:
        said = []
        if rule.host in known:
            said.append(
                f"{known[rule.host]} is a DestinationRule of the same host: add these settings to "
                "it, of two rules one traffic policy is passed over"
            )
        said += [
            f"{owner} for {host} counts no more for this host, since a rule of its own replaces it "
            "whole: copy what it sets"
            for host, owner in known.items()
            if host.startswith("*") and rule.host.endswith(host[1:])
        ]
        found.append(replace(rule, reasons=(*said, *rule.reasons)))
    return replace(rules, rules=tuple(found))


def _model(tables: IstiodTables, notes: list[str]) -> IstiodModel | None:
    try:
        return fit_istiod(tables.hours)
    except NoDataError as error:
        notes.append(error.what)
        return None


def virtual_services(control_plane: pd.DataFrame) -> float | None:
    """Most VirtualServices that istiod knew; None where it did not report."""
    known = control_plane[control_plane["metric"] == "pilot_virt_services"]["value"]
    return None if known.empty else float(known.max())


def _today(
    snapshot: Snapshot,
    proxies: pd.DataFrame,
    model: IstiodModel | None,
    settings: NodeSettings | None,
    notes: list[str],
) -> MeshToday | None:
    """The mesh and its nodes; None, with a note, where no node can be planned."""
    if model is None:
        return None
    try:
        today = mesh_today(snapshot, proxies, model.load.services, settings)
        if today.node_set is not None:
            today.node_set(0.0, 0.0, False)
    except (NoDataError, UsageError) as error:
        notes.append(f"nodes and dollars are not computed: {error.what}")
        return None
    return today


def _running(proxies: pd.DataFrame, pods: pd.DataFrame) -> pd.DataFrame:
    """Those of the proxies with a pod that was still there at the end of the snapshot."""
    left = pods[pods["last_seen"] >= pods["last_seen"].max()]
    there = set(zip(left["namespace"].astype(str), left["pod"].astype(str), strict=True))
    ours = zip(proxies["namespace"].astype(str), proxies["pod"].astype(str), strict=True)
    return proxies[np.array([pair in there for pair in ours], dtype=bool)]


def fitted_proxies(
    snapshot: Snapshot,
) -> tuple[pd.DataFrame, ProxyMemoryLaw | None, tuple[str, ...]]:
    """Clusters and memory of the sidecars over the last week, the law between them, and notes."""
    days = snapshot.days[-_MEMORY_DAYS:]
    containers = snapshot.read("containers", days=days)
    sidecars = plain_text(containers[containers["component"] == "sidecar"])
    names = sidecars[CONTAINER].drop_duplicates(ignore_index=True)
    pods = pd.MultiIndex.from_frame(names[POD].drop_duplicates())
    pod = pods.get_indexer(pd.MultiIndex.from_frame(names[POD]))
    parts = [
        rows["memory"].groupby(pod[place]).quantile(0.95)
        for place, rows in windows_of_containers(snapshot, names, days=days, columns=["memory"])
    ]
    used = pd.concat([pd.Series(dtype=float), *parts]).sort_index()
    memory = used.set_axis(pods[used.index.to_numpy(dtype=np.int64)])
    proxies = proxies_of(snapshot.read("proxies", days=days), memory)
    try:
        return proxies, fit_proxy_memory(proxies["clusters"], proxies["memory"]), ()
    except NoDataError as error:
        return proxies, None, (error.what,)
