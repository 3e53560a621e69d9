"""Which chart and release a values file is for, told by evidence and never guessed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rightsize.errors import AmbiguousChartError, UsageError
from rightsize.files import tree
from rightsize.files.source import Layer, Source, read_source

Chart = Literal["istiod", "gateway", "ztunnel", "cni"]
Version = tuple[int, int]

CHARTS: tuple[Chart, ...] = ("istiod", "gateway", "ztunnel", "cni")
WRAPPERS: dict[str, Version] = {"defaults": (1, 21), "_internal_defaults_do_not_set": (1, 24)}
"""Key that the shipped values.yaml puts around everything -> first release that does."""
FLAT_FROM: Version = (1, 24)
"""From here on istiod and cni read top-level keys too, under those of `pilot` and `cni`."""

CHART_NAMES: dict[str, Chart] = {
    "istiod": "istiod",
    "istio-discovery": "istiod",
    "gateway": "gateway",
    "ztunnel": "ztunnel",
    "cni": "cni",
    "istio-cni": "cni",
}


def _keys(text: str) -> frozenset[str]:
    return frozenset(text.split())


DISTINCTIVE: dict[Chart, frozenset[str]] = {
    "istiod": _keys(
        """pilot autoscaleBehavior autoscaleEnabled autoscaleMax autoscaleMin istio_cni istiodRemote
        gatewayClasses keepaliveMaxServerConnectionAge pdb revisionTags rollingMaxSurge
        serviceAccountAnnotations sidecarInjectorWebhook sidecarInjectorWebhookAnnotations taint
        telemetry traceSampling trustedZtunnelName trustedZtunnelNamespace
        global.proxy global.waypoint global.proxy_init global.istiod global.meshNetworks
        global.sds global.sts global.pilotCertProvider global.defaultPodDisruptionBudget
        meshConfig.accessLogFile meshConfig.accessLogEncoding meshConfig.defaultProviders
        meshConfig.discoverySelectors meshConfig.enableAutoMtls meshConfig.enablePrometheusMerge
        meshConfig.enableTracing meshConfig.extensionProviders meshConfig.ingressSelector
        meshConfig.outboundTrafficPolicy meshConfig.rootNamespace meshConfig.trustDomain"""
    ),
    "gateway": _keys(
        """autoscaling additionalContainers containerSecurityContext networkGateway rbac
        podDisruptionBudget service serviceAccount"""
    ),
    "ztunnel": _keys(
        "caAddress xdsAddress peerCaCrl redirectMode logAsJson l7Telemetry istioNamespace"
    ),
    "cni": _keys(
        """ambient chained cniBinDir cniConfDir cniConfFileName cniNetnsDir excludeNamespaces repair
        istioOwnedCNIConfig cni.cniBinDir cni.cniConfDir cni.excludeNamespaces cni.resources
        cni.repair cni.chained cni.ambient"""
    ),
}
"""Keys of one chart alone among the values.yaml of releases 1.18 to 1.30."""
IMAGES: dict[str, Chart] = {"pilot": "istiod", "install-cni": "cni", "ztunnel": "ztunnel"}
SHARED_SIZING = ("resources", "replicaCount")
"""Keys that size something in more than one chart."""
SUBCHART = re.compile(r"(?P<gateway>(^|-)(ingress|egress)(-?gateway)?$|(^|-)gateway$)")


@dataclass(eq=False)
class Scope(Layer):
    """A mapping that holds the values of one chart, somewhere in a document."""

    prefix: tree.Path
    chart: Chart
    version: Version | None
    name: str | None = None
    """Name of the release or subchart, as far as it is told."""
    outer_global: bool = False
    """An umbrella chart around it: the root's `global` outranks the subchart's."""

    @property
    def values(self) -> tree.Mapping | None:
        return tree.mapping_at(self.root, self.prefix)

    @property
    def wrapper(self) -> str | None:
        """The shipped file's key around everything, where this file has it."""
        values = self.values
        return next((key for key in WRAPPERS if tree.mapping_at(values, (key,))), None)


@dataclass(frozen=True)
class Hints:
    """What the user says about the files."""

    chart: Chart | None = None
    version: Version | None = None

    @classmethod
    def of(cls, chart: str | None, istio_version: str | None) -> Hints:
        if chart is not None and chart not in CHART_NAMES:
            raise UsageError(
                f"--chart {chart}: not a chart of Istio's", hint=f"One of {', '.join(CHARTS)}."
            )
        version = None if istio_version is None else parse_version(istio_version)
        if istio_version is not None and version is None:
            raise UsageError(f"--istio-version {istio_version}: not a release", hint="Say 1.24.")
        return cls(None if chart is None else CHART_NAMES[chart], version)


def parse_version(text: str | None) -> Version | None:
    """Major and minor of an Istio release in a tag or version; None for any other text.

    >>> parse_version("1.24.6-distroless"), parse_version("latest")
    ((1, 24), None)
    """
    match = re.search(r"(?<![\d.])v?(1)\.(\d{1,2})(?!\d)", text or "")
    return None if match is None else (int(match[1]), int(match[2]))


def scopes_of_values(
    source: Source, document: int, prefix: tree.Path, hints: Hints
) -> list[Scope] | None:
    """The charts whose values stand under `prefix`; None where nothing tells.

    An umbrella chart's file gives one scope a subchart.
    """
    values = tree.mapping_at(source.documents[document].root, prefix)
    if values is None:
        return None
    metadata = None if prefix else _chart_yaml(source.path)
    scopes = _subcharts(source, document, prefix, values, metadata, hints)
    if scopes:
        return scopes
    named = CHART_NAMES.get(tree.text_at(metadata, ("name",)) or "")
    if metadata is not None and named is None and hints.chart is None:
        # The values of some other chart, which may have keys of the same names.
        return None
    chart = hints.chart or named or _by_keys(source, values)
    if chart is None:
        return None
    version = hints.version or _release_of(metadata) or _version_by_keys(values)
    name = tree.text_at(values, ("name",))
    return [_checked(Scope(source, document, prefix, chart, version, name))]


def sizing_keys_without_chart(source: Source, document: int, prefix: tree.Path) -> tree.Node | None:
    """The first key that sizes something in more than one chart, or None."""
    values = tree.mapping_at(source.documents[document].root, prefix)
    if values is None:
        return None
    for wrapper in WRAPPERS:
        values = tree.mapping_at(values, (wrapper,)) or values
    return next((node for key in SHARED_SIZING if (node := values.key_node(key))), None)


def ambiguous_chart(source: Source, index: int) -> AmbiguousChartError:
    """The error for values that nothing tells the chart of."""
    name = tree.text_at(_chart_yaml(source.path), ("name",))
    beside = "" if name is None else f" (the Chart.yaml beside them is of {name})"
    line, column = tree.position(source.text, index)
    return AmbiguousChartError(
        f"nothing tells which chart these values are for{beside}: top-level `resources` can size "
        "istiod, a gateway, ztunnel or istio-cni",
        path=source.path,
        line=line,
        column=column,
        hint=f"Say --chart {'|'.join(CHARTS)}, or keep the file beside its Chart.yaml.",
    )


def _by_keys(source: Source, values: tree.Mapping) -> Chart | None:
    """The one chart that has all distinctive keys; None for none, an error for several."""
    found: dict[Chart, tree.Node] = {}
    layers = [values, *(tree.mapping_at(values, (wrapper,)) for wrapper in WRAPPERS)]
    for layer in layers:
        if layer is None:
            continue
        for chart in CHARTS:
            for key in sorted(DISTINCTIVE[chart]):
                node = tree.lookup(layer, tuple(key.split(".")))
                if node is not None:
                    found.setdefault(chart, node)
        image = (tree.text_at(layer, ("image",)) or "").rsplit("/", 1)[-1].split(":")[0]
        if image in IMAGES:
            found.setdefault(IMAGES[image], layer)
    if len(found) <= 1:
        return next(iter(found), None)
    raise AmbiguousChartError(
        f"has keys of several charts: {', '.join(found)}",
        path=source.path,
        line=tree.position(source.text, next(iter(found.values())).start)[0],
        hint=f"Say --chart {'|'.join(found)}.",
    )


def _version_by_keys(values: tree.Mapping | None) -> Version | None:
    """The release in tags and image names."""
    for layer in (values, *(tree.mapping_at(values, (key,)) for key in WRAPPERS)):
        paths = [("tag",), ("pilot", "tag"), ("cni", "tag"), ("global", "tag"), ("image",)]
        paths += [("pilot", "image"), ("global", "proxy", "image"), ("cni", "image")]
        for path in paths:
            version = parse_version(tree.text_at(layer, path))
            if version is not None:
                return version
    return None


def _checked(scope: Scope) -> Scope:
    """Refuse a wrapper key that the release does not read, and take the release from it."""
    wrapper = scope.wrapper
    if wrapper is None:
        return scope
    first = WRAPPERS[wrapper]
    if scope.version is None:
        scope.version = first
    reads_internal = scope.version >= FLAT_FROM
    if scope.version < first or reads_internal != (wrapper == "_internal_defaults_do_not_set"):
        key = scope.values.key_node(wrapper) if scope.values else None
        raise scope.source.error(
            f"`{wrapper}` is not read by Istio {scope.version[0]}.{scope.version[1]}",
            key.start if key else 0,
            hint="Put its contents at the top level, or give the right --istio-version.",
        )
    return scope


def _chart_yaml(path: Path) -> tree.Node | None:
    beside = path.parent / "Chart.yaml"
    if path.name == "Chart.yaml" or not beside.is_file():
        return None
    return read_source(beside).documents[0].root


def _release_of(metadata: tree.Node | None) -> Version | None:
    """The release of a Chart.yaml; the source tree's own charts say 1.0.0 for all."""
    text = tree.text_at(metadata, ("appVersion",)) or tree.text_at(metadata, ("version",))
    return None if text is None or text.startswith("1.0.") else parse_version(text)


def _subcharts(
    source: Source,
    document: int,
    prefix: tree.Path,
    values: tree.Mapping,
    metadata: tree.Node | None,
    hints: Hints,
) -> list[Scope]:
    named = dict(_dependencies(metadata))
    told = bool(named)
    if not told and hints.chart is None and metadata is None:
        named = _subcharts_by_name(values)
    scopes = []
    for key, (chart, version) in named.items():
        inner = tree.mapping_at(values, (key,))
        if inner is None and not (told and chart == "istiod"):
            continue
        found = hints.version or version or _version_by_keys(inner) or _version_by_keys(values)
        name = tree.text_at(inner, ("name",)) or key
        scope = Scope(source, document, (*prefix, key), chart, found, name, outer_global=True)
        scopes.append(_checked(scope))
    return scopes


def _dependencies(
    metadata: tree.Node | None,
) -> Sequence[tuple[str, tuple[Chart, Version | None]]]:
    listed = tree.lookup(metadata, ("dependencies",))
    if not isinstance(listed, tree.Sequence):
        return []
    found = []
    for item in listed.items:
        chart = CHART_NAMES.get(tree.text_at(item, ("name",)) or "")
        if chart is not None:
            key = tree.text_at(item, ("alias",)) or tree.text_at(item, ("name",)) or ""
            found.append((key, (chart, parse_version(tree.text_at(item, ("version",))))))
    return found


def _subcharts_by_name(values: tree.Mapping) -> dict[str, tuple[Chart, Version | None]]:
    """Subcharts of an umbrella without its Chart.yaml, by the names people give them.

    `cni` and `ztunnel` alone could be a chart's own key or a misplaced block, so they count only
    beside another subchart; and a chart's own distinctive key means there is no umbrella.
    """
    found: dict[str, tuple[Chart, Version | None]] = {}
    for key in values.names():
        if tree.mapping_at(values, (key,)) is None:
            continue
        if key in ("istiod", "ztunnel", "cni", "istio-cni"):
            found[key] = (CHART_NAMES[key], None)
        elif SUBCHART.search(key):
            found[key] = ("gateway", None)
    if not any(_has_values_of(chart, values.get(key)) for key, (chart, _) in found.items()):
        return {}
    own = {"meshConfig", *frozenset().union(*DISTINCTIVE.values())} & set(values.names())
    return {} if own or set(found) <= {"cni", "ztunnel"} else found


def _has_values_of(chart: Chart, node: tree.Node | None) -> bool:
    """Whether a mapping looks like values of a chart, and not like anything else of that name."""
    paths = [tuple(key.split(".")) for key in DISTINCTIVE[chart]]
    paths += [("meshConfig",), ("global",), ("profile",), ("resources",)]
    return any(tree.lookup(node, path) is not None for path in paths)


def require_version(scope: Scope, why: str, index: int) -> Version:
    """The release, or an error that names the flag."""
    if scope.version is not None:
        return scope.version
    line, column = tree.position(scope.source.text, index)
    raise AmbiguousChartError(
        f"nothing tells the Istio release, and {why}",
        path=scope.source.path,
        line=line,
        column=column,
        hint="Say --istio-version, for instance --istio-version 1.24.",
    )
