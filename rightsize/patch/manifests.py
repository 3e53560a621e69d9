"""Sizes in plain manifests: annotations for sidecars, resources for Istio's own containers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from rightsize.files import tree
from rightsize.files.blocks import Leaf
from rightsize.files.redirected import Redirected
from rightsize.files.source import Layer
from rightsize.patch.groups import SIZES, Found, Group, cpu_text, real_path, sizes_of
from rightsize.patch.model import SizeChange, Slot
from rightsize.patch.settle import InFile
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
    "Pod": (),
}
ANNOTATIONS: dict[Slot, str] = {
    "cpu_request": "sidecar.istio.io/proxyCPU",
    "cpu_limit": "sidecar.istio.io/proxyCPULimit",
    "memory_request": "sidecar.istio.io/proxyMemory",
    "memory_limit": "sidecar.istio.io/proxyMemoryLimit",
}
"""Any one of the four drops `global.proxy.resources` altogether, so they go together."""
INJECT = "sidecar.istio.io/inject"
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
    """A workload's manifest, perhaps one of a `List`, or a patch of one."""

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


@dataclass(eq=False)
class WorkloadPatch(Redirected, Workload):
    """A JSON 6902 patch of a workload, which names its containers by number."""

    def container(self, name: str) -> tree.Path | None:
        """The first container: Istio's own workloads have one alone."""
        path = (*self.template, "spec", "containers", 0)
        return path if tree.lookup(self.root, path) is not None else None


def workloads_of(layer: Layer) -> Iterator[Workload]:
    """The workloads of one document; what a controller made is nobody's file, and is overwritten."""
    if tree.text_at(layer.root, ("kind",)) == "List":
        listed = tree.lookup(layer.root, ("items",))
        count = len(listed.items) if isinstance(listed, tree.Sequence) else 0
        prefixes: list[tree.Path] = [("items", number) for number in range(count)]
    else:
        prefixes = [()]
    for prefix in prefixes:
        kind = tree.text_at(layer.root, (*prefix, "kind"))
        metadata = (*prefix, "metadata")
        owners = tree.lookup(layer.root, (*metadata, "ownerReferences"))
        if kind in POD_TEMPLATES and not (isinstance(owners, tree.Sequence) and owners.items):
            yield Workload(
                layer.source,
                layer.document,
                prefix,
                kind,
                tree.text_at(layer.root, (*metadata, "name")),
                tree.text_at(layer.root, (*metadata, "namespace")),
            )


def annotation_values(change: SizeChange) -> dict[str, str]:
    """The annotations of a sidecar of its own sizes: all that are set, together."""
    return {
        ANNOTATIONS[slot]: format_memory(value) if slot.startswith("memory") else cpu_text(value)
        for slot, value in change.wanted
        if slot in ANNOTATIONS
    }


@dataclass(eq=False)
class AnnotationsGroup(Group):
    """Places for the four annotations of a sidecar, which stand and fall together."""

    @abstractmethod
    def annotations(self, layer: Layer) -> tree.Path:
        """Path of the mapping of annotations."""

    def covers(self, change: SizeChange) -> bool:
        return change.component == "sidecar" and change.workload is not None

    def candidates(self, layer: Layer, change: SizeChange, slot: Slot) -> list[tree.Path]:
        key = ANNOTATIONS.get(slot)
        return [] if key is None else [(*self.annotations(layer), key)]

    def preferred(self, layer: Layer, change: SizeChange, slot: Slot) -> tree.Path | None:
        return next(iter(self.candidates(layer, change, slot)), None)

    def find(self, change: SizeChange, slot: Slot) -> Found | None:
        # An annotation of null is an absent one, and so is all of `annotations: null`.
        found = super().find(change, slot)
        return None if found is None or found.scalar is None else found

    def completed(self, change: SizeChange, today: Mapping[Slot, InFile]) -> SizeChange:
        """All four: what the change leaves open is what the file, the pods or the mesh have."""
        if not change.wanted:
            return change
        numbers: dict[Slot, float | None] = dict(change.wanted)
        for slot in ANNOTATIONS:
            known = [None if slot not in today else today[slot].value]
            known += [getattr(s, slot) for s in (change.running, change.mesh) if s is not None]
            if numbers.get(slot) is None:
                numbers[slot] = next((value for value in known if value is not None), None)
        return replace(change, sizes=sizes_of(numbers))

    def leaf(self, slot: Slot, value: float, old: str | None) -> Leaf:
        text = format_memory(value) if slot.startswith("memory") else cpu_text(value)
        return Leaf(text, quoted=True)

    def _beside(self, found: Found, sibling: Slot, slot: Slot) -> tree.Path | None:
        return real_path(found.layer, (*found.path[:-1], ANNOTATIONS[slot]))


@dataclass(eq=False)
class PodAnnotations(AnnotationsGroup):
    """A workload's manifest and the patches laid over it: annotations of its pod template."""

    def annotations(self, layer: Layer) -> tree.Path:
        return (*_workload(layer).template, "metadata", "annotations")

    def unread(self, change: SizeChange) -> str | None:
        """Injection that the pod template switches off; a label outranks an annotation."""
        for kind in ("labels", "annotations"):
            for layer in reversed(self.layers):
                path = (*_workload(layer).template, "metadata", kind, INJECT)
                text = tree.text_at(layer.root, path)
                if text is not None:
                    return f"{INJECT} is false in it" if text.lower() == "false" else None
        return None


@dataclass(eq=False)
class ContainerGroup(Group):
    """A workload that has a container of Istio's, and the patches laid over it.

    A container `istio-proxy` in the manifest outranks the injected one, annotations included.
    """

    def covers(self, change: SizeChange) -> bool:
        name = CONTAINERS[change.component]
        return change.workload is not None and any(
            _workload(layer).container(name) is not None for layer in self.layers
        )

    def candidates(self, layer: Layer, change: SizeChange, slot: Slot) -> list[tree.Path]:
        container = _workload(layer).container(CONTAINERS[change.component])
        # A patch without the container keeps its rank with a path that no document has.
        nowhere = (*_workload(layer).template, "spec", "containers", "none")
        return [(*(container or nowhere), "resources", *SIZES[slot])] if slot in SIZES else []

    def preferred(self, layer: Layer, change: SizeChange, slot: Slot) -> tree.Path | None:
        if _workload(layer).container(CONTAINERS[change.component]) is None:
            return None
        return next(iter(self.candidates(layer, change, slot)), None)


def _workload(layer: Layer) -> Workload:
    assert isinstance(layer, Workload)
    return layer
