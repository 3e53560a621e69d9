"""A search paced by its work finds the same on a machine that is a thousand times slower."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rightsize.nodes import solver
from rightsize.nodes.exact import maximal_fillings
from rightsize.nodes.packing import pack
from rightsize.nodes.work import Clock


@pytest.fixture
def problem(make_problem):
    random = np.random.default_rng(3)
    sizes = random.integers(5, 60, size=(40, 2))
    pods = [(int(cpu), int(memory), 2) for cpu, memory in sizes]
    return make_problem(pods, [(100, 100, 30, 1.0), (200, 190, 50, 1.9)])


@pytest.fixture
def slow_machine(monkeypatch):
    def slow():
        ticks = itertools.count(0.0, 1000.0)
        monkeypatch.setattr(time, "monotonic", lambda: next(ticks))

    return slow


def test_work_moves_the_clock_and_the_wall_does_not(slow_machine):
    slow_machine()
    clock = Clock(2.0)
    assert clock.left == 2.0
    clock.part(0.5).spend(1.5)
    assert clock.left == 0.5
    clock.spend(0.5)
    assert clock.out


def test_a_slow_machine_packs_the_same(problem, slow_machine):
    quick = pack(problem, time_limit=3.0)
    slow_machine()
    slow = pack(problem, time_limit=3.0)
    assert quick is not None
    assert slow is not None
    assert slow.cost == quick.cost
    assert np.array_equal(slow.packing.where, quick.packing.where)


def test_a_search_does_not_begin_what_its_work_does_not_allow(make_problem):
    pods = [(3 + n, 5 + 2 * n, 40) for n in range(12)]
    problem = make_problem(pods, [(1000, 1500, 200, 1.0)])
    found, taken = maximal_fillings(problem, 0, most=10**9, steps=2_000)
    assert found is None
    assert taken <= 2_001


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    pods=st.lists(
        st.tuples(st.integers(1, 60), st.integers(1, 60), st.integers(1, 12)),
        min_size=1, max_size=14, unique_by=lambda pod: pod[:2],
    ),
    offers=st.integers(1, 4),
)  # fmt: skip
def test_a_small_mesh_is_planned_within_the_work_allowed(make_problem, pods, offers):
    sizes = [(100 * (n + 1), 90 * (n + 1), 60, 1.0 * (n + 1)) for n in range(offers)]
    clock = Clock(6.0)
    packed = pack(make_problem(pods, sizes), time_limit=6.0, clock=clock)
    assert packed is not None
    assert packed.packing.whole
    assert packed.bound <= packed.cost + 1e-9
    # The last step may overrun by what one program of this size takes.
    assert clock.left >= -1.0


def test_a_program_solved_before_counts_and_answers_as_if_it_were_solved_anew(monkeypatch):
    random = np.random.default_rng(5)
    rows = random.uniform(0.05, 0.3, size=(4, 9))
    cost = random.uniform(1.0, 2.0, 9)
    for seconds in (5.0, 0.001, 5.0):
        clocks, found = [], []
        for forget in (False, True):
            if forget:
                monkeypatch.setattr(solver, "_RUNS", {})
            clocks.append(Clock(seconds))
            whole = np.ones(9, dtype=bool)
            found.append(solver.minimise(cost, rows, np.ones(4), whole, clock=clocks[-1]))
        assert clocks[0].left == clocks[1].left
        assert found[0].bound == found[1].bound


@given(
    rows=st.lists(st.tuples(st.floats(0.01, 3), st.floats(0, 40)), min_size=1, max_size=4),
    price=st.floats(0.01, 9),
)
@settings(max_examples=40, deadline=None)
def test_one_column_needs_what_two_equal_ones_need(rows, price):
    one, at_least = np.array(rows).T
    clock = Clock(60.0)
    alone, twice = (
        solver.minimise(
            np.full(n, price), np.repeat(one[:, None], n, axis=1), at_least, np.ones(n, dtype=bool), clock=clock
        ).bound
        for n in (1, 2)
    )  # fmt: skip
    assert alone == pytest.approx(twice, rel=1e-5, abs=1e-5)
