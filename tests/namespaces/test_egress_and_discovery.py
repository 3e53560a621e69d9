"""A scope holds every call that was seen, and says how sure it is that there are no others."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rightsize.namespaces import covers, discovery_scope, edges, egress_scopes
from rightsize.namespaces.configuration import configuration_of
from rightsize.namespaces.traffic import egress_host, merged
from rightsize.snapshot.schema import frame

START = pd.Timestamp("2026-09-01T00:00Z")
END = START + pd.Timedelta("20D")


def call(
    source: str,
    service: str,
    *,
    destination: str | None = None,
    day: int = 0,
    days: int = 20,
    requests: float = 100.0,
    protocol: str = "http",
) -> pd.DataFrame:
    """One call an hour at noon: `source` as namespace/workload, `service` as a host."""
    namespace, workload = source.split("/")
    home = service.split(".")[1] if service.endswith(".svc.cluster.local") else "unknown"
    place, owner = (destination or f"{home}/{service.split('.')[0]}").split("/")
    return pd.DataFrame(
        {
            "time": [START + pd.Timedelta(d, "D") + pd.Timedelta("12h")
                     for d in range(day, day + days)],
            "source_namespace": namespace, "source_workload": workload,
            "destination_namespace": place, "destination_workload": owner,
            "destination_service": service, "protocol": protocol,
            "requests": requests, "errors": 0.0, "duration_seconds": requests * 0.02,
        }
    )  # fmt: skip


def graph(*calls: pd.DataFrame) -> pd.DataFrame:
    return edges(frame("traffic", pd.concat(calls, ignore_index=True)))


def scopes(*calls: pd.DataFrame, namespaces: tuple[str, ...] = ("shop", "pay"), **options):
    found = egress_scopes(graph(*calls), namespaces, window_days=20, end=END, **options)
    return {scope.namespace: scope for scope in found}


def cluster(**components: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pods and containers: `shop="sidecar"` is a namespace with one sidecar."""
    containers = pd.DataFrame(
        {
            "namespace": list(components),
            "pod": [f"{n}-0" for n in components],
            "container": ["istio-proxy" if c else "app" for c in components.values()],
            "component": [c or None for c in components.values()],
        }
    )
    pods = containers[["namespace", "pod"]].assign(workload=containers["namespace"] + "-app")
    return frame("pods", pods).assign(day=START), frame("containers", containers).assign(day=START)


CART = "cart.shop.svc.cluster.local"
CARD = "card.pay.svc.cluster.local"


def test_the_hosts_are_those_seen_and_the_given_ones():
    found = scopes(call("shop/web", CART), call("shop/web", CARD), call("pay/card", CARD))
    assert found["shop"].hosts == (
        "pay/card.pay.svc.cluster.local", "shop/cart.shop.svc.cluster.local", "istio-system/*",
    )  # fmt: skip
    assert found["shop"].given == ("istio-system/*",)
    assert found["pay"].hosts == ("pay/card.pay.svc.cluster.local", "istio-system/*")


def test_hosts_can_be_given():
    found = scopes(call("shop/web", CART), given=("logs/*",))
    assert found["shop"].hosts[-1] == "logs/*"
    assert "istio-system/*" not in found["shop"].hosts


def test_the_root_namespace_gets_no_sidecar_for_it_would_be_everybodys_default():
    found = scopes(call("istio-system/gateway", CART), namespaces=("istio-system", "shop"))
    assert found == {}


@pytest.mark.parametrize(
    ("service", "namespace", "host"),
    [
        ("cart.shop.svc.cluster.local", "shop", "shop/cart.shop.svc.cluster.local"),
        ("db-0.db.data.svc.cluster.local", "data", "data/db.data.svc.cluster.local"),
        ("api.stripe.com", "unknown", "*/api.stripe.com"),
        ("cart.shop.svc.clusterset.local", "shop", "*/cart.shop.svc.clusterset.local"),
        ("unknown", "shop", "shop/*"),
        ("cart", "shop", "shop/*"),
        ("PassthroughCluster", "unknown", None),
        ("10.0.3.4", "unknown", None),
        ("10.0.3.4:3306", "unknown", None),
        ("api.stripe.com:8443", "unknown", "*/api.stripe.com"),
        ("*.stripe.com", "unknown", "*/*.stripe.com"),
        ("cart.shop.svc.cluster.local:80", "shop", "shop/cart.shop.svc.cluster.local"),
        ("under_score.example.com", "unknown", None),
        ("a.b/../c", "shop", "shop/*"),
        ("unknown", "unknown", None),
    ],
)
def test_a_destination_has_this_host(service, namespace, host):
    assert egress_host(service, namespace) == host


@pytest.mark.parametrize(
    ("hosts", "reached"),
    [
        (["shop/cart.shop.svc.cluster.local"], True),
        (["*/cart.shop.svc.cluster.local"], True),
        (["shop/*"], True),
        (["./*"], False),
        (["*/*.shop.svc.cluster.local"], True),
        (["pay/*"], False),
        (["shop/web.shop.svc.cluster.local"], False),
    ],
)
def test_a_sidecar_reaches_what_its_hosts_cover(hosts, reached):
    assert covers(hosts, CART, "shop", caller="pay") is reached


_names = st.sampled_from(["shop", "pay", "data", "web-1", "x"])
_services = st.one_of(
    st.builds(lambda s, n: f"{s}.{n}.svc.cluster.local", _names, _names),
    st.builds(lambda s, n: f"{s}-0.{s}.{n}.svc.cluster.local", _names, _names),
    st.sampled_from(["unknown", "PassthroughCluster", "api.stripe.com", "10.1.2.3", "cart",
                     "cart.shop.svc.clusterset.local"]),
)  # fmt: skip
_calls = st.lists(
    st.tuples(_names, _names, _services, st.one_of(_names, st.just("unknown")),
              st.integers(0, 19), st.sampled_from(["http", "tcp", "grpc"])),
    min_size=1, max_size=20,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(_calls)
def test_no_edge_that_was_seen_is_ever_cut(calls):
    seen = graph(
        *(
            call(f"{place}/{workload}", service, destination=f"{home}/{workload}", day=day,
                 days=1, protocol=protocol)
            for place, workload, service, home, day, protocol in calls
        )
    )  # fmt: skip
    meshed = sorted({row[0] for row in calls})
    found = egress_scopes(seen, meshed, window_days=20, end=END)
    hosts = {scope.namespace: scope.hosts for scope in found}
    pods, containers = cluster(**dict.fromkeys(meshed, "sidecar"))
    selected = discovery_scope(seen, pods, containers).selected
    for row in seen.to_dict("records"):
        caller, home = row["source_namespace"], row["destination_namespace"]
        assert covers(hosts[caller], row["destination_service"], home, caller)
        assert caller in selected
        assert home == "unknown" or home in selected


def test_confidence_counts_days_and_what_is_still_new():
    steady = scopes(call("shop/web", CART))["shop"].confidence
    assert (steady.days, steady.window_days, steady.new_in_last_week) == (20, 20, 0)
    assert steady.enough
    fresh = scopes(call("shop/web", CART), call("shop/web", CARD, day=18, days=1))["shop"]
    assert fresh.confidence.new_in_last_week == 1
    assert not fresh.confidence.enough
    assert fresh.confidence.unseen_share == pytest.approx(1 / 21)


def test_rare_callers_are_listed():
    found = scopes(call("shop/web", CART), call("shop/report", CARD, day=3, days=1))["shop"]
    assert [(r.workload, r.service, r.days) for r in found.rare] == [("report", CARD, 1)]


def test_days_read_apart_give_the_same_edges():
    whole = pd.concat([call("shop/web", CART), call("pay/card", CART, day=4, days=3)])
    days = [edges(frame("traffic", rows)) for _, rows in whole.groupby(whole["time"].dt.floor("D"))]
    pd.testing.assert_frame_equal(
        merged(days), edges(frame("traffic", whole)), check_like=True, check_dtype=False
    )


def test_discovery_keeps_proxies_the_called_the_root_and_the_given():
    pods, containers = cluster(shop="sidecar", ingress="gateway", data="", batch="", tools="")
    found = discovery_scope(
        graph(call("shop/web", "db.data.svc.cluster.local")), pods, containers,
        labels={"default": {}, "new": {"istio-injection": "enabled"}}, given=("tools",),
    )  # fmt: skip
    assert set(found.selected) == {"istio-system", "shop", "ingress", "data", "tools", "new"}
    assert found.left_out == ("batch", "default")
    assert found.commands[0] == "kubectl label namespace data istio-discovery=enabled --overwrite"


def test_discovery_warns_of_gateways_and_of_services_without_a_sidecar():
    pods, containers = cluster(shop="sidecar", ingress="gateway", data="", batch="")
    seen = graph(
        call("shop/web", "db.data.svc.cluster.local"),
        call("unknown/unknown", CART),
    )
    warnings = " ".join(discovery_scope(seen, pods, containers).warnings)
    assert "gateways in ingress route only to selected namespaces" in warnings
    assert "called without a sidecar of their own, kept in discovery: data" in warnings
    assert "1 services are called from outside the mesh" in warnings


def test_discovery_warns_of_what_metrics_cannot_tell():
    pods, containers = cluster(shop="sidecar", data="")
    seen = graph(call("shop/web", "api.stripe.com", destination="unknown/unknown"))
    warnings = " ".join(discovery_scope(seen, pods, containers).warnings)
    assert "give them with -f, or name their namespaces with --keep" in warnings
    assert "hosts of ServiceEntries are called (api.stripe.com)" in warnings
    assert "no ConfigMap istio-ca-root-cert" in warnings
    assert "several clusters" in warnings
    assert "admission webhooks" in warnings


def test_a_namespace_that_holds_only_configuration_stays_in_discovery():
    pods, containers = cluster(shop="sidecar", data="")
    reported = configuration_of([virtual_service("routing", ["pay.example.com"], [CARD])])
    found = discovery_scope(graph(call("shop/web", CART)), pods, containers, configuration=reported)
    assert found.selected["routing"] == "holds configuration of the mesh: VirtualService"
    assert not any("give them with -f" in warning for warning in found.warnings)


def virtual_service(namespace: str, hosts: list[str], destinations: list[str], **spec):
    """A VirtualService that sends its hosts to the destinations, one rule each."""
    rules = [{"route": [{"destination": {"host": host}}]} for host in destinations]
    return {
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": f"to-{hosts}-{destinations}", "namespace": namespace},
        "spec": {"hosts": hosts, "http": rules, **spec},
    }  # fmt: skip


def routed(*objects, **options):
    return scopes(call("shop/web", CARD), configuration=configuration_of(objects), **options)[
        "shop"
    ].routed


def test_a_virtual_service_keeps_the_host_that_its_callers_ask_for():
    found = routed(virtual_service("shop", ["billing"], ["card.pay.svc.cluster.local"]))
    assert found == ("shop/billing.shop.svc.cluster.local",)


def test_a_virtual_service_of_another_namespace_is_imported_from_there_with_the_hosts_own_service():
    found = routed(virtual_service("routing", ["old.pay.svc.cluster.local"], [CARD]))
    assert found == ("routing/old.pay.svc.cluster.local", "pay/old.pay.svc.cluster.local")


def test_a_virtual_service_for_the_called_host_itself_is_kept_wherever_it_lives():
    assert routed(virtual_service("routing", [CARD], [CARD])) == (f"routing/{CARD}",)
    wide = virtual_service("routing", ["*.pay.svc.cluster.local"], [CARD])
    assert routed(wide) == (f"routing/{CARD}",)
    assert routed(virtual_service("pay", [CARD], [CARD])) == ()


@pytest.mark.parametrize(
    "spec",
    [{"gateways": ["istio-ingress/public"]}, {"exportTo": ["."]}, {"exportTo": ["batch"]}],
    ids=["for a gateway alone", "private", "for others"],
)
def test_a_virtual_service_that_the_callers_do_not_see_adds_nothing(spec):
    assert routed(virtual_service("routing", ["pay.example.com"], [CARD], **spec)) == ()


def test_delegates_mirrors_and_tcp_routes_count_as_destinations():
    root = virtual_service(
        "routing", ["pay.example.com"], [],
        http=[{"delegate": {"name": "part", "namespace": "pay"}}], gateways=["mesh", "public"],
    )  # fmt: skip
    part = {
        **virtual_service("pay", [], ["card"]),
        "metadata": {"name": "part", "namespace": "pay"},
    }
    assert routed(root, part) == ("routing/pay.example.com", "*/pay.example.com")
    mirror = virtual_service("pay", ["a.example.com"], [], http=[{"mirror": {"host": "card"}}])
    assert routed(mirror) == ("pay/a.example.com", "*/a.example.com")
    tcp = virtual_service(
        "pay", ["b.example.com"], [], tcp=[{"route": [{"destination": {"host": "card"}}]}]
    )
    assert routed(tcp) == ("pay/b.example.com", "*/b.example.com")


def test_while_routes_are_not_reported_hosts_are_imported_from_anywhere():
    found = scopes(call("shop/web", CARD), routes_unknown=True)["shop"]
    assert found.hosts == (f"*/{CARD}", "istio-system/*")


def test_a_sidecar_that_stands_already_is_named():
    standing = {
        "apiVersion": "networking.istio.io/v1", "kind": "Sidecar",
        "metadata": {"name": "team", "namespace": "shop"}, "spec": {},
    }  # fmt: skip
    found = scopes(call("shop/web", CARD), configuration=configuration_of([standing]))["shop"]
    assert any("Sidecar team is there already" in note for note in found.notes)


def visible(hosts, registry: dict[str, str], caller: str) -> set[str]:
    """Services of `registry` (host to namespace) that istiod leaves a Sidecar, as its
    selectServices and SubsetOf do: written apart from the code under test."""
    left = set()
    for host, home in registry.items():
        for entry in hosts:
            place, name = entry.split("/", 1)
            place = caller if place == "." else place
            if place in ("*", home) and (
                name in ("*", host) or (name[:1] == "*" and host.endswith(name[1:]))
            ):
                left.add(host)
    return left


_registry = st.dictionaries(
    st.one_of(
        st.builds(lambda s, n: f"{s}.{n}.svc.cluster.local", _names, _names),
        st.sampled_from(["api.stripe.com", "*.amazonaws.com", "db.internal"]),
    ),
    _names,
    min_size=1,
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(_registry, st.data())
def test_random_traffic_keeps_every_service_and_route_that_it_used(registry, data):
    # A service of the cluster lives where its name says; a ServiceEntry anywhere.
    registry = {
        host: host.split(".")[1] if host.endswith("cluster.local") else home
        for host, home in registry.items()
    }
    known = sorted(registry)
    routes = data.draw(
        st.lists(st.tuples(_names, st.sampled_from(known), st.sampled_from(known)), max_size=4)
    )
    reported = configuration_of([virtual_service(place, [a], [b]) for place, a, b in routes])
    used = data.draw(
        st.lists(
            st.tuples(_names, st.sampled_from(known), st.integers(0, 19)), min_size=1, max_size=15
        )
    )
    seen = graph(
        *(call(f"{caller}/app", host, destination=f"{registry[host]}/app", day=day, days=1)
          for caller, host, day in used)
    )  # fmt: skip
    meshed = sorted({caller for caller, _, _ in used})
    for options in ({"configuration": reported}, {"routes_unknown": True}, {}):
        found = egress_scopes(seen, meshed, window_days=20, end=END, **options)
        hosts = {scope.namespace: scope.hosts for scope in found}
        for caller, host, _ in used:
            assert host in visible(hosts[caller], registry, caller)
            if "configuration" in options:
                for place, asked, answered in routes:
                    if answered == host and not asked.startswith("*"):
                        # The VirtualService itself, and the service behind the host asked for.
                        assert visible(hosts[caller], {asked: place}, caller)
                        if asked.endswith("cluster.local"):
                            assert asked in visible(hosts[caller], registry, caller)


def test_three_hosts_seen_once_beside_daily_ones_expect_three_more():
    daily = [call("shop/web", f"s{n}.pay.svc.cluster.local") for n in range(14)]
    rare = [call("shop/web", f"r{n}.pay.svc.cluster.local", day=n, days=1) for n in range(3)]
    confidence = scopes(*daily, *rare)["shop"].confidence
    assert confidence.unseen_hosts == 3.0
    assert confidence.unseen_share < 0.011
    assert not confidence.enough
    assert scopes(*daily)["shop"].confidence.enough


@pytest.mark.parametrize(
    ("new", "words"), [(0, "0 hosts new"), (1, "1 host new"), (2, "2 hosts new")]
)
def test_a_history_without_rare_hosts_has_none_unseen_in_words_too(new, words):
    confidence = scopes(call("shop/web", CART))["shop"].confidence
    assert confidence.unseen_hosts == 0
    assert "about 0 of which there are" in confidence.text
    assert words in replace(confidence, new_in_last_week=new).text
