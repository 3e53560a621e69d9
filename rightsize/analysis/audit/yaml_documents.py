"""What a YAML document is: chart values, an IstioOperator, Kubernetes objects, mesh config."""

from __future__ import annotations

import re
from pathlib import Path

from rightsize.analysis.audit.corefile import corefiles_of_chart, parse_corefile
from rightsize.analysis.audit.model import Chart, KubeObject, Problem, Sources, Values, Version
from rightsize.analysis.audit.tree import Node, TreeError, parse

CHART_NAMES: dict[str, Chart] = {
    "istiod": "istiod",
    "istio-discovery": "istiod",
    "gateway": "gateway",
    "istio-gateway": "gateway",
    "ztunnel": "ztunnel",
    "cni": "cni",
    "istio-cni": "cni",
    "base": "base",
    "istio-base": "base",
}
WRAPPERS = ("defaults", "_internal_defaults_do_not_set")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_MESH_NAMES = re.compile(r"^istio(-.+)?$")
_GATEWAY_NAME = re.compile(r"(^|[-_])((in|e)gress(-?gateway)?|gateway)([-_]|$)")
_ISTIOD_KEYS = _words("""pilot sidecarInjectorWebhook istio_cni istiodRemote autoscaleEnabled autoscaleMin
    autoscaleMax autoscaleBehavior revisionTags traceSampling rollingMaxSurge gateways gatewayClasses
    keepaliveMaxServerConnectionAge sidecarInjectorWebhookAnnotations serviceAccountAnnotations
    trustedZtunnelNamespace""")
_GATEWAY_KEYS = _words("""autoscaling networkGateway podDisruptionBudget rbac serviceAccount service
    containerSecurityContext additionalContainers""")
_ZTUNNEL_KEYS = _words("xdsAddress caAddress peerCaCrl l7Telemetry redirectMode multiCluster")
_CNI_KEYS = _words(
    "cniBinDir cniConfDir cniConfFileName cniNetnsDir chained repair excludeNamespaces"
)
_GLOBAL_KEYS = _words("""proxy proxy_init waypoint istiod meshID meshNetworks sds sts pilotCertProvider
    defaultPodDisruptionBudget configValidation istioNamespace multiCluster caAddress""")
_SHIPPED_COMMENT = "is a workaround for Helm limitations"
"""Istio writes this over the wrapper key of each values.yaml since 1.21."""
_SHIPPED_KEYS = 8
"""A wrapper with this many keys is a copy of the whole file, not a user's own nesting."""


def parse_version(text: str | None) -> Version | None:
    """Major and minor of an Istio release in a tag, image or revision.

    >>> parse_version("docker.io/istio/pilot:1.24.6-distroless"), parse_version("latest")
    ((1, 24), None)
    """
    match = re.search(r"(?<![\d.])v?(1)[.](\d{1,2})(?:[.]\d+)?(?![\d])", text or "")
    return None if match is None else (int(match[1]), int(match[2]))


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
        _add_corefile(sources, addon)
    if root.items is not None:
        return
    if root.get("servers") is not None:
        sources.corefiles += corefiles_of_chart(root)
    if root.text_of("kind") == "IstioOperator":
        _add_operator(sources, root, version)
    elif root.get("kind") is not None and root.get("apiVersion") is not None:
        _add_object(sources, root, version)
    elif root.entries is not None:
        add_values(sources, root, chart=chart, version=version, shipped=shipped)


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
            _add_corefile(sources, node)
    if _MESH_NAMES.match(thing.name):
        add_mesh_config(sources, embedded_yaml(sources, thing.root.get("data", "mesh")))


def _add_corefile(sources: Sources, node: Node) -> None:
    if node.text is not None:
        block = node.style in ("|", ">")
        offset = node.value_line if block else node.value_line - 1
        corefile = parse_corefile(node.text, node.place.file, line_offset=offset, prefix=node.path)
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
    subcharts = {} if chart is not None else _subcharts(root, found)
    for key, inner_chart in subcharts.items():
        inner = root.get(key)
        if inner is not None and inner.entries is not None:
            told = version or version_in(inner) or version_in(root)
            add_scope(sources, Values(inner_chart, inner, told, key))
    if subcharts or found is None:
        return
    wrapper = next((root.get(key) for key in WRAPPERS if _is_mapping(root.get(key))), None)
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


def chart_by_keys(root: Node) -> Chart | None:
    """The chart whose own keys a values file has; None where none or several are told."""
    layers = [root, *(layer for key in WRAPPERS if (layer := root.get(key)) is not None)]
    keys = {key for layer in layers for key in layer.names()}
    below = [inner for layer in layers if (inner := layer.get("global")) is not None]
    global_keys = {key for layer in below for key in layer.names()}
    image = next((layer.text_of("image") for layer in layers if layer.text_of("image")), "") or ""
    if keys & _ISTIOD_KEYS:
        return "istiod"
    if keys & _ZTUNNEL_KEYS or image.endswith("ztunnel"):
        return "ztunnel"
    if keys & _CNI_KEYS or image.endswith("install-cni") or _is_mapping(layers[-1].get("cni")):
        return "cni"
    if len(keys & _GATEWAY_KEYS) >= 2 or "networkGateway" in keys:
        return "gateway"
    return "istiod" if "meshConfig" in keys or global_keys & _GLOBAL_KEYS else None


def is_shipped(path: Path, text: str) -> bool:
    """Whether a file is a chart's own values.yaml, by its comment or by the Chart.yaml beside."""
    beside = path.name == "values.yaml" and (path.parent / "Chart.yaml").is_file()
    return _SHIPPED_COMMENT in text or beside


def version_by_name(path: Path) -> Version | None:
    """The release of the Chart.yaml beside, or of a folder named `1.24.6` or `istio-1.24`."""
    told = _chart_version(path.parent / "Chart.yaml")
    if told is not None:
        return told
    for parent in list(path.parents)[:3]:
        if re.fullmatch(r"(istio[-_]v?1[.]\d{1,2}|v?1[.]\d{2})([.]\d+)?", parent.name):
            return parse_version(parent.name)
    return None


def _chart_version(path: Path) -> Version | None:
    """The release of one of Istio's charts, or of the one that an umbrella chart depends on."""
    try:
        documents = parse(path.read_text(), str(path)) if path.is_file() else []
    except (TreeError, OSError, UnicodeDecodeError):
        return None
    for root in documents:
        for chart in (root, *root.children("dependencies")):
            if chart.text_of("name") in CHART_NAMES:
                told = chart.text_of("appVersion") or chart.text_of("version")
                found = parse_version(told)
                # The source tree's own charts say 1.0.0 for every release.
                if found is not None and found > (1, 0):
                    return found
    return None


def chart_by_name(path: Path) -> Chart | None:
    """The chart that a file's Chart.yaml, name or folder names."""
    beside = path.parent / "Chart.yaml"
    if beside.is_file():
        named = re.search(r"(?m)^name:\s*[\"']?([\w-]+)", beside.read_text(errors="replace"))
        if named and named[1] in CHART_NAMES:
            return CHART_NAMES[named[1]]
    for name in (path.stem.lower(), path.parent.name.lower()):
        words = re.split(r"[-_.]", name)
        for word in words:
            if word in ("istiod", "ztunnel", "cni"):
                return CHART_NAMES[word]
        if _GATEWAY_NAME.search(name):
            return "gateway"
    return None


def _subcharts(root: Node, found: Chart | None) -> dict[str, Chart]:
    if found not in (None, "cni") or any(root.get(key) is not None for key in WRAPPERS):
        return {}
    charts: dict[str, Chart] = {}
    for key in root.names():
        if not _is_mapping(root.get(key)):
            continue
        if key in CHART_NAMES and key not in ("ztunnel", "cni", "base"):
            charts[key] = CHART_NAMES[key]
        elif _GATEWAY_NAME.search(key):
            charts[key] = "gateway"
    if charts:
        # These three name a subchart only beside another one; alone they are misplaced keys.
        charts |= {
            key: CHART_NAMES[key] for key in root.names() if key in ("ztunnel", "cni", "base")
        }
    return charts


def version_in(root: Node) -> Version | None:
    """The release in tags and images of a values file."""
    for path in (("tag",), ("global", "tag"), ("pilot", "tag"), ("cni", "tag"), ("image",)):
        found = parse_version(root.text_of(*path))
        if found is not None:
            return found
    return None


def _is_mapping(node: Node | None) -> bool:
    return node is not None and node.entries is not None
