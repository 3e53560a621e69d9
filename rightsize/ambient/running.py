"""A mesh that runs ambient mode: ztunnels by node class, waypoints with their HPA and their users."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
import pandas as pd

from rightsize.ambient.own_proxies import MODE_LABEL
from rightsize.ambient.rates import Rates
from rightsize.audit.model import Sources
from rightsize.namespaces.traffic import namespace_labels
from rightsize.results import Advice, Recommendation
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import newest_rows, plain_text

USE_WAYPOINT = "istio.io/use-waypoint"
_TARGET = 70
"""Percent of the CPU request at which a waypoint gets another pod."""
_PEAK, _USUAL = 0.99, 0.5


@dataclass(frozen=True, slots=True)
class ZtunnelClass:
    """ztunnels on the nodes of one instance type; use over the last week."""

    instance_type: str
    nodes: int
    cpu: float
    """p99 of the 5-minute windows of the busiest of them, cores."""
    memory: float
    """Largest 5-minute window, bytes."""
    cpu_request: float | None
    memory_request: float | None
    decides: bool
    """Its memory is the largest: a DaemonSet has one size, so this class sets it for all."""


@dataclass(frozen=True, slots=True)
class Autoscaler:
    """An HPA: pods at least and at most, and the target in percent of the CPU request."""

    least: int
    most: int
    target: float | None


@dataclass(frozen=True, slots=True)
class Waypoint:
    """One waypoint. `users` None: no label of any namespace, service or pod is known."""

    namespace: str
    name: str
    pods: int
    cpu: float
    """p99 of the CPU of all its pods together, cores."""
    usual_cpu: float
    requests_per_second: float
    """Into the namespaces that are labelled with it, busy hour."""
    users: tuple[str, ...] | None
    autoscaler: Autoscaler | None
    advised: Autoscaler | None
    """None where no CPU request is known."""

    @property
    def unused(self) -> bool | None:
        """Nobody is labelled with it; None where labels are unknown."""
        return None if self.users is None else not self.users


@dataclass(frozen=True, slots=True)
class RunningAmbient:
    """What runs already."""

    namespaces: tuple[str, ...]
    """In ambient mode by their label."""
    ztunnels: tuple[ZtunnelClass, ...]
    waypoints: tuple[Waypoint, ...]
    services_read: bool = False
    """Whether Services are known, whose label may name a waypoint that no namespace and no pod names."""
    missing: tuple[str, ...] = ()
    """What is labelled with a waypoint of which no proxy was seen, with the waypoint's name."""


def running_ambient(
    snapshot: Snapshot,
    usage: pd.DataFrame,
    rates: Rates,
    advice: Advice,
    sources: Sources | None = None,
) -> RunningAmbient | None:
    """Read what runs; None where neither a ztunnel nor a waypoint does.

    Parameters
    ----------
    usage : DataFrame
        As `own_proxies.proxy_usage` gives.
    advice : Advice
        For the sizes of waypoints.
    sources : Sources, optional
        Objects: Services and pods may be labelled with a waypoint, too.
    """
    if not usage["component"].isin(("ztunnel", "waypoint")).any():
        return None
    last = snapshot.days[-1:]
    labels = namespace_labels(snapshot.read("namespaces", days=last))
    containers = plain_text(snapshot.read("containers", days=last))
    nodes = plain_text(snapshot.read("nodes", days=last))
    users = _users(snapshot, labels, sources)
    found = [
        _waypoint(str(namespace), str(name), rows, users, snapshot, rates, advice)
        for (namespace, name), rows in usage[usage["component"].eq("waypoint")].groupby(
            ["namespace", "workload"]
        )
    ]
    return RunningAmbient(
        tuple(sorted(n for n, own in labels.items() if own.get(MODE_LABEL) == "ambient")),
        ztunnel_classes(usage, containers, nodes),
        tuple(found),
        sources is not None and bool(sources.of_kind("Service")),
        tuple(_without(users or {}, {(one.namespace, one.name) for one in found})),
    )


def _without(
    users: Mapping[tuple[str, str], tuple[str, ...]], running: set[tuple[str, str]]
) -> Iterator[str]:
    for (place, name), titles in sorted(users.items()):
        if (place, name) not in running:
            yield f"{', '.join(titles)} ({place}/{name})"


def with_waypoints(usage: pd.DataFrame, sources: Sources | None) -> pd.DataFrame:
    """Usage in which a proxy that a Gateway of waypoints made is one, whatever its name.

    Without the labels of pods a waypoint looks like any gateway. Its Deployment has the Gateway's name
    (pilot/pkg/config/kube/gateway/deploymentcontroller.go).
    """
    gateways = [] if sources is None else sources.of_kind("Gateway")
    made = {
        (one.namespace or "default", one.name)
        for one in gateways
        if one.root.text_of("spec", "gatewayClassName") == "istio-waypoint"
    }
    owners = zip(usage["namespace"], usage["workload"], strict=True)
    ours = np.array([(str(space), str(name)) in made for space, name in owners], dtype=bool)
    component = usage["component"].astype(object)
    return usage.assign(component=component.mask(ours & component.eq("gateway"), "waypoint"))


def ztunnel_classes(
    usage: pd.DataFrame, containers: pd.DataFrame, nodes: pd.DataFrame
) -> tuple[ZtunnelClass, ...]:
    """ztunnels by instance type, the one with most memory first.

    Parameters
    ----------
    usage : DataFrame
        `component`, `pod`, `node`, `cpu`, `memory` of windows.
    containers, nodes : DataFrame
        Tables of one day.
    """
    ours = usage[usage["component"].eq("ztunnel")]
    types = nodes.set_index("node")["instance_type"].fillna("unknown")
    ours = ours.assign(type=ours["node"].map(types).fillna("unknown"))
    sizes = containers[containers["component"].eq("ztunnel")]
    cpu, memory = _largest(sizes["cpu_request"]), _largest(sizes["memory_request"])
    rows = [
        (
            str(kind),
            int(of["node"].nunique()),
            float(of.groupby("pod")["cpu"].quantile(_PEAK).max()),
            float(of["memory"].max()),
        )
        for kind, of in ours.groupby("type")
    ]
    rows.sort(key=lambda row: (-row[3], row[0]))
    return tuple(ZtunnelClass(*row, cpu, memory, place == 0) for place, row in enumerate(rows))


def advised_autoscaler(usual: float, peak: float, request: float | None) -> Autoscaler | None:
    """Bounds with which the usual CPU and the peak stay below the target; two pods at least."""
    if request is None or request <= 0:
        return None
    room = request * _TARGET / 100
    least = max(2, ceil(usual / room))
    return Autoscaler(least, max(least + 1, ceil(1.5 * peak / room)), float(_TARGET))


def autoscaler_manifests(waypoints: Sequence[Waypoint]) -> list[Mapping[str, object]]:
    """An HPA for each waypoint that has none and serves somebody."""
    return [
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": one.name, "namespace": one.namespace},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": one.name},
                "minReplicas": one.advised.least,
                "maxReplicas": one.advised.most,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {
                            "name": "cpu",
                            "target": {"type": "Utilization", "averageUtilization": _TARGET},
                        },
                    }
                ],
            },
        }
        for one in waypoints
        if one.advised is not None and one.autoscaler is None and not one.unused
    ]


def _waypoint(
    namespace: str,
    name: str,
    rows: pd.DataFrame,
    users: Mapping[tuple[str, str], tuple[str, ...]] | None,
    snapshot: Snapshot,
    rates: Rates,
    advice: Advice,
) -> Waypoint:
    together = rows.groupby("time")["cpu"].sum(min_count=1).dropna()
    usual, peak = (float(together.quantile(q)) if len(together) else 0.0 for q in (_USUAL, _PEAK))
    mine = None if users is None else users.get((namespace, name), ())
    served = {user.partition("/")[0] for user in mine or ()}
    last = rows[rows["time"] == rows["time"].max()]
    sized = (*advice.of("waypoint"), *advice.of("gateway"))
    row = next((r for r in sized if r.key == f"{namespace}/{name}"), None)
    return Waypoint(
        namespace=namespace,
        name=name,
        pods=int(last["pod"].nunique()),
        cpu=peak,
        usual_cpu=usual,
        requests_per_second=sum(rates.busy_into(one) for one in served),
        users=mine,
        autoscaler=_autoscaler(snapshot, namespace, name),
        advised=advised_autoscaler(usual, peak, _request(row)),
    )


def _request(row: Recommendation | None) -> float | None:
    return None if row is None else row.cpu.recommended_request or row.cpu.request


def _autoscaler(snapshot: Snapshot, namespace: str, name: str) -> Autoscaler | None:
    rows = newest_rows(snapshot, "hpas")
    mine = rows[rows["namespace"].eq(namespace) & rows["workload"].eq(name)]
    if mine.empty:
        return None
    first = mine.iloc[0]
    target = first["target_utilization"]
    return Autoscaler(
        int(first["min_replicas"]),
        int(first["max_replicas"]),
        None if pd.isna(target) else float(target),
    )


def _users(
    snapshot: Snapshot, namespaces: Mapping[str, Mapping[str, str]], sources: Sources | None
) -> Mapping[tuple[str, str], tuple[str, ...]] | None:
    """What is labelled with each waypoint: `namespace`, or `namespace/Kind name`."""
    labelled = [(name, name, own) for name, own in namespaces.items()]
    pods = plain_text(snapshot.read("pods", days=snapshot.days[-1:]))
    known = pods[pods["labels"].notna()]
    labelled += [
        (str(place), f"{place}/pods of {workload}", json.loads(text))
        for place, workload, text in zip(
            known["namespace"], known["workload"], known["labels"], strict=True
        )
    ]
    for obj in [] if sources is None else sources.of_kind("Service", "ServiceEntry", "Namespace"):
        node = obj.root.get("metadata", "labels")
        texts = {k: v.text or "" for k, v in ((node.entries if node else None) or {}).items()}
        inside = obj.name if obj.kind == "Namespace" else obj.namespace or "default"
        title = inside if obj.kind == "Namespace" else f"{inside}/{obj.kind} {obj.name}"
        labelled.append((inside, title, texts))
    if not labelled:
        return None
    found: dict[tuple[str, str], list[str]] = {}
    for inside, title, own in labelled:
        name = own.get(USE_WAYPOINT)
        if name and name != "none":
            place = own.get(f"{USE_WAYPOINT}-namespace") or inside
            found.setdefault((place, name), []).append(title)
    return {key: tuple(dict.fromkeys(titles)) for key, titles in found.items()}


def _largest(values: pd.Series) -> float | None:
    most = values.max()
    return None if pd.isna(most) else float(most)
