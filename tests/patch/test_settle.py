"""What is written given what the files say: the same figures for every kind of file."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightsize.patch import SizeChange
from rightsize.patch.settle import InFile, settled
from rightsize.results import Sizes

GI = float(2**30)
RUNNING = Sizes(0.1, 2.0, 0.125 * GI, GI)
CHANGE = SizeChange(
    "gateway", "ns", "gw", None, Sizes(0.05, 2.0, 0.09375 * GI, GI), running=RUNNING
)


def test_a_file_that_says_what_runs_is_no_news() -> None:
    today = {"cpu_request": InFile(0.1, "a"), "memory_limit": InFile(GI, "b")}
    result = settled(CHANGE, today)
    assert (result.values["cpu_request"], result.notes) == (0.05, [])


@pytest.mark.parametrize(("slot", "value"), [("cpu_limit", 4.8), ("memory_limit", 4 * GI)])
def test_a_higher_limit_of_the_file_is_kept_and_said(slot: str, value: float) -> None:
    result = settled(CHANGE, {slot: InFile(value, "limits")})
    assert result.values[slot] == value
    assert "the file's limit is kept" in result.notes[0]


def test_a_limit_that_runs_as_the_file_says_may_be_cut() -> None:
    cut = replace(CHANGE, sizes=replace(CHANGE.sizes, memory_limit=GI / 2))
    assert settled(cut, {"memory_limit": InFile(GI, "b")}).values["memory_limit"] == GI / 2


def test_a_ceiling_and_a_floor_of_replicas_are_never_lowered() -> None:
    bounded = replace(CHANGE, autoscale_min=2, autoscale_max=5)
    today = {"autoscale_min": InFile(3, "min"), "autoscale_max": InFile(20, "max")}
    values = settled(bounded, today).values
    assert (values["autoscale_min"], values["autoscale_max"]) == (3, 20)


def test_a_limit_of_null_stays_null() -> None:
    result = settled(CHANGE, {"cpu_limit": InFile(None, "limits.cpu")})
    assert "cpu_limit" not in result.values
    assert "is a decision" in result.notes[0]


def test_a_memory_target_holds_the_memory_request() -> None:
    today = {"memory_request": InFile(0.25 * GI, "requests.memory")}
    result = settled(CHANGE, today, memory_target="autoscaling.targetMemory")
    assert result.values["memory_request"] == 0.25 * GI


def test_more_than_the_largest_node_holds_is_refused() -> None:
    node = Sizes(0.04, None, GI, None)
    assert "largest node" in (settled(CHANGE, {}, largest_node=node).refused or "")


@given(
    st.floats(0.01, 8), st.floats(0.01, 8), st.one_of(st.none(), st.floats(0.01, 8)), st.booleans()
)
def test_a_request_is_never_above_its_limit(
    wanted: float, limit: float, before: float | None, known: bool
) -> None:
    change = SizeChange(
        "istiod", None, None, None, Sizes(cpu_request=wanted), running=Sizes() if known else None
    )
    today = {"cpu_limit": InFile(limit, "limits.cpu")}
    if before is not None:
        today["cpu_request"] = InFile(before, "requests.cpu")
    result = settled(change, today)
    assert result.values["cpu_request"] <= result.values.get("cpu_limit", limit)
