"""What a YAML document is: chart values, an IstioOperator, Kubernetes objects, mesh config."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from rightsize.audit.corefile import corefiles_of_chart, parse_corefile
from rightsize.audit.model import KubeObject, Problem, Sources, Values
from rightsize.audit.tree import Node, TreeError, parse
from rightsize.files import tree
from rightsize.files.chart_metadata import Chart, chart_named
from rightsize.files.classify import WRAPPERS, charts_of_values, kind_of, proofs_by_keys
from rightsize.files.known import Version, parse_version

_MESH_NAMES = re.compile(r"^istio(-.+)?$")
_COMPONENTS = frozenset({"pilot", "ingressGateways", "egressGateways", "istiodRemote"})
"""Components that no other custom resource has."""
_SHIPPED_KEYS = 8
"""A wrapper with this many keys is a copy of the whole file, not a user's own nesting."""


def add_document(
    sources: Sources,
    root: Node,
    *,
    path: Path | None = None,
    chart: Chart | None = None,
    version: Version | None = None,
) -> None:
    """Put one document where the rules look for it."""
    kind = kind_of(path, root.source)
    if kind in ("crd", "chart"):
        return
    sources.documents.append(root)
    addon = root.get("corefile")
    if addon is not None:
        add_corefile(sources, addon)
    if root.entries is None:
        return
    if root.get("servers") is not None:
        sources.corefiles += corefiles_of_chart(root)
    if kind == "operator":
        _add_operator(sources, root, version)
    elif kind == "helmfile":
        _add_helmfile(sources, root)
    elif root.text_of("kind") and root.get("apiVersion") is not None:
        _add_object(sources, root, version)
    elif kind == "kustomization":
        _add_kustomization(sources, root, version)
    elif chart is None and _is_operator_part(root):
        _add_operator(sources, root, version)
    elif chart is None and _is_values_part(root):
        add_scope(sources, Values("operator", root.get("values") or root, version))
    else:
        add_values(sources, root, path=path, chart=chart, version=version)


def _is_operator_part(root: Node) -> bool:
    """A piece of an IstioOperator, as runbooks show them: a spec without a kind."""
    values, components = root.get("spec", "values"), root.get("spec", "components")
    return _proves_istiod(values) or (
        components is not None and bool(set(components.names()) & _COMPONENTS)
    )


def _is_values_part(root: Node) -> bool:
    """The same below `values`, with nothing else beside it."""
    values = root.get("values")
    return root.names() == ["values"] and _proves_istiod(values)


def _proves_istiod(values: Node | None) -> bool:
    source = None if values is None else values.source
    return isinstance(source, tree.Mapping) and "istiod" in proofs_by_keys(source)


def _add_operator(sources: Sources, root: Node, version: Version | None) -> None:
    sources.operators.append(KubeObject(root))
    found = version or parse_version(root.text_of("spec", "tag"))
    inner = root.get("spec", "values")
    if inner is not None and inner.entries is not None:
        add_scope(sources, Values("operator", inner, found))
    add_mesh_config(sources, root.get("spec", "meshConfig"))


def _add_object(sources: Sources, root: Node, version: Version | None) -> None:
    obj = KubeObject(root)
    if obj.kind == "List" or (obj.kind.endswith("List") and root.get("items")):
        for item in root.children("items"):
            if item.entries is not None:
                add_document(sources, item, version=version)
        return
    sources.objects.append(obj)
    if obj.kind == "ConfigMap":
        _add_config_map(sources, obj)
    elif kind_of(None, root.source) == "kustomization":
        _add_kustomization(sources, root, version)
    elif obj.kind == "HelmRelease":
        chart = root.get("spec", "chart", "spec")
        if chart is not None:
            named = chart_named(chart.text_of("chart"), chart.text_of("sourceRef", "name"))
            found = parse_version(chart.text_of("version"))
            _add_release(sources, named, found, root.get("spec", "values"))
    elif obj.kind in ("Application", "ApplicationSet"):
        inner = ("template", "spec") if obj.kind == "ApplicationSet" else ()
        one = root.get("spec", *inner, "source")
        for source in ([one] if one else []) + root.children("spec", *inner, "sources"):
            helm = source.get("helm")
            values = None if helm is None else helm.get("valuesObject")
            if helm is not None and values is None:
                values = embedded_yaml(sources, helm.get("values"))
            named = chart_named(
                source.text_of("chart") or source.text_of("path"), source.text_of("repoURL")
            )
            _add_release(sources, named, parse_version(source.text_of("targetRevision")), values)
    elif kind_of(None, root.source) == "release":
        _add_operator_release(sources, root)


def _add_kustomization(sources: Sources, root: Node, version: Version | None) -> None:
    for entry in root.children("patches"):
        patch = embedded_yaml(sources, entry.get("patch"))
        if patch is not None:
            add_document(sources, patch, version=version)
    for chart in root.children("helmCharts"):
        named = chart_named(chart.text_of("name"), chart.text_of("repo"))
        found = parse_version(chart.text_of("version"))
        _add_release(sources, named, found, chart.get("valuesInline"))


def _add_helmfile(sources: Sources, root: Node) -> None:
    for release in root.children("releases"):
        named = chart_named(release.text_of("chart"))
        for values in release.children("values"):
            _add_release(sources, named, parse_version(release.text_of("version")), values)


def _add_operator_release(sources: Sources, root: Node) -> None:
    """Values in the Sail operator's objects and in k3s' HelmCharts."""
    kind, spec = root.text_of("kind"), root.get("spec")
    sail: dict[str, Chart] = {"Istio": "istiod", "IstioCNI": "cni", "ZTunnel": "ztunnel"}
    if spec is None:
        return
    if kind in sail:
        values = spec.get("values")
        if kind == "ZTunnel" and values is not None and values.get("ztunnel") is not None:
            values = values.get("ztunnel")
        _add_release(sources, sail[kind], parse_version(spec.text_of("version")), values)
    elif kind in ("HelmChart", "HelmChartConfig"):
        named = chart_named(
            spec.text_of("chart") or root.text_of("metadata", "name"), spec.text_of("repo")
        )
        values = embedded_yaml(sources, spec.get("valuesContent"))
        _add_release(sources, named, parse_version(spec.text_of("version")), values)


def _add_release(
    sources: Sources, chart: Chart | None, version: Version | None, values: Node | None
) -> None:
    if chart is not None and values is not None and values.entries is not None:
        add_values(sources, values, chart=chart, version=version)


def _add_config_map(sources: Sources, obj: KubeObject) -> None:
    data = obj.root.get("data")
    for name, node in ((data.entries if data else None) or {}).items():
        if name == "Corefile" or name.endswith(".server"):
            add_corefile(sources, node)
    if _MESH_NAMES.match(obj.name):
        add_mesh_config(sources, embedded_yaml(sources, obj.root.get("data", "mesh")))


def add_corefile(sources: Sources, node: Node) -> None:
    """Add the Corefile that is the text of a value."""
    if node.text is None:
        return
    offset = node.value_line if node.style in ("|", ">") else node.value_line - 1
    corefile = parse_corefile(node.text, node.place.file, line_offset=offset, prefix=node.path)
    if node.style not in ("|", ">"):
        # The breaks of a quoted text are escapes: all of it stands on one line.
        here = tuple(
            replace(line, place=replace(line.place, line=node.value_line))
            for line in corefile.lines
        )
        corefile = replace(corefile, lines=here)
    sources.corefiles.append(corefile)


def embedded_yaml(sources: Sources, node: Node | None) -> Node | None:
    """The document inside of a text value; a malformed one is a problem of the file."""
    if node is None or not node.text:
        return None
    offset = node.value_line if node.style in "|>" and node.style else node.value_line - 1
    try:
        documents = parse(node.text, node.place.file, line_offset=offset, prefix=node.path)
    except TreeError as error:
        problem = Problem(node.place.file, f"{node.place.path}: {error.what}", error.line)
        sources.problems.append(problem)
        return None
    return documents[0] if documents else None


def add_mesh_config(sources: Sources, node: Node | None) -> None:
    if node is not None and node.entries is not None:
        sources.mesh_configs.append(node)


def add_values(
    sources: Sources,
    root: Node,
    *,
    path: Path | None = None,
    chart: Chart | None = None,
    version: Version | None = None,
) -> None:
    """Add the values of each chart of Istio's that a mapping proves to hold."""
    source = root.source
    if not isinstance(source, tree.Mapping):
        return
    placed = charts_of_values(path, source, chart=chart, version=version)
    for one in placed:
        inner = root.get(*(str(step) for step in one.prefix))
        if inner is None or inner.entries is None:
            continue
        if one.subchart:
            add_scope(sources, Values(one.chart, inner, one.version, one.name or ""))
        elif len(placed) == 1:
            _add_whole(sources, one.chart, inner, one.version)


def _add_whole(sources: Sources, chart: Chart, root: Node, version: Version | None) -> None:
    """Values that are a file's only ones: the user's, or a copy of the chart's own file."""
    wrapper = next((found for key in WRAPPERS if _is_mapping(found := root.get(key))), None)
    if wrapper is None:
        add_scope(sources, Values(chart, root, version))
        return
    layers = (wrapper, wrapper.get("cni") or wrapper)
    copied = any(len(layer.names()) >= _SHIPPED_KEYS for layer in layers)
    shipped = len(root.names()) == 1 and (copied or root.place.file in sources.vendored)
    release = version or WRAPPERS[str(wrapper.path[-1])]
    add_scope(sources, Values(chart, wrapper, release, wrapper=wrapper, shipped=shipped))
    if len(root.names()) > 1:
        add_scope(sources, Values(chart, root, version))


def _is_mapping(node: Node | None) -> bool:
    return node is not None and node.entries is not None


def add_scope(sources: Sources, values: Values) -> None:
    sources.values.append(values)
    add_mesh_config(sources, values.root.get("meshConfig"))
