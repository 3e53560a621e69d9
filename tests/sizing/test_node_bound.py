"""Nothing is recommended that the largest node cannot hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from rightsize.recommend import recommend
from rightsize.results import Sizes
from rightsize.sizing.node_bound import Largest
from tests.tiny_mesh import Tiny, tiny_nodes, tiny_snapshot

LARGEST = float(tiny_nodes(1)["allocatable_memory"].max())


@pytest.fixture
def advice(tmp_path: Path):
    def of(*containers: Tiny, nodes: int = 2):
        return recommend(tiny_snapshot(tmp_path, *containers, nodes=nodes))

    return of


def test_a_size_beyond_the_largest_node_leaves_what_is_in_force(advice) -> None:
    leaking = Tiny(workload="leaking", memory=(2 * LARGEST,))
    (row,) = (r for r in advice(leaking, Tiny()).recommendations if r.workload == "leaking")
    assert (row.memory.recommended_request, row.memory.recommended_limit) == (
        row.memory.request,
        row.memory.limit,
    )
    assert "more than the largest node can give" in row.reason


def test_one_such_workload_does_not_move_the_mesh_default(advice, tmp_path: Path) -> None:
    leaking = Tiny(workload="leaking", memory=(2 * LARGEST,), pods=4)
    for row in advice(leaking, Tiny()).recommendations:
        for size in (row.recommended, Sizes() if row.needs is None else row.needs):
            assert max(size.memory_request or 0, size.memory_limit or 0) <= LARGEST


def test_without_nodes_the_largest_machine_of_ec2_is_the_bound(advice) -> None:
    for row in advice(Tiny(memory=(2.0**46,)), nodes=0).recommendations:
        assert (row.memory.recommended_limit or 0) <= 2.0**46


def test_what_is_written_as_a_plain_size_is_left_out_beyond_the_largest_node() -> None:
    sizes, said = Largest(4.0, 2.0**33).part_of(Sizes(4.5, 4.0, 2.0**34, float("nan")))
    assert sizes == Sizes(None, 4.0, None, None)
    assert len(said) == 3
    assert said[0] == "cpu request: left out, more than the largest node can give (4)"
