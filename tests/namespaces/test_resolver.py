"""An edge that was seen or configured is never cut: every called name leads to all it needs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightsize.namespaces.configuration import Configuration, configuration_of
from rightsize.namespaces.study import routes_known
from rightsize.namespaces.traffic import CLUSTER_DOMAIN, egress_host

GATEWAY = f"istio-egressgateway.istio-system.{CLUSTER_DOMAIN}"
WEB = f"web.shop.{CLUSTER_DOMAIN}"


def obj(kind: str, name: str, namespace: str, spec: dict, group: str = "networking.istio.io/v1"):
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": group, "kind": kind, "metadata": metadata, "spec": spec}


def through_gateway(place: str, entry: str) -> Configuration:
    """TLS to an outside host goes through the egress gateway; the ServiceEntry lies elsewhere."""
    route = {
        "hosts": ["api.example.com"],
        "gateways": ["mesh"],
        "tls": [
            {"match": [{"sniHosts": ["api.example.com"]}],
             "route": [{"destination": {"host": GATEWAY}}]},
        ],
    }  # fmt: skip
    return configuration_of(
        [
            obj("VirtualService", "out", place, route),
            obj("ServiceEntry", "api", entry, {"hosts": ["api.example.com"]}),
        ]
    )


@pytest.mark.parametrize(("place", "entry"), [("shop", "egress"), ("egress", "egress"), ("a", "b")])
def test_a_service_entry_is_imported_from_where_it_lies(place, entry):
    found = through_gateway(place, entry).imports_for("shop", [GATEWAY])
    assert f"{place}/api.example.com" in found
    assert f"{entry}/api.example.com" in found


def test_an_outside_host_without_an_entry_is_imported_from_anywhere():
    route = {"hosts": ["api.example.com"], "http": [{"route": [{"destination": {"host": WEB}}]}]}
    found = configuration_of([obj("VirtualService", "r", "a", route)]).imports_for("b", [WEB])
    assert "*/api.example.com" in found


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"])
def test_a_route_with_a_service_as_its_parent_is_a_route(kind):
    spec = {
        "parentRefs": [{"kind": "Service", "group": "", "name": "web", "namespace": "shop"}],
        "rules": [{"backendRefs": [{"name": "web-v2", "port": 80}]}],
    }
    route = obj(kind, "canary", "shop", spec, "gateway.networking.k8s.io/v1")
    found = configuration_of([route])
    v2 = f"web-v2.shop.{CLUSTER_DOMAIN}"
    assert set(found.imports_for("front", [v2])) == {f"shop/{WEB}"}
    assert found.imports_for("front", [WEB]) == (f"shop/{WEB}",)


def test_a_route_of_a_gateway_is_none_of_the_sidecars():
    spec = {"parentRefs": [{"name": "ingress"}], "rules": []}
    route = obj("HTTPRoute", "in", "shop", spec, "gateway.networking.k8s.io/v1")
    assert configuration_of([route]).routes == ()


def alias(name: str, namespace: str, target: str):
    return obj("Service", name, namespace, {"type": "ExternalName", "externalName": target}, "v1")


def test_a_route_for_an_alias_holds_for_what_it_stands_for():
    short = f"web-alias.front.{CLUSTER_DOMAIN}"
    route = {"hosts": [short], "http": [{"route": [{"destination": {"host": WEB}}]}]}
    found = configuration_of(
        [alias("web-alias", "front", WEB), obj("VirtualService", "r", "x", route)]
    )
    imports = found.imports_for("front", [WEB])
    assert f"front/{short}" in imports
    assert f"x/{short}" in imports
    assert {"front", "shop"} <= set(found.referenced)


def test_aliases_that_stand_for_each_other_end():
    one, other = f"a.x.{CLUSTER_DOMAIN}", f"b.x.{CLUSTER_DOMAIN}"
    found = configuration_of([alias("a", "x", other), alias("b", "x", one)])
    assert f"x/{one}" in found.imports_for("y", [other])


def test_the_services_of_extension_providers_stay_in_every_scope():
    mesh = "extensionProviders:\n- name: otel\n  opentelemetry:\n    service: obs/otel.obs.svc.cluster.local\n"
    config = {
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "istio", "namespace": "istio-system"}, "data": {"mesh": mesh},
    }  # fmt: skip
    found = configuration_of([config])
    assert found.imports_for("shop", []) == ("obs/otel.obs.svc.cluster.local",)
    assert "obs" in found.referenced


def test_a_delegates_namespace_is_a_home_of_the_call():
    root = {
        "hosts": [WEB],
        "http": [{"delegate": {"name": "part", "namespace": "parts"}}],
    }
    part = {"http": [{"route": [{"destination": {"host": f"v2.shop.{CLUSTER_DOMAIN}"}}]}]}
    found = configuration_of(
        [obj("VirtualService", "root", "roots", root), obj("VirtualService", "part", "parts", part)]
    )
    assert {"roots", "parts"} <= found.homes_for("front", [WEB])


@pytest.mark.parametrize(
    ("held", "reported", "known"),
    [(0, 0.0, True), (0, 3.0, False), (2, 3.0, False), (3, 3.0, True), (0, None, False), (1, None, True)],
)  # fmt: skip
def test_files_count_as_whole_only_when_they_hold_what_istiod_knows(held, reported, known):
    assert routes_known(Configuration(virtual_services=held), reported) is known
    assert routes_known(None, reported) is (reported == 0)


def test_a_route_with_a_service_entry_as_its_parent_holds_for_the_entrys_hosts():
    parent = {
        "kind": "ServiceEntry",
        "group": "networking.istio.io",
        "name": "api",
        "namespace": "x",
    }
    spec = {"parentRefs": [parent], "rules": [{"backendRefs": [{"name": "proxy", "port": 80}]}]}
    found = configuration_of(
        [
            obj("ServiceEntry", "api", "x", {"hosts": ["api.example.com"]}),
            obj("HTTPRoute", "r", "y", spec, "gateway.networking.k8s.io/v1"),
        ]
    )
    imports = found.imports_for("front", [f"proxy.y.{CLUSTER_DOMAIN}"])
    assert {"y/api.example.com", "x/api.example.com"} <= set(imports)


def test_an_entry_with_a_wildcard_is_imported_by_its_own_name():
    found = configuration_of([obj("ServiceEntry", "e", "out", {"hosts": ["*.example.com"]})])
    assert found.imports_for("front", ["api.example.com"]) == ("out/*.example.com",)
    assert "out" in found.homes_for("front", ["api.example.com"])


def test_an_entry_named_like_a_service_is_imported_from_where_it_lies():
    found = configuration_of([obj("ServiceEntry", "vm", "infra", {"hosts": [WEB]})])
    assert found.imports_for("front", [WEB]) == (f"infra/{WEB}",)


NAMESPACES = st.sampled_from(["a", "b", "c"])
SERVICES = st.builds(
    lambda name, place: f"{name}.{place}.{CLUSTER_DOMAIN}", st.sampled_from("stu"), NAMESPACES
)
OUTSIDE = st.sampled_from(["api.example.com", "x.example.org", "deep.api.example.com"])
HOSTS = st.one_of(SERVICES, OUTSIDE)
WRITTEN = st.one_of(HOSTS, st.sampled_from("stu"), st.sampled_from(["*.example.com", "*.org"]))
"""As people write them: short names and wildcards, too."""
DOCUMENTED = st.one_of(HOSTS, st.sampled_from(["*.example.com", "*.api.example.com"]))


@st.composite
def attached(draw, number: int):
    parent = draw(st.sampled_from([
        {"kind": "Service", "group": "", "name": draw(st.sampled_from("stu"))},
        {"kind": "Service", "group": "", "name": "s", "namespace": draw(NAMESPACES)},
        {"kind": "ServiceEntry", "group": "networking.istio.io", "name": "e0",
         "namespace": draw(NAMESPACES)},
        {"kind": "Hostname", "group": "networking.istio.io", "name": draw(HOSTS)},
    ]))  # fmt: skip
    backend = draw(st.sampled_from([
        {"name": draw(st.sampled_from("stu")), "port": 80},
        {"name": "t", "namespace": draw(NAMESPACES), "port": 80},
        {"kind": "Hostname", "group": "networking.istio.io", "name": draw(OUTSIDE)},
    ]))  # fmt: skip
    spec = {"parentRefs": [parent], "rules": [{"backendRefs": [backend]}]}
    kind = draw(st.sampled_from(["HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"]))
    return obj(kind, f"g{number}", draw(NAMESPACES), spec, "gateway.networking.k8s.io/v1")


@st.composite
def meshes(draw):
    objects = [
        obj("VirtualService", f"r{n}", draw(NAMESPACES), {
            "hosts": draw(st.lists(WRITTEN, min_size=1, max_size=2, unique=True)),
            "http": [{"route": [{"destination": {"host": h}}
                                for h in draw(st.lists(WRITTEN.filter(lambda h: "*" not in h),
                                                       min_size=1, max_size=2))]}],
        })
        for n in range(draw(st.integers(0, 4)))
    ]  # fmt: skip
    objects += [
        obj("ServiceEntry", f"e{n}", draw(NAMESPACES), {"hosts": [draw(DOCUMENTED)]})
        for n in range(draw(st.integers(0, 3)))
    ]
    objects += [draw(attached(n)) for n in range(draw(st.integers(0, 2)))]
    objects += [
        alias(f"alias{n}", draw(NAMESPACES), draw(HOSTS)) for n in range(draw(st.integers(0, 2)))
    ]
    return configuration_of(objects)


def subset_of(name: str, other: str) -> bool:
    """istio/istio, pkg/config/host/name.go."""
    if name.startswith("*"):
        longer = len(name) >= len(other)
        return other.startswith("*") and longer and name[1:].endswith(other[1:])
    return name.endswith(other[1:]) if other.startswith("*") else name == other


def is_imported(host: str, namespace: str, egress: set[str]) -> bool:
    """Whether a Sidecar with these egress hosts has a service (pilot/pkg/model/sidecar.go)."""
    pairs = [one.split("/", 1) for one in egress]
    return any(place in ("*", namespace) and subset_of(host, name) for place, name in pairs)


def egress_of(mesh: Configuration, caller: str, called: list[str]) -> set[str]:
    """Hosts of the Sidecar: those of the calls that were seen, and what leads to them."""
    seen = {egress_host(name, "unknown") for name in called}
    return {*seen, *mesh.imports_for(caller, called)}


@given(meshes(), NAMESPACES, st.lists(HOSTS, min_size=1, max_size=3))
def test_every_route_that_leads_to_a_called_name_is_imported_with_its_host(mesh, caller, called):
    egress = egress_of(mesh, caller, called)
    for route in mesh.routes:
        ends = any(subset_of(name, end) for end in route.destinations for name in called)
        holds = any(subset_of(name, host) for host in route.hosts for name in called)
        if ends or holds:
            pairs = [one.split("/", 1) for one in egress]
            assert any(
                place in ("*", route.namespace) and (subset_of(h, name) or subset_of(name, h))
                for place, name in pairs
                for h in route.hosts
            ), route


@given(meshes(), NAMESPACES, st.lists(HOSTS, min_size=1, max_size=3))
def test_every_service_of_a_called_name_stays_wherever_it_is_defined(mesh, caller, called):
    egress = egress_of(mesh, caller, called)
    for name in called:
        if name.endswith(CLUSTER_DOMAIN):
            assert is_imported(name, name.split(".")[1], egress)
        for place, entry in mesh.entries:
            if subset_of(name, entry):
                assert is_imported(entry, place, egress), (place, entry)


@given(meshes(), NAMESPACES, st.lists(HOSTS, min_size=1, max_size=3))
def test_the_host_of_a_route_to_a_called_name_keeps_its_own_service(mesh, caller, called):
    """A host without a service in scope has no listener: its route then matches nothing."""
    egress = egress_of(mesh, caller, called)
    for route in mesh.routes:
        if not any(subset_of(name, end) for end in route.destinations for name in called):
            continue
        if any(subset_of(name, host) for host in route.hosts for name in called):
            continue
        for host in route.hosts:
            if host.endswith(CLUSTER_DOMAIN) and "*" not in host:
                assert is_imported(host, host.split(".")[1], egress), host
            for place, entry in mesh.entries:
                if subset_of(host, entry):
                    assert is_imported(entry, place, egress), (host, place, entry)


@given(meshes(), NAMESPACES, st.lists(HOSTS, min_size=1, max_size=3))
def test_homes_are_the_namespaces_of_the_imports(mesh, caller, called):
    homes = mesh.homes_for(caller, called)
    for host in mesh.imports_for(caller, called):
        place = host.split("/")[0]
        assert place == "*" or place in homes
