"""PromQL of workloads: their pods, and what these request. Checks are in `data/rollout.toml`."""

from __future__ import annotations

from collections.abc import Iterable

from rightsize.border import promql_pattern, promql_string

_SUFFIX = {
    "Deployment": "-[a-z0-9]+-[a-z0-9]+",
    "Rollout": "-[a-z0-9]+-[a-z0-9]+",
    "StatefulSet": "-[0-9]+",
    "DaemonSet": "-[a-z0-9]+",
    "ReplicaSet": "-[a-z0-9]+",
    "Job": "-[a-z0-9]+",
    "CronJob": "-[0-9]+-[a-z0-9]+",
    "Pod": "",
}
"""What a controller appends to the workload's name to name its pods."""


def requests(container: str, resource: str, *, of: str = "", apart: str = "") -> str:
    """Requests in force of a container, one series a pod: of the pods `of`, or all but `apart`.

    Both as `pods_of` gives them. A native sidecar is an init container to kube-state-metrics.
    """
    names = '__name__=~"kube_pod_(init_)?container_resource_requests"'
    there = f'max by (namespace, pod) ({{{names},container="{container}",resource="{resource}"}})'
    if of:
        return f"({there} and on (namespace, pod) ({of}))"
    return f"({there} unless on (namespace, pod) ({apart}))" if apart else there


def pods_of(workloads: Iterable[tuple[str, str, str | None]]) -> str:
    """Series of the pods of workloads, each as (namespace, name, kind); for `and on`, `unless on`.

    Pods are recognized by the names that their controllers give them.
    """
    found: dict[str, list[str]] = {}
    for namespace, name, kind in sorted(workloads, key=lambda w: (w[0], w[1])):
        found.setdefault(namespace, []).append(pod_pattern(name, kind))
    return " or ".join(
        f'kube_pod_info{{namespace={promql_string(namespace)},pod=~"{"|".join(patterns)}"}}'
        for namespace, patterns in found.items()
    )


def pod_pattern(workload: str, kind: str | None = "Deployment") -> str:
    """Pattern of the names of a workload's pods: those of `web-admin` are none of `web`."""
    return promql_pattern(workload) + _SUFFIX.get(kind or "", "-.*")
