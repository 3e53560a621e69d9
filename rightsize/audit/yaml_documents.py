"""What a YAML document is: chart values, an IstioOperator, Kubernetes objects, mesh config."""

from __future__ import annotations

import re
from dataclasses import replace

from rightsize.audit.charts import (
    CHART_NAMES,
    WRAPPERS,
    chart_by_keys,
    is_mapping,
    parse_version,
    subcharts,
    version_in,
)
from rightsize.audit.corefile import corefiles_of_chart, parse_corefile
from rightsize.audit.model import Chart, KubeObject, Problem, Sources, Values, Version
from rightsize.audit.tree import Node, TreeError, parse

_MESH_NAMES = re.compile(r"^istio(-.+)?$")
_COMPONENTS = frozenset({"pilot", "ingressGateways", "egressGateways", "istiodRemote"})
"""Components that no other custom resource has."""
_SHIPPED_KEYS = 8
"""A wrapper with this many keys is a copy of the whole file, not a user's own nesting."""


def add_document(
    sources: Sources,
    root: Node,
    *,
    chart: Chart | None,
    version: Version | None,
    shipped: bool = False,
) -> None:
    """Put one document where the rules look for it."""
    sources.documents.append(root)
    addon = root.get("corefile")
    if addon is not None:
        add_corefile(sources, addon)
    if root.items is not None:
        return
    if root.get("servers") is not None:
        sources.corefiles += corefiles_of_chart(root)
    if root.text_of("kind") == "IstioOperator":
        _add_operator(sources, root, version)
    elif root.get("kind") is not None and root.get("apiVersion") is not None:
        _add_object(sources, root, version)
    elif root.entries is not None and chart is None and _is_operator_part(root):
        _add_operator(sources, root, version)
    elif root.entries is not None and chart is None and _is_values_part(root):
        add_scope(sources, Values("operator", root.get("values") or root, version))
    elif root.entries is not None:
        add_values(sources, root, chart=chart, version=version, shipped=shipped)


def _is_operator_part(root: Node) -> bool:
    """A piece of an IstioOperator, as runbooks show them: a spec without a kind."""
    values, components = root.get("spec", "values"), root.get("spec", "components")
    return (values is not None and chart_by_keys(values) == "istiod") or (
        components is not None and bool(set(components.names()) & _COMPONENTS)
    )


def _is_values_part(root: Node) -> bool:
    """The same below `values`, with nothing else beside it."""
    values = root.get("values")
    return root.names() == ["values"] and values is not None and chart_by_keys(values) == "istiod"


def _add_operator(sources: Sources, root: Node, version: Version | None) -> None:
    sources.operators.append(KubeObject(root))
    found = version or parse_version(root.text_of("spec", "tag"))
    inner = root.get("spec", "values")
    if inner is not None and inner.entries is not None:
        add_scope(sources, Values("operator", inner, found))
    add_mesh_config(sources, root.get("spec", "meshConfig"))


def _add_object(sources: Sources, root: Node, version: Version | None) -> None:
    thing = KubeObject(root)
    if thing.kind == "List" or (thing.kind.endswith("List") and root.get("items")):
        for item in root.children("items"):
            if item.entries is not None:
                add_document(sources, item, chart=None, version=version)
        return
    sources.objects.append(thing)
    if thing.kind == "ConfigMap":
        _add_config_map(sources, thing)
    elif thing.kind == "Kustomization":
        for entry in thing.root.children("patches"):
            patch = embedded_yaml(sources, entry.get("patch"))
            if patch is not None:
                add_document(sources, patch, chart=None, version=version)
    elif thing.kind == "HelmRelease":
        chart = thing.root.get("spec", "chart", "spec")
        _add_release(sources, chart, "chart", thing.root.get("spec", "values"))
    elif thing.kind == "Application":
        one = thing.root.get("spec", "source")
        for source in ([one] if one else []) + thing.root.children("spec", "sources"):
            helm = source.get("helm")
            values = None if helm is None else helm.get("valuesObject")
            if helm is not None and values is None:
                values = embedded_yaml(sources, helm.get("values"))
            _add_release(sources, source, "chart", values)


def _add_release(sources: Sources, chart: Node | None, key: str, values: Node | None) -> None:
    name = None if chart is None else CHART_NAMES.get(chart.text_of(key) or "")
    if chart is None or name is None or values is None or values.entries is None:
        return
    told = chart.text_of("version") or chart.text_of("targetRevision")
    add_values(sources, values, chart=name, version=parse_version(told))


def _add_config_map(sources: Sources, thing: KubeObject) -> None:
    data = thing.root.get("data")
    for name, node in ((data.entries if data else None) or {}).items():
        if name == "Corefile" or name.endswith(".server"):
            add_corefile(sources, node)
    if _MESH_NAMES.match(thing.name):
        add_mesh_config(sources, embedded_yaml(sources, thing.root.get("data", "mesh")))


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
    chart: Chart | None,
    version: Version | None,
    shipped: bool = False,
) -> None:
    """Add the values of one chart, or of each subchart of an umbrella."""
    found = chart or chart_by_keys(root)
    inner_charts = {} if chart is not None else subcharts(root, found)
    for key, inner_chart in inner_charts.items():
        inner = root.get(key)
        if inner is not None and inner.entries is not None:
            told = version or version_in(inner) or version_in(root)
            add_scope(sources, Values(inner_chart, inner, told, key))
    if inner_charts or found is None:
        return
    wrapper = next((root.get(key) for key in WRAPPERS if is_mapping(root.get(key))), None)
    if wrapper is None:
        add_scope(sources, Values(found, root, version or version_in(root)))
        return
    layers = (wrapper, wrapper.get("cni") or wrapper)
    copied = any(len(layer.names()) >= _SHIPPED_KEYS for layer in layers)
    shipped = len(root.names()) == 1 and (shipped or copied)
    least = (1, 21) if wrapper.path[-1] == "defaults" else (1, 24)
    inner_version = version or version_in(wrapper) or least
    add_scope(sources, Values(found, wrapper, inner_version, wrapper=wrapper, shipped=shipped))
    if len(root.names()) > 1:
        add_scope(sources, Values(found, root, version or version_in(root)))


def add_scope(sources: Sources, values: Values) -> None:
    sources.values.append(values)
    add_mesh_config(sources, values.root.get("meshConfig"))
