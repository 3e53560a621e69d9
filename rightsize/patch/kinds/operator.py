"""IstioOperator, which istioctl reads."""

from __future__ import annotations

from rightsize.files import tree
from rightsize.files.source import Layer
from rightsize.patch.given import Given
from rightsize.patch.groups import Group, Release
from rightsize.patch.istio_operator import OperatorGroup
from rightsize.patch.kinds.registry import kind


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
    return [OperatorGroup(release, [layer])]
