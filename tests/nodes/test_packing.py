"""Packings are whole, within capacity, near their proven bound, and optimal where that is known."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rightsize.nodes.bound import lower_bound
from rightsize.nodes.greedy import dot_product, first_fit_decreasing
from rightsize.nodes.packing import pack

Pods = list[tuple[int, int, int]]
Nodes = list[tuple[int, int, int, float]]
PODS = st.lists(
    st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3)), min_size=1, max_size=3
)
NODES = st.lists(
    st.tuples(
        st.integers(9, 20),
        st.integers(9, 20),
        st.integers(2, 6),
        st.sampled_from([1.0, 1.3, 1.7, 2.0, 2.6]),
    ),
    min_size=1,
    max_size=3,
)
quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def partitions(items: list[int]) -> Iterator[list[list[int]]]:
    if not items:
        yield []
        return
    first, *others = items
    for parts in partitions(others):
        for i in range(len(parts)):
            yield [*parts[:i], [first, *parts[i]], *parts[i + 1 :]]
        yield [[first], *parts]


def brute_force(pods: Pods, nodes: Nodes) -> float:
    """Cheapest node set over every way to share the pods out, each share on its cheapest node."""
    each = [(cpu, memory) for cpu, memory, count in pods for _ in range(count)]

    def price(share: list[int]) -> float:
        cpu, memory = (sum(each[i][r] for i in share) for r in range(2))
        fitting = [n[3] for n in nodes if n[0] >= cpu and n[1] >= memory and n[2] >= len(share)]
        return min(fitting, default=float("inf"))

    return min(sum(map(price, parts)) for parts in partitions(list(range(len(each)))))


@given(pods=PODS, nodes=NODES)
@quick
def test_small_cases_cost_what_brute_force_finds(
    make_problem: Callable[..., Any], check_packing: Callable[..., float], pods: Pods, nodes: Nodes
) -> None:
    pods = [(cpu, memory, min(count, 2)) for cpu, memory, count in pods]
    found = pack(make_problem(pods, nodes), time_limit=5)
    assert found is not None
    cost = check_packing(pods, nodes, found.packing.offers.tolist(), found.packing.where.tolist())
    assert cost == pytest.approx(brute_force(pods, nodes))
    assert found.gap == pytest.approx(0, abs=1e-6)


@given(pods=PODS, nodes=NODES)
@quick
def test_no_packing_costs_less_than_its_bound(
    make_problem: Callable[..., Any], check_packing: Callable[..., float], pods: Pods, nodes: Nodes
) -> None:
    problem = make_problem(pods, nodes)
    bound = lower_bound(problem)
    for packing in (dot_product(problem), first_fit_decreasing(problem)):
        cost = check_packing(pods, nodes, packing.offers.tolist(), packing.where.tolist())
        assert cost >= bound - 1e-6


@given(pods=PODS, nodes=NODES, more=st.tuples(st.integers(1, 9), st.integers(1, 9)))
@quick
def test_more_pods_never_cost_less(
    make_problem: Callable[..., Any], pods: Pods, nodes: Nodes, more: tuple[int, int]
) -> None:
    few = pack(make_problem(pods, nodes), time_limit=5)
    many = pack(make_problem([*pods, (*more, 1)], nodes), time_limit=5)
    assert few is not None
    assert many is not None
    assert many.cost >= few.cost - 1e-6


@given(pods=PODS, nodes=NODES, index=st.integers(0, 2), cut=st.floats(0.1, 0.9))
@quick
def test_a_cheaper_catalogue_never_costs_more(
    make_problem: Callable[..., Any], pods: Pods, nodes: Nodes, index: int, cut: float
) -> None:
    cheaper = [
        (*node[:3], node[3] * cut) if i == index % len(nodes) else node
        for i, node in enumerate(nodes)
    ]
    dear = pack(make_problem(pods, nodes), time_limit=5)
    cheap = pack(make_problem(pods, cheaper), time_limit=5)
    assert dear is not None
    assert cheap is not None
    assert cheap.cost <= dear.cost + 1e-6


def test_johnsons_instance_is_solved_where_first_fit_decreasing_is_two_bins_off(
    make_problem: Callable[..., Any],
) -> None:
    """D. S. Johnson (1974): the optimum is 9 bins, first-fit decreasing needs 11."""
    pods = [(510, 1, 6), (270, 1, 6), (260, 1, 6), (230, 1, 12)]
    problem = make_problem(pods, [(1000, 100, 100, 1.0)])
    assert first_fit_decreasing(problem).cost(problem) == 11
    found = pack(problem, time_limit=10)
    assert found is not None
    assert (found.cost, found.bound) == (9, pytest.approx(9))


def test_triplets_that_fill_every_bin_exactly_are_packed_without_a_gap(
    make_problem: Callable[..., Any],
) -> None:
    """Made as Falkenauer (1996) makes triplets: three items fill a bin to the last unit."""
    random = np.random.default_rng(7)
    items: list[int] = []
    for _ in range(4):
        a = int(random.integers(380, 490))
        b = int(random.integers(250, 1000 - a - 250))
        items += [a, b, 1000 - a - b]
    pods = [(size, 1, 1) for size in items]
    found = pack(make_problem(pods, [(1000, 100, 100, 1.0)]), time_limit=10)
    assert found is not None
    assert found.cost == 4


def test_pods_above_half_a_node_are_bound_one_a_node(make_problem: Callable[..., Any]) -> None:
    problem = make_problem([(6, 1, 5)], [(10, 100, 100, 1.0)])
    assert lower_bound(problem) == pytest.approx(5)


def test_pod_slots_can_be_what_binds(make_problem: Callable[..., Any]) -> None:
    found = pack(make_problem([(1, 1, 30)], [(100, 100, 10, 1.0)]), time_limit=5)
    assert found is not None
    assert found.cost == 3


def test_a_workload_keeps_its_limit_on_each_node(make_problem: Callable[..., Any]) -> None:
    problem = make_problem([(1, 1, 4), (1, 1, 4)], [(100, 100, 100, 1.0)], limits={0: 1})
    found = pack(problem, time_limit=5)
    assert found is not None
    assert found.cost == 4
    assert len(set(found.packing.where[:4])) == 4


def test_classes_that_avoid_each_other_never_share_a_node(make_problem: Callable[..., Any]) -> None:
    problem = make_problem([(1, 1, 3), (1, 1, 3)], [(100, 100, 100, 1.0)], avoid={0: [1], 1: [0]})
    found = pack(problem, time_limit=5)
    assert found is not None
    assert found.cost == 2
    assert not set(found.packing.where[:3]) & set(found.packing.where[3:])


def test_no_more_types_are_bought_than_allowed(make_problem: Callable[..., Any]) -> None:
    pods, nodes = [(9, 1, 3), (1, 9, 3)], [(10, 2, 9, 1.0), (2, 10, 9, 1.0), (10, 10, 9, 1.9)]
    free = pack(make_problem(pods, nodes), time_limit=5)
    one = pack(make_problem(pods, nodes, max_types=1), time_limit=5)
    assert free is not None
    assert one is not None
    assert (free.cost, one.cost) == (pytest.approx(5.7), pytest.approx(5.7))
    apart = pack(make_problem(pods, [*nodes[:2], (10, 10, 9, 2.5)]), time_limit=5)
    joint = pack(make_problem(pods, [*nodes[:2], (10, 10, 9, 2.5)], max_types=1), time_limit=5)
    assert apart is not None
    assert joint is not None
    assert (apart.cost, joint.cost) == (pytest.approx(6.0), pytest.approx(7.5))
    assert len(set(joint.packing.offers.tolist())) == 1


def test_the_types_allowed_are_not_spent_before_every_pod_has_one_it_fits(
    make_problem: Callable[..., Any],
) -> None:
    """Two zones, one type: the small type is cheaper for most pods and too small for one."""
    nodes = [(10, 10, 20, 1.0), (40, 40, 20, 4.4), (10, 10, 20, 1.0), (40, 40, 20, 4.4)]
    pods = [(1 + k % 3, 1, 3) for k in range(16)] + [(30, 1, 1)]
    problem = make_problem(pods, nodes, kind=np.array([0, 1, 0, 1]), max_types=1)
    east = np.array([True, True, False, False])
    fits = problem.fits & np.where((np.arange(17) % 2 == 0)[:, None], east, ~east)
    found = pack(replace(problem, fits=fits), time_limit=2)
    assert found is not None
    assert found.packing.whole
    assert set(found.packing.offers.tolist()) == {1, 3}


def test_every_zone_gets_its_floor(make_problem: Callable[..., Any]) -> None:
    nodes = [(10, 10, 10, 1.0), (10, 10, 10, 1.1), (10, 10, 10, 1.2)]
    problem = make_problem([(1, 1, 2)], nodes, zone=np.arange(3), floor=2)
    found = pack(problem, time_limit=5)
    assert found is not None
    assert np.bincount(found.packing.offers).tolist() == [2, 2, 2]
    assert found.bound == pytest.approx(found.cost)


def test_a_blend_keeps_its_share_on_demand(make_problem: Callable[..., Any]) -> None:
    nodes = [(10, 10, 10, 1.0), (10, 10, 10, 0.3)]
    problem = make_problem(
        [(1, 1, 40)], nodes, on_demand=np.array([True, False]), on_demand_share=0.5
    )
    found = pack(problem, time_limit=5)
    assert found is not None
    assert np.bincount(found.packing.offers).tolist() == [2, 2]


def test_rules_that_exclude_each_other_give_no_packing(make_problem: Callable[..., Any]) -> None:
    assert pack(make_problem([(20, 1, 1)], [(10, 10, 10, 1.0)]), time_limit=5) is None


@pytest.fixture
def many(make_problem: Callable[..., Any]) -> tuple[Pods, Nodes]:
    random = np.random.default_rng(3)
    cpu = np.ceil(np.exp(random.normal(5.5, 0.8, 40))).clip(20, 3000).astype(int) + 100
    memory = np.ceil(np.exp(random.normal(6.2, 0.9, 40))).clip(50, 12000).astype(int) + 128
    pods = list(
        zip(cpu.tolist(), memory.tolist(), random.integers(1, 20, 40).tolist(), strict=True)
    )
    nodes = [
        (3470, 13760, 53, 0.192),
        (3470, 6180, 53, 0.17),
        (7460, 27800, 53, 0.384),
        (7460, 13000, 53, 0.34),
        (15440, 57290, 229, 0.768),
        (3470, 28900, 53, 0.252),
    ]
    return pods, nodes


def test_hundreds_of_pods_come_within_two_percent_of_the_bound_and_below_greedy(
    make_problem: Callable[..., Any],
    check_packing: Callable[..., float],
    many: tuple[Pods, Nodes],
    capfd: pytest.CaptureFixture[str],
) -> None:
    problem = make_problem(*many)
    found = pack(problem, time_limit=6)
    assert found is not None
    cost = check_packing(*many, found.packing.offers.tolist(), found.packing.where.tolist())
    assert cost == pytest.approx(found.cost)
    assert found.cost <= dot_product(problem).cost(problem)
    assert 0 <= found.gap <= 0.02
    assert capfd.readouterr().out == "", "the solver must not print on stdout"


def test_out_of_time_the_best_packing_so_far_comes_with_its_gap(
    make_problem: Callable[..., Any], check_packing: Callable[..., float], many: tuple[Pods, Nodes]
) -> None:
    found = pack(make_problem(*many), time_limit=0.01)
    assert found is not None
    check_packing(*many, found.packing.offers.tolist(), found.packing.where.tolist())
    assert found.gap > 0
