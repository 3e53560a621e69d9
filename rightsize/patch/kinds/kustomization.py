"""Kustomize: `helmCharts`, and patches, inline or in files, strategic or JSON 6902."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rightsize.errors import InputFileError
from rightsize.files import tree
from rightsize.files.chart_metadata import chart_named
from rightsize.files.embedded import opened
from rightsize.files.source import Layer
from rightsize.patch.given import Given
from rightsize.patch.groups import Group, Placed, Release, UnwrittenGroup
from rightsize.patch.kinds.chart_values import Place, inline, release_groups, whole_file
from rightsize.patch.kinds.manifests import workload_group
from rightsize.patch.kinds.registry import kind
from rightsize.patch.manifests import (
    ANNOTATIONS,
    CONTAINERS,
    POD_TEMPLATES,
    Workload,
    WorkloadPatch,
    workloads_of,
)
from rightsize.patch.model import SizeChange

LISTS = ("patches", "patchesJson6902", "patchesStrategicMerge")


@kind
def kustomization(layer: Layer, given: Given) -> list[Group] | None:
    of = tree.text_at(layer.root, ("kind",))
    known = of in ("Kustomization", "Component") and "kustomize.config" in (
        tree.text_at(layer.root, ("apiVersion",)) or ""
    )
    named = layer.source.path.name in ("kustomization.yaml", "kustomization.yml", "Kustomization")
    if not known and not (named and of is None):
        return None
    groups: list[Group] = []
    listed = tree.lookup(layer.root, ("helmCharts",))
    for number in range(len(listed.items) if isinstance(listed, tree.Sequence) else 0):
        groups += _chart(layer, given, ("helmCharts", number))
    groups += _resources(layer, given)
    groups += patches_at(layer, given, ())
    return groups


def patches_at(layer: Layer, given: Given, path: tree.Path) -> Iterator[Group]:
    """The workloads that the lists of patches below a path change."""
    for key in LISTS:
        listed = tree.lookup(layer.root, (*path, key))
        for number in range(len(listed.items) if isinstance(listed, tree.Sequence) else 0):
            yield from _patch(layer, given, (*path, key, number))


def _chart(layer: Layer, given: Given, path: tree.Path) -> list[Group]:
    root = layer.root
    name = tree.text_at(root, (*path, "releaseName")) or tree.text_at(root, (*path, "name"))
    release = Release("Kustomize chart", name, tree.text_at(root, (*path, "namespace")))
    places: list[Place] = whole_file(
        given.follow(layer.source, tree.text_at(root, (*path, "valuesFile")) or "")
    )
    own = inline(layer.source, layer.document, (*path, "valuesInline"))
    # `override`, the default, lays the inline values over the file; `merge` the file over them.
    if own is not None:
        under = tree.text_at(root, (*path, "valuesMerge")) == "merge"
        places = [own, *places] if under else [*places, own]
    chart = chart_named(tree.text_at(root, (*path, "name")), tree.text_at(root, (*path, "repo")))
    version = tree.text_at(root, (*path, "version"))
    return release_groups(given, release, chart, version, places)


def _resources(layer: Layer, given: Given) -> Iterator[Group]:
    """Workloads in the files that are listed; a patch of the same workload outranks them."""
    listed = tree.lookup(layer.root, ("resources",))
    for item in listed.items if isinstance(listed, tree.Sequence) else []:
        name = tree.text_at(item, ()) or ""
        source = given.follow(layer.source, name) if name.endswith((".yaml", ".yml")) else None
        if source is None or source in given.sources:
            continue
        for number in range(len(source.documents)):
            for workload in workloads_of(Layer(source, number)):
                yield workload_group(workload)


def _patch(layer: Layer, given: Given, path: tree.Path) -> Iterator[Group]:
    """The workloads that one entry patches."""
    root = layer.root
    text = tree.text_at(root, (*path, "patch"))
    if text is not None or (tree.text_at(root, path) or "").lstrip().startswith("apiVersion"):
        try:
            inner = opened(
                layer.source, layer.document, (*path, "patch") if text is not None else path
            )
        except InputFileError as error:
            given.note(layer.source, error.what)
            return
        inside = [Layer(inner, number) for number in range(len(inner.documents))]
    else:
        name = tree.text_at(root, (*path, "path")) or tree.text_at(root, path) or ""
        source = given.follow(layer.source, name)
        count = 0 if source is None else len(source.documents)
        inside = [Layer(source, number) for number in range(count) if source is not None]
    target = tree.mapping_at(root, (*path, "target"))
    for one in inside:
        # A patch that was given by itself is read by itself, unless it needs the target.
        read_itself = one.source in given.sources and isinstance(one.root, tree.Mapping)
        for found in _patched(one, target):
            selected = None if target is None else _selected(found, target)
            if selected is not None:
                yield selected
            elif not read_itself:
                yield workload_group(found)


def _patched(one: Layer, target: tree.Mapping | None) -> Iterator[Workload]:
    """The workloads of a patch; a target outranks the name that the patch bears."""
    if isinstance(one.root, tree.Sequence):
        found = _operations(one, target)
        yield from [] if found is None else [found]
        return
    for workload in workloads_of(one):
        if target is not None:
            workload.name = tree.text_at(target, ("name",))
            workload.namespace = tree.text_at(target, ("namespace",)) or workload.namespace
        yield workload


def _selected(workload: Workload, target: tree.Mapping) -> SelectedPatch | None:
    """The patch of whatever a target selects, if that is not one workload by name."""
    by_labels = any(tree.text_at(target, (key,)) for key in ("labelSelector", "annotationSelector"))
    if workload.name is not None and re.fullmatch(r"[a-z0-9-]+", workload.name) and not by_labels:
        return None
    release = Release("patch", None, workload.namespace)
    return SelectedPatch(release, [workload], selects=workload.name or ".*")


@dataclass(eq=False)
class SelectedPatch(UnwrittenGroup):
    """A patch of many workloads: it outranks what is written for one of them elsewhere."""

    selects: str = ".*"
    """Regular expression of names, as Kustomize reads it: of the whole name."""

    def covers(self, change: SizeChange) -> bool:
        (workload,) = self.layers
        assert isinstance(workload, Workload)
        container = workload.container(CONTAINERS[change.component])
        template = workload.template
        places = [(*template, "metadata", "annotations", key) for key in ANNOTATIONS.values()]
        if change.component != "sidecar":
            places = []
        if container is not None:
            places.append((*container, "resources"))
        return (
            change.workload is not None
            and change.kind in (None, workload.kind)
            and workload.namespace in (None, change.namespace)
            and _matches(self.selects, change.workload)
            and any(tree.lookup(workload.root, place) is not None for place in places)
        )

    def instead(self, change: SizeChange) -> Placed:
        (workload,) = self.layers
        assert isinstance(workload, Workload)
        reason = (
            f"a patch in {workload.source.path} sets these sizes for every {workload.kind} that its "
            f"target selects, and outranks what is written for {change.key}: take them out of it"
        )
        return Placed(refused=reason)


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error:
        return True


def _operations(one: Layer, target: tree.Mapping | None) -> WorkloadPatch | None:
    """A JSON 6902 patch as a tree of what it sets."""
    kind_of = tree.text_at(target, ("kind",)) or "Deployment"
    if kind_of not in POD_TEMPLATES or not isinstance(one.root, tree.Sequence):
        return None
    entries: dict[tree.Path, tree.Path] = {}
    for number, item in enumerate(one.root.items):
        pointer = tree.text_at(item, ("path",)) or ""
        if tree.text_at(item, ("op",)) in ("add", "replace") and pointer.startswith("/"):
            entries[_steps(pointer)] = (number, "value")
    return WorkloadPatch(
        one.source,
        one.document,
        (),
        kind_of,
        tree.text_at(target, ("name",)),
        tree.text_at(target, ("namespace",)),
        entries=entries,
    )


def _steps(pointer: str) -> tree.Path:
    """A JSON pointer as a path; numbers are positions in lists."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    return tuple(int(step) if step.isdigit() else step for step in steps)
