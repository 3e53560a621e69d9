"""Parts of even load with little cut: as good as brute force where that can be run."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rightsize.namespaces.partition import cut_weight, partition


def community_mesh(seed: int, namespaces: int, teams: int):
    """Namespaces of teams that call their own far more than others."""
    rng = np.random.default_rng(seed)
    team = rng.integers(0, teams, namespaces)
    inside = team[:, None] == team[None, :]
    linked = rng.random((namespaces, namespaces)) < np.where(inside, 0.5, 0.02)
    weights = np.triu(linked * rng.gamma(1.0, 10.0, (namespaces, namespaces)), 1)
    return weights + weights.T, rng.lognormal(2.0, 0.7, namespaces)


def best_of_all(weights, loads, parts: int, tolerance: float) -> float:
    mean = loads.sum() / parts
    best = np.inf
    for tried in product(range(parts), repeat=len(loads)):
        found = np.array(tried)
        totals = np.bincount(found, weights=loads, minlength=parts)
        if (np.bincount(found, minlength=parts) > 0).all() and totals.max() <= mean * (
            1 + tolerance
        ):
            best = min(best, cut_weight(weights, found))
    return best


@pytest.mark.parametrize(("namespaces", "parts"), [(9, 2), (8, 3)])
def test_small_graphs_are_cut_as_well_as_brute_force_does(namespaces, parts):
    excess = []
    for seed in range(12):
        weights, loads = community_mesh(seed, namespaces, 3)
        loads = 1 + loads / loads.max()
        optimum = best_of_all(weights, loads, parts, 0.3)
        found = partition(weights, loads, parts, tolerance=0.3)
        if np.isfinite(optimum):
            assert found.heaviest <= 1.3 + 1e-9
            assert found.cut >= optimum - 1e-9
            excess.append(found.cut / optimum - 1 if optimum > 0 else found.cut)
    assert len(excess) >= 8
    assert np.mean(np.array(excess) < 1e-9) >= 0.9
    assert max(excess) < 0.2


def greedy(weights, loads, parts: int):
    """Each namespace, heaviest first, to the part it is tied to most that has room."""
    found = np.full(len(loads), -1)
    room = loads.sum() / parts * 1.1
    total = np.zeros(parts)
    for node in np.argsort(-loads):
        ties = np.array([weights[node, found == p].sum() for p in range(parts)])
        ties[total + loads[node] > room] = -1
        part = int(ties.argmax()) if ties.max() >= 0 else int(total.argmin())
        found[node] = part
        total[part] += loads[node]
    return found


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_a_mesh_of_3000_services_is_cut_better_than_at_random_or_greedily(parts):
    # 300 namespaces of ten services each.
    weights, loads = community_mesh(7, 300, 12)
    found = partition(weights, loads, parts)
    at_random = cut_weight(weights, np.random.default_rng(0).integers(0, parts, 300))
    assert found.heaviest <= 1.1 + 1e-9
    assert found.cut < 0.6 * at_random
    assert found.cut < 0.8 * cut_weight(weights, greedy(weights, loads, parts))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 5))
def test_every_node_has_a_part_and_no_part_is_empty(seed, nodes, parts):
    weights, loads = community_mesh(seed, nodes, 2)
    parts = min(parts, nodes)
    found = partition(weights, loads, parts)
    assert set(found.parts) == set(range(parts))
    assert found.cut == pytest.approx(cut_weight(weights, found.parts))
    again = partition(weights, loads, parts)
    assert (again.parts == found.parts).all()


def test_a_namespace_heavier_than_a_part_stands_alone():
    loads = np.array([100.0, 1.0, 1.0, 1.0])
    weights = np.ones((4, 4))
    found = partition(weights, loads, 2)
    assert (found.parts[1:] == found.parts[1]).all()
    assert found.parts[0] != found.parts[1]


def test_more_parts_than_nodes_is_refused():
    with pytest.raises(ValueError, match="3 parts of 2 nodes"):
        partition(np.zeros((2, 2)), np.ones(2), 3)
