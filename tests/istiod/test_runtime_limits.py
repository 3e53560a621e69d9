"""What limits do to istiod at each release, and what its autoscaler and budget then need."""

from __future__ import annotations

import pytest

from rightsize.istiod.replicas import Bounds, ReplicaPlan, disruption_budget, most_replicas
from rightsize.istiod.runtime import runtime_limits, runtime_text
from rightsize.results import Interval, Sizes

TWO_CORES = Sizes(cpu_limit=2.0, memory_limit=2**31)


@pytest.mark.parametrize(
    ("release", "pushes", "rate", "memory_share"),
    [("1.18.7", 100, 25, 1.0), ("1.20.8", 100, 25, 1.0), ("1.24.6", 25, 25, 1.0), ("1.30.3", 25, 25, 0.9)],
)  # fmt: skip
def test_pushes_connections_and_go_memory_by_release(release, pushes, rate, memory_share):
    found = runtime_limits(TWO_CORES, istio_version=release, proxies=5000.0, node_cores=16.0)
    assert found.pushes_at_once == pushes
    assert found.connections_per_second == rate
    assert found.reconnect_seconds == 5000 / rate
    assert found.go_memory_limit == memory_share * 2**31


def test_without_a_limit_the_nodes_cores_count():
    found = runtime_limits(Sizes(), istio_version="1.28.6", proxies=1000.0, node_cores=16.0)
    assert found.pushes_at_once == 95
    assert found.go_memory_limit is None
    assert "no CPU limit" in runtime_text(found, Sizes(), 1000.0)[0]


def test_an_unknown_release_says_nothing():
    found = runtime_limits(Sizes(), istio_version=None, proxies=1000.0, node_cores=16.0)
    assert runtime_text(found, Sizes(), 1000.0) == ()


PLAN = ReplicaPlan(4, Interval.exactly(2**30), Interval.exactly(0.5), 0.6, 70)


@pytest.mark.parametrize(
    ("bounds", "most"),
    [
        (Bounds(2.0, 5.0), 10),
        (Bounds(4.0, 20.0), 20),
        (Bounds(8.0, 20.0), 20),
        (Bounds(), 5),
        (Bounds(None, 3.0), 5),
    ],
    ids=["doubled minimum", "same minimum", "smaller minimum", "unknown", "unknown minimum"],
)
def test_the_maximum_follows_the_minimum_and_is_never_lowered(bounds, most):
    assert most_replicas(PLAN, bounds) == most


@pytest.mark.parametrize("release", ["1.20.8", "1.26.8", "1.28.6", None])
@pytest.mark.parametrize("replicas", [3, 4, 8])
def test_no_budget_lets_more_than_one_pod_go(release, replicas):
    assert (
        "maxUnavailable"
        in disruption_budget(replicas, release).path + disruption_budget(replicas, release).value
    )
