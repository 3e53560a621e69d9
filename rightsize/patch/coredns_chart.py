"""CoreDNS installed by its own Helm chart: where the values stand, and under which keys.

github.com/coredns/helm, `charts/coredns/values.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator

from rightsize.files import tree
from rightsize.files.embedded import opened
from rightsize.files.source import Layer

CHART = "coredns"


def chart_values(layer: Layer) -> Iterator[tuple[Layer, tree.Path]]:
    """The layer and the path of the chart's values: a file, or what Flux or Argo CD give to Helm."""
    root = layer.root
    kind = tree.text_at(root, ("kind",))
    if kind == "HelmRelease":
        if tree.text_at(root, ("spec", "chart", "spec", "chart")) == CHART:
            yield layer, ("spec", "values")
    elif kind == "Application":
        helm: tree.Path = ("spec", "source", "helm")
        if tree.text_at(root, ("spec", "source", "chart")) != CHART:
            return
        if isinstance(tree.lookup(root, (*helm, "values")), tree.Scalar):
            yield Layer(opened(layer.source, layer.document, (*helm, "values")), 0), ()
        else:
            yield layer, (*helm, "valuesObject")
    elif kind is None and _has_plugins(root):
        yield layer, ()


def _has_plugins(root: tree.Node | None) -> bool:
    """Server blocks with plugins, which no other chart has."""
    servers = tree.lookup(root, ("servers",))
    items = servers.items if isinstance(servers, tree.Sequence) else []
    return any(tree.lookup(item, ("plugins",)) is not None for item in items)
