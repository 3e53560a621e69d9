"""Terraform and Terragrunt: `helm_release` resources and `kubernetes_manifest`-free values.

`values` are heredocs, `yamlencode`, or files; `set` blocks, or `set` as a list, outrank them.
"""

from __future__ import annotations

from rightsize.errors import InputFileError
from rightsize.files import tree
from rightsize.files.classify import chart_named
from rightsize.files.hcl import LABELS, HclSource, opened_heredoc
from rightsize.files.source import Layer
from rightsize.patch.given import Given
from rightsize.patch.groups import Group, Release
from rightsize.patch.kinds.chart_values import (
    Place,
    pairs_of,
    release_groups,
    whole_file,
)
from rightsize.patch.kinds.registry import kind


@kind
def terraform(layer: Layer, given: Given) -> list[Group] | None:
    if not isinstance(layer.source, HclSource):
        return None
    groups: list[Group] = []
    for key in ("resource", "module"):
        listed = tree.lookup(layer.root, (key,))
        for number, block in enumerate(listed.items if isinstance(listed, tree.Sequence) else []):
            labelled = tree.text_at(block, (LABELS, 0))
            if key == "module" or labelled == "helm_release":
                groups += _release(layer, given, (key, number))
    if not groups and tree.mapping_at(layer.root, ("inputs",)) is not None:
        groups += _release(layer, given, ("inputs",))
    return groups or None


def _release(layer: Layer, given: Given, path: tree.Path) -> list[Group]:
    root = layer.root
    named = tree.text_at(root, (*path, "chart"))
    chart = chart_named(named, _literal(root, (*path, "repository")))
    if chart is None and path[0] != "resource":
        chart = chart_named(tree.text_at(root, (*path, "name")))
    places = _values(layer, given, (*path, "values"), known=chart is not None)
    release = Release(
        "Terraform",
        _literal(root, (*path, "name")),
        _literal(root, (*path, "namespace")),
    )
    entries = pairs_of(layer, (*path, "set"), chart)
    version = tree.text_at(root, (*path, "version"))
    groups = release_groups(given, release, chart, version, places, [(layer, entries)])
    if chart is not None and not groups:
        node = tree.lookup(root, path)
        line = tree.position(layer.source.text, node.start if node is not None else 0)[0]
        given.note(
            layer.source,
            f"line {line}: {chart} has no values that are written out here; paste into `values` "
            "what `rightsize recommend -f` writes for a values file of this chart",
        )
    return groups


def _literal(root: tree.Node | None, path: tree.Path) -> str | None:
    """A string that is written out; None for one that Terraform works out."""
    node = tree.lookup(root, path)
    literal = isinstance(node, tree.Scalar) and node.style == '"'
    return node.value if literal and isinstance(node, tree.Scalar) else None


def _values(layer: Layer, given: Given, path: tree.Path, *, known: bool) -> list[Place]:
    listed = tree.lookup(layer.root, path)
    count = len(listed.items) if isinstance(listed, tree.Sequence) else 0
    places: list[Place] = []
    for number in range(count):
        here = (*path, number)
        node = tree.lookup(layer.root, here)
        line = tree.position(layer.source.text, 0 if node is None else node.start)[0]
        if isinstance(node, tree.Mapping):
            places.append((layer.source, layer.document, here))
        elif isinstance(node, tree.Scalar) and node.style == "heredoc":
            try:
                inner = opened_heredoc(layer.source, layer.document, here)
            except InputFileError as error:
                given.note(layer.source, f"line {line}: this heredoc is not patched: {error.what}")
                continue
            if isinstance(inner.documents[0].root if inner.documents else None, tree.Mapping):
                places.append((inner, 0, ()))
        elif isinstance(node, tree.Scalar) and node.style == "file" and known:
            source = given.follow(layer.source, node.value)
            places += whole_file(source)
            if source is None:
                given.note(layer.source, f"line {line}: {node.value} is not patched; give it by -f")
        elif known and node is not None:
            given.note(layer.source, f"line {line}: these values are worked out by Terraform")
    return places
