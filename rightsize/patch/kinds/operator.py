"""IstioOperator, which istioctl reads."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rightsize.files import tree
from rightsize.files.source import Layer
from rightsize.patch.given import Given
from rightsize.patch.groups import Group, Release
from rightsize.patch.istio_operator import OperatorGroup
from rightsize.patch.kinds.manifests import workload_group
from rightsize.patch.kinds.registry import kind
from rightsize.patch.manifests import POD_TEMPLATES, WorkloadPatch


@kind
def istio_operator(layer: Layer, given: Given) -> list[Group] | None:
    api = tree.text_at(layer.root, ("apiVersion",)) or ""
    named = tree.text_at(layer.root, ("kind",)) == "IstioOperator"
    if not (named and api.startswith("install.istio.io/")):
        return None
    release = Release(
        "IstioOperator",
        tree.text_at(layer.root, ("metadata", "name")),
        None,
        revision=tree.text_at(layer.root, ("spec", "revision")),
    )
    return [OperatorGroup(release, [layer]), *_overlays(layer)]


def _overlays(layer: Layer) -> Iterator[Group]:
    """`k8s.overlays`: what they set in a rendered workload outranks values and `k8s`."""
    components = tree.mapping_at(layer.root, ("spec", "components"))
    for name in [] if components is None else components.names():
        held = tree.lookup(components, (name,))
        count = len(held.items) if isinstance(held, tree.Sequence) else 0
        several: list[tree.Path] = [(number,) for number in range(count)]
        for rest in several or [()]:
            path = ("spec", "components", name, *rest, "k8s", "overlays")
            listed = tree.lookup(layer.root, path)
            for number in range(len(listed.items) if isinstance(listed, tree.Sequence) else 0):
                found = _overlay(layer, (*path, number))
                if found is not None:
                    yield workload_group(found)


def _overlay(layer: Layer, path: tree.Path) -> WorkloadPatch | None:
    kind_of = tree.text_at(layer.root, (*path, "kind"))
    if kind_of not in POD_TEMPLATES:
        return None
    listed = tree.lookup(layer.root, (*path, "patches"))
    entries: dict[tree.Path, tree.Path] = {}
    for number, item in enumerate(listed.items if isinstance(listed, tree.Sequence) else []):
        steps = _steps(tree.text_at(item, ("path",)) or "")
        if "resources" in steps:
            entries[steps] = (*path, "patches", number, "value")
    if not entries:
        return None
    name = tree.text_at(layer.root, (*path, "name"))
    return WorkloadPatch(
        layer.source, layer.document, (), kind_of, name, "istio-system", entries=entries
    )


def _steps(text: str) -> tree.Path:
    """A path of an overlay; `[name:discovery]` is the one container of Istio's own workloads.

    Source: `KubernetesOverlay` in istio's operator/pkg/apis/types.go.
    """
    steps = re.findall(r"\[[^\]]*\]|[^.\[\]]+", text)
    return tuple(0 if step.startswith("[") else step for step in steps)
