"""A search paced by its work finds the same on a machine that is a thousand times slower."""

from __future__ import annotations

import itertools
import time

import numpy as np
import pytest

from rightsize.nodes.improve import Clock, Pace
from rightsize.nodes.packing import pack
from rightsize.nodes.solver import Effort


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


def test_work_moves_a_paced_clock_and_the_wall_does_not(slow_machine):
    slow_machine()
    clock = Clock(2.0, Pace())
    assert clock.left == 2.0
    clock.part(0.5).spend(1.5)
    assert clock.left == 0.5
    clock.spend(0.5)
    assert clock.out


def test_a_slow_machine_packs_the_same(problem, slow_machine):
    quick = pack(problem, time_limit=3.0, pace=Pace())
    slow_machine()
    slow = pack(problem, time_limit=3.0, pace=Pace())
    assert quick is not None
    assert slow is not None
    assert slow.cost == quick.cost
    assert np.array_equal(slow.packing.where, quick.packing.where)


def test_a_steady_program_is_limited_by_its_branches_and_not_by_the_wall():
    assert Effort(2.0).options == {"time_limit": 2.0}
    steady = Effort(2.0, steady=True).options
    assert steady["node_limit"] == 2 * Effort(1.0, steady=True).options["node_limit"]
    assert steady["time_limit"] > 100 * 2.0
