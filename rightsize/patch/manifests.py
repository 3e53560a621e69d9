"""Sizes in plain manifests: annotations for sidecars, resources for Istio's own containers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rightsize.errors import AmbiguousChartError
from rightsize.files import tree
from rightsize.files.blocks import Leaf
from rightsize.files.source import Layer
from rightsize.patch.groups import (
    SIZES,
    Found,
    Slot,
    Write,
    cpu_text,
    quantity,
    replacement,
    wanted,
)
from rightsize.patch.groups import leaf as plain_leaf
from rightsize.patch.model import SizeChange
from rightsize.quantity import format_memory
from rightsize.results import Component

TEMPLATE: tree.Path = ("spec", "template")
POD_TEMPLATES: dict[str, tree.Path] = {
    "Deployment": TEMPLATE,
    "StatefulSet": TEMPLATE,
    "DaemonSet": TEMPLATE,
    "ReplicaSet": TEMPLATE,
    "Rollout": TEMPLATE,
    "Job": TEMPLATE,
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
ANNOTATIONS: dict[Slot, str] = {
    "cpu_request": "sidecar.istio.io/proxyCPU",
    "cpu_limit": "sidecar.istio.io/proxyCPULimit",
    "memory_request": "sidecar.istio.io/proxyMemory",
    "memory_limit": "sidecar.istio.io/proxyMemoryLimit",
}
"""Any one of the four drops `global.proxy.resources` altogether, so they go together."""
CONTAINERS: dict[Component, str] = {
    "sidecar": "istio-proxy",
    "gateway": "istio-proxy",
    "waypoint": "istio-proxy",
    "ztunnel": "istio-proxy",
    "istiod": "discovery",
    "istio-cni": "install-cni",
}


@dataclass(eq=False)
class Workload(Layer):
    """A workload's manifest, perhaps one of a `List`."""

    prefix: tree.Path
    kind: str
    name: str | None
    namespace: str | None

    @property
    def template(self) -> tree.Path:
        return (*self.prefix, *POD_TEMPLATES[self.kind])

    def container(self, name: str) -> tree.Path | None:
        """Path of a container; a native sidecar stands under `initContainers`."""
        for key in ("containers", "initContainers"):
            path = (*self.template, "spec", key)
            listed = tree.lookup(self.root, path)
            items = listed.items if isinstance(listed, tree.Sequence) else []
            for number, item in enumerate(items):
                if tree.text_at(item, ("name",)) == name:
                    return (*path, number)
        return None


def is_manifest(root: tree.Node | None) -> bool:
    """Whether a document is a Kubernetes object, and so no values."""
    return tree.text_at(root, ("kind",)) is not None and (
        tree.text_at(root, ("apiVersion",)) is not None
    )


def workloads_of(layer: Layer) -> Iterator[Workload]:
    """The workloads of one document."""
    if tree.text_at(layer.root, ("kind",)) == "List":
        listed = tree.lookup(layer.root, ("items",))
        count = len(listed.items) if isinstance(listed, tree.Sequence) else 0
        prefixes: list[tree.Path] = [("items", number) for number in range(count)]
    else:
        prefixes = [()]
    for prefix in prefixes:
        kind = tree.text_at(layer.root, (*prefix, "kind"))
        if kind in POD_TEMPLATES:
            metadata = (*prefix, "metadata")
            yield Workload(
                layer.source,
                layer.document,
                prefix,
                kind,
                tree.text_at(layer.root, (*metadata, "name")),
                tree.text_at(layer.root, (*metadata, "namespace")),
            )


def workload_for(
    workloads: Sequence[Workload],
    change: SizeChange,
    changes: Sequence[SizeChange],
    told: str | None,
) -> Workload | None:
    """The manifest of a change's workload; None where no file has it.

    `told` is `--workload namespace/name`: it says whose manifest one without a namespace, or
    under another name (a prefix added later), is.
    """
    if change.workload is None:
        return None
    fitting = [
        w
        for w in workloads
        if w.name == change.workload
        and w.namespace in (None, change.namespace)
        and (change.kind is None or w.kind == change.kind)
    ]
    if told is not None and told in (change.key, change.workload):
        if not fitting and len(workloads) == 1:
            return workloads[0]
    elif told is not None:
        # Told whose it is: a manifest that does not say its namespace is not for another.
        fitting = [w for w in fitting if w.namespace is not None or told.split("/")[-1] != w.name]
    if not fitting:
        return None
    found = max(fitting, key=lambda w: w.namespace is not None)
    rivals = {
        other.key
        for other in changes
        if other.workload == change.workload and other.component == change.component
    }
    if found.namespace is None and len(rivals) > 1 and told is None:
        raise AmbiguousChartError(
            f"{found.kind} {found.name} does not say its namespace; it could be "
            + " or ".join(sorted(rivals)),
            path=found.source.path,
            hint=f"Say --workload {change.key}.",
        )
    return found


def manifest_writes(workload: Workload, change: SizeChange) -> list[Write]:
    """What to set in a workload's manifest so that the sizes of `change` are in force."""
    container = workload.container(CONTAINERS.get(change.component, ""))
    if container is not None:
        return _container_writes(workload, container, change)
    if change.component != "sidecar":
        return []
    return _annotation_writes(workload, change)


def annotation_values(change: SizeChange) -> dict[str, str]:
    """The annotations of a sidecar of its own sizes: all that are set, together."""
    return {
        ANNOTATIONS[slot]: format_memory(value) if slot.startswith("memory") else cpu_text(value)
        for slot, value in wanted(change)
        if slot in ANNOTATIONS
    }


def _container_writes(workload: Workload, container: tree.Path, change: SizeChange) -> list[Write]:
    """A container written in the manifest outranks the injected one, annotations included."""
    writes: list[Write | None] = []
    for slot, value in wanted(change):
        if slot not in SIZES:
            continue
        path = (*container, "resources", *SIZES[slot])
        node = tree.lookup(workload.root, path)
        if node is None:
            writes.append(Write(workload, path, plain_leaf(slot, value, None), None))
        else:
            writes.append(replacement(Found(workload, path, node), slot, value))
    return [write for write in writes if write is not None]


def _annotation_writes(workload: Workload, change: SizeChange) -> list[Write]:
    writes = []
    numbers = {ANNOTATIONS[slot]: value for slot, value in wanted(change) if slot in ANNOTATIONS}
    for key, text in annotation_values(change).items():
        path = (*workload.template, "metadata", "annotations", key)
        node = tree.lookup(workload.root, path)
        old = node if isinstance(node, tree.Scalar) and not node.is_null else None
        if old is not None and quantity(workload.source, path, old) == numbers[key]:
            continue
        before = None if old is None else old.value
        writes.append(Write(workload, path, Leaf(text, quoted=True), before))
    return writes
