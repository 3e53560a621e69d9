"""Terraform and Terragrunt: `helm_release` resources and `kubernetes_manifest`-free values.

`values` are heredocs, `yamlencode`, or files; `set` blocks, or `set` as a list, outrank them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from rightsize.errors import InputFileError
from rightsize.files import tree
from rightsize.files.chart_metadata import Chart, chart_named
from rightsize.files.charts import scopes_of_values
from rightsize.files.hcl import LABELS, HclSource, encoded, opened_heredoc
from rightsize.files.source import Layer
from rightsize.patch.given import VARIABLES_SUFFIX, Given
from rightsize.patch.groups import Group, Placed, Release, UnwrittenGroup
from rightsize.patch.kinds.chart_values import Place, pairs_of, release_groups, whole_file
from rightsize.patch.kinds.registry import kind
from rightsize.patch.model import SizeChange
from rightsize.patch.paths import BLOCKS, slot_path


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
            # A module of add-ons takes releases by name.
            named = tree.mapping_at(block, ("helm_releases",))
            for name in [] if named is None or key == "resource" else named.names():
                groups += _release(layer, given, (key, number, "helm_releases", name))
    if not groups and tree.mapping_at(layer.root, ("inputs",)) is not None:
        groups += _release(layer, given, ("inputs",))
    groups += _proven(layer, given)
    return groups or ([] if _names_istio(layer) else None)


def _proven(layer: Layer, given: Given) -> list[Group]:
    """Values under other names (an input, a local, an argument of a module) that prove a chart."""
    holders: list[tree.Path] = [("inputs",)]
    if layer.source.path.suffix == VARIABLES_SUFFIX:
        holders = [()]
    for key in ("locals", "module"):
        listed = tree.lookup(layer.root, (key,))
        count = len(listed.items) if isinstance(listed, tree.Sequence) else 0
        holders += [(key, number) for number in range(count)]
    hints = replace(given.hints, chart=None)
    groups: list[Group] = []
    for holder in holders:
        held = tree.mapping_at(layer.root, holder)
        for name in [] if held is None else held.names():
            used = holder[:1] == ("locals",) and name in _used_locals(given)
            if used or name in ("values", "helm_releases", LABELS):
                continue
            for source, document, prefix in _written_out(layer, given, (*holder, name)):
                for scope in scopes_of_values(source, document, prefix, hints) or []:
                    place = [(source, document, scope.prefix)]
                    release = Release("Terraform", scope.name)
                    groups += release_groups(given, release, scope.chart, None, place)
    return groups


def _used_locals(given: Given) -> set[str]:
    """Locals that are the values of a release of Istio's: read there, not by themselves."""
    used = set()
    for layer in given.layers:
        for key in ("resource", "module") if isinstance(layer.source, HclSource) else ():
            listed = tree.lookup(layer.root, (key,))
            for block in listed.items if isinstance(listed, tree.Sequence) else []:
                chart = chart_named(tree.text_at(block, ("chart",)))
                values = tree.lookup(block, ("values",))
                items = values.items if isinstance(values, tree.Sequence) else []
                used |= {_local_name(item) for item in items if chart is not None}
    return {name for name in used if name is not None}


def _local_name(node: tree.Node | None) -> str | None:
    if not isinstance(node, tree.Scalar) or node.style != "expression":
        return None
    found = re.fullmatch(r"local\.(\w+)", node.value.strip())
    return None if found is None else found[1]


def _of_local(by: Layer, given: Given, name: str | None) -> list[Place]:
    """The values that a local holds, in whichever given file it is."""
    for layer in given.layers if name is not None else ():
        listed = (
            tree.lookup(layer.root, ("locals",)) if isinstance(layer.source, HclSource) else None
        )
        for number in range(len(listed.items) if isinstance(listed, tree.Sequence) else 0):
            found = _written_out(layer, given, ("locals", number, str(name)))
            if found:
                if layer.source is not by.source:
                    given.references.append((by.source, layer.source))
                return found
    return []


def _names_istio(layer: Layer) -> bool:
    """Whether a release in the file is of a chart of Istio's, though none with sizes."""
    listed = tree.lookup(layer.root, ("resource",))
    blocks = listed.items if isinstance(listed, tree.Sequence) else []
    return any(chart_named(tree.text_at(block, ("chart",))) is not None for block in blocks)


@dataclass(eq=False)
class BlockToPaste(UnwrittenGroup):
    """A release without values that are written out: a block to paste says what to set."""

    chart: Chart = "istiod"
    path: tree.Path = ()

    def covers(self, change: SizeChange) -> bool:
        exception = change.component == "sidecar" and change.workload is not None
        return (self.chart, change.component) in BLOCKS and not exception

    def instead(self, change: SizeChange) -> Placed:
        (layer,) = self.layers
        content: dict[str, object] = {}
        for slot, value in change.wanted:
            path = slot_path(self.chart, change.component, slot)
            block = content
            for step in () if path is None else path[:-1]:
                inner = block.setdefault(str(step), {})
                assert isinstance(inner, dict)
                block = inner
            if path is not None:
                block[str(path[-1])] = self.leaf(slot, value, None)
        node = tree.lookup(layer.root, (*self.path, "chart"))
        line = tree.position(layer.source.text, 0 if node is None else node.start)[0]
        values = tree.lookup(layer.root, (*self.path, "values"))
        where = "no `values`" if values is None else "`values` that only Terraform works out"
        self.note(
            layer.source,
            f"line {line}: the release of {self.chart} has {where}; add this as the last of "
            f"`values = [...]` for {change.key}:\n" + encoded(content),
        )
        missing = tuple(slot for slot, _ in change.wanted)
        return Placed(missing=missing, reason=f"line {line}: a block to paste is above")


def _release(layer: Layer, given: Given, path: tree.Path) -> list[Group]:
    root = layer.root
    named = tree.text_at(root, (*path, "chart")) or tree.text_at(root, (*path, "app", "chart"))
    chart = chart_named(named, _literal(root, (*path, "repository")))
    if chart is None and path[0] != "resource":
        chart = chart_named(tree.text_at(root, (*path, "name")))
    places = _values(layer, given, (*path, "values"), known=chart is not None)
    release = Release(
        "Terraform",
        _literal(root, (*path, "name")) or _literal(root, (*path, "app", "name")),
        _literal(root, (*path, "namespace")),
        tree.text_at(root, (*path, "provider")),
    )
    entries = pairs_of(layer, (*path, "set"), chart)
    versions = (("chart_version",), ("app", "version"), ("version",))
    found = (_literal(root, (*path, *of)) for of in versions)
    version = next((text for text in found if text), None)
    groups = release_groups(given, release, chart, version, places, [(layer, entries)])
    if chart is not None and not groups and chart != "base":
        groups.append(BlockToPaste(release, [layer], chart=chart, path=path))
    return groups


def _literal(root: tree.Node | None, path: tree.Path) -> str | None:
    """A string that is written out; None for one that Terraform works out."""
    node = tree.lookup(root, path)
    literal = isinstance(node, tree.Scalar) and node.style == '"'
    return node.value if literal and isinstance(node, tree.Scalar) else None


def _written_out(layer: Layer, given: Given, path: tree.Path) -> list[Place]:
    """The values of an object or a heredoc, or none."""
    node = tree.lookup(layer.root, path)
    if isinstance(node, tree.Mapping):
        return [(layer.source, layer.document, path)]
    if not isinstance(node, tree.Scalar) or node.style != "heredoc":
        return []
    try:
        inner = opened_heredoc(layer.source, layer.document, path)
    except InputFileError as error:
        line = tree.position(layer.source.text, node.start)[0]
        given.note(layer.source, f"line {line}: this heredoc is not patched: {error.what}")
        return []
    return whole_file(inner)


def _values(layer: Layer, given: Given, path: tree.Path, *, known: bool) -> list[Place]:
    listed = tree.lookup(layer.root, path)
    count = len(listed.items) if isinstance(listed, tree.Sequence) else 0
    places: list[Place] = []
    for number in range(count):
        here = (*path, number)
        node = tree.lookup(layer.root, here)
        line = tree.position(layer.source.text, 0 if node is None else node.start)[0]
        if isinstance(node, tree.Mapping) or (
            isinstance(node, tree.Scalar) and node.style == "heredoc"
        ):
            places += _written_out(layer, given, here)
        elif isinstance(node, tree.Scalar) and node.style == "file" and known:
            source = given.follow(layer.source, node.value)
            places += whole_file(source)
            if source is None:
                given.note(layer.source, f"line {line}: {node.value} is not patched; give it by -f")
        elif known and (local := _of_local(layer, given, _local_name(node))):
            places += local
        elif known and node is not None:
            given.note(layer.source, f"line {line}: these values are worked out by Terraform")
    return places
