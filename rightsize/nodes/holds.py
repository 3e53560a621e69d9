"""What keeps an autoscaler from draining nodes: conditions of every saving by fewer nodes.

Sources: cluster-autoscaler FAQ, "What types of pods can prevent CA from removing a node?"; karpenter
docs, "Disruption"; the volumes of Istio's injection template, the same in 1.18 to 1.30
(manifests/charts/istio-control/istio-discovery/files/injection-template.yaml; istio/istio #19395).
"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

LOCAL_VOLUMES = "workload-socket,credential-socket,workload-certs,istio-data"
"""The injected emptyDir volumes that are not in memory."""
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
        yield (
            "pods annotated karpenter.sh/do-not-disrupt hold their nodes: not in the snapshot, "
            "check by hand"
        )
        return
    injected = containers.loc[containers["component"].eq("sidecar"), ["namespace", "pod"]]
    if len(injected):
        yield (
            f"pods with injected proxies ({len(injected.drop_duplicates())}) have emptyDir volumes on "
            "disk, and Cluster Autoscaler drains no node with such a pod: set "
            "--skip-nodes-with-local-storage=false, or in the values of istiod "
            "sidecarInjectorWebhook.injectedAnnotations with "
            f'cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes: "{LOCAL_VOLUMES}"'
        )
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
    yield (
        'pods annotated cluster-autoscaler.kubernetes.io/safe-to-evict: "false" and the minimum of '
        "an Auto Scaling group hold nodes: not in the snapshot, check by hand"
    )


def _named(namespaces: pd.Series, names: pd.Series) -> str:
    every = sorted({f"{a}/{b}" for a, b in zip(namespaces, names, strict=True)})
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + more
