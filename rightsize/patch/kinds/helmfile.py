"""Helmfile: the values of each release, inline, in files, and as `set`."""

from __future__ import annotations

from rightsize.files import tree
from rightsize.files.chart_metadata import chart_named
from rightsize.files.source import Layer
from rightsize.patch.given import Given
from rightsize.patch.groups import Group, Release
from rightsize.patch.kinds.chart_values import Place, inline, pairs_of, release_groups, whole_file
from rightsize.patch.kinds.registry import kind


@kind
def helmfile(layer: Layer, given: Given) -> list[Group] | None:
    listed = tree.lookup(layer.root, ("releases",))
    items = listed.items if isinstance(listed, tree.Sequence) else []
    charts = [tree.text_at(item, ("chart",)) for item in items]
    if tree.text_at(layer.root, ("kind",)) is not None:
        return None
    if not any(charts):
        # Environments, repositories and defaults stand in documents of their own.
        documents = layer.source.documents
        beside = any(tree.lookup(d.root, ("releases", 0, "chart")) for d in documents)
        return [] if beside else None
    groups: list[Group] = []
    for number in range(len(items)):
        groups += _release(layer, given, ("releases", number))
    return groups


def _release(layer: Layer, given: Given, path: tree.Path) -> list[Group]:
    root = layer.root
    named = tree.text_at(root, (*path, "chart"))
    chart = chart_named(named)
    release = Release(
        "Helmfile",
        tree.text_at(root, (*path, "name")),
        tree.text_at(root, (*path, "namespace")),
        tree.text_at(root, (*path, "kubeContext")),
    )
    listed = tree.lookup(root, (*path, "values"))
    places: list[Place] = []
    for number, item in enumerate(listed.items if isinstance(listed, tree.Sequence) else []):
        name = tree.text_at(item, ())
        if name is None:
            found = inline(layer.source, layer.document, (*path, "values", number))
            places += [] if found is None else [found]
        elif chart is not None and name.endswith(".gotmpl"):
            given.note(layer.source, f"{name} is a template: set its sizes by hand")
        elif "{{" in name and chart is not None:
            given.note(layer.source, f"{name} depends on the environment; give that file with -f")
        elif chart is not None:
            followed = given.follow(layer.source, name)
            places += whole_file(followed)
            if followed is None:
                given.note(layer.source, f"{name} is not beside this file; give it with -f")
    entries = pairs_of(layer, (*path, "set"), chart)
    version = tree.text_at(root, (*path, "version"))
    if chart is None and not (named or "").startswith("."):
        # Somebody else's chart from a repository has no subcharts of Istio's that are known here.
        return []
    return release_groups(given, release, chart, version, places, [(layer, entries)])
