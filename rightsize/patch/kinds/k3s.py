"""k3s: HelmChart, and HelmChartConfig that overlays it."""

from __future__ import annotations

from rightsize.files import tree
from rightsize.files.chart_metadata import chart_named
from rightsize.files.source import Layer
from rightsize.patch.given import Given
from rightsize.patch.groups import Group, Release
from rightsize.patch.kinds.chart_values import inline, release_groups
from rightsize.patch.kinds.registry import kind


@kind
def helm_chart(layer: Layer, given: Given) -> list[Group] | None:
    root = layer.root
    of = tree.text_at(root, ("kind",))
    api = tree.text_at(root, ("apiVersion",)) or ""
    if of not in ("HelmChart", "HelmChartConfig") or not api.startswith("helm.cattle.io/"):
        return None
    name = tree.text_at(root, ("metadata", "name"))
    if of == "HelmChartConfig" and _named(given, "HelmChart", name):
        # It is read with the HelmChart that it overlays.
        return []
    chart = chart_named(tree.text_at(root, ("spec", "chart")))
    if of == "HelmChartConfig":
        chart = chart_named(name)
    overlays = _named(given, "HelmChartConfig", name) if of == "HelmChart" else []
    release = Release("HelmChart", name, tree.text_at(root, ("spec", "targetNamespace")))
    content = (
        inline(one.source, one.document, ("spec", "valuesContent")) for one in (layer, *overlays)
    )
    entries: dict[tree.Path, tree.Path] = {}
    values = tree.mapping_at(root, ("spec", "set"))
    if chart is not None and values is not None:
        for key in values.names():
            if "resources" in key.split("."):
                entries[tuple(key.split("."))] = ("spec", "set", key)
    version = tree.text_at(root, ("spec", "version"))
    places = [place for place in content if place is not None]
    return release_groups(given, release, chart, version, places, [(layer, entries)])


def _named(given: Given, kind: str, name: str | None) -> list[Layer]:
    return [
        layer
        for layer in given.layers
        if tree.text_at(layer.root, ("kind",)) == kind
        and tree.text_at(layer.root, ("metadata", "name")) == name
    ]
