"""Which workload a budget or an autoscaler is about, among the objects of the files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rightsize.audit.model import KubeObject, Sources
from rightsize.audit.tree import Node

SCALED = ("Deployment", "StatefulSet", "ReplicaSet", "Rollout")


def pod_labels(obj: KubeObject) -> dict[str, str]:
    """Labels of a workload's pods."""
    template = obj.pod_template
    labels = None if template is None else template.get("metadata", "labels")
    return {k: v.text or "" for k, v in ((labels.entries if labels else None) or {}).items()}


def selected(selector: Node | None, obj: KubeObject) -> bool:
    """Whether `matchLabels` of a selector match a workload's pods; expressions are not judged."""
    wanted = None if selector is None else selector.get("matchLabels")
    if wanted is None or not wanted.entries:
        return False
    labels = pod_labels(obj)
    return all(labels.get(key) == (node.text or "") for key, node in wanted.entries.items())


def unit_of(sources: Sources, obj: KubeObject) -> str:
    """What is applied together with an object: its folder, or its file alone."""
    file = obj.root.place.file
    return file if file in sources.alternatives else file.rpartition("/")[0]


def same_namespace(sources: Sources, one: KubeObject, other: KubeObject) -> bool:
    """Whether two objects can share a namespace; an unnamed one can be any.

    Files of sibling folders (`envs/prod`, `envs/dev`) are never applied together, nor are files that
    stand for each other.
    """
    files = {obj.root.place.file for obj in (one, other)}
    if len(files) > 1 and files & sources.alternatives:
        return False
    here, there = (Path(obj.root.place.file).parent for obj in (one, other))
    if here != there and here not in there.parents and there not in here.parents:
        return False
    return one.namespace is None or other.namespace is None or one.namespace == other.namespace


def autoscaler_of(sources: Sources, workload: KubeObject) -> KubeObject | None:
    """The HorizontalPodAutoscaler or KEDA ScaledObject that scales a workload."""
    for obj in sources.of_kind("HorizontalPodAutoscaler", "ScaledObject"):
        target = obj.root.get("spec", "scaleTargetRef")
        if target is None or not same_namespace(sources, obj, workload):
            continue
        kind = target.text_of("kind") or "Deployment"
        if target.text_of("name") == workload.name and kind == workload.kind:
            return obj
    return None


def budgets_of(sources: Sources, workload: KubeObject) -> Iterator[KubeObject]:
    """PodDisruptionBudgets that select a workload's pods."""
    for obj in sources.of_kind("PodDisruptionBudget"):
        selector = obj.root.get("spec", "selector")
        if same_namespace(sources, obj, workload) and selected(selector, workload):
            yield obj


def least_replicas(sources: Sources, workload: KubeObject) -> float | None:
    """Pods that a workload may run with: its autoscaler's minimum, else its replicas.

    Kubernetes defaults both to 1.
    """
    scaler = autoscaler_of(sources, workload)
    if scaler is not None:
        key = "minReplicas" if scaler.kind == "HorizontalPodAutoscaler" else "minReplicaCount"
        least = scaler.root.get("spec", key)
        return 1.0 if least is None else least.number
    replicas = workload.root.get("spec", "replicas")
    return 1.0 if replicas is None else replicas.number


def is_gateway(obj: KubeObject) -> bool:
    """A Deployment of Istio's gateway: injected as one, or an ingress or egress gateway's."""
    template = obj.pod_template
    if template is None:
        return False
    templates = template.text_of("metadata", "annotations", "inject.istio.io/templates") or ""
    labels = pod_labels(obj)
    named = labels.get("istio", "").endswith("gateway")
    return "gateway" in templates or named or "istio.io/gateway-name" in labels
