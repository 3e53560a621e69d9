"""What a document is: its kind, whether it is Istio's at all, and which charts' values it holds.

The one answer to these questions, for `patch` and `audit` alike. It rests on positive proof: a
`Chart.yaml`, the chart's name in a GitOps document, an image, keys that no other chart has, or the
flag that the user gave for the file. Keys that any chart may have, such as `autoscaling`, distinguish
Istio's charts once a file is known to be Istio's, and prove nothing by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from rightsize.files import tree
from rightsize.files.chart_metadata import (
    CHART_NAMES,
    OWN_NAMES,
    Chart,
    chart_of_metadata,
    chart_yaml,
    istio_dependencies,
    release_of,
)
from rightsize.files.known import Version, chart_values, parse_version

Kind = Literal[
    "values", "operator", "release", "kustomization", "helmfile", "chart", "crd", "object", "other"
]
"""`release` is a GitOps or operator object that installs charts; `other` is no mapping, or a file
of a tool that installs nothing of Istio's."""

WRAPPERS: dict[str, Version] = {"defaults": (1, 21), "_internal_defaults_do_not_set": (1, 24)}
"""Key that the shipped values.yaml puts around everything -> first release that does."""
RELEASE_KINDS = {
    "HelmRelease": "helm.toolkit.fluxcd.io",
    "Application": "argoproj.io",
    "ApplicationSet": "argoproj.io",
    "Istio": "sailoperator.io",
    "IstioCNI": "sailoperator.io",
    "ZTunnel": "sailoperator.io",
    "ServiceMeshControlPlane": "maistra.io",
    "HelmChart": "helm.cattle.io",
    "HelmChartConfig": "helm.cattle.io",
}
"""Kinds of objects that carry values of charts -> their API group."""
_KUSTOMIZE_KEYS = frozenset(
    {"patchesStrategicMerge", "patchesJson6902", "configMapGenerator", "helmCharts", "generators"}
)


def _keys(text: str) -> frozenset[str]:
    return frozenset(text.split())


PROOF: dict[Chart, frozenset[str]] = {
    "istiod": _keys(
        """istio_cni istiodRemote sidecarInjectorWebhook sidecarInjectorWebhookAnnotations
        keepaliveMaxServerConnectionAge trustedZtunnelName trustedZtunnelNamespace
        global.proxy_init global.waypoint global.istiod global.meshID
        global.meshNetworks global.pilotCertProvider global.defaultPodDisruptionBudget"""
    ),
    "gateway": _keys("networkGateway"),
    "ztunnel": _keys("peerCaCrl l7Telemetry"),
    "cni": _keys("cniNetnsDir istioOwnedCNIConfig cniConfFileName cni.cniConfFileName"),
    "base": _keys("base.enableCRDTemplates base.enableIstioConfigCRDs base.validationURL"),
}
"""Keys that no chart but this one of Istio's has."""
OPEN: dict[Chart, tuple[str, ...]] = {
    "istiod": ("pilot", "meshConfig", "global.proxy"),
}
"""Blocks that prove their chart by a key inside that the chart knows and others do not use."""
TYPICAL: dict[Chart, frozenset[str]] = {
    "istiod": _keys(
        """autoscaleEnabled autoscaleMin autoscaleMax autoscaleBehavior traceSampling revisionTags
        rollingMaxSurge gatewayClasses serviceAccountAnnotations"""
    ),
    "ztunnel": _keys("xdsAddress caAddress redirectMode"),
    "cni": _keys("cniBinDir cniConfDir cni.cniBinDir cni.excludeNamespaces cni.repair cni.ambient"),
}
"""Keys that prove a chart where it knows every other top-level key, too."""
APART: dict[Chart, frozenset[str]] = {
    "gateway": _keys(
        """autoscaling additionalContainers containerSecurityContext rbac podDisruptionBudget
        service serviceAccount"""
    ),
    "istiod": _keys("pdb taint telemetry global.sds global.sts"),
    "ztunnel": _keys("logAsJson istioNamespace"),
    "cni": _keys("ambient chained repair excludeNamespaces cni.resources cni.chained"),
}
"""Keys that distinguish Istio's charts, and that any other chart may have."""
IMAGES: dict[str, Chart] = {"pilot": "istiod", "install-cni": "cni", "ztunnel": "ztunnel"}
_NEVER_READ = frozenset({"sharding", "cache", "securityContext"})
"""Keys that people write under `pilot` or `global.proxy` though no release reads them."""
_OTHERS = _keys("nameOverride fullnameOverride ingress livenessProbe podSecurityContext")
"""Keys of the chart that `helm create` makes, and of none of Istio's."""
HELM_HEADING = "USER-SUPPLIED VALUES"
"""What `helm get values` prints above them."""
SCOPED_BLOCKS = frozenset({"pilot", "cni"})
_ANYBODYS = _keys("image enabled")
"""Keys inside such a block that say nothing at all."""
_COMMON = _keys(
    """resources replicaCount env tag hub nodeSelector affinity tolerations podAnnotations podLabels
    volumes volumeMounts logLevel privileged"""
)
"""Keys inside such a block that a part of any application may have: proof only where Istio's charts
know all that stands around them."""
_GATEWAY_KEY = re.compile(r"(^|-)(ingress|egress|east-?west)(-?gateway)?$|(^|-)gateway$")
_GATEWAY_NAME = re.compile(r"^istio-?.*gateway$")
"""Names that Istio's own profiles and documentation give to gateways."""
_STATUS_PORT = "15021"
"""Health port of every Istio gateway, in its Service; no other product uses it."""


@dataclass(frozen=True)
class Placed:
    """Values of one chart, and where in the document they stand."""

    prefix: tree.Path
    chart: Chart
    version: Version | None
    name: str | None
    proof: str
    """What shows that these are values of this chart of Istio's."""
    subchart: bool = False
    """An umbrella chart around it: the root's `global` outranks the subchart's."""


def kind_of(path: Path | None, root: tree.Node | None) -> Kind:
    """What a document is, before anything is asked about Istio."""
    if not isinstance(root, tree.Mapping):
        return "other"
    name = "" if path is None else path.name.lower()
    kind, api = tree.text_at(root, ("kind",)), tree.text_at(root, ("apiVersion",)) or ""
    if kind is not None and api:
        return _kind_of_object(kind, api)
    if name == "chart.yaml":
        return "chart"
    if name in ("kustomization.yaml", "kustomization.yml") or _KUSTOMIZE_KEYS & set(root.names()):
        return "kustomization"
    releases = tree.lookup(root, ("releases",))
    charts = isinstance(releases, tree.Sequence) and any(
        tree.text_at(item, ("chart",)) for item in releases.items
    )
    if name.startswith("helmfile") or charts:
        return "helmfile"
    return "values"


def _kind_of_object(kind: str, api: str) -> Kind:
    group = api.partition("/")[0]
    if kind == "IstioOperator" and group == "install.istio.io":
        return "operator"
    if kind in RELEASE_KINDS and group == RELEASE_KINDS[kind]:
        return "release"
    if kind in ("Kustomization", "Component") and group == "kustomize.config.k8s.io":
        return "kustomization"
    return "crd" if kind == "CustomResourceDefinition" else "object"


def charts_of_values(
    path: Path | None,
    values: tree.Mapping,
    prefix: tree.Path = (),
    *,
    chart: Chart | None = None,
    version: Version | None = None,
) -> tuple[Placed, ...]:
    """The charts of Istio's that a mapping holds values of; empty where nothing proves any.

    Parameters
    ----------
    path : Path or None
        The file: a `Chart.yaml` beside it counts. None for a text without a file of its own.
    values : Mapping
        The values; at `prefix` of their document.
    chart, version : optional
        What the user, or the GitOps document around the values, says of them.
    """
    metadata = None if prefix else chart_yaml(path)
    dependencies = istio_dependencies(metadata)
    if dependencies:
        return tuple(
            _subchart(values, prefix, key, found, version or of, "Chart.yaml")
            for key, (found, of) in dependencies.items()
            if tree.mapping_at(values, (key,)) is not None or found == "istiod"
        )
    umbrella = {} if chart or metadata is not None else _subcharts_by_name(values)
    if umbrella:
        return tuple(
            _subchart(values, prefix, key, found, version, f"the key {key}")
            for key, found in umbrella.items()
        )
    own = chart_of_metadata(metadata)
    proofs = {own: "Chart.yaml"} if own is not None else {}
    if metadata is None or chart is not None:
        # The values of another chart may have keys of the same names.
        proofs = proofs or proofs_by_keys(values)
    found_version = version or release_of(metadata) or version_by_keys(values)
    name = tree.text_at(values, ("name",))
    if chart is not None:
        return (Placed(prefix, chart, found_version, name, "as said"),)
    return tuple(
        Placed(prefix, found, found_version, name, proof) for found, proof in proofs.items()
    )


def proofs_by_keys(values: tree.Mapping) -> dict[Chart, str]:
    """Every chart of Istio's that keys or images prove, with the key that proves it.

    Several are a contradiction, which the caller reports; `base` beside another is none, since
    people give one file to all charts.
    """
    layers = [(values, "")]
    for wrapper in WRAPPERS:
        inner = tree.mapping_at(values, (wrapper,))
        layers += [] if inner is None else [(inner, wrapper)]
    found: dict[Chart, str] = {}
    for layer, wrapper in layers:
        for chart, proof in _proofs(layer):
            found.setdefault(chart, f"{wrapper}.{proof}" if wrapper else proof)
    if found or "_internal_defaults_do_not_set" in values.names():
        # It is Istio's: now keys that distinguish its charts count.
        for layer, _ in layers:
            for chart, keys in APART.items():
                key = next((k for k in sorted(keys) if _at(layer, k) is not None), None)
                if key is not None and (not found or chart == "gateway"):
                    found.setdefault(chart, key)
    if "base" in found and all(_of_base_alone(layer) for layer, _ in layers):
        return {"base": found["base"]}
    if len(found) > 1:
        found.pop("base", None)
    return found


def _of_base_alone(values: tree.Mapping) -> bool:
    """Whether the base chart reads all of these values: what it reads proves no other chart."""
    shared = tree.mapping_at(values, ("global",))
    known = {n.removeprefix("global.").partition(".")[0] for n in chart_values("base") if "." in n}
    return (
        knows_all(values, "base")
        and tree.mapping_at(values, ("pilot",)) is None
        and (shared is None or set(shared.names()) <= known)
    )


def _proofs(values: tree.Mapping) -> Iterator[tuple[Chart, str]]:
    for chart, keys in PROOF.items():
        yield from ((chart, key) for key in sorted(keys) if _at(values, key) is not None)
    for chart, blocks in OPEN.items():
        for block in blocks:
            if _known_inside(chart, block, values):
                yield chart, block
    for chart, keys in TYPICAL.items():
        key = next((k for k in sorted(keys) if _at(values, k) is not None), None)
        if key is not None and knows_all(values, chart):
            yield chart, key
    image = (tree.text_at(values, ("image",)) or "").rsplit("/", 1)[-1].split(":")[0]
    if image in IMAGES:
        yield IMAGES[image], "image"
    sign = _gateway_proof(values)
    if sign is not None:
        yield "gateway", sign


def _gateway_proof(values: tree.Mapping) -> str | None:
    """What shows a gateway of Istio's: its label, its status port, its injection template."""
    label = tree.text_at(values, ("labels", "istio")) or ""
    templates = tree.text_at(values, ("podAnnotations", "inject.istio.io/templates")) or ""
    if label.endswith("gateway"):
        return "labels.istio"
    if _GATEWAY_NAME.search(tree.text_at(values, ("name",)) or "") and knows_all(values, "gateway"):
        return "name"
    if templates == "gateway":
        return "podAnnotations"
    ports = tree.lookup(values, ("service", "ports"))
    items = ports.items if isinstance(ports, tree.Sequence) else []
    status = any(_STATUS_PORT in (tree.text_at(i, ("port",)) or "") for i in items)
    return "service.ports" if status else None


def _known_inside(chart: Chart, block: str, values: tree.Mapping) -> bool:
    path = tuple(block.split("."))
    inner = tree.mapping_at(values, path)
    if inner is None:
        return False
    if block == "meshConfig":
        known = mesh_config_fields()
        return not inner.items or any(camel(name) in known for name in inner.names())
    known = _inside(chart, block)
    names = set(inner.names())
    if ((known | _NEVER_READ) - _ANYBODYS - _COMMON) & names:
        return True
    around = set() if len(path) == 1 else set(_mapping_names(values, path[:-1]))
    return (
        bool(known & _COMMON & names)
        and names <= known | _NEVER_READ
        and around <= _inside(chart, path[0])
        and _all_istios(values)
    )


@cache
def _inside(chart: Chart, block: str) -> frozenset[str]:
    """Keys that a chart reads inside a block, the next level alone."""
    names = chart_values(chart)
    # From 1.24 on a chart reads the contents of `pilot` and `cni` at the top level.
    flat = {n for n in names if "." not in n} if block in SCOPED_BLOCKS else set()
    below = {
        n.removeprefix(f"{block}.").partition(".")[0] for n in names if n.startswith(f"{block}.")
    }
    return frozenset(flat | below)


def _mapping_names(values: tree.Mapping, path: tree.Path) -> list[str]:
    inner = tree.mapping_at(values, path)
    return [] if inner is None else list(inner.names())


def knows_all(values: tree.Mapping, chart: Chart) -> bool:
    """Whether a chart of Istio's knows every top-level key of some values."""
    names = _names(values)
    return not set(names) & _OTHERS and all(name in _top_level(chart) for name in names)


def knows_most(values: tree.Mapping, chart: Chart) -> bool:
    """Whether a chart of Istio's knows at least half of the top-level keys of some values."""
    names = _names(values)
    return 2 * len(_top_level(chart).intersection(names)) >= len(names)


def _names(values: tree.Mapping) -> list[str]:
    """Top-level keys but for those that only hold an anchor, or the heading of `helm get values`."""
    kept = (n for n in values.names() if not n.startswith(("x-", ".")) and n != HELM_HEADING)
    return [name for name in kept if not _is_shared(values.own(name))]


def _is_shared(node: tree.Node | None) -> bool:
    return isinstance(node, tree.Alias) or (node is not None and node.anchor is not None)


def _all_istios(values: tree.Mapping) -> bool:
    """Whether each top-level key is one that some chart of Istio's knows."""
    known = frozenset().union(*(_top_level(chart) for chart in PROOF))
    names = _names(values)
    return not set(names) & _OTHERS and known.issuperset(names)


@cache
def _top_level(chart: str) -> frozenset[str]:
    # The chart's own name as a key is a common slip that has a finding of its own.
    shared = {"global", "profile", "enabled", "revision", chart, *WRAPPERS}
    return frozenset({name.partition(".")[0] for name in chart_values(chart)} | shared)


def _at(values: tree.Mapping, dotted: str) -> tree.Node | None:
    return tree.lookup(values, tuple(dotted.split(".")))


def _subchart(
    values: tree.Mapping,
    prefix: tree.Path,
    key: str,
    chart: Chart,
    version: Version | None,
    proof: str,
) -> Placed:
    inner = tree.mapping_at(values, (key,))
    found = version or version_by_keys(inner) or version_by_keys(values)
    name = tree.text_at(inner, ("name",)) or key
    return Placed((*prefix, key), chart, found, name, proof, subchart=True)


def _subcharts_by_name(values: tree.Mapping) -> dict[str, Chart]:
    """Subcharts of an umbrella without its Chart.yaml, by the names people give them.

    The name of one of Istio's own charts with values of it inside makes an umbrella; keys that
    others use as well (`ingress`, `gateway`, `cni`, `base`) count only beside such a one.
    """
    inner = {
        key: node for key in values.names() if (node := tree.mapping_at(values, (key,))) is not None
    }
    if {"pilot", "meshConfig", *WRAPPERS} & set(inner):
        return {}
    own = {
        key: CHART_NAMES[key]
        for key, node in inner.items()
        if key in OWN_NAMES and key != "ztunnel" and _looks_like(CHART_NAMES[key], node)
    }
    named: dict[str, Chart] = {
        key: "gateway"
        for key, node in inner.items()
        if _GATEWAY_KEY.search(key) and knows_all(node, "gateway")
    }
    if not own and not any("istio" in key for key in named):
        return {}
    beside = {k: CHART_NAMES[k] for k in ("ztunnel", "cni", "base", "istio-base") if k in inner}
    return own | named | beside


def _looks_like(chart: Chart, node: tree.Mapping) -> bool:
    """Whether a mapping may be values of a chart, and not anything else of that name."""
    known = _top_level(chart)
    return bool(proofs_by_keys(node)) or any(name in known for name in node.names())


def version_by_keys(values: tree.Node | None) -> Version | None:
    """The release in tags and image names of some values."""
    for layer in (values, *(tree.mapping_at(values, (key,)) for key in WRAPPERS)):
        paths = [("tag",), ("pilot", "tag"), ("cni", "tag"), ("global", "tag"), ("image",)]
        paths += [("pilot", "image"), ("global", "proxy", "image"), ("cni", "image")]
        for path in paths:
            version = parse_version(tree.text_at(layer, path))
            if version is not None:
                return version
    return None


@cache
def mesh_config_fields() -> frozenset[str]:
    """Fields of MeshConfig that any release has, from the table of names."""
    return frozenset(chart_values("meshConfig"))


def camel(name: str) -> str:
    """Protobuf reads `access_log_file` as well as `accessLogFile`."""
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)
