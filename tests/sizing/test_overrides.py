"""The mesh default and its exceptions are the cheapest that give everyone what they need."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightsize.prices.unit_price import UnitPrice
from rightsize.sizing.overrides import choose_default

PRICE = UnitPrice(usd_per_core_hour=0.03, usd_per_byte_hour=4e-12)
MIB = 2**20

meshes = st.lists(
    st.tuples(
        st.sampled_from([0.01, 0.02, 0.05, 0.1, 0.5]),
        st.sampled_from([48 * MIB, 64 * MIB, 128 * MIB, 512 * MIB]),
        st.integers(1, 20),
    ),
    min_size=1,
    max_size=7,
)


def monthly(cpu, memory, replicas):
    return float((replicas * (cpu * 0.03 + memory * 4e-12)).sum() * 730)


def brute_force(cpu, memory, replicas, allowed):
    everyone = range(len(cpu))
    best = np.inf
    for size in range(min(allowed, len(cpu)) + 1):
        for own in combinations(everyone, size):
            rest = [w for w in everyone if w not in own]
            chosen = list(own)
            cost = monthly(cpu[chosen], memory[chosen], replicas[chosen])
            if rest:
                cost += monthly(cpu[rest].max(), memory[rest].max(), replicas[rest])
            best = min(best, cost)
    return best


def arrays(mesh):
    return [np.array(column, dtype=float) for column in zip(*mesh, strict=True)]


@given(meshes, st.integers(0, 7))
def test_the_choice_costs_what_brute_force_finds(mesh, allowed):
    cpu, memory, replicas = arrays(mesh)
    found = choose_default(cpu, memory, replicas, PRICE, max_overrides=allowed)
    assert found.usd_per_month == pytest.approx(brute_force(cpu, memory, replicas, allowed))


@given(meshes, st.integers(0, 7))
def test_everyone_gets_what_they_need(mesh, allowed):
    cpu, memory, replicas = arrays(mesh)
    found = choose_default(cpu, memory, replicas, PRICE, max_overrides=allowed)
    covered = ~found.exceptions
    assert found.exceptions.sum() <= allowed
    assert (cpu[covered] <= found.cpu).all()
    assert (memory[covered] <= found.memory).all()


@given(meshes)
def test_more_exceptions_never_cost_more(mesh):
    found = choose_default(*arrays(mesh), PRICE)
    assert (np.diff(found.curve["usd_per_month"]) <= 1e-9).all()


def test_an_exception_must_save_more_than_its_upkeep():
    cpu, memory = np.array([0.01, 0.02]), np.array([64.0 * MIB, 64.0 * MIB])
    replicas = np.array([1.0, 1.0])
    saving = 0.01 * 0.03 * 730
    kept = choose_default(cpu, memory, replicas, PRICE, upkeep_usd_per_month=saving * 1.1)
    made = choose_default(cpu, memory, replicas, PRICE, upkeep_usd_per_month=saving * 0.9)
    assert (kept.exceptions.sum(), made.exceptions.sum()) == (0, 1)


def test_two_thousand_workloads_meet_the_fluid_lower_bound_within_its_gap():
    random = np.random.default_rng(7)
    cpu = np.ceil(random.lognormal(-4.5, 0.8, 2000) * 200) / 200
    memory = np.ceil(random.lognormal(4.3, 0.3, 2000) / 8) * 8.0 * MIB
    replicas = random.integers(1, 9, 2000).astype(float)
    found = choose_default(cpu, memory, replicas, PRICE, max_overrides=100)
    bound = monthly(cpu, memory, replicas)
    without = monthly(cpu.max(), memory.max(), replicas)
    assert bound <= found.usd_per_month < without


def test_no_workload_is_an_error():
    with pytest.raises(ValueError, match="no workload"):
        choose_default(np.array([]), np.array([]), np.array([]), PRICE)
