"""What keeps an autoscaler from draining nodes: conditions of every saving by fewer nodes.

Sources: Cluster Autoscaler 1.35 `simulator/drainability/rules` and `utils/drain`; Karpenter
`pkg/controllers/state/statenode.go` (ValidatePodsDisruptable) and `pkg/utils/pdb`; the volumes of Istio's injection template, the same in 1.18 to 1.30
(manifests/charts/istio-control/istio-discovery/files/injection-template.yaml; istio/istio #19395).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

LOCAL_VOLUMES = "workload-socket,credential-socket,workload-certs,istio-data"
"""The injected emptyDir volumes that are not in memory."""
EVICT_LOCAL_VOLUMES = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
_SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
_ANNOTATED = {
    "cluster-autoscaler": (_SAFE_TO_EVICT, "false"),
    "karpenter": ("karpenter.sh/do-not-disrupt", "true"),
}
"""The annotation of a pod that keeps its node, by autoscaler."""
_POD = ["namespace", "pod"]
_SHOWN = 3
_ENDED = ("Succeeded", "Failed")
_REPLICATED = frozenset(
    [
        "Deployment",
        "ReplicaSet",
        "ReplicationController",
        "StatefulSet",
        "Job",
        "CronJob",
        "DeploymentConfig",
        "Rollout",
        "JobSet",
        "ScaledJob",
    ]
)
"""Kinds of which the pods belong to one that Cluster Autoscaler knows (`rules/replicated`), at once or below it."""


@dataclass(frozen=True, eq=False)
class _Kind:
    """Pods that hold their node for one reason: `namespace`, `pod`, and the name shown."""

    pods: pd.DataFrame
    why: str
    shown: str = "pod"


def held_pods(kind: str, pods: pd.DataFrame, pdbs: pd.DataFrame) -> pd.DataFrame:
    """Return `namespace` and `pod` of the pods of which no node is drained, whatever it is set to.

    Local volumes are not among them: an annotation of the injector lets them go.

    Parameters
    ----------
    pods : DataFrame
        The table `pods`, of one day or of all.
    pdbs : DataFrame
        The table `pdbs` of the last day.
    """
    found = [one.pods[_POD] for one in _kinds(kind, pods, pdbs)]
    return pd.concat(found, ignore_index=True).drop_duplicates()


def holds(
    kind: str,
    pods: pd.DataFrame,
    containers: pd.DataFrame,
    pdbs: pd.DataFrame,
    *,
    minimum: Sequence[tuple[str, int]] = (),
) -> Iterator[str]:
    """Say what in a snapshot stops a node from going, and what must be checked by hand.

    Parameters
    ----------
    pods, containers, pdbs : DataFrame
        Tables of the snapshot's last day.
    minimum : sequence of (str, int)
        Fewest nodes by node group, as far as the settings name them.
    """
    if kind == "cluster-autoscaler":
        yield from _local_volumes(pods, containers)
    for one in _kinds(kind, pods, pdbs):
        if len(one.pods):
            yield f"{one.why} hold their nodes: {_named(one.pods['namespace'], one.pods[one.shown])}"
    annotation, value = _ANNOTATED[kind]
    if not ("annotations" in pods and pods["annotations"].notna().any()):
        yield (
            f'pods annotated {annotation}: "{value}" hold their nodes: not in the snapshot, '
            "check by hand"
        )
    if kind == "cluster-autoscaler":
        if minimum:
            said = ", ".join(f"{group} at {least}" for group, least in minimum)
            yield f"the minimum of node groups holds nodes: {said}"
        else:
            yield (
                "the minimum of an Auto Scaling group holds nodes: check by hand, or set "
                "nodes.group_minimum"
            )


def _kinds(kind: str, pods: pd.DataFrame, pdbs: pd.DataFrame) -> Iterator[_Kind]:
    """Why pods hold their nodes, in the order of how often it is met; empty where none does."""
    if "phase" in pods:
        pods = pods[~pods["phase"].isin(_ENDED)]
    owner = pods["workload_kind"].astype(object)
    movable = pods[~owner.isin(("DaemonSet", "Node"))]
    budgets = pdbs.dropna(subset=["workload"])[
        ["namespace", "pdb", "workload", "disruptions_allowed"]
    ]
    guarded = ["namespace", "workload"]
    yield _Kind(
        movable.merge(budgets[budgets["disruptions_allowed"] == 0], on=guarded),
        "disruption budgets that allow no disruption",
        "pdb",
    )
    twice = budgets[budgets.duplicated(guarded, keep=False)]
    yield _Kind(
        movable.merge(twice, on=guarded),
        "pods that more than one disruption budget selects, which the API evicts none of,",
        "workload",
    )
    annotation, value = _ANNOTATED[kind]
    # Karpenter heeds the annotation on every pod that runs, those of DaemonSets and static ones too.
    heeding = pods if kind == "karpenter" else movable
    marked = heeding[_values(heeding, annotation).eq(value).fillna(False).astype(bool)]
    yield _Kind(marked, f'pods annotated {annotation}: "{value}"')
    if kind == "karpenter":
        return
    free = _values(movable, _SAFE_TO_EVICT).eq("true").fillna(False).astype(bool)
    others = movable[~free]
    owner = others["workload_kind"].astype(object)
    bare = owner.isna() | owner.eq("Pod")
    yield _Kind(others[bare], "pods without a controller")
    yield _Kind(
        others[~bare & ~owner.isin(_REPLICATED)],
        "pods of a controller that Cluster Autoscaler does not know "
        "(--skip-nodes-with-custom-controller-pods)",
        "workload",
    )
    known = set(pdbs.loc[pdbs["namespace"].eq("kube-system"), "workload"].dropna().astype(str))
    system = others[others["namespace"].eq("kube-system")]
    yield _Kind(
        system[~system["workload"].astype(str).isin(known)],
        "pods of kube-system without a disruption budget (--skip-nodes-with-system-pods; for an hour "
        "alone since Cluster Autoscaler 1.33)",
        "workload",
    )


def _local_volumes(pods: pd.DataFrame, containers: pd.DataFrame) -> Iterator[str]:
    """Injected proxies that no annotation lets go."""
    injected = containers.loc[containers["component"].eq("sidecar"), _POD].drop_duplicates()
    freed = pods[
        _values(pods, EVICT_LOCAL_VOLUMES).map(covers)
        | _values(pods, _SAFE_TO_EVICT).eq("true").fillna(False)
    ]
    held = injected.merge(freed[_POD], on=_POD, how="left", indicator=True)
    held = held[held["_merge"] == "left_only"]
    if len(held):
        yield (
            f"pods with injected proxies ({len(held)}) have emptyDir volumes on "
            "disk, and Cluster Autoscaler drains no node with such a pod: set "
            "--skip-nodes-with-local-storage=false, or in the values of istiod (written by "
            "rightsize recommend --evict-local-volumes) "
            f'sidecarInjectorWebhook.injectedAnnotations with {EVICT_LOCAL_VOLUMES}: "{LOCAL_VOLUMES}"'
        )


def covers(volumes: str | None) -> bool:
    """Whether the annotation names every volume that the injector adds; a blank after a comma is part of a name."""
    return volumes is not None and set(LOCAL_VOLUMES.split(",")) <= set(volumes.split(","))


def _values(pods: pd.DataFrame, name: str) -> pd.Series:
    """The annotation of each pod; None where it has none, or none is known."""
    if "annotations" not in pods:
        return pd.Series(None, index=pods.index, dtype=object)
    # Pods of a workload share their text: each is parsed once.
    parsed = {text: json.loads(text).get(name) for text in set(pods["annotations"].dropna())}
    return pods["annotations"].astype(object).map(lambda text: parsed.get(text))


def _named(namespaces: pd.Series, names: pd.Series) -> str:
    every = sorted({f"{a}/{b}" for a, b in zip(namespaces, names, strict=True)})
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + more
