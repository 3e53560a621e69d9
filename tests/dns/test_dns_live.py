"""CoreDNS asked of a real Prometheus, against figures that numpy computes from the same samples."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np
import pytest

from rightsize.collectors.prometheus import collect
from rightsize.config import PolicySettings, PrometheusSettings, Settings
from rightsize.dns.study import DnsStudy, study_dns
from rightsize.snapshot import Snapshot
from tests.cli.run import rightsize
from tests.collectors.prometheus.mesh import DAY, HOUR, MIB, Pod, node
from tests.servers.prometheus import Series, filled_prometheus

NAMES = ("coredns-6d4cf56db6-bcdfg", "coredns-6d4cf56db6-hjklm")
PODS = [
    Pod(
        name, "kube-system", ("ReplicaSet", "coredns-6d4cf56db6"), f"ip-10-0-0-{n}.ec2.internal",
        containers=("coredns",), requests={"coredns": (0.1, 70 * MIB)},
        limits={"coredns": (0.0, 170 * MIB)},
    )
    for n, name in enumerate(NAMES, start=1)
]  # fmt: skip
SIDECAR = Pod("web-6d4cf56db6-bcdfg")
TIMES = np.array(PODS[0].times)
BUSY = (DAY + 12 * HOUR, DAY + 13 * HOUR)
"""The one hour with a different rate."""
QUERIES, BUSY_QUERIES = 50.0, 400.0
SHARES = {"NOERROR": 0.4, "NXDOMAIN": 0.58, "SERVFAIL": 0.02}
BOUNDS = {"0.001": 0.9, "0.004": 0.98, "0.016": 1.0, "+Inf": 1.0}


def counted(usual: float, busy: float) -> np.ndarray:
    """A counter of a rate that is `busy` in one hour."""
    inside = np.clip(TIMES, *BUSY) - BUSY[0]
    return usual * (TIMES - PODS[0].started - inside) + busy * inside


def samples(values: np.ndarray) -> list[tuple[float, float]]:
    return [(float(t), float(v)) for t, v in zip(TIMES, values, strict=True)]


def coredns(pod: Pod, share: float) -> Iterator[Series]:
    """Everything one pod reports; `share` is its part of all queries."""

    def series(name: str, part: float, **labels: str) -> Series:
        values = counted(QUERIES * share * part, BUSY_QUERIES * share * part)
        return Series(
            name,
            pod.labels(server="dns://:53", zone=".", job="kube-dns", **labels),
            samples(values),
        )

    yield series("coredns_dns_requests_total", 0.5, type="A", proto="udp")
    yield series("coredns_dns_requests_total", 0.5, type="AAAA", proto="udp")
    for rcode, part in SHARES.items():
        yield series("coredns_dns_responses_total", part, rcode=rcode)
    for le, part in BOUNDS.items():
        yield series("coredns_dns_request_duration_seconds_bucket", part, le=le)
    yield series("coredns_cache_hits_total", 0.5, type="success")
    yield series("coredns_cache_hits_total", 0.1, type="denial")
    yield series("coredns_cache_misses_total", 0.4)
    yield series(
        "coredns_proxy_request_duration_seconds_count", 0.3, proxy_name="forward", to="10.0.0.2:53"
    )
    yield series(
        "coredns_proxy_request_duration_seconds_count", 9.0, proxy_name="grpc", to="10.0.0.3:53"
    )
    cpu = counted(0.02 * share, 0.30 * share)
    memory = np.where((BUSY[0] <= TIMES) & (BUSY[1] > TIMES), 60.0, 40.0) * MIB
    yield from pod.used("coredns", samples(cpu), samples(memory))


def is_set(one: Series) -> bool:
    return not one.name.endswith("resource_limits") or one.samples[0][1] > 0


def agent(name: str, rate: float) -> Series:
    values = rate * (TIMES - PODS[0].started)
    return Series(name, SIDECAR.labels(), samples(values))


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("dns")
    series = [
        *node("ip-10-0-0-1.ec2.internal"), *node("ip-10-0-0-2.ec2.internal"),
        *(s for pod in (*PODS, SIDECAR) for s in pod.described() if is_set(s)), *SIDECAR.used(),
        *coredns(PODS[0], 0.75), *coredns(PODS[1], 0.25),
        agent("istio_agent_dns_requests_total", 8.0),
        agent("istio_agent_dns_upstream_requests_total", 2.0),
    ]  # fmt: skip
    with filled_prometheus(folder, series) as address:
        collect(
            PrometheusSettings(url=(address,)),
            out=folder / "snapshot",
            start=datetime.fromtimestamp(DAY, UTC),
            end=datetime.fromtimestamp(DAY + 24 * HOUR, UTC),
        )
    return Snapshot(folder / "snapshot")


@pytest.fixture(scope="module")
def study(snapshot: Snapshot) -> DnsStudy:
    return study_dns(snapshot, Settings(policy=PolicySettings(min_days=0)))


def mean(of: Callable[[float], float] = lambda rate: rate) -> float:
    return float(np.mean([of(BUSY_QUERIES) if hour == 12 else of(QUERIES) for hour in range(24)]))


def test_rates_and_shares_are_those_of_the_samples(study: DnsStudy) -> None:
    load = study.load
    assert (load.pods, load.hours) == (2, 24)
    assert load.requests == pytest.approx(mean(), rel=1e-3)
    assert load.requests_peak == pytest.approx(BUSY_QUERIES, rel=0.01)
    for rcode, share in SHARES.items():
        assert load.share(rcode) == pytest.approx(share, abs=1e-3)
    assert load.lookups == pytest.approx(1 + 0.58 / 0.4, rel=1e-3)
    assert load.cache_hit_rate == pytest.approx(0.6, abs=1e-3)
    assert load.forwarded == pytest.approx(0.3 * mean(), rel=1e-3)
    assert load.forwarded_peak_pod == pytest.approx(0.3 * 0.75 * BUSY_QUERIES, rel=0.01)
    assert load.forwarded_peak_node == pytest.approx(0.3 * 0.75 * BUSY_QUERIES, rel=0.01)


def test_the_p99_is_interpolated_in_its_bucket(study: DnsStudy) -> None:
    truth = 0.004 + (0.016 - 0.004) * (0.99 - 0.98) / (1.0 - 0.98)
    assert study.load.p99 is not None
    assert study.load.p99.value == pytest.approx(truth, rel=1e-3)


def test_the_agents_are_counted_by_namespace(study: DnsStudy) -> None:
    (agent,) = study.load.agents
    assert agent.namespace == "shop"
    assert agent.requests == pytest.approx(8 * 86400, rel=1e-3)
    assert agent.answered_share == pytest.approx(0.75, abs=1e-3)
    assert study.finding("dns-proxy") is None


def test_each_pod_is_sized_for_the_busiest_hour_with_one_lost(study: DnsStudy) -> None:
    assert (study.namespace, study.workload) == ("kube-system", "coredns")
    size = study.size
    assert size is not None
    assert size.replicas == 2
    assert size.cpu.target_request == pytest.approx(0.30, abs=0.01)
    assert size.memory.target_request is not None
    assert size.memory.target_request >= 60 * MIB * 1.2
    assert (size.memory.limit, size.memory.recommended_limit) == (170 * MIB, 170 * MIB)
    assert {one.id for one in study.findings} == {"search-paths", "failures"}


def test_what_was_never_reported_stays_unknown(study: DnsStudy) -> None:
    assert study.load.rejected is None
    assert study.size is not None
    assert study.size.cpu.limit is None
    assert study.size.cpu.recommended_limit is None
    assert any("counts no clients" in text for text in study.unknown)


def test_the_command_says_the_same_in_every_form(snapshot: Snapshot) -> None:
    done = rightsize("dns", "--snapshot", snapshot.path, "--format", "json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["nxdomain_share"] == pytest.approx(0.58, abs=1e-3)
    assert answer["refused"] is None
    lines = rightsize("dns", "--snapshot", snapshot.path).stdout
    assert "58.0% NXDOMAIN" in lines
    assert "the newsletter says 237 ms" in lines
