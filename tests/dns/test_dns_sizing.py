"""CoreDNS's replicas, sizes and findings from figures of one's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rightsize.config import PolicySettings, Settings
from rightsize.dns.advice import judged, most_gained
from rightsize.dns.load import DnsLoad
from rightsize.dns.sizing import (
    PACKETS,
    ROOM,
    DnsUsage,
    InForce,
    least_replicas,
    memory_slope,
    pod_needs,
    size_dns,
)
from rightsize.dns.study import study_dns, wanted_settings
from rightsize.istiod.histograms import BucketQuantile
from rightsize.prices.unit_price import unit_price
from rightsize.results import Sizes
from rightsize.sizing.node_bound import Largest
from tests.tiny_mesh import FIRST_DAY, Tiny, tiny_snapshot

MIB = 2**20
PRICE = unit_price("us-east-1").price
LOAD = DnsLoad(
    hours=240, pods=2.0, requests=50.0, requests_peak=100.0, responses={}, cache_hit_rate=None,
    p99=None, p99_worst_hour=None, forwarded=None, forwarded_peak_pod=None,
    forwarded_peak_node=None, rejected=None, node_cache=False, agents=(),
)  # fmt: skip


def usage(cpu: float, memory: float, pods: int = 2, days: float = 10) -> DnsUsage:
    times = pd.date_range("2026-09-01", periods=int(24 * days), freq="1h", tz="UTC")
    rows = [
        {"time": time, "pod": f"coredns-{n}", "metric": metric, "value": value}
        for time in times
        for n in range(pods)
        for metric, value in (
            ("coredns_cpu_peak", cpu / pods), ("coredns_memory", memory),
            ("coredns_requests_peak", 100.0 / pods),
        )
    ]  # fmt: skip
    return DnsUsage.of(pd.DataFrame(rows))


def size(used: DnsUsage, load: DnsLoad = LOAD, sizes: Sizes | None = None, *, nodes=10, hold=None):
    now = InForce(sizes or Sizes(0.1, None, 70 * MIB, 170 * MIB))
    return size_dns(used, load, now, nodes=nodes, hold=hold, price=PRICE, rules=PolicySettings())


def test_nothing_exceeds_the_largest_node():
    found = size_dns(
        usage(300.0, 2.0**40), LOAD, InForce(Sizes(0.1, None, 70 * MIB, 170 * MIB)), nodes=10,
        hold=None, price=PRICE, rules=PolicySettings(), most_of_node=Largest(4.0, 2.0**34),
    )  # fmt: skip
    assert (found.cpu.recommended_request, found.memory.recommended_request) == (0.1, 70 * MIB)
    assert "more than the largest node can give" in found.reasons[0]


@settings(deadline=None, max_examples=30)
@given(cpu=st.floats(0.001, 30), replicas=st.integers(2, 20), pods=st.integers(1, 20))
def test_those_left_carry_the_busiest_hour(cpu: float, replicas: int, pods: int) -> None:
    needed, memory = pod_needs(
        usage(cpu, 50 * MIB, pods, days=0.2), replace(LOAD, pods=pods), replicas
    )
    assert needed * (replicas - 1) >= cpu * (1 - 1e-9)
    assert memory >= 50 * MIB


def test_the_slope_of_memory_is_the_upper_end_of_what_numpy_fits():
    rng = np.random.default_rng(3)
    asked = rng.uniform(10, 400, 500)
    memory = 40 * MIB + 20_000.0 * asked + rng.normal(0, MIB, 500)
    frame = pd.DataFrame({"requests": asked, "value": memory})
    (slope, _), covariance = np.polyfit(asked, memory, 1, cov=True)
    assert memory_slope(frame) == pytest.approx(slope + 1.645 * covariance[0, 0] ** 0.5, rel=1e-6)
    assert memory_slope(frame) >= 20_000.0
    assert memory_slope(frame.head(5)) == 0.0


def test_the_cheapest_number_of_replicas_is_chosen_and_no_more_than_nodes():
    def worth(replicas: int) -> float:
        cpu, memory = pod_needs(usage(2.0, 50 * MIB), LOAD, replicas)
        return replicas * (cpu * PRICE.usd_per_core_hour + memory * PRICE.usd_per_byte_hour)

    assert size(usage(2.0, 50 * MIB)).replicas == min(range(2, 11), key=worth)
    assert size(usage(2.0, 50 * MIB), nodes=3).replicas == 3
    assert size(usage(0.01, 50 * MIB), nodes=0).replicas == 2


def test_the_resolvers_packets_ask_for_replicas():
    load = replace(LOAD, forwarded_peak_pod=1000.0)
    assert least_replicas(load) == int(np.ceil(2000 / (PACKETS * ROOM))) + 1
    assert size(usage(0.01, 50 * MIB), load).replicas == 4
    assert least_replicas(LOAD) == 2


def test_nothing_is_cut_while_something_fails_or_history_is_short():
    now = Sizes(1.0, None, 500 * MIB, None)
    many = replace(LOAD, pods=6.0)
    for kept in (
        size(usage(0.02, 50 * MIB, 6), many, now, hold="refused"),
        size(usage(0.02, 50 * MIB, 6, days=2), many, now),
    ):
        assert (kept.replicas, kept.cpu.recommended_request) == (6, 1.0)
        assert kept.memory.recommended_request == 500 * MIB
    cut = size(usage(0.02, 50 * MIB, 6), many, now)
    assert cut.replicas < 6
    assert cut.cpu.recommended_request == 0.5


def found(load: DnsLoad, replicas: float | None = 2, budget: bool | None = True) -> set[str]:
    return {one.id for one in judged(load, replicas, budget)}


@pytest.mark.parametrize(
    ("change", "ids"),
    [
        ({}, set()),
        ({"responses": {"NOERROR": 60, "NXDOMAIN": 40}}, {"search-paths"}),
        ({"responses": {"NOERROR": 80, "NXDOMAIN": 20}}, set()),
        ({"responses": {"NOERROR": 90, "SERVFAIL": 10}}, {"failures"}),
        ({"cache_hit_rate": 0.2}, {"cache"}),
        ({"cache_hit_rate": 0.2, "node_cache": True}, set()),
        ({"forwarded_peak_node": 100.0}, set()),
        ({"forwarded_peak_node": 500.0}, {"resolver-packets"}),
        ({"rejected": 3.0}, {"rejected"}),
        ({"rejected": 0.0}, set()),
        ({"p99": BucketQuantile(0.2)}, {"slow"}),
        ({"forwarded": 10.0}, {"dns-proxy"}),
    ],
)
def test_each_finding_has_its_figure(change, ids):
    assert found(replace(LOAD, **change)) == ids


def test_one_pod_or_no_budget_is_a_finding_and_unknown_is_none():
    assert found(LOAD, 1, None) == {"one-replica"}
    assert found(LOAD, None, False) == {"no-budget"}
    assert found(LOAD, None, None) == set()


def test_the_gain_is_bounded_by_the_lookups_of_one_name():
    load = replace(LOAD, p99=BucketQuantile(0.004), responses={"NOERROR": 1.0, "NXDOMAIN": 3.0})
    assert most_gained(load) == pytest.approx(0.016)
    assert most_gained(replace(load, p99=BucketQuantile(0.004, beyond=True))) is None
    assert most_gained(LOAD) is None


def test_a_mesh_without_coredns_is_unknown_and_sets_nothing(tmp_path):
    study = study_dns(tiny_snapshot(tmp_path / "s", Tiny("web"), days=1), Settings())
    assert study.size is None
    assert study.findings == ()
    assert len(study.unknown) == 3
    assert not wanted_settings(study).add_on
    assert study.load.share("NXDOMAIN") is None
    assert study.load.forwarded_share is None


def counted(pod: str, metric: str, value: float) -> dict[str, object]:
    time = pd.Timestamp(FIRST_DAY, tz="UTC") + pd.Timedelta("1h")
    return {"time": time, "pod": pod, "metric": metric, "label": "", "value": value}


def test_a_virtual_clusters_coredns_is_not_the_clusters(tmp_path):
    dns = Tiny("coredns", namespace="kube-system", component=None, container="coredns", days=1)
    name = "coredns_dns_requests_total"
    rows = [
        counted("coredns-5d9c7b8f6-00000", name, 3600.0),
        counted("vdns-5d9c7b8f6-00000", name, 36000.0),
        counted("node-local-dns-abcde", name, 36000.0),
        counted("coredns-5d9c7b8f6-00000", "coredns_cache_hits_total", 30.0),
        counted("coredns-5d9c7b8f6-00000", "coredns_cache_requests_total", 40.0),
    ]
    virtual = dns.but(workload="vdns", namespace="vcluster-a", pods=5)
    more = {"dns": pd.DataFrame(rows)}
    study = study_dns(tiny_snapshot(tmp_path / "s", virtual, dns, days=1, more=more), Settings())
    assert (study.namespace, study.workload) == ("kube-system", "coredns")
    assert study.load.requests == pytest.approx(1.0)
    assert study.load.node_cache
    assert study.load.cache_hit_rate == pytest.approx(0.75)


def test_short_history_adds_no_pods_either():
    assert size(usage(2.0, 50 * MIB, days=2)).replicas == 2


def test_sizes_that_nothing_reports_are_not_written(tmp_path):
    unknown = InForce(Sizes(), frozenset(("request", "limit")), frozenset(("request", "limit")))
    found = size_dns(
        usage(0.5, 50 * MIB), LOAD, unknown, nodes=2, hold=None, price=PRICE, rules=PolicySettings()
    )
    assert found.cpu.recommended_request is None
    assert found.memory.recommended_request is None
