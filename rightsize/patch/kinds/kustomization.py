"""Kustomize: `helmCharts`, and patches, inline or in files, strategic or JSON 6902."""

from __future__ import annotations

from collections.abc import Iterator

from rightsize.errors import InputFileError
from rightsize.files import tree
from rightsize.files.chart_metadata import chart_named
from rightsize.files.embedded import opened
from rightsize.files.source import Layer
from rightsize.patch.given import Given
from rightsize.patch.groups import Group, Release
from rightsize.patch.kinds.chart_values import (
    Place,
    inline,
    release_groups,
    whole_file,
)
from rightsize.patch.kinds.manifests import workload_group
from rightsize.patch.kinds.registry import kind
from rightsize.patch.manifests import POD_TEMPLATES, WorkloadPatch, workloads_of

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
        if source is None or source in given.sources:
            # A patch that was given by itself is read by itself, unless it needs the target.
            inside = [] if source is None else _operations_only(source)
        else:
            inside = [Layer(source, number) for number in range(len(source.documents))]
    for one in inside:
        if isinstance(one.root, tree.Sequence):
            found = _operations(one, layer, (*path, "target"))
            if found is not None:
                yield workload_group(found)
        else:
            for workload in workloads_of(one):
                yield workload_group(workload)


def _operations_only(source: object) -> list[Layer]:
    from rightsize.files.source import Source

    assert isinstance(source, Source)
    layers = [Layer(source, number) for number in range(len(source.documents))]
    return [layer for layer in layers if isinstance(layer.root, tree.Sequence)]


def _operations(one: Layer, layer: Layer, target: tree.Path) -> WorkloadPatch | None:
    """A JSON 6902 patch as a tree of what it sets."""
    kind_of = tree.text_at(layer.root, (*target, "kind")) or "Deployment"
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
        tree.text_at(layer.root, (*target, "name")),
        tree.text_at(layer.root, (*target, "namespace")),
        entries=entries,
    )


def _steps(pointer: str) -> tree.Path:
    """A JSON pointer as a path; numbers are positions in lists."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    return tuple(int(step) if step.isdigit() else step for step in steps)
