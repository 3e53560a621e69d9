"""Bare values of a chart: Istio's own, or an application's with `podAnnotations`."""

from __future__ import annotations

from dataclasses import dataclass

from rightsize.errors import AmbiguousChartError
from rightsize.files import tree
from rightsize.files.charts import ambiguous_chart, scopes_of_values, sizing_keys_without_chart
from rightsize.files.classify import proofs_by_keys
from rightsize.files.gateways import role_of
from rightsize.files.hcl import HclSource
from rightsize.files.source import Layer
from rightsize.files.tree import dotted
from rightsize.patch.given import Given
from rightsize.patch.groups import Group, Release
from rightsize.patch.kinds.chart_values import hints
from rightsize.patch.kinds.registry import kind
from rightsize.patch.manifests import ANNOTATIONS, AnnotationsGroup
from rightsize.patch.model import SizeChange
from rightsize.patch.values import ValuesGroup


@dataclass(eq=False)
class AppChart(AnnotationsGroup):
    """An application's own values, for the workload that `--workload` names."""

    path: tree.Path = ()

    def annotations(self, layer: Layer) -> tree.Path:
        return self.path

    def covers(self, change: SizeChange) -> bool:
        return super().covers(change) and self.release.name in (change.key, change.workload)


@kind
def values(layer: Layer, given: Given) -> list[Group] | None:
    root = layer.root
    if isinstance(layer.source, HclSource) or isinstance(root, tree.Sequence):
        return None
    if not isinstance(root, tree.Mapping):
        raise layer.source.error(
            "is not a mapping of values",
            0 if root is None else root.start,
            hint="docs/patching.md lists the kinds of files that are patched.",
        )
    if tree.text_at(root, ("kind",)) and tree.text_at(root, ("apiVersion",)):
        return None
    if layer.document and any(
        document.root is not None for document in layer.source.documents[: layer.document]
    ):
        given.note(layer.source, "Helm reads the first document of a values file alone")
        return []
    app = _pod_annotations(layer, given)
    if app is not None:
        return [app]
    for legacy in ("istio-ingressgateway", "istio-egressgateway"):
        if tree.mapping_at(root, ("gateways", legacy)) is not None:
            given.note(
                layer.source,
                f"gateways.{legacy} is read by the legacy istio-ingress and istio-egress charts "
                "alone, and is not patched; the gateway chart takes its sizes at the top level",
            )
    scopes = scopes_of_values(layer.source, layer.document, (), given.hints)
    path = layer.source.path.absolute()
    near = (path.stem, path.parent.name)
    groups: list[Group] = []
    for scope in scopes or []:
        name = scope.name or None if scope.chart == "gateway" else None
        revision = tree.text_at(scope.values, ("revision",))
        # Gateways share a chart: those of another name or role are other releases.
        role = role_of(path.stem) or role_of(path.parent.name)
        which = f" {name or role}" if scope.chart == "gateway" else ""
        release = Release(f"values {scope.chart}{which}", name, None, None, revision)
        release = release.joined(Release(release.kind, hints=(*hints(scope), *near)))
        groups.append(ValuesGroup(release, [scope]))
    if not groups and sizing_keys_without_chart(layer.source, layer.document, ()) is not None:
        raise ambiguous_chart(layer.source, root.start)
    return groups or None


def _pod_annotations(layer: Layer, given: Given) -> Group | None:
    """Where an application's chart takes the annotations of its pods."""
    if given.workload is None or given.hints.chart is not None:
        return None
    root = layer.root
    assert isinstance(root, tree.Mapping)
    if proofs_by_keys(root):
        return None
    places = _named(root, (), "podAnnotations")
    used = [p for p in places if any(tree.lookup(root, (*p, k)) for k in ANNOTATIONS.values())]
    named = [p for p in places if given.workload.rsplit("/", 1)[-1] in p]
    chosen = named or used or places
    if len(chosen) > 1:
        raise AmbiguousChartError(
            f"several places for annotations ({', '.join(map(dotted, chosen))}), and none is called "
            f"like {given.workload}",
            path=layer.source.path,
            hint="Write the annotations where the workload's pods take them, by hand.",
        )
    if not chosen:
        return None
    return AppChart(Release("app chart", given.workload), [layer], path=chosen[0])


def _named(node: tree.Node, path: tree.Path, key: str) -> list[tree.Path]:
    found: list[tree.Path] = []
    if isinstance(node, tree.Mapping):
        for name in node.names():
            child = tree.lookup(node, (name,))
            if name == key:
                found.append((*path, name))
            elif child is not None and len(path) < 6:
                found += _named(child, (*path, name), key)
    return found
