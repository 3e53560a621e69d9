"""What keeps an autoscaler from draining nodes: conditions of every saving by fewer nodes.

Sources: cluster-autoscaler FAQ, "What types of pods can prevent CA from removing a node?"; karpenter
docs, "Disruption"; the volumes of Istio's injection template, the same in 1.18 to 1.30
(manifests/charts/istio-control/istio-discovery/files/injection-template.yaml; istio/istio #19395).
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pandas as pd

LOCAL_VOLUMES = "workload-socket,credential-socket,workload-certs,istio-data"
"""The injected emptyDir volumes that are not in memory."""
_LOCAL_VOLUMES = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
_SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
_DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"
_POD = ["namespace", "pod"]
_SHOWN = 3


def holds(
    kind: str, pods: pd.DataFrame, containers: pd.DataFrame, pdbs: pd.DataFrame
) -> Iterator[str]:
    """Say what in a snapshot stops a node from going, and what must be checked by hand.

    Parameters
    ----------
    kind : {"cluster-autoscaler", "karpenter"}
    pods, containers, pdbs : DataFrame
        Tables of the snapshot's last day.
    """
    blocking = pdbs[pdbs["disruptions_allowed"] == 0]
    if len(blocking):
        named = _named(blocking["namespace"], blocking["pdb"])
        yield f"disruption budgets that allow no disruption hold their nodes: {named}"
    if kind == "karpenter":
        yield from _annotated(pods, _DO_NOT_DISRUPT, "true")
        return
    yield from _local_volumes(pods, containers)
    bare = pods[pods["workload_kind"].eq("Pod") | pods["workload_kind"].isna()]
    if len(bare):
        named = _named(bare["namespace"], bare["pod"])
        yield f"pods without a controller hold their nodes: {named}"
    system = pods[pods["namespace"].eq("kube-system") & ~pods["workload_kind"].eq("DaemonSet")]
    guarded = set(pdbs.loc[pdbs["namespace"].eq("kube-system"), "workload"].dropna().astype(str))
    open_ones = system[~system["workload"].astype(str).isin(guarded)]
    if len(open_ones):
        named = _named(open_ones["namespace"], open_ones["workload"])
        yield (
            "pods of kube-system without a disruption budget hold their nodes "
            f"(--skip-nodes-with-system-pods): {named}"
        )
    yield from _annotated(pods, _SAFE_TO_EVICT, "false")
    yield "the minimum of an Auto Scaling group holds nodes: check by hand"


def _local_volumes(pods: pd.DataFrame, containers: pd.DataFrame) -> Iterator[str]:
    """Injected proxies that no annotation lets go."""
    injected = containers.loc[containers["component"].eq("sidecar"), _POD].drop_duplicates()
    freed = pods[
        _values(pods, _LOCAL_VOLUMES).map(_covers)
        | _values(pods, _SAFE_TO_EVICT).eq("true").fillna(False)
    ]
    held = injected.merge(freed[_POD], on=_POD, how="left", indicator=True)
    held = held[held["_merge"] == "left_only"]
    if len(held):
        yield (
            f"pods with injected proxies ({len(held)}) have emptyDir volumes on "
            "disk, and Cluster Autoscaler drains no node with such a pod: set "
            "--skip-nodes-with-local-storage=false, or in the values of istiod "
            f'sidecarInjectorWebhook.injectedAnnotations with {_LOCAL_VOLUMES}: "{LOCAL_VOLUMES}"'
        )


def _covers(volumes: str | None) -> bool:
    """Whether the annotation names every volume that the injector adds."""
    named = {} if volumes is None else {name.strip() for name in volumes.split(",")}
    return set(LOCAL_VOLUMES.split(",")) <= set(named)


def _annotated(pods: pd.DataFrame, name: str, value: str) -> Iterator[str]:
    """Pods whose annotation holds their node; what is not in the snapshot is to be checked."""
    known = pods["annotations"].notna() if "annotations" in pods else pd.Series(dtype=bool)
    if not known.any():
        yield f'pods annotated {name}: "{value}" hold their nodes: not in the snapshot, check by hand'
        return
    holding = pods[_values(pods, name).eq(value).fillna(False).astype(bool)]
    if len(holding):
        named = _named(holding["namespace"], holding["pod"])
        yield f'pods annotated {name}: "{value}" hold their nodes: {named}'


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
