"""Idle sidecars, rules that choke nobody, and what a scope gives back."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rightsize.demo import demo_snapshot
from rightsize.errors import NoDataError
from rightsize.istiod.law import NonNegativeQuantileLaw
from rightsize.istiod.mesh_today import MeshToday, Scale, mesh_today
from rightsize.istiod.model import fit_istiod
from rightsize.namespaces.configuration import configuration_of
from rightsize.namespaces.destination_rules import error_shares, service_rules
from rightsize.namespaces.discovery import discovery_scope
from rightsize.namespaces.egress import egress_scopes
from rightsize.namespaces.injection import injection_candidates
from rightsize.namespaces.proxy_memory import (
    BYTES_PER_CLUSTER,
    fit_proxy_memory,
    scoped_clusters,
)
from rightsize.namespaces.savings import injection_saving, node_saving, scope_saving
from rightsize.namespaces.study import virtual_services, with_standing_rules
from rightsize.namespaces.traffic import edges
from rightsize.namespaces.zone_preference import ZonePreference
from rightsize.nodes.plan import NodeGroup, NodeSet
from rightsize.results import Interval
from rightsize.snapshot import Snapshot
from rightsize.snapshot.schema import frame
from tests.istiod.synthetic_istiod import Mesh, hours_of

MIB = 2**20
START = pd.Timestamp("2026-09-01T00:00Z")
CART = "cart.shop.svc.cluster.local"


def mesh(replicas: dict[str, int], days: int = 10) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pods and sidecars of workloads in namespace shop."""
    rows = [
        {"day": START + pd.Timedelta(d, "D"), "namespace": "shop", "pod": f"{w}-{n}",
         "workload": w, "workload_kind": "Deployment",
         "last_seen": START + pd.Timedelta(d + 1, "D")}
        for d in range(days) for w, count in replicas.items() for n in range(count)
    ]  # fmt: skip
    pods = pd.DataFrame(rows)
    containers = pods[["day", "namespace", "pod"]].assign(
        container="istio-proxy", component="sidecar", native=False, cpu_request=0.1,
        memory_request=128.0 * MIB,
    )  # fmt: skip
    return pods, containers


def calls(
    *, rate: float, seconds: float, errors: float = 0.0, days: int = 10, caller: str = "web",
    protocol: str = "http", service: str = CART,
) -> pd.DataFrame:  # fmt: skip
    """`rate` requests a second from all pods of `caller`, every hour."""
    hours = days * 24
    return frame(
        "traffic",
        {
            "time": START + pd.to_timedelta(np.arange(1, hours + 1), "h"),
            "source_namespace": "shop", "source_workload": caller,
            "destination_namespace": "shop", "destination_workload": "cart",
            "destination_service": service, "protocol": protocol,
            "requests": rate * 3600, "errors": rate * 3600 * errors,
            "duration_seconds": np.nan if protocol == "tcp" else rate * 3600 * seconds,
        },
    )  # fmt: skip


def rules_for(traffic: pd.DataFrame, replicas: dict[str, int], zones=None):
    pods, _ = mesh(replicas)
    return service_rules(edges(traffic), pods, error_shares(traffic), zones)


def test_a_workload_without_traffic_is_a_candidate():
    pods, containers = mesh({"web": 2, "cart": 2, "batch": 3})
    found = injection_candidates(edges(calls(rate=5, seconds=0.01)), pods, containers)
    assert [(c.workload, c.pods, c.days) for c in found] == [("batch", 3, 10)]
    assert found[0].memory_request == pytest.approx(3 * 128 * MIB)
    assert found[0].label == 'sidecar.istio.io/inject: "false"'


def test_a_workload_seen_for_a_few_days_is_no_candidate():
    pods, containers = mesh({"web": 2, "cart": 2, "batch": 3}, days=3)
    assert injection_candidates(edges(calls(rate=5, seconds=0.01)), pods, containers) == ()


def test_a_call_to_a_workload_that_is_not_reported_spares_its_namespace():
    traffic = calls(rate=5, seconds=0.01).assign(destination_workload="unknown")
    pods, containers = mesh({"web": 2, "cart": 2, "batch": 3})
    assert injection_candidates(edges(traffic), pods, containers) == ()


def idle(model, **changes):
    pods, containers = mesh({"web": 2, "cart": 2, "batch": 3})
    candidates = injection_candidates(edges(calls(rate=5, seconds=0.01)), pods, containers)
    return injection_saving(candidates, today(**changes), model)


def test_an_idle_sidecar_gives_back_its_requests_its_share_of_istiod_and_nodes(model):
    def without(workloads) -> NodeSet:
        assert workloads == {("shop", "batch")}
        return NodeSet((NodeGroup("m5.large", "on-demand", None, 9, 0.1),))

    found = idle(model, without=without)
    assert (found.proxies, found.cpu_request) == (3, pytest.approx(0.3))
    assert found.memory_request == pytest.approx(3 * 128 * MIB)
    price = next(c.value for c in model.memory.coefficients if c.driver == "proxies")
    assert found.istiod_memory.mid == pytest.approx(price.mid * 3 / model.replicas)
    assert found.nodes.nodes.mid == 1
    assert found.nodes.usd_per_month.mid == pytest.approx(0.1 * 730)


def test_without_a_plan_or_a_model_an_idle_sidecar_has_no_dollars(model):
    assert idle(None).istiod_memory is None
    assert idle(model).nodes is None
    assert injection_saving((), today(), model) is None


def test_a_plan_without_all_sidecars_is_the_one_without_any():
    snapshot = Snapshot(demo_snapshot())
    found = mesh_today(snapshot, pd.DataFrame({"clusters": []}), 300.0)
    pods = snapshot.read("pods", days=snapshot.days[-1:])
    every = set(zip(pods["namespace"].astype(str), pods["workload"].astype(str), strict=True))
    assert found.without(every).nodes == found.node_set(0.0, 0.0, True).nodes
    assert found.without(set()).nodes == found.node_set(0.0, 0.0, False).nodes


def test_a_service_with_errors_gets_a_rule_that_caps_far_above_what_was_seen():
    found = rules_for(calls(rate=400, seconds=0.05, errors=0.02), {"web": 4, "cart": 6})
    (rule,) = found.rules
    assert (rule.namespace, rule.name, rule.host) == ("shop", "cart", CART)
    # 100 requests/s from each of four pods, 5 at once by Little's law.
    assert rule.pool.seen_requests_per_second == pytest.approx(100)
    assert rule.pool.max_connections == 128
    assert rule.pool.caps_requests_per_second == pytest.approx(128 / 0.05)
    assert any("2,560 requests/s through" in reason for reason in rule.reasons)


def test_a_slow_busy_service_gets_room_for_twelve_times_its_mean_concurrency():
    found = rules_for(calls(rate=400, seconds=2.0, errors=0.02), {"web": 1, "cart": 6})
    pool = found.rules[0].pool
    assert pool.max_connections >= 12 * 400 * 2.0
    assert pool.caps_requests_per_second >= 12 * pool.seen_requests_per_second


def destination_rule(namespace: str, host: str) -> dict[str, object]:
    return {
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
        "metadata": {"name": "r", "namespace": namespace}, "spec": {"host": host},
    }  # fmt: skip


def test_rules_that_stand_already_are_named():
    found = rules_for(calls(rate=400, seconds=0.05, errors=0.02), {"web": 4, "cart": 6})
    reported = configuration_of(
        [destination_rule("shop", "cart"), destination_rule("a", "*.local")]
    )
    (rule,) = with_standing_rules(found, reported).rules
    assert rule.reasons[0].startswith("shop/r is a DestinationRule of the same host")
    assert rule.reasons[1].startswith("a/r for *.local counts no more for this host")
    assert with_standing_rules(found, None) == found


def test_virtual_services_that_istiod_does_not_tell_are_unknown_and_not_none():
    assert virtual_services(frame("control_plane")) is None


def test_ejection_suits_the_replicas():
    six = rules_for(calls(rate=50, seconds=0.05, errors=0.02), {"web": 1, "cart": 6}).rules[0]
    assert six.outliers.max_ejection_percent == 33
    assert six.outliers.min_health_percent == 50
    two = rules_for(calls(rate=50, seconds=0.05, errors=0.02), {"web": 1, "cart": 2}).rules[0]
    assert two.outliers is None
    assert any("2 pods" in reason for reason in two.reasons)


def test_a_rule_that_ejects_says_what_zone_preference_would_do():
    traffic, pods = calls(rate=50, seconds=0.05, errors=0.02), {"web": 1, "cart": 6}
    preference = ZonePreference((("a", 1), ("b", 5)), 4.0, 1, Interval(1.0, 20.0, 30.0))
    (rule,) = rules_for(traffic, pods, {CART: preference}).rules
    assert rule.zones == preference
    assert "a pod of a 4.0 times an even share" in rule.reasons[-1]
    assert "save 20 USD a month" in rule.reasons[-1]
    (unknown,) = rules_for(traffic, pods).rules
    assert unknown.zones is None
    assert "zones of its pods are not known" in unknown.reasons[-1]


@pytest.mark.parametrize(
    ("traffic", "reason"),
    [
        (calls(rate=50, seconds=0.05), "needs none: at most 0.1% errors in its worst hour"),
        (calls(rate=50, seconds=0.05, errors=0.02, days=3), "seen on fewer than 7 days"),
        (calls(rate=0.01, seconds=0.05, errors=0.02), "fewer than 10,000 requests"),
        (calls(rate=0.2, seconds=0.05, errors=0.02), "fewer than 1 request a second at its busiest"),
        (calls(rate=50, seconds=0.05, errors=0.02, service="api.stripe.com"),
         "not a service of the cluster"),
    ],
    ids=["healthy", "new", "few", "slow", "outside"],
)  # fmt: skip
def test_where_the_data_does_not_support_a_rule_there_is_none(traffic, reason):
    found = rules_for(traffic, {"web": 1, "cart": 6})
    assert found.rules == ()
    assert found.turned_down == {reason: 1}


def test_tcp_has_no_durations_and_so_no_pool():
    traffic = calls(rate=50, seconds=0.05, errors=0.02, protocol="tcp")
    (rule,) = rules_for(traffic, {"web": 1, "cart": 6}).rules
    assert rule.pool is None
    assert rule.outliers is not None


def proxies_that_grow_by_a_tenth_of_a_mebibyte(seed: int):
    rng = np.random.default_rng(seed)
    clusters = rng.uniform(50, 900, 200)
    return fit_proxy_memory(clusters, (30 + 0.1 * clusters) * MIB * rng.normal(1, 0.05, 200))


def test_proxy_memory_by_cluster_is_fitted_on_the_mesh():
    law = proxies_that_grow_by_a_tenth_of_a_mebibyte(0)
    assert law.measured
    assert law.saved(800, 100).mid == pytest.approx(70 * MIB, rel=0.1)
    assert 0.01 < law.error < 0.08


def test_the_true_price_of_a_cluster_is_inside_its_range_nine_times_in_ten():
    inside = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        clusters = rng.uniform(50, 900, 200)
        memory = (30 + 0.1 * clusters) * rng.normal(1, 0.05, 200)
        law = NonNegativeQuantileLaw().fit(clusters[:, None], memory, groups=np.arange(200))
        inside.append(law.coef_range_[0, 0] <= 0.1 <= law.coef_range_[0, 1])
    # Nine in ten, less two standard errors of forty tries.
    assert np.mean(inside) >= 0.8


def test_where_all_proxies_know_the_same_the_slope_is_said_to_be_another_meshs():
    rng = np.random.default_rng(0)
    law = fit_proxy_memory(np.full(50, 800.0), 120 * MIB * rng.normal(1, 0.03, 50))
    assert not law.measured
    assert law.bytes_per_cluster.mid == pytest.approx(BYTES_PER_CLUSTER)
    assert law.bytes_per_cluster.low == pytest.approx(0)
    assert "Hitachi/istio-bench" in law.text


def test_a_handful_of_proxies_is_refused():
    with pytest.raises(NoDataError, match="3 proxies"):
        fit_proxy_memory([1, 2, 3], [1, 2, 3])


# Mean of istio-proxy's memory in MiB by number of services: Hitachi/istio-bench at 41ebc98,
# output_sample, Istio 1.6.2, idle pods, no Sidecar scoping (Apache-2.0); clusters = services here.
_BENCH = {100: 57.0, 500: 103.0, 1000: 162.0}


def test_the_law_between_the_ends_of_the_published_benchmark_is_a_line():
    slope = (_BENCH[1000] - _BENCH[100]) / 900
    assert slope * MIB == pytest.approx(BYTES_PER_CLUSTER, rel=0.01)
    assert _BENCH[100] + slope * 400 == pytest.approx(_BENCH[500], rel=0.01)


def test_the_law_fitted_on_some_service_counts_predicts_the_others():
    folder = os.environ.get("RIGHTSIZE_TRACES")
    if not folder:
        pytest.skip("RIGHTSIZE_TRACES names no folder with istio-bench")
    bench = pd.read_csv(Path(folder) / "istio-bench" / "hitachi-istio-1.6.2.csv")
    rows = bench[(bench["container"] == "istio-proxy") & (bench["plane"] != "controlplane")]
    low, high = rows["scale"].min(), rows["scale"].max()
    fitted = rows[rows["scale"].isin([low, high])]
    left = rows[~rows["scale"].isin([low, high])]
    law = fit_proxy_memory(fitted["scale"], fitted["memory_mib"] * MIB)
    means = left.groupby("scale")["memory_mib"].mean()
    predicted = law.estimator.predict(means.index.to_numpy(dtype=float)[:, None]) / MIB
    error = np.abs(predicted / means.to_numpy() - 1)
    print(f"proxy memory at {list(means.index)} services: error {error.round(3)}")
    assert error.max() < 0.1


def scoped(model, law):
    traffic = calls(rate=5, seconds=0.01)
    pods, containers = mesh({"web": 3, "cart": 3})
    other = pods.assign(namespace="batch", workload="job")
    seen = edges(traffic)
    end = START + pd.Timedelta("10D")
    egress = egress_scopes(seen, ["shop"], window_days=10, end=end)
    discovery = discovery_scope(seen, pd.concat([pods, other]), containers)
    proxies = pd.DataFrame({"namespace": "shop", "pod": [f"p{n}" for n in range(6)],
                            "clusters": 908.0})  # fmt: skip
    return scope_saving(egress, discovery, proxies, law=law, model=model)


@pytest.fixture(scope="module")
def model():
    return fit_istiod(hours_of(Mesh(services=900.0, growth=0.0)))


def test_a_scope_shrinks_configuration_and_memory(model):
    rng = np.random.default_rng(1)
    clusters = rng.uniform(50, 900, 100)
    law = fit_proxy_memory(clusters, (30 + 0.1 * clusters) * MIB)
    found = scoped(model, law)
    (shop,) = found.by_namespace
    assert shop.clusters_now == 908
    # The cart's service and the given root host: one cluster each, and the static ones.
    assert shop.clusters_scoped == pytest.approx(10, abs=0.5)
    assert shop.memory.mid == pytest.approx(6 * 0.1 * MIB * 898, rel=0.02)
    assert found.proxy_memory == shop.memory
    assert any("phase of its own" in note for note in found.notes)


def test_istiod_gives_back_the_services_it_no_longer_watches(model):
    found = scoped(model, None)
    # One of the three workloads is in a namespace that nobody calls.
    price = next(c.value for c in model.memory.coefficients if c.driver == "services")
    assert found.istiod_memory.mid == pytest.approx(price.mid * 900 / 3, rel=0.01)
    assert found.istiod_memory.low == pytest.approx(price.low * 900 / 3, rel=0.01)


def test_istiod_gives_back_what_it_keeps_for_smaller_configurations(model):
    found = scoped(model, None)
    price = next(c.value for c in model.memory.coefficients if c.driver == "proxies")
    # Six proxies go from 908 to about ten clusters, half of them on each of two pods.
    share = 1 - found.by_namespace[0].clusters_scoped / 908
    assert found.istiod_memory_of_sidecars.mid == pytest.approx(price.mid * 6 * share / 2)
    assert found.istiod_memory_of_sidecars.low == 0
    assert any("an assumption" in note for note in found.notes)
    assert scoped(None, None).istiod_memory_of_sidecars is None


def node_set(cpu: float, memory: float, without_sidecars: bool) -> NodeSet:
    """Ten nodes for today, one fewer for each 16 MiB that a pod gives back."""
    count = 10 + int(memory / (16 * MIB))
    return NodeSet((NodeGroup("m5.large", "on-demand", None, count, 0.1),))


def today(**changes) -> MeshToday:
    mesh = MeshToday(
        scale=Scale(900.0, 6.0, 10.0), namespaces=1, sidecar_cpu=0.1,
        sidecar_memory=128.0 * MIB, sidecar_memory_used=100.0 * MIB, clusters=908.0, nodes=10.0,
        node_cpu=2.0, node_memory=8e9, node_set=node_set,
    )  # fmt: skip
    return replace(mesh, **changes)


def test_dollars_come_from_the_plan_of_nodes_at_most_down_to_the_smallest_request(model):
    clusters = np.linspace(50, 900, 100)
    law = fit_proxy_memory(clusters, (30 + 0.1 * clusters) * MIB)
    found = node_saving(scoped(model, law), today())
    # 90 MiB a proxy could go; the request of 128 MiB stops at 40: 88 MiB are five nodes.
    assert found.nodes.mid == 5
    assert found.usd_per_month.mid == pytest.approx(5 * 0.1 * 730)


def test_without_nodes_there_are_no_dollars(model):
    assert node_saving(scoped(model, None), today()) is None
    clusters = np.linspace(50, 900, 100)
    law = fit_proxy_memory(clusters, (30 + 0.1 * clusters) * MIB)
    assert node_saving(scoped(model, law), today(node_set=None)) is None


def test_what_is_not_known_is_not_predicted():
    found = scoped(None, None)
    assert found.proxy_memory is None
    assert found.istiod_memory is None
    assert any("number of services is not known" in note for note in found.notes)


def test_a_scope_never_has_more_clusters_than_there_are():
    assert scoped_clusters(508.0, 10_000, 500.0) == pytest.approx(508)
