"""Istio's own objects, as the user exports them: what metrics cannot tell of a call's way.

Metrics name the service that answered. A VirtualService may have sent the call there under another
host, and lives in any namespace; a Sidecar that forgets it loses the route.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rightsize.namespaces.traffic import CLUSTER_DOMAIN

EXPORT = (
    "kubectl get virtualservices,serviceentries,destinationrules,gateways.networking.istio.io,"
    "sidecars,authorizationpolicies,peerauthentications,requestauthentications,telemetries "
    "-A -o yaml > istio.yaml"
)
_GROUPS = (
    "networking.istio.io",
    "security.istio.io",
    "telemetry.istio.io",
    "extensions.istio.io",
    "gateway.networking.k8s.io",
)
_MESH = "mesh"
_Object = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Route:
    """A VirtualService that holds for sidecars. Hosts are full names, or start with `*`."""

    namespace: str
    name: str
    hosts: tuple[str, ...]
    destinations: tuple[str, ...]
    exported_to: tuple[str, ...]
    """Namespaces that see it; `*` for all."""

    def seen_by(self, namespace: str) -> bool:
        return "*" in self.exported_to or namespace in self.exported_to


@dataclass(frozen=True)
class Configuration:
    """What the exported objects tell."""

    routes: tuple[Route, ...] = ()
    namespaces: Mapping[str, str] = field(default_factory=dict)
    """Namespaces that hold any of Istio's objects, and the kinds they hold."""
    sidecars: Mapping[str, str] = field(default_factory=dict)
    """Namespace to the name of its Sidecar without a workload selector."""
    rules: Mapping[str, str] = field(default_factory=dict)
    """Host to the DestinationRule that it has, as `namespace/name`."""
    entries: tuple[tuple[str, str], ...] = ()
    """Namespace and host of each ServiceEntry."""

    def homes_for(self, caller: str, services: Iterable[str]) -> frozenset[str]:
        """Namespaces that hold VirtualServices or ServiceEntries for what `caller` calls."""
        called = set(services)
        routes = {host.split("/", 1)[0] for host in self.hosts_for(caller, called)}
        defined = {
            place
            for place, host in self.entries
            if any(_matches(host, service) or host == service for service in called)
        }
        return frozenset(routes | defined)

    def hosts_for(self, caller: str, services: Iterable[str]) -> tuple[str, ...]:
        """Egress hosts that keep the routes of `services` for the sidecars of a namespace.

        A VirtualService is taken when one of its hosts is imported from the VirtualService's own
        namespace; its destinations then come along (istio/istio, pilot/pkg/model/sidecar.go and
        virtualservice.go).

        Parameters
        ----------
        caller : str
            Namespace of the sidecars.
        services : iterable of str
            Hosts that it was seen to call.
        """
        called = sorted(set(services))
        found: dict[str, None] = {}
        for route in self.routes:
            if not route.seen_by(caller):
                continue
            for service in called:
                if any(_matches(host, service) for host in route.hosts):
                    found[f"{route.namespace}/{service}"] = None
                elif service in route.destinations:
                    for host in route.hosts:
                        found[f"{route.namespace}/{host}"] = None
                        found.update(dict.fromkeys(_home(host)))
        return tuple(found)


def configuration_of(objects: Iterable[_Object]) -> Configuration:
    """Read Istio's objects; others are passed over.

    Parameters
    ----------
    objects : iterable of mapping
        Kubernetes objects, each with `apiVersion`, `kind`, `metadata` and `spec`.
    """
    ours = [thing for thing in objects if _group(thing) in _GROUPS]
    kinds: dict[str, set[str]] = {}
    for thing in ours:
        kinds.setdefault(_namespace(thing), set()).add(str(thing.get("kind")))
    virtual = {
        (_namespace(thing), _name(thing)): _map(thing.get("spec"))
        for thing in ours
        if thing.get("kind") == "VirtualService"
    }
    routes = [_route(place, name, spec, virtual) for (place, name), spec in virtual.items()]
    return Configuration(
        routes=tuple(route for route in routes if route is not None),
        namespaces={place: ", ".join(sorted(found)) for place, found in sorted(kinds.items())},
        sidecars={
            _namespace(thing): _name(thing)
            for thing in ours
            if thing.get("kind") == "Sidecar"
            and not _map(thing.get("spec")).get("workloadSelector")
        },
        rules={
            _full(str(_map(thing.get("spec")).get("host", "")), _namespace(thing)): (
                f"{_namespace(thing)}/{_name(thing)}"
            )
            for thing in ours
            if thing.get("kind") == "DestinationRule"
        },
        entries=tuple(
            (_namespace(thing), str(host))
            for thing in ours
            if thing.get("kind") == "ServiceEntry"
            for host in _list(_map(thing.get("spec")).get("hosts"))
        ),
    )


def _route(
    namespace: str, name: str, spec: _Object, others: Mapping[tuple[str, str], _Object]
) -> Route | None:
    gateways = [str(gateway) for gateway in _list(spec.get("gateways"))]
    hosts = tuple(_full(str(host), namespace) for host in _list(spec.get("hosts")))
    if not hosts or (gateways and _MESH not in gateways):
        return None
    places = [str(place) for place in _list(spec.get("exportTo"))] or ["*"]
    return Route(
        namespace,
        name,
        hosts,
        tuple(dict.fromkeys(_destinations(spec, namespace, others))),
        tuple(namespace if place == "." else place for place in places),
    )


def _destinations(
    spec: _Object, namespace: str, others: Mapping[tuple[str, str], _Object]
) -> Iterable[str]:
    for kind in ("http", "tls", "tcp"):
        for rule in map(_map, _list(spec.get(kind))):
            ends = [_map(_map(part).get("destination")) for part in _list(rule.get("route"))]
            ends.append(_map(rule.get("mirror")))
            ends += [_map(_map(part).get("destination")) for part in _list(rule.get("mirrors"))]
            yield from (_full(str(end["host"]), namespace) for end in ends if end.get("host"))
            delegate = _map(rule.get("delegate"))
            place = str(delegate.get("namespace") or namespace)
            taken = others.get((place, str(delegate.get("name"))))
            # A delegate has no hosts, and none of its own delegates.
            if taken is not None and not taken.get("hosts"):
                yield from _destinations(taken, place, {})


def _full(host: str, namespace: str) -> str:
    """A name without a dot is a service of the object's own namespace."""
    return host if "." in host or host == "*" else f"{host}.{namespace}.{CLUSTER_DOMAIN}"


def _matches(pattern: str, host: str) -> bool:
    if pattern.startswith("*"):
        return host.endswith(pattern[1:])
    return pattern == host


def _home(host: str) -> Sequence[str]:
    """The host's own service, so that its ports are listened on."""
    if host.startswith("*") or not host.endswith(f".{CLUSTER_DOMAIN}"):
        return ()
    parts = host.removesuffix(f".{CLUSTER_DOMAIN}").split(".")
    return (f"{parts[-1]}/{host}",) if len(parts) > 1 else ()


def _group(thing: _Object) -> str:
    return str(thing.get("apiVersion", "")).split("/")[0]


def _namespace(thing: _Object) -> str:
    return str(_map(thing.get("metadata")).get("namespace") or "default")


def _name(thing: _Object) -> str:
    return str(_map(thing.get("metadata")).get("name", ""))


def _map(value: object) -> _Object:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()
