"""What each namespace brings to a shard: proxies, services, churn, and who calls whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from rightsize.errors import NoDataError, UsageError
from rightsize.namespaces.configuration import Configuration
from rightsize.namespaces.egress import ROOT_NAMESPACE
from rightsize.namespaces.traffic import UNKNOWN

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Namespaces:
    """What each namespace brings: arrays of shape (n,), and who calls whom, shape (n, n).

    `calls[i, j]` is the number of services of `j` that `i` calls; `gateways` marks namespaces with
    a gateway, which go last.
    """

    names: tuple[str, ...]
    proxies: Floats
    services: Floats
    churn: Floats
    """Pods started a day: each start is a push to whoever watches."""
    calls: Floats
    gateways: npt.NDArray[np.bool_]
    gateway_workloads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Workloads of the gateways, by namespace."""
    gateways_alone: frozenset[str] = frozenset()
    """Namespaces with no proxies but gateways: nothing else there is injected."""

    @property
    def without_proxies(self) -> tuple[str, ...]:
        """Called namespaces: watched, and never moved, since a move would inject them."""
        return tuple(n for n, count in zip(self.names, self.proxies, strict=True) if count == 0)

    @property
    def loads(self) -> Floats:
        """Mean of the shares of proxies and of push work (churn times proxies), shape (n,)."""
        work = self.churn + self.churn.mean() + 1e-9
        shares = [self.proxies / max(self.proxies.sum(), 1e-9), work / work.sum()]
        found: Floats = np.mean(shares, axis=0)
        return found


def namespaces_of(
    edges: pd.DataFrame,
    pods: pd.DataFrame,
    containers: pd.DataFrame,
    services: float,
    configuration: Configuration | None = None,
) -> Namespaces:
    """Loads and calls of the namespaces with proxies, and of those that they call.

    Parameters
    ----------
    edges : DataFrame
        As `rightsize.namespaces.traffic.edges` gives.
    pods, containers : DataFrame
        Tables of the snapshot, with `day`.
    services : float
        Services of the whole mesh (`pilot_services`): spread by the services seen called and the
        workloads of each namespace, whichever is more.
    configuration : Configuration, optional
        Istio's own objects: a namespace that holds routes or entries for a call counts as called.

    Raises
    ------
    NoDataError
        Without a namespace that has sidecars.
    UsageError
        Where ztunnels or waypoints run: shards are refused.
    """
    _refuse_ambient(containers)
    last = containers["day"].max()
    meshed = containers[(containers["day"] == last) & containers["component"].notna()]
    proxies = _count(meshed[meshed["component"].isin(["sidecar", "gateway", "waypoint"])])
    gateways = _gateway_workloads(meshed, pods[pods["day"] == last])
    injected = set(meshed[meshed["component"] == "sidecar"]["namespace"].astype(str))
    called = edges[edges["destination_namespace"] != UNKNOWN]
    # The root namespace is watched by every shard; it is moved only where it holds gateways.
    others = set(called["destination_namespace"]) - {ROOT_NAMESPACE}
    names = sorted(set(proxies.index) | others)
    if not len(proxies) or not names:
        raise NoDataError(
            "no namespace with proxies in the snapshot: nothing to divide",
            hint="collect with kube-state-metrics or object files",
        )
    place = {name: number for number, name in enumerate(names)}
    calls = np.zeros((len(names), len(names)))
    pairs = called.groupby(["source_namespace", "destination_namespace"], as_index=False).agg(
        services=("destination_service", "nunique")
    )
    for row in pairs.to_dict("records"):
        source = place.get(row["source_namespace"])
        destination = place.get(row["destination_namespace"])
        if source is not None and destination is not None:
            calls[source, destination] = float(row["services"])
    found = configuration or Configuration()
    for name, rows in edges.groupby("source_namespace"):
        source = place.get(str(name))
        homes = found.homes_for(str(name), rows["destination_service"].astype(str))
        for destination in (place.get(home) for home in homes):
            if source is not None and destination is not None:
                calls[source, destination] = max(calls[source, destination], 1.0)
    own = pods[~pods["host_network"].astype("boolean").fillna(False).astype(bool)]
    workloads = own.assign(
        namespace=own["namespace"].astype(str), workload=own["workload"].astype(object).astype(str)
    )
    size = np.maximum(
        _at(called.groupby("destination_namespace")["destination_service"].nunique(), names),
        _at(workloads.groupby("namespace")["workload"].nunique(), names),
    )
    days = max(pods["day"].nunique(), 1)
    return Namespaces(
        names=tuple(names),
        proxies=_at(proxies, names),
        services=size * services / max(float(size.sum()), 1.0),
        churn=_at(workloads.groupby("namespace")["pod"].nunique(), names) / days,
        calls=calls,
        gateways=np.array([name in gateways for name in names]),
        gateway_workloads=gateways,
        gateways_alone=frozenset(set(gateways) - injected),
    )


def _refuse_ambient(containers: pd.DataFrame) -> None:
    """ztunnel takes configuration and certificates from one istiod service alone, and a waypoint
    follows the revision of its Gateway or namespace (istio/istio, manifests/charts/ztunnel/
    templates/daemonset.yaml: XDS_ADDRESS and CA_ADDRESS)."""
    found = sorted(set(containers["component"].dropna().astype(str)) & {"ztunnel", "waypoint"})
    if found:
        raise UsageError(
            f"{' and '.join(found)} run in this mesh, and its istiod is not divided: every ztunnel "
            "takes configuration and certificates from one istiod service, so that a shard which "
            "watches fewer namespaces would cut the pods of the others off",
            hint="reduce what istiod watches instead: rightsize scope",
        )


def _gateway_workloads(meshed: pd.DataFrame, pods: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Names of the gateways' workloads, by namespace."""
    key = ["namespace", "pod"]
    ours = meshed[meshed["component"] == "gateway"][key].astype(str).drop_duplicates()
    owners = pods.assign(
        namespace=pods["namespace"].astype(str),
        pod=pods["pod"].astype(str),
        workload=pods["workload"].astype(object).fillna(pods["pod"].astype(object)).astype(str),
    )
    joined = ours.merge(owners[[*key, "workload"]], on=key, how="left").fillna({"workload": ""})
    return {
        str(place): tuple(sorted(set(rows["workload"]) - {""}))
        for place, rows in joined.groupby("namespace")
    }


def _count(containers: pd.DataFrame) -> pd.Series:
    pods = containers.assign(namespace=containers["namespace"].astype(str))
    return pods.groupby("namespace")["pod"].nunique()


def _at(values: pd.Series, names: list[str]) -> Floats:
    found: Floats = values.reindex(names).fillna(0.0).to_numpy(dtype=np.float64)
    return found
