"""Flux: HelmRelease with inline values, `valuesFrom` ConfigMaps, `chart` or `chartRef`."""

from __future__ import annotations

from rightsize.files import tree
from rightsize.files.chart_metadata import Chart, chart_named
from rightsize.files.source import Layer
from rightsize.patch.given import Given
from rightsize.patch.groups import Group, Release
from rightsize.patch.kinds.chart_values import Place, inline, release_groups, whole_file
from rightsize.patch.kinds.kustomization import patches_at
from rightsize.patch.kinds.registry import kind


@kind
def helm_release(layer: Layer, given: Given) -> list[Group] | None:
    root = layer.root
    if tree.text_at(root, ("kind",)) != "HelmRelease":
        return None
    if not (tree.text_at(root, ("apiVersion",)) or "").startswith("helm.toolkit.fluxcd.io/"):
        return None
    name = tree.text_at(root, ("spec", "releaseName")) or tree.text_at(root, ("metadata", "name"))
    namespace = tree.text_at(root, ("metadata", "namespace"))
    release = Release(
        "HelmRelease",
        name,
        tree.text_at(root, ("spec", "targetNamespace")) or namespace,
        tree.text_at(root, ("spec", "kubeConfig", "secretRef", "name")),
    )
    chart, version = _chart(layer, given)
    places = _values_from(layer, given, namespace)
    found = inline(layer.source, layer.document, ("spec", "values"))
    places += [] if found is None else [found]
    groups = release_groups(given, release, chart, version, places)
    if not groups and chart is not None:
        given.note(
            layer.source,
            f"HelmRelease {name} has no values here; give the ConfigMap of its valuesFrom with -f",
        )
    rendered = tree.lookup(root, ("spec", "postRenderers"))
    for number in range(len(rendered.items) if isinstance(rendered, tree.Sequence) else 0):
        # What is patched after rendering outranks values.
        groups += patches_at(layer, given, ("spec", "postRenderers", number, "kustomize"))
    return groups


def _chart(layer: Layer, given: Given) -> tuple[Chart | None, str | None]:
    """The chart of a release: named, referred to, or by the release's own name (an overlay)."""
    root = layer.root
    spec = ("spec", "chart", "spec")
    chart = chart_named(tree.text_at(root, (*spec, "chart")))
    version = tree.text_at(root, (*spec, "version"))
    reference = tree.text_at(root, ("spec", "chartRef", "name"))
    if reference is not None:
        for other in given.layers:
            own = tree.text_at(other.root, ("metadata", "name")) == reference
            if own and tree.text_at(other.root, ("kind",)) in ("OCIRepository", "HelmChart"):
                url = tree.text_at(other.root, ("spec", "url"))
                chart = chart_named(tree.text_at(other.root, ("spec", "chart")) or url)
                version = tree.text_at(other.root, ("spec", "ref", "tag")) or tree.text_at(
                    other.root, ("spec", "version")
                )
        return chart or chart_named(reference), version
    if tree.mapping_at(root, ("spec", "chart")) is None:
        # A patch of a release that is defined elsewhere.
        for other in given.layers:
            if other.source is not layer.source and _same(other, layer):
                chart = chart or chart_named(tree.text_at(other.root, (*spec, "chart")))
                version = version or tree.text_at(other.root, (*spec, "version"))
        chart = chart or chart_named(tree.text_at(root, ("metadata", "name")))
    return chart, version


def _same(one: Layer, two: Layer) -> bool:
    paths = (("kind",), ("metadata", "name"))
    return all(tree.text_at(one.root, p) == tree.text_at(two.root, p) for p in paths)


def _generated(given: Given, name: str | None, key: str) -> Place | None:
    """The file that Kustomize makes a ConfigMap of, by a `configMapGenerator` among the files."""
    for layer in given.layers:
        listed = tree.lookup(layer.root, ("configMapGenerator",))
        for item in listed.items if isinstance(listed, tree.Sequence) else []:
            files = tree.lookup(item, ("files",))
            if tree.text_at(item, ("name",)) != name or not isinstance(files, tree.Sequence):
                continue
            for entry in files.items:
                left, _, right = (tree.text_at(entry, ()) or "").rpartition("=")
                if (left or right.rsplit("/", 1)[-1]) == key:
                    return next(iter(whole_file(given.follow(layer.source, right))), None)
    return None


def _values_from(layer: Layer, given: Given, namespace: str | None) -> list[Place]:
    """Values in ConfigMaps among the given files, in their order."""
    listed = tree.lookup(layer.root, ("spec", "valuesFrom"))
    places: list[Place] = []
    for item in listed.items if isinstance(listed, tree.Sequence) else []:
        name = tree.text_at(item, ("name",))
        if tree.text_at(item, ("kind",)) != "ConfigMap" or tree.text_at(item, ("targetPath",)):
            continue
        held = given.config_map(name, namespace)
        key = tree.text_at(item, ("valuesKey",)) or "values.yaml"
        found = None if held is None else inline(held.source, held.document, ("data", key))
        found = found or _generated(given, name, key)
        if found is None:
            given.note(
                layer.source, f"valuesFrom {name}: this ConfigMap is not among the given files"
            )
        else:
            places.append(found)
    return places
