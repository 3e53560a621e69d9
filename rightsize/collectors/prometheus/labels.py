"""Which pod, container and node a series speaks of, whatever its labels are called.

`exported_…` is what Prometheus makes of a metric's own label when the scrape job sets one of the
same name, so it goes first: kube-state-metrics scraped without `honorLabels` carries its own pod
in `pod` and the described pod in `exported_pod`.
"""

from __future__ import annotations

from rightsize.collectors.prometheus.parse import Labels

_NAMESPACE = ("exported_namespace", "namespace", "kubernetes_namespace")
_POD = ("exported_pod", "pod", "pod_name", "kubernetes_pod_name")
_CONTAINER = ("exported_container", "container", "container_name")
_NODE = ("exported_node", "node", "kubernetes_node")

PodKey = tuple[str, str]
"""Namespace and pod."""
ContainerKey = tuple[str, str, str]
"""Namespace, pod and container."""


def pod_key(labels: Labels) -> PodKey:
    return _first(labels, _NAMESPACE), _first(labels, _POD)


def container_key(labels: Labels) -> ContainerKey:
    return _first(labels, _NAMESPACE), _first(labels, _POD), _first(labels, _CONTAINER)


def namespace_of(labels: Labels) -> str:
    return _first(labels, _NAMESPACE)


def node_of(labels: Labels) -> str:
    return _first(labels, _NODE)


def kubelet_of(labels: Labels) -> str:
    """Node of a cAdvisor series; `instance` is often the node's name, else an address."""
    return _first(labels, _NODE) or _first(
        labels, ("kubernetes_io_hostname", "" if ":" in labels.get("instance", "") else "instance")
    )


def cgroup_of(labels: Labels) -> str:
    """What distinguishes one run of a container from the next, empty where the labels were dropped."""
    return labels.get("id") or labels.get("name") or ""


def _first(labels: Labels, names: tuple[str, ...]) -> str:
    for name in names:
        value = labels.get(name)
        if value:
            return value
    return ""
