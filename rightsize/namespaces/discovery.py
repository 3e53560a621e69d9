"""discoverySelectors: which namespaces istiod must watch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from rightsize.border import command
from rightsize.files.shell import Change
from rightsize.namespaces.configuration import Configuration
from rightsize.namespaces.egress import ROOT_NAMESPACE
from rightsize.namespaces.traffic import CLUSTER_DOMAIN, UNKNOWN, egress_host

LABEL = "istio-discovery"
VALUE = "enabled"
_PROXIES = ("sidecar", "gateway", "waypoint")


@dataclass(frozen=True, slots=True)
class DiscoveryScope:
    """Namespaces to label, and why each is needed."""

    label: str
    value: str
    selected: Mapping[str, str]
    """Namespace to reason."""
    left_out: tuple[str, ...]
    left_out_workloads: int
    workloads: int
    warnings: tuple[str, ...]

    @property
    def mesh_config(self) -> Mapping[str, object]:
        """The patch of meshConfig, of the shape that Istio's MeshConfig reads."""
        return {"meshConfig": {"discoverySelectors": [{"matchLabels": {self.label: self.value}}]}}

    @property
    def commands(self) -> tuple[str, ...]:
        """To run before the patch: until a namespace is labelled, the patch would drop it."""
        return tuple(line for change in self.changes for line in change.commands)

    @property
    def changes(self) -> tuple[Change, ...]:
        """The same by namespace; a label that is there with another value is replaced."""
        label = f"{self.label}={self.value}"
        return tuple(
            Change(
                name,
                ("namespace", name),
                (command("kubectl", "label", "namespace", name, label, "--overwrite"),),
            )
            for name in self.selected
        )

    @property
    def way_back(self) -> str:
        return "take meshConfig.discoverySelectors out again; the labels may stay"


def discovery_scope(
    edges: pd.DataFrame,
    pods: pd.DataFrame,
    containers: pd.DataFrame,
    *,
    labels: Mapping[str, Mapping[str, str]] | None = None,
    given: Sequence[str] = (),
    label: str = LABEL,
    value: str = VALUE,
    configuration: Configuration | None = None,
) -> DiscoveryScope:
    """Select namespaces with a proxy, called ones, the root, those with configuration, given ones.

    Parameters
    ----------
    edges : DataFrame
        As `rightsize.namespaces.traffic.edges` gives.
    pods, containers : DataFrame
        Tables of the snapshot.
    labels : mapping of namespace to its labels, optional
        All namespaces of the cluster; those of `pods` are added. A namespace that is labelled for
        the mesh is selected even while nothing runs in it.
    given : sequence of str
        Namespaces to select whatever was seen.
    label, value : str
        The label that the selector asks for.
    configuration : Configuration, optional
        Istio's own objects: from 1.22 on they are read in selected namespaces alone.
    """
    meshed = containers[containers["component"].isin(_PROXIES)]
    reasons: dict[str, str] = {ROOT_NAMESPACE: "holds the control plane and the root config"}
    component = meshed.groupby(meshed["namespace"].astype(str))["component"].agg(
        lambda c: sorted(set(c.astype(str)))
    )
    for namespace, parts in component.items():
        reasons.setdefault(str(namespace), f"holds {', '.join(parts)}")
    called = edges[edges["destination_namespace"] != UNKNOWN]["destination_namespace"]
    for namespace in sorted(set(called.astype(str))):
        reasons.setdefault(namespace, "is called from the mesh, by callers that have a sidecar")
    known = labels or {}
    for namespace, own in sorted(known.items()):
        if _in_mesh(own):
            reasons.setdefault(namespace, "is labelled for the mesh")
    holds = {} if configuration is None else configuration.namespaces
    for namespace, kinds in holds.items():
        reasons.setdefault(namespace, f"holds configuration of the mesh: {kinds}")
    referenced = {} if configuration is None else configuration.referenced
    for namespace, reason in referenced.items():
        reasons.setdefault(namespace, reason)
    for namespace in given:
        reasons.setdefault(namespace, "given")
    owners = _workloads(pods)
    everything = set(known) | set(owners.index)
    left_out = tuple(sorted(everything - set(reasons)))
    return DiscoveryScope(
        label=label,
        value=value,
        selected=dict(sorted(reasons.items())),
        left_out=left_out,
        left_out_workloads=int(owners.reindex(list(left_out)).fillna(0).sum()),
        workloads=int(owners.sum()),
        warnings=(
            *_warnings(edges, meshed, left_out),
            *(_unseen_configuration(edges) if configuration is None else ()),
            *_LASTING,
        ),
    )


def _in_mesh(labels: Mapping[str, str]) -> bool:
    """Injection by label or revision, or ambient mode."""
    return (
        labels.get("istio-injection") == "enabled"
        or "istio.io/rev" in labels
        or labels.get("istio.io/dataplane-mode") == "ambient"
    )


def _workloads(pods: pd.DataFrame) -> pd.Series:
    """Number of workloads of each namespace."""
    named = pods["workload"].astype(object).fillna(pods["pod"].astype(object)).astype(str)
    return named.groupby(pods["namespace"].astype(str)).nunique()


_LASTING = (
    "a namespace made later is left out until it is labelled; from Istio 1.22 on it then has no "
    "ConfigMap istio-ca-root-cert either, without which no pod with a sidecar starts: label it "
    "before its first pod",
    "in a mesh of several clusters the labels are read in each cluster: run the commands in all",
    "admission webhooks and aggregated APIs are called by the API server, past the mesh: they are "
    "not seen here, and go on working in a namespace left out",
)
"""What holds for every mesh with selectors (istio/istio, pilot/pkg/serviceregistry/kube/controller,
namespacecontroller.go; release note enable-enhanced-scope)."""


def _unseen_configuration(edges: pd.DataFrame) -> tuple[str, ...]:
    """Metrics do not show where Istio's own objects are kept."""
    warnings = [
        "from Istio 1.22 on a namespace left out loses its Istio objects, too (VirtualService, "
        "ServiceEntry, Gateway, ...): export them and give them with -f, or name their namespaces "
        "with --keep"
    ]
    services = sorted(set(edges["destination_service"].astype(str)))
    outside = [
        service
        for service in services
        if (egress_host(service, UNKNOWN) or "").startswith("*/")
        and not service.endswith(f".{CLUSTER_DOMAIN}")
    ]
    if outside:
        warnings.append(
            f"hosts of ServiceEntries are called ({', '.join(outside[:5])}): the namespaces that "
            "define them must stay in discovery"
        )
    return tuple(warnings)


def _warnings(
    edges: pd.DataFrame, meshed: pd.DataFrame, left_out: Sequence[str]
) -> tuple[str, ...]:
    warnings = []
    if left_out:
        gateways = meshed[meshed["component"] == "gateway"]
        places = sorted(set(gateways["namespace"].astype(str)))
        if places:
            warnings.append(
                f"gateways in {', '.join(places)} route only to selected namespaces: a route to "
                f"{', '.join(left_out[:5])} that had no request in the window would break"
            )
        warnings.append(
            "a service of a namespace left out is reached as an address of no registry: without "
            "mutual TLS, retries and metrics of Istio, and not at all under REGISTRY_ONLY"
        )
    with_sidecar = set(meshed[meshed["component"] == "sidecar"]["namespace"].astype(str))
    bare = edges[
        (edges["destination_namespace"] != UNKNOWN)
        & ~edges["destination_namespace"].isin(with_sidecar)
    ]
    if len(bare):
        names = ", ".join(sorted(set(bare["destination_namespace"].astype(str)))[:5])
        warnings.append(f"called without a sidecar of their own, kept in discovery: {names}")
    callers = edges[edges["source_namespace"] == UNKNOWN]
    if len(callers):
        names = ", ".join(sorted(set(callers["destination_service"].astype(str)))[:5])
        warnings.append(
            f"{callers['destination_service'].nunique()} services are called from outside the mesh "
            f"(no sidecar, so nothing of the caller is known): {names}"
        )
    return tuple(warnings)
