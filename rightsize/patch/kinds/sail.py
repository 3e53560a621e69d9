"""Sail operator (and OpenShift Service Mesh 3): Istio, IstioCNI, ZTunnel."""

from __future__ import annotations

from rightsize.files import tree
from rightsize.files.chart_metadata import Chart
from rightsize.files.source import Layer
from rightsize.patch.given import Given
from rightsize.patch.groups import Group, Release
from rightsize.patch.kinds.chart_values import release_groups
from rightsize.patch.kinds.registry import kind

CHARTS: dict[str, tuple[Chart, tree.Path]] = {
    "Istio": ("istiod", ()),
    "IstioRevision": ("istiod", ()),
    "IstioCNI": ("cni", ()),
    # Its values stand one level deeper than the chart's own.
    "ZTunnel": ("ztunnel", ("ztunnel",)),
}


@kind
def sail(layer: Layer, given: Given) -> list[Group] | None:
    api = tree.text_at(layer.root, ("apiVersion",)) or ""
    found = CHARTS.get(tree.text_at(layer.root, ("kind",)) or "")
    if found is None or not api.startswith(("sailoperator.io/", "operator.istio.io/")):
        return None
    chart, below = found
    path = ("spec", "values", *below)
    spec = ("spec",)
    name = tree.text_at(layer.root, ("metadata", "name"))
    namespace = tree.text_at(layer.root, (*spec, "namespace"))
    if tree.mapping_at(layer.root, path) is None:
        given.note(layer.source, f"no {tree.dotted(path)}: nothing is set there")
        return []
    version = tree.text_at(layer.root, (*spec, "version"))
    place = (layer.source, layer.document, path)
    return release_groups(given, Release("Sail", name, namespace), chart, version, [place])
