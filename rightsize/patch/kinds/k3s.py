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
    chart = chart_named(tree.text_at(root, ("spec", "chart")))
    version = tree.text_at(root, ("spec", "version"))
    if of == "HelmChartConfig":
        for other in given.layers:
            if tree.text_at(other.root, ("kind",)) == "HelmChart" and (
                tree.text_at(other.root, ("metadata", "name")) == name
            ):
                chart = chart_named(tree.text_at(other.root, ("spec", "chart")))
                version = tree.text_at(other.root, ("spec", "version"))
        chart = chart or chart_named(name)
    # Both kinds are of one release: its name is that of the object.
    release = Release("HelmChart", name, tree.text_at(root, ("spec", "targetNamespace")))
    found = inline(layer.source, layer.document, ("spec", "valuesContent"))
    places = [] if found is None else [found]
    entries: dict[tree.Path, tree.Path] = {}
    values = tree.mapping_at(root, ("spec", "set"))
    if chart is not None and values is not None:
        for key in values.names():
            if "resources" in key.split("."):
                entries[tuple(key.split("."))] = ("spec", "set", key)
    return release_groups(given, release, chart, version, places, [(layer, entries)])
