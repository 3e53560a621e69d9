"""What one recommendation is worth when only whole machines can be given up."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rightsize.cost.marginal import NodeSetValue, marginal_savings


def cores(requested: float, freed: Sequence[float], per_node: float = 4.0, price: float = 0.2):
    """Machines of four cores for what is requested less what the changes free."""

    def node_set_for(made: Sequence[int]) -> NodeSetValue:
        nodes = math.ceil(round(requested - sum(freed[i] for i in made), 9) / per_node)
        return NodeSetValue(nodes, nodes * price)

    return node_set_for


def test_a_change_that_frees_a_machine_by_itself_is_realisable_alone() -> None:
    [one] = marginal_savings(1, cores(8, [4]))
    assert (one.frees, one.alone, one.share) == ("alone", pytest.approx(0.2), pytest.approx(0.2))


def test_two_halves_free_a_machine_only_together() -> None:
    both = marginal_savings(2, cores(8, [2, 2]), orders=20)
    assert [one.frees for one in both] == ["with others", "with others"]
    assert all(one.alone == 0 and one.last == pytest.approx(0.2) for one in both)
    assert sum(one.share for one in both) == pytest.approx(0.2)


def test_a_change_too_small_to_free_anything_saves_nothing() -> None:
    [one] = marginal_savings(1, cores(8, [1]))
    assert (one.frees, one.share) == ("nothing", 0)


def test_a_rise_shows_as_a_cost() -> None:
    [one] = marginal_savings(1, cores(8, [-1]))
    assert (one.alone, one.frees) == (pytest.approx(-0.2), "nothing")


def test_no_changes_have_no_values() -> None:
    assert marginal_savings(0, cores(8, [])) == ()


def test_no_set_of_changes_is_planned_twice_and_their_number_is_bounded() -> None:
    asked: list[tuple[int, ...]] = []
    plan = cores(40, [3] * 5)

    def node_set_for(made: Sequence[int]) -> NodeSetValue:
        asked.append(tuple(made))
        return plan(made)

    marginal_savings(5, node_set_for, orders=3)
    assert len(asked) == len(set(asked)) <= 5 * (3 + 2) + 1


@given(st.lists(st.floats(-2, 6), max_size=6), st.integers(1, 5), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_the_shares_add_up_to_the_whole_saving(freed: list[float], orders: int, seed: int) -> None:
    plan = cores(40, freed)
    found = marginal_savings(len(freed), plan, orders=orders, seed=seed)
    whole = plan(()).usd_per_hour - plan(range(len(freed))).usd_per_hour
    assert sum(one.share for one in found) == pytest.approx(whole, abs=1e-9)
