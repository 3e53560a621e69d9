"""Istio's own objects, as the user exports them: what metrics cannot show of a call's way.

Metrics name the service that answered. A VirtualService may have sent the call there under another
host, and lives in any namespace; a Sidecar that forgets it loses the route.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rightsize.files.tree import FlawError
from rightsize.files.yaml_text import from_yaml
from rightsize.namespaces.traffic import CLUSTER_DOMAIN

_GROUPS = (
    "networking.istio.io",
    "security.istio.io",
    "telemetry.istio.io",
    "extensions.istio.io",
    "gateway.networking.k8s.io",
)
_ROUTE_KINDS = ("HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute")
_MESH = "mesh"
_Object = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Route:
    """A VirtualService or route of Gateway API that holds for sidecars.

    Hosts are full names, or start with `*`.
    """

    namespace: str
    name: str
    hosts: tuple[str, ...]
    destinations: tuple[str, ...]
    exported_to: tuple[str, ...]
    """Namespaces that see it; `*` for all."""
    delegates: tuple[str, ...] = ()
    """Namespaces that hold its delegates."""

    def seen_by(self, namespace: str) -> bool:
        return "*" in self.exported_to or namespace in self.exported_to


@dataclass(frozen=True)
class Configuration:
    """What the exported objects say."""

    routes: tuple[Route, ...] = ()
    namespaces: Mapping[str, str] = field(default_factory=dict)
    """Namespaces that hold any of Istio's objects, and the kinds they hold."""
    sidecars: Mapping[str, str] = field(default_factory=dict)
    """Namespace to the name of its Sidecar without a workload selector."""
    rules: Mapping[str, str] = field(default_factory=dict)
    """Host to the DestinationRule that it has, as `namespace/name`."""
    entries: tuple[tuple[str, str], ...] = ()
    """Namespace and host of each ServiceEntry."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Full name of each ExternalName Service, to the name that it stands for."""
    providers: tuple[str, ...] = ()
    """Hosts of the mesh's extension providers, which every proxy may call."""
    kinds: frozenset[str] = frozenset()
    """Kinds that the files hold, or of which a cluster was asked for every object."""
    routes_read: bool = False
    """Whether a cluster was asked for every VirtualService: none found is none there."""
    virtual_services: int = 0
    """Routes as istiod counts them (`pilot_virt_services`), those of Gateway API included."""

    @property
    def referenced(self) -> Mapping[str, str]:
        """Namespaces that routes, aliases and providers lead to, each with the reason."""
        found: dict[str, str] = {}
        ends = [
            *(("a route leads to it", host) for r in self.routes for host in r.destinations),
            *(("a route holds for a host of it", host) for r in self.routes for host in r.hosts),
            *(("an alias stands for a service of it", host) for host in self.aliases.values()),
            *(("holds an alias (ExternalName)", host) for host in self.aliases),
            *(("an extension provider runs in it", host) for host in self.providers),
        ]
        for reason, host in ends:
            home = _home(host)
            if home is not None:
                found.setdefault(home, reason)
        return dict(sorted(found.items()))

    def imports_for(self, caller: str, services: Iterable[str]) -> tuple[str, ...]:
        """Egress hosts that the sidecars of a namespace need beside the services they call.

        This is the one resolver from called names to what must be known for them: egress hosts,
        watched namespaces and shards follow it. A VirtualService is taken when one of its hosts is
        imported from the VirtualService's own namespace; its destinations then come along
        (istio/istio, pilot/pkg/model/sidecar.go and virtualservice.go). A host has no listener
        unless its own service is imported as well, wherever that is defined. A Service of type
        ExternalName answers under another name: a route for either name holds for both
        (`matchingAliasService`).

        Parameters
        ----------
        caller : str
            Namespace of the sidecars.
        services : iterable of str
            Hosts that it was seen to call.

        Returns
        -------
        tuple of str
            `namespace/dnsName`; a host of no known namespace stands as `*/dnsName`.
        """
        found: dict[str, None] = {}
        waiting = [*sorted(set(services)), *self.providers]
        for host in self.providers:
            found.update(dict.fromkeys(self._owners(host)))
        named: set[str] = set()
        while waiting:
            service = waiting.pop(0)
            if service in named:
                continue
            named.add(service)
            found.update(dict.fromkeys(self._defined_apart(service)))
            for alias in self._other_names(service):
                found.update(dict.fromkeys(self._owners(alias)))
                waiting.append(alias)
            for route in self.routes:
                if not route.seen_by(caller):
                    continue
                if any(_matches(host, service) for host in route.hosts):
                    found[f"{route.namespace}/{service}"] = None
                elif any(_matches(end, service) for end in route.destinations):
                    for host in route.hosts:
                        found[f"{route.namespace}/{host}"] = None
                        found.update(dict.fromkeys(self._owners(host)))
        return tuple(found)

    def homes_for(self, caller: str, services: Iterable[str]) -> frozenset[str]:
        """Namespaces that hold what `imports_for` names, ServiceEntries and delegates included."""
        called = set(services)
        homes: set[str] = set()
        for wanted in (*self.imports_for(caller, called), *(f"*/{name}" for name in called)):
            place, host = wanted.split("/", 1)
            homes |= self._entry_homes(host) if place == "*" else {place}
            homes |= {
                home
                for route in self.routes
                if route.namespace == place and any(_matches(h, host) for h in route.hosts)
                for home in route.delegates
            }
        return frozenset(homes)

    def _other_names(self, host: str) -> tuple[str, ...]:
        """What a name stands for, and the names that stand for it."""
        standing = [alias for alias, target in self.aliases.items() if target == host]
        return (*([self.aliases[host]] if host in self.aliases else []), *standing)

    def _owners(self, host: str) -> tuple[str, ...]:
        """Where a host's own service is defined, as `namespace/dnsName`."""
        home = _home(host)
        apart = self._defined_apart(host)
        if home is not None:
            return (f"{home}/{host}", *apart)
        exact = {place for place, known in self.entries if _matches(host, known)}
        return (*(f"{place}/{host}" for place in sorted(exact)), *apart) or (f"*/{host}",)

    def _defined_apart(self, host: str) -> tuple[str, ...]:
        """ServiceEntries for a host that importing the host itself would lose.

        A service with a wildcard is imported by its own name or a wider one alone, never by a name
        that it covers (`hostClassification.Matches`, pilot/pkg/model/sidecar.go); and a name of a
        Kubernetes service may be that of a ServiceEntry in another namespace.
        """
        home = _home(host)
        return tuple(
            f"{place}/{known}"
            for place, known in sorted(set(self.entries))
            if _matches(known, host)
            and (
                (known != host and not host.startswith("*")) or (home is not None and home != place)
            )
        )

    def _entry_homes(self, host: str) -> frozenset[str]:
        return frozenset(
            place for place, known in self.entries if _matches(known, host) or _matches(host, known)
        )


def configuration_of(objects: Iterable[_Object], whole: Collection[str] = ()) -> Configuration:
    """Read Istio's objects; others are passed over.

    Parameters
    ----------
    objects : iterable of mapping
        Kubernetes objects, each with `apiVersion`, `kind`, `metadata` and `spec`.
    whole : collection of str
        Kinds of which these are all objects of the cluster.
    """
    everything = list(objects)
    ours = [one for one in everything if _group(one) in _GROUPS]
    kinds: dict[str, set[str]] = {}
    for one in ours:
        kinds.setdefault(_namespace(one), set()).add(str(one.get("kind")))
    virtual = {
        (_namespace(one), _name(one)): _map(one.get("spec"))
        for one in ours
        if one.get("kind") == "VirtualService"
    }
    routes = [_route(place, name, spec, virtual) for (place, name), spec in virtual.items()]
    attached = [one for one in ours if one.get("kind") in _ROUTE_KINDS]
    entries = {
        (_namespace(one), _name(one)): tuple(map(str, _list(_map(one.get("spec")).get("hosts"))))
        for one in ours
        if one.get("kind") == "ServiceEntry"
    }
    routes += [_attached_route(one, entries) for one in attached]
    return Configuration(
        routes=tuple(route for route in routes if route is not None),
        namespaces={place: ", ".join(sorted(found)) for place, found in sorted(kinds.items())},
        sidecars={
            _namespace(one): _name(one)
            for one in ours
            if one.get("kind") == "Sidecar" and not _map(one.get("spec")).get("workloadSelector")
        },
        rules={
            _full(str(_map(one.get("spec")).get("host", "")), _namespace(one)): (
                f"{_namespace(one)}/{_name(one)}"
            )
            for one in ours
            if one.get("kind") == "DestinationRule"
        },
        entries=tuple((place, host) for (place, _), hosts in entries.items() for host in hosts),
        aliases=_aliases(everything),
        providers=_providers(everything),
        kinds=frozenset({*whole, *(str(one.get("kind")) for one in everything)}),
        routes_read="VirtualService" in whole,
        virtual_services=len(virtual) + len(attached),
    )


def _aliases(objects: Iterable[_Object]) -> dict[str, str]:
    """ExternalName Services, by full name."""
    found = {}
    for one in objects:
        spec = _map(one.get("spec"))
        if one.get("kind") == "Service" and spec.get("type") == "ExternalName":
            name = f"{_name(one)}.{_namespace(one)}.{CLUSTER_DOMAIN}"
            found[name] = str(spec.get("externalName", "")).removesuffix(".")
    return found


def _providers(objects: Iterable[_Object]) -> tuple[str, ...]:
    """Hosts of `extensionProviders` in the mesh's ConfigMap, or in a MeshConfig of its own.

    A provider names its service as `host`, or as `namespace/host`.
    """
    hosts: dict[str, None] = {}
    for one in objects:
        if one.get("kind") != "ConfigMap" or not _name(one).startswith("istio"):
            continue
        try:
            found = from_yaml(str(_map(one.get("data")).get("mesh", "")))
        except FlawError:
            continue
        for provider in _list(_map(found[0] if found else None).get("extensionProviders")):
            for settings in map(_map, _map(provider).values()):
                if settings.get("service"):
                    hosts[str(settings["service"]).rsplit("/", 1)[-1]] = None
    return tuple(hosts)


def _attached_route(
    route: _Object, entries: Mapping[tuple[str, str], tuple[str, ...]]
) -> Route | None:
    """A route of Gateway API with a Service or ServiceEntry as its parent, which sidecars follow.

    `entries` holds the hosts of ServiceEntries by namespace and name.
    """
    spec, namespace = _map(route.get("spec")), _namespace(route)
    hosts: list[str] = []
    for parent in map(_map, _list(spec.get("parentRefs"))):
        if parent.get("kind") == "ServiceEntry":
            key = (str(parent.get("namespace") or namespace), str(parent.get("name")))
            hosts += entries.get(key, ())
        elif parent.get("kind") in ("Service", "Hostname"):
            hosts.append(_service(parent, namespace))
    if not hosts:
        return None
    ends = []
    for rule in map(_map, _list(spec.get("rules"))):
        ends += [_map(one) for one in _list(rule.get("backendRefs"))]
        for part in (rule, *ends):
            for one in map(_map, _list(part.get("filters"))):
                mirror = _map(one.get("requestMirror"))
                ends += [_map(mirror["backendRef"])] if mirror.get("backendRef") else []
    return Route(
        namespace,
        _name(route),
        tuple(dict.fromkeys(hosts)),
        tuple(dict.fromkeys(_service(end, namespace) for end in ends if end.get("name"))),
        ("*",),
    )


def _service(reference: _Object, namespace: str) -> str:
    """Full name of what a reference of Gateway API points to."""
    name = str(reference.get("name", ""))
    if reference.get("kind") == "Hostname":
        return name
    return f"{name}.{reference.get('namespace') or namespace}.{CLUSTER_DOMAIN}"


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
        tuple(dict.fromkeys(_delegates(spec, namespace))),
    )


def _delegates(spec: _Object, namespace: str) -> Iterable[str]:
    for rule in map(_map, _list(spec.get("http"))):
        delegate = _map(rule.get("delegate"))
        if delegate:
            yield str(delegate.get("namespace") or namespace)


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


def namespace_of_host(host: str, namespace: str) -> str | None:
    """Namespace of the service that an object of `namespace` means; None where it is none of Kubernetes'."""
    return _home(_full(host, namespace))


def _home(host: str) -> str | None:
    """Namespace of a Kubernetes service, or None for any other host."""
    if host.startswith("*") or not host.endswith(f".{CLUSTER_DOMAIN}"):
        return None
    parts = host.removesuffix(f".{CLUSTER_DOMAIN}").split(".")
    return parts[-1] if len(parts) > 1 else None


def _group(one: _Object) -> str:
    return str(one.get("apiVersion", "")).split("/")[0]


def _namespace(one: _Object) -> str:
    return str(_map(one.get("metadata")).get("namespace") or "default")


def _name(one: _Object) -> str:
    return str(_map(one.get("metadata")).get("name", ""))


def _map(value: object) -> _Object:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()
