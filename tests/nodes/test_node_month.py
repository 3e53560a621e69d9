"""The replayed month equals a timeline worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pandas as pd
import pytest

from rightsize.config import NodeSettings
from rightsize.errors import NoDataError
from rightsize.nodes.month import MonthReplay, replay_month
from rightsize.prices.catalogue import priced_types

MEBIBYTE = 2**20
SETTINGS = NodeSettings(spread="none")


def at(hour: float) -> pd.Timestamp:
    return pd.Timestamp(datetime(2026, 3, 2, tzinfo=UTC)) + pd.Timedelta(hours=hour)


def days(*pods: tuple[str, float, float, float]) -> pd.DataFrame:
    """`(name, cores, first hour, last hour)`: the pod is there at the end of each of them."""
    return pd.DataFrame(
        {
            "day": pd.Timestamp("2026-03-02", tz="UTC"),
            "namespace": "shop",
            "workload": [name.rstrip("0123456789") for name, *_ in pods],
            "workload_kind": "Deployment",
            "pod": [name for name, *_ in pods],
            "cpu": [cpu for _, cpu, *_ in pods],
            "memory": 64.0 * MEBIBYTE,
            "unset": 0,
            "daemonset": False,
            "scheduling": None,
            "labels": None,
            "node": None,
            "started": [at(start - 0.5) for *_, start, _ in pods],
            "first_seen": [at(start - 0.25) for *_, start, _ in pods],
            "last_seen": [at(end) for *_, end in pods],
        }
    )


@pytest.fixture
def replay(make_nodes: Callable[..., pd.DataFrame]) -> Callable[..., MonthReplay]:
    """Nodes of 4 cores, of which pods get all."""

    def run(pods: pd.DataFrame, autoscaler: str = "cluster-autoscaler") -> MonthReplay:
        nodes = make_nodes(1, cpu=4.0)
        return replay_month(pods, priced_types("us-east-1"), nodes, SETTINGS, autoscaler)

    return run


def counts(month: MonthReplay) -> list[int]:
    return month.timeline["nodes"].tolist()


def test_a_pod_without_room_brings_a_node_in_its_hour(replay: Callable[..., MonthReplay]) -> None:
    month = replay(days(("a1", 3.0, 1, 4), ("b1", 3.0, 3, 4)))
    assert counts(month) == [1, 1, 2, 2]
    assert month.timeline["added"].tolist() == [0, 0, 1, 0]
    assert (month.node_hours, month.peak, month.scaling_events) == (6, 2, 1)


def test_cluster_autoscaler_takes_a_node_that_was_unneeded_for_two_hours(
    replay: Callable[..., MonthReplay],
) -> None:
    """At hour 3 `b1` is gone and its node is empty: unneeded. At hour 4 it still is, and goes."""
    month = replay(days(("a1", 3.0, 1, 6), ("b1", 3.0, 1, 2)))
    assert counts(month) == [2, 2, 2, 1, 1, 1]
    assert month.timeline["removed"].tolist() == [0, 0, 0, 1, 0, 0]
    assert (month.node_hours, month.scaling_events) == (9, 1)


def test_karpenter_takes_it_within_the_hour(replay: Callable[..., MonthReplay]) -> None:
    month = replay(days(("a1", 3.0, 1, 6), ("b1", 3.0, 1, 2)), "karpenter")
    assert counts(month) == [2, 2, 1, 1, 1, 1]
    assert month.node_hours == 8


def test_cluster_autoscaler_keeps_a_node_that_is_half_full_and_karpenter_does_not(
    replay: Callable[..., MonthReplay],
) -> None:
    """Four pods of 2 cores fill two nodes; then each node keeps one, exactly half."""
    pods = days(("a1", 2.0, 1, 4), ("a2", 2.0, 1, 1), ("a3", 2.0, 1, 4), ("a4", 2.0, 1, 1))
    assert counts(replay(pods)) == [2, 2, 2, 2]
    assert counts(replay(pods, "karpenter")) == [2, 1, 1, 1]


def test_cluster_autoscaler_moves_the_pods_of_a_node_below_half(
    replay: Callable[..., MonthReplay],
) -> None:
    """Hour 2 leaves 2.2 and 1.8 cores on two nodes; the second is unneeded and goes at hour 3."""
    pods = days(("a1", 2.2, 1, 5), ("b1", 1.8, 1, 1), ("c1", 1.8, 1, 5), ("d1", 2.2, 1, 1))
    assert counts(replay(pods)) == [2, 2, 1, 1, 1]


def test_a_node_that_was_just_needed_again_stays(replay: Callable[..., MonthReplay]) -> None:
    """Empty at hour 3, wanted again at hour 4: never unneeded at two ends of hours running."""
    month = replay(days(("a1", 3.0, 1, 5), ("b1", 3.0, 1, 2), ("b2", 3.0, 4, 5)))
    assert counts(month) == [2, 2, 2, 2, 2]
    assert month.scaling_events == 0


def test_smaller_requests_never_need_more_node_hours_here(
    replay: Callable[..., MonthReplay],
) -> None:
    before = days(("a1", 3.0, 1, 6), ("b1", 3.0, 2, 4), ("c1", 0.9, 1, 6))
    after = before.assign(cpu=before["cpu"] * 0.5)
    assert counts(replay(before)) == [1, 2, 2, 2, 2, 1]
    assert counts(replay(after)) == [1, 1, 1, 1, 1, 1]


def test_a_pod_larger_than_a_node_is_named_and_buys_nothing(
    replay: Callable[..., MonthReplay],
) -> None:
    month = replay(days(("a1", 1.0, 1, 3), ("big1", 9.0, 2, 3)))
    assert counts(month) == [1, 1, 1]
    assert [pod.pod for pod in month.unplaced] == ["big1"]
    assert "9 cores" in month.unplaced[0].reason


def test_without_a_known_node_type_there_is_no_replay(
    make_nodes: Callable[..., pd.DataFrame],
) -> None:
    nodes = make_nodes(2).assign(instance_type=None)
    with pytest.raises(NoDataError, match="type of at least one node"):
        replay_month(days(("a1", 1.0, 1, 2)), priced_types("us-east-1"), nodes, SETTINGS)
