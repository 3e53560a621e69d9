"""Several clusters in one store: which label distinguishes them, and signs that none does.

Figures of two clusters may not be mixed: pods of equal names would add up or hide each other. A
label of the store's own distinguishes clusters if machines or pods differ between its values; that of
a pair of replicas does not, since both see the same.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from rightsize.collectors.prometheus.labels import kubelet_of, node_of, pod_key
from rightsize.collectors.prometheus.parse import Labels, envelope
from rightsize.collectors.prometheus.queries import MESH_CONTAINERS
from rightsize.collectors.prometheus.source import Endpoint, Source, open_source
from rightsize.config import PrometheusSettings
from rightsize.errors import UsageError

_CPU = f'container_cpu_usage_seconds_total{{container=~"{MESH_CONTAINERS}",$M}}'
_SAME = 0.8
"""Shared part from which the members of two values are the same ones, seen by two scrapers."""
_OF_EXPORTER = re.compile(
    r"__.*|node|exported_.*|kubernetes_.*|(kernel|container_runtime|kubelet|kubeproxy)_version|"
    r"os_image|provider_id|pod_cidr|system_uuid|internal_ip|job|instance|endpoint|service|namespace|"
    r"pod|container|uid|host_?(name|ip|network)?|pod_ip|created_by_.*|priority_class|"
    r".*(replica|shard|pod_name|pod_index|pod_template_hash|prometheus|receive).*"
)
"""Labels that describe an object or its exporter."""
_OF_CLUSTER = re.compile(r".*cluster.*|env(ironment)?|stage|tenant|mesh|data_?cent(er|re)|dc|site")
"""Names to go by where only the kubelet reports: its labels may be those of a node."""
_TWICE = (
    "count by (namespace, pod, exported_namespace, exported_pod) (group by (namespace, pod, "
    "exported_namespace, exported_pod, uid, node, exported_node) ($series)) > 1"
)


@dataclass(frozen=True)
class Split:
    """A label that distinguishes clusters, with its values."""

    label: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        shown = ", ".join(self.values[:8]) + (", …" if len(self.values) > 8 else "")
        return f"{len(self.values)} clusters: {shown} (label {self.label})"


def cluster_label(source: Source, at: int) -> str | None:
    """Value of the mesh's `cluster` label, None where there is no such label.

    Raises
    ------
    UsageError
        If the server holds several clusters and no matcher chooses one.
    """
    names = clusters_of(source, at)
    split = Split("cluster", tuple(names)) if len(names) > 1 else None
    for endpoint in source.endpoints:
        split = split or splitting_label(source, at, endpoint)
    if split is not None:
        raise UsageError(
            f"the server holds {split}",
            hint=f"choose one: --matcher {split.label}={split.values[0]}",
        )
    return names[0] if names else None


def clusters_of(source: Source, at: int) -> list[str]:
    """Values of the `cluster` label of mesh containers, none where there is no such label."""
    found = (values_of("cluster", source, at, one) for one in source.endpoints)
    return sorted({value for values in found for value in values})


def values_of(label: str, source: Source, at: int, endpoint: Endpoint) -> list[str]:
    """Values that a label of mesh containers has."""
    text = f"group by ({label}) (last_over_time({_CPU}[$day]))"
    found = source.instant(text, at, endpoint).labels
    return sorted({value for labels in found if (value := labels.get(label))})


def splitting_label(source: Source, at: int, endpoint: Endpoint) -> Split | None:
    """A label with values that have nodes or pods of their own."""
    nodes = source.instant("last_over_time(kube_node_info{$M}[$hour])", at, endpoint).labels
    names = {name for one in nodes for name in one if not _OF_EXPORTER.fullmatch(name)}
    series = "kube_pod_info{$M}"
    if not nodes:
        nodes = source.instant(f"last_over_time({_CPU}[$hour])", at, endpoint).labels
        names = {name for one in nodes for name in one if _OF_CLUSTER.fullmatch(name)}
        series = _CPU
    for name in sorted(names):
        by_value = _members(name, nodes, [_node(one) for one in nodes])
        if len(by_value) < 2:
            continue
        grouped = "namespace, pod, exported_namespace, exported_pod"
        pods = source.instant(f"group by ({name}, {grouped}) ({series})", at, endpoint).labels
        of_pods = _members(name, pods, [pod_key(one) for one in pods])
        if _differ(by_value) or _differ(of_pods):
            return Split(name, tuple(sorted(by_value)))
    return None


def pods_running_twice(source: Source, at: int, endpoint: Endpoint) -> list[str]:
    """Pods with two uids or nodes at once, now and a quarter of an hour before."""
    found: set[str] = set()
    for series in ("kube_pod_info{$M}", f"{_CPU.replace('$M', 'node!=' + chr(34) * 2 + ',$M')}"):
        now = _TWICE.replace("$series", series)
        before = _TWICE.replace("$series", f"{series} offset 15m")
        answer = source.instant(f"({now}) and ({before})", at, endpoint)
        found |= {"/".join(pod_key(labels)) for labels in answer.labels}
    return sorted(found)


def _node(labels: Labels) -> str:
    return labels.get("provider_id") or node_of(labels) or kubelet_of(labels)


def _members(
    name: str, series: Sequence[Labels], members: Sequence[Hashable]
) -> dict[str, set[Hashable]]:
    found: dict[str, set[Hashable]] = {}
    for labels, member in zip(series, members, strict=True):
        if value := labels.get(name):
            found.setdefault(value, set()).add(member)
    return found


def _differ(by_value: Mapping[str, set[Hashable]]) -> bool:
    """Whether some value's members are not those of another value."""
    first, *others = by_value.values() if by_value else (set[Hashable](),)
    return any(len(first & other) < _SAME * len(first | other) for other in others)


def matched_nothing(settings: PrometheusSettings) -> str | None:
    """Say which values the labels of the matchers have without them; None without matchers."""
    labels = [re.split("[=!~]", text, maxsplit=1)[0].strip() for text in settings.matchers]
    if not labels:
        return None
    with open_source(settings.model_copy(update={"matchers": ()})) as source:
        server = source.endpoints[0].server
        form = {"match[]": _CPU.replace("$M", "")}
        found = {
            label: envelope(
                server.get(f"/api/v1/label/{label}/values", form), server=server.connection.name
            )[0]
            for label in labels
        }
    return "; ".join(
        f"label {label} has the values {', '.join(values[:8])}{', …' * (len(values) > 8)}"
        if values
        else f"no mesh container has a label {label}"
        for label, values in found.items()
    )
