"""Whose chart and which release a values file is for, told by its keys, name and neighbours."""

from __future__ import annotations

import re
from pathlib import Path

from rightsize.audit.known import chart_values
from rightsize.audit.model import Chart, Version
from rightsize.audit.tree import Node, TreeError, parse

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


_GATEWAY_NAME = re.compile(r"(^|[-_])((in|e)gress(-?gateway)?|gateway)([-_]|$)")
_ISTIOD_KEYS = _words("""pilot sidecarInjectorWebhook istio_cni istiodRemote autoscaleEnabled autoscaleMin
    autoscaleMax autoscaleBehavior revisionTags traceSampling rollingMaxSurge gatewayClasses
    keepaliveMaxServerConnectionAge sidecarInjectorWebhookAnnotations serviceAccountAnnotations
    trustedZtunnelNamespace""")
_GATEWAY_KEYS = _words("""autoscaling networkGateway podDisruptionBudget rbac serviceAccount service
    containerSecurityContext additionalContainers""")
_ZTUNNEL_KEYS = _words("xdsAddress caAddress peerCaCrl l7Telemetry redirectMode multiCluster")
_CNI_KEYS = _words("cniBinDir cniConfDir cniConfFileName cniNetnsDir")
_GLOBAL_KEYS = _words("""proxy proxy_init waypoint istiod meshID meshNetworks sds sts pilotCertProvider
    defaultPodDisruptionBudget configValidation istioNamespace multiCluster caAddress""")
_CNI_INNER_KEYS = _words("cniBinDir cniConfDir excludeNamespaces repair chained ambient resources")
_OTHERS_KEYS = _words("nameOverride fullnameOverride ingress livenessProbe podSecurityContext")
"""Keys of the chart that `helm create` makes, and of none of Istio's."""
_SHIPPED_COMMENT = "is a workaround for Helm limitations"
"""Istio writes this over the wrapper key of each values.yaml since 1.21."""


def parse_version(text: str | None) -> Version | None:
    """Major and minor of an Istio release in a tag, image or revision.

    >>> parse_version("docker.io/istio/pilot:1.24.6-distroless"), parse_version("latest")
    ((1, 24), None)
    """
    match = re.search(r"(?<![\d.])v?(1)[.](\d{1,2})(?:[.]\d+)?(?![\d])", text or "")
    return None if match is None else (int(match[1]), int(match[2]))


def chart_by_keys(root: Node) -> Chart | None:
    """The chart whose own keys a values file has; None where nothing tells it for sure.

    Keys that only Istio has decide at once; keys that any chart may have decide where the chart
    knows nearly all the others, too.
    """
    layers = [root, *(layer for key in WRAPPERS if (layer := root.get(key)) is not None)]
    keys = {key for layer in layers for key in layer.names()}
    image = next((layer.text_of("image") for layer in layers if layer.text_of("image")), "") or ""
    if keys & _ISTIOD_KEYS:
        return "istiod"
    if keys & _ZTUNNEL_KEYS or image.endswith("ztunnel"):
        return "ztunnel"
    if keys & _CNI_KEYS or image.endswith("install-cni"):
        return "cni"
    inner = [layer.get("cni") for layer in layers]
    if any(set(node.names()) & _CNI_INNER_KEYS for node in inner if node is not None):
        return "cni" if knows_most(layers[-1], "cni") else None
    if keys & _GATEWAY_KEYS and knows_most(layers[-1], "gateway"):
        # `service` beside one unknown key may be anybody's, a collector's configuration for one.
        known = [name for name in layers[-1].names() if name in chart_values("gateway")]
        return "gateway" if 2 * len(known) > len(layers[-1].names()) else None
    below = [node for layer in layers if (node := layer.get("global")) is not None]
    told = "meshConfig" in keys or any(set(node.names()) & _GLOBAL_KEYS for node in below)
    return "istiod" if told and knows_most(layers[-1], "istiod") else None


def knows_most(root: Node, chart: Chart) -> bool:
    """Whether a chart knows nearly all the top-level keys, as no other chart's file would have it.

    One unknown key, or one in five, may be a slip of the pen.
    """
    names = [name for name in root.names() if not name.startswith(("x-", "."))]
    if set(names) & _OTHERS_KEYS:
        return False
    unknown = [name for name in names if name not in chart_values(chart)]
    return len(unknown) <= max(1, len(names) // 5) and len(unknown) < len(names)


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


def subcharts(root: Node, found: Chart | None) -> dict[str, Chart]:
    """The keys of an umbrella chart's values that hold a subchart's, with the chart of each."""
    if found not in (None, "cni") or any(root.get(key) is not None for key in WRAPPERS):
        return {}
    charts: dict[str, Chart] = {}
    for key in root.names():
        if not is_mapping(root.get(key)):
            continue
        if key in CHART_NAMES and key not in ("ztunnel", "cni", "base"):
            charts[key] = CHART_NAMES[key]
        elif _GATEWAY_NAME.search(key) and knows_most(root.get(key) or root, "gateway"):
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


def is_mapping(node: Node | None) -> bool:
    return node is not None and node.entries is not None
