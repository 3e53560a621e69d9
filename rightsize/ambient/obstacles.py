"""What stands in the way of ambient mode, from objects: each with its place and what replaces it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from rightsize.ambient.facts import Feature, features
from rightsize.ambient.pod_settings import Hit, annotation_hits
from rightsize.audit.model import KubeObject, Sources
from rightsize.audit.tree import Node, Place
from rightsize.files.known import Version
from rightsize.namespaces.configuration import namespace_of_host

ROOT_NAMESPACE = "istio-system"
HBONE_PORT = "15008"
_GATEWAY_LABELS = ("gateway.networking.k8s.io/gateway-name", "istio.io/gateway-name")
_HTTP_OPERATION = ("hosts", "notHosts", "methods", "notMethods", "paths", "notPaths")
_HTTP_SOURCE = ("requestPrincipals", "notRequestPrincipals", "remoteIpBlocks", "notRemoteIpBlocks")
_LAYER_4_KEYS = frozenset(
    ("source.ip", "source.namespace", "source.principal", "destination.ip", "destination.port")
)
"""Keys of `when` that ztunnel reads (pilot/pkg/serviceregistry/ambient/authorization.go)."""
DRY_RUN = "istio.io/dry-run"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """One feature in use. `namespace` None: it holds for the whole mesh."""

    feature: Feature
    namespace: str | None
    subject: str
    """The object, `Kind namespace/name`."""
    where: str
    """File and line, or the snapshot."""
    evidence: str


Detector = Callable[[KubeObject], Iterator[tuple[Hit, str | None]]]
"""Yields a hit and the namespace that it is about; None for the object's own."""


def object_obstacles(sources: Sources, release: Version | None = None) -> tuple[Obstacle, ...]:
    """Every obstacle in the objects and values of files or of a cluster.

    Parameters
    ----------
    sources : Sources
        As `audit.reading.read_files` reads them.
    release : (int, int), optional
        The release in use; the newest known without.
    """
    found = [
        _obstacle(hit, namespace or _namespace(obj), obj.title, obj.root.place)
        for obj in sources.objects
        for hit, namespace in _hits(obj)
    ]
    for values in sources.values_of("istiod", "operator"):
        node = values.root.get("global", "multiCluster", "enabled")
        if node is not None and node.truth:
            for feature in ("multi-cluster", "multi-cluster-none"):
                hit = Hit(feature, "global.multiCluster.enabled")
                found.append(_obstacle(hit, None, "Helm values", node.place))
    return in_force(found, release)


def in_force(found: Iterable[Obstacle], release: Version | None) -> tuple[Obstacle, ...]:
    """Those that hold at a release, each once, mesh-wide ones first."""
    unique = dict.fromkeys(one for one in found if one.feature.holds(release))
    order = list(features())
    return tuple(
        sorted(
            unique, key=lambda one: (one.namespace or "", order.index(one.feature.id), one.subject)
        )
    )


def _obstacle(hit: Hit, namespace: str | None, subject: str, place: Place) -> Obstacle:
    where = f"{place.file}:{place.line}" if place.line else place.file
    shown = None if namespace in (None, ROOT_NAMESPACE) else namespace
    return Obstacle(features()[hit.feature], shown, subject, where, hit.evidence)


def _namespace(obj: KubeObject) -> str:
    return obj.namespace or "default"


def _hits(obj: KubeObject) -> Iterator[tuple[Hit, str | None]]:
    for group, detector in _DETECTORS.get(obj.kind, ()):
        if obj.group == group:
            yield from detector(obj)
    template = obj.pod_template
    if template is not None and not _is_gateway(template):
        annotations = template.get("metadata", "annotations")
        entries = (annotations.entries if annotations else None) or {}
        texts = {key: node.text or "" for key, node in entries.items()}
        host = template.get("spec", "hostNetwork")
        for hit in annotation_hits(texts, host_network=bool(host is not None and host.truth)):
            yield hit, None
        if obj.kind == "StatefulSet":
            yield Hit("headless-service", "StatefulSet: callers may address its pods"), None


def _is_gateway(template: Node) -> bool:
    labels = template.get("metadata", "labels")
    return _of_gateway(labels) or "gateway" in (
        template.text_of("metadata", "annotations", "inject.istio.io/templates") or ""
    )


def _of_gateway(labels: Node | None) -> bool:
    """Labels of a gateway's pods: gateways stay Envoys in ambient mode."""
    entries = (labels.entries if labels else None) or {}
    named = (entries["istio"].text or "").endswith("gateway") if "istio" in entries else False
    return named or any(key in entries for key in _GATEWAY_LABELS)


def _attached(obj: KubeObject) -> bool:
    """A policy that is for a gateway or a waypoint already."""
    spec = obj.root.get("spec")
    if spec is None:
        return False
    if spec.get("targetRef") is not None or spec.children("targetRefs"):
        return True
    return _of_gateway(spec.get("selector", "matchLabels")) or _of_gateway(
        spec.get("workloadSelector", "labels")
    )


def _envoy_filter(obj: KubeObject) -> Iterator[tuple[Hit, str | None]]:
    patches = obj.root.children("spec", "configPatches")
    contexts = {patch.text_of("match", "context") for patch in patches}
    if not _attached(obj) and contexts != {"GATEWAY"}:
        yield Hit("envoy-filter", f"{len(patches)} patches of the proxies' configuration"), None


def _machine(obj: KubeObject) -> Iterator[tuple[Hit, str | None]]:
    yield Hit("virtual-machine", obj.root.text_of("spec", "address") or "a group of machines"), None


def _authorization(obj: KubeObject) -> Iterator[tuple[Hit, str | None]]:
    if _attached(obj):
        return
    annotated = obj.root.get("metadata", "annotations", DRY_RUN)
    if annotated is not None and annotated.truth:
        yield Hit("dry-run", f"{DRY_RUN}: true"), None
    action = obj.root.text_of("spec", "action") or "ALLOW"
    if action in ("CUSTOM", "AUDIT"):
        yield Hit("custom-authorization", f"action {action}"), None
    read = sorted(_http_attributes(obj))
    if read:
        yield Hit("http-authorization", f"{action} reads {', '.join(read)}"), None


def _http_attributes(obj: KubeObject) -> Iterator[str]:
    for rule in obj.root.children("spec", "rules"):
        for part, keys in (("to", _HTTP_OPERATION), ("from", _HTTP_SOURCE)):
            inner = "operation" if part == "to" else "source"
            for one in rule.children(part):
                yield from (key for key in keys if one.children(inner, key))
        for when in rule.children("when"):
            key = when.text_of("key") or ""
            if key not in _LAYER_4_KEYS:
                yield key


def _policy(feature: str, what: str, *, selector_only: bool = False) -> Detector:
    def detect(obj: KubeObject) -> Iterator[tuple[Hit, str | None]]:
        selected = obj.root.get("spec", "selector") is not None
        if not _attached(obj) and (selected or not selector_only):
            yield Hit(feature, f"{what}, {'with' if selected else 'without'} a selector"), None

    return detect


def _virtual_service(obj: KubeObject) -> Iterator[tuple[Hit, str | None]]:
    gateways = [node.text for node in obj.root.children("spec", "gateways")]
    if gateways and "mesh" not in gateways:
        return
    rules = {
        key
        for kind in ("http", "tls", "tcp")
        for route in obj.root.children("spec", kind)
        for key in (kind, *route.names())
    }
    shown = sorted(rules & {"http", "tls", "tcp", "fault", "retries", "timeout", "mirror", "match"})
    for host in obj.root.children("spec", "hosts"):
        place = namespace_of_host(host.text or "", _namespace(obj))
        yield Hit("virtual-service", f"{host.text}: {', '.join(shown)}"), place


def _destination_rule(obj: KubeObject) -> Iterator[tuple[Hit, str | None]]:
    policy = obj.root.get("spec", "trafficPolicy")
    names = [] if policy is None else policy.names()
    if policy is not None and policy.text_of("tls", "mode") in ("ISTIO_MUTUAL", None):
        names = [name for name in names if name != "tls"]
    if names:
        host = obj.root.text_of("spec", "host") or ""
        place = namespace_of_host(host, _namespace(obj))
        yield Hit("destination-rule", f"{host}: {', '.join(sorted(names))}"), place


def _route(obj: KubeObject) -> Iterator[tuple[Hit, str | None]]:
    for parent in obj.root.children("spec", "parentRefs"):
        if parent.text_of("kind") == "Service":
            place = parent.text_of("namespace") or _namespace(obj)
            yield Hit("mesh-route", f"parentRef Service {parent.text_of('name')}"), place


def _always(feature: str, what: str) -> Detector:
    def detect(obj: KubeObject) -> Iterator[tuple[Hit, str | None]]:
        if not _attached(obj):
            yield Hit(feature, what), None

    return detect


def _peer_authentication(obj: KubeObject) -> Iterator[tuple[Hit, str | None]]:
    spec = obj.root.get("spec")
    ports = (spec.get("portLevelMtls") if spec else None) or None
    modes = [spec.text_of("mtls", "mode") if spec else None]
    modes += [port.text_of("mode") for port in ((ports.entries if ports else None) or {}).values()]
    if "DISABLE" in modes:
        yield Hit("mtls-disable", "mode DISABLE"), None


def _service(obj: KubeObject) -> Iterator[tuple[Hit, str | None]]:
    if obj.root.text_of("spec", "clusterIP") == "None":
        yield Hit("headless-service", "clusterIP: None"), None


def _gateway(obj: KubeObject) -> Iterator[tuple[Hit, str | None]]:
    for server in obj.root.children("spec", "servers"):
        if server.text_of("tls", "mode") == "AUTO_PASSTHROUGH":
            for feature in ("multi-cluster", "multi-cluster-none"):
                yield Hit(feature, "a gateway between clusters (AUTO_PASSTHROUGH)"), ROOT_NAMESPACE


def _secret(obj: KubeObject) -> Iterator[tuple[Hit, str | None]]:
    label = obj.root.get("metadata", "labels", "istio/multiCluster")
    if label is not None and label.truth:
        for feature in ("multi-cluster", "multi-cluster-none"):
            yield Hit(feature, "the secret of a remote cluster"), ROOT_NAMESPACE


def _network_policy(obj: KubeObject) -> Iterator[tuple[Hit, str | None]]:
    spec = obj.root.get("spec")
    if spec is None:
        return
    types = [node.text for node in spec.children("policyTypes")]
    if types and "Ingress" not in types:
        return
    rules = spec.children("ingress")
    open_rule = any(not rule.children("ports") for rule in rules)
    ports = {port.text_of("port") for rule in rules for port in rule.children("ports")}
    if not open_rule and HBONE_PORT not in ports:
        shown = ", ".join(sorted(port or "a named port" for port in ports)) or "nothing"
        yield Hit("network-policy", f"allows {shown}, not {HBONE_PORT}"), None


_NETWORKING, _SECURITY, _ROUTES = (
    "networking.istio.io",
    "security.istio.io",
    "gateway.networking.k8s.io",
)
_DETECTORS: dict[str, tuple[tuple[str, Detector], ...]] = {
    "EnvoyFilter": ((_NETWORKING, _envoy_filter),),
    "WorkloadEntry": ((_NETWORKING, _machine),),
    "WorkloadGroup": ((_NETWORKING, _machine),),
    "VirtualService": ((_NETWORKING, _virtual_service),),
    "DestinationRule": ((_NETWORKING, _destination_rule),),
    "Sidecar": ((_NETWORKING, _always("sidecar-scope", "a scope of what sidecars know")),),
    "ProxyConfig": ((_NETWORKING, _always("proxy-config", "settings of the proxies")),),
    "Gateway": ((_NETWORKING, _gateway),),
    "AuthorizationPolicy": ((_SECURITY, _authorization),),
    "RequestAuthentication": ((_SECURITY, _policy("request-authentication", "tokens")),),
    "PeerAuthentication": ((_SECURITY, _peer_authentication),),
    "WasmPlugin": (("extensions.istio.io", _policy("wasm-plugin", "a plugin")),),
    "Telemetry": (
        ("telemetry.istio.io", _policy("telemetry-selector", "telemetry", selector_only=True)),
    ),
    "HTTPRoute": ((_ROUTES, _route),),
    "GRPCRoute": ((_ROUTES, _route),),
    "Service": (("", _service),),
    "Secret": (("", _secret),),
    "NetworkPolicy": (("networking.k8s.io", _network_policy),),
    "SecurityGroupPolicy": (
        ("vpcresources.k8s.aws", _always("security-group-pods", "security groups of pods")),
    ),
}
