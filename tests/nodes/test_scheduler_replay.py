"""The replay filters and scores as kube-scheduler does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rightsize.nodes.scheduler import Cluster
from rightsize.nodes.spread import Owner


def owner(name: str, **rules: Any) -> Owner:
    base: dict[str, Any] = {
        "replicas": 3,
        "node_limit": 0,
        "host_skew": None,
        "zone_skew": None,
        "zone_limit": 0,
        "labels": None,
        "assumed": False,
    }
    return Owner(("shop", "Deployment", name), **(base | rules))


@pytest.fixture
def cluster(make_problem: Callable[..., Any]) -> Callable[..., Cluster]:
    """Three equal nodes, one a zone; one class of pod for each owner."""

    def build(*owners: Owner, size: tuple[int, int] = (100, 100), **options: Any) -> Cluster:
        problem = make_problem([(*size, 9) for _ in owners], [(1000, 1000, 20, 1.0)], **options)
        return Cluster(problem, owners, np.zeros(3, dtype=np.int64), np.arange(3))

    return build


def test_pods_go_where_least_is_requested(cluster: Callable[..., Cluster]) -> None:
    there = cluster(owner("a"), owner("b"))
    there.put(0, 0)
    there.put(0, 1)
    assert there.schedule(1) == 2


def test_replicas_of_a_workload_are_spread_before_nodes_are_filled(
    cluster: Callable[..., Cluster],
) -> None:
    there = cluster(owner("a"), owner("b"))
    assert sorted(there.schedule(0) for _ in range(3)) == [0, 1, 2]


def test_a_node_that_keeps_cpu_and_memory_even_is_preferred(
    make_problem: Callable[..., Any],
) -> None:
    problem = make_problem([(400, 100, 5), (100, 400, 5), (100, 400, 5)], [(1000, 1000, 20, 1.0)])
    there = Cluster(
        problem,
        (owner("cpu"), owner("memory"), owner("other")),
        np.zeros(2, dtype=np.int64),
        np.zeros(2, dtype=np.int64),
    )
    there.put(0, 0)
    there.put(1, 1)
    assert there.schedule(2) == 0


def test_no_node_with_room_means_no_place(cluster: Callable[..., Cluster]) -> None:
    there = cluster(owner("a"), size=(600, 10))
    assert [there.schedule(0) >= 0 for _ in range(4)] == [True, True, True, False]


def test_zone_spread_forbids_a_second_pod_before_every_zone_has_one(
    cluster: Callable[..., Cluster],
) -> None:
    there = cluster(owner("a", zone_skew=1))
    there.put(0, 0)
    assert there.passing(0).tolist() == [False, True, True]
    there.put(0, 1)
    assert there.passing(0).tolist() == [False, False, True]


def test_a_zone_that_is_gone_no_longer_holds_the_spread_back(
    cluster: Callable[..., Cluster],
) -> None:
    there = cluster(owner("a", zone_skew=1))
    for node in range(3):
        there.put(0, node)
    assert there.survives(np.array([True, False, False])) == -1


def test_host_spread_counts_every_node_the_pod_may_use(cluster: Callable[..., Cluster]) -> None:
    there = cluster(owner("a", host_skew=2, node_limit=9))
    there.put(0, 0)
    there.put(0, 0)
    assert there.passing(0).tolist() == [False, True, True]


def test_one_pod_a_zone_under_anti_affinity_over_zones(cluster: Callable[..., Cluster]) -> None:
    there = cluster(owner("a", zone_skew=1, zone_limit=1))
    assert sorted(there.schedule(0) for _ in range(3)) == [0, 1, 2]
    assert there.schedule(0) == -1


def test_a_trial_loss_leaves_everything_as_it_was(cluster: Callable[..., Cluster]) -> None:
    there = cluster(owner("a"), owner("b"))
    for k in (0, 1, 0, 1, 0):
        there.schedule(k)
    before = there.rest.copy(), there.on_node.copy(), there.alive.copy()
    assert there.survives(np.array([False, True, False])) == -1
    for was, now in zip(before, (there.rest, there.on_node, there.alive), strict=True):
        np.testing.assert_array_equal(was, now)


def test_a_loss_that_leaves_no_room_names_the_class(cluster: Callable[..., Cluster]) -> None:
    there = cluster(owner("a"), size=(600, 10))
    for _ in range(3):
        there.schedule(0)
    assert there.survives(np.array([True, False, False])) == 0


def test_draining_moves_the_pods_for_good(cluster: Callable[..., Cluster]) -> None:
    there = cluster(owner("a"))
    there.put(0, 0)
    assert there.drain(np.array([True, False, False])) in ([(0, 1)], [(0, 2)])
    assert there.alive.tolist() == [False, True, True]
    assert there.rest[0].tolist() == [1000, 1000, 20]


def test_a_node_that_is_tainted_prefer_no_schedule_is_the_last_resort(
    cluster: Callable[..., Cluster],
) -> None:
    there = cluster(owner("a"))
    there.avoided[:] = [False, True, True]
    there.rest[0] = [1, 1, 1]
    assert there.schedule(0) != 0
    there = cluster(owner("a"))
    there.avoided[:] = [True, False, True]
    assert [there.schedule(0), there.schedule(0)] == [1, 1]


def test_nodes_that_join_later_are_empty_and_do_not_disturb_the_others(
    cluster: Callable[..., Cluster],
) -> None:
    there = cluster(owner("a"))
    there.put(0, 0)
    new = there.launch(0, 1)
    assert new == 3
    assert there.alive.tolist()[:5] == [True] * 4 + [False]
    assert there.rest[new].tolist() == [1000, 1000, 20]
    assert there.rest[0].tolist() != [1000, 1000, 20]


@given(seed=st.integers(0, 10**6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_a_drain_by_first_fit_moves_each_pod_to_the_next_node_with_room_and_leave(
    make_problem: Callable[..., Any], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    sizes = [(int(c), int(m), 9) for c, m in rng.integers(1, 60, size=(6, 2))]
    problem = make_problem(
        sizes, [(100, 100, 5, 1.0), (80, 150, 4, 1.0)], limits={1: 1}, avoid={2: [3], 3: [2]}
    )
    owners = (owner("a"), owner("b"), owner("c"), owner("d"))
    owners += (owner("e", host_skew=1), owner("f", zone_skew=1))
    there = Cluster(problem, owners, rng.integers(0, 2, 6), np.arange(6) % 3)
    for k in rng.integers(0, 6, 14):
        there.schedule(int(k))
    there._next = int(rng.integers(0, 7))
    by_hand, gone = there.copy(), np.arange(6) == 0
    expected: list[tuple[int, int]] | None = []
    for k in by_hand.lose(gone).tolist():
        nodes = np.flatnonzero(by_hand.passing(k))
        if not len(nodes):
            expected = None
            break
        node = int(next((n for n in nodes if n >= by_hand._next), nodes[0]))
        by_hand._next = node + 1
        by_hand.put(k, node)
        expected.append((k, node))
    assert there.copy().drain(gone, first_fit=True) == expected
