"""The replayed month equals a timeline worked out by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pandas as pd
import pytest

from rightsize.config import NodeSettings
from rightsize.errors import NoDataError
from rightsize.nodes import cluster_autoscaler
from rightsize.nodes.autoscaler import Autoscaler
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

    def run(
        pods: pd.DataFrame,
        autoscaler: str = "cluster-autoscaler",
        *,
        count: int = 1,
        **options: float,
    ) -> MonthReplay:
        nodes = make_nodes(count, cpu=4.0)
        scaler = Autoscaler(autoscaler, **options)
        return replay_month(pods, priced_types("us-east-1"), nodes, SETTINGS, scaler)

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


def pairs(cores: float, *, nodes: int, hours: int = 5) -> pd.DataFrame:
    """Two pods of these cores on each of the nodes that ran."""
    names = [f"w{i:02}x" for i in range(2 * nodes)]
    pods = days(*((name, cores, 1, hours) for name in names))
    return pods.assign(node=[f"node-{i // 2}" for i in range(2 * nodes)])


def test_cluster_autoscaler_keeps_nodes_that_are_more_than_half_full_and_karpenter_does_not(
    replay: Callable[..., MonthReplay],
) -> None:
    """Two pods of 1.05 cores each, 0.525: one node's go to the two others, which have 1.9 left."""
    assert counts(replay(pairs(1.05, nodes=3), count=3)) == [3, 3, 3, 3, 3]
    assert counts(replay(pairs(1.05, nodes=3), "karpenter", count=3)) == [3, 2, 2, 2, 2]


@pytest.mark.parametrize("nodes_a_judgment", [100, 4, 1])
def test_nodes_that_go_between_two_judgments_are_still_below_the_threshold(
    replay: Callable[..., MonthReplay], monkeypatch: pytest.MonkeyPatch, nodes_a_judgment: int
) -> None:
    """Pods of 0.9 cores on 20 nodes, two a node, 0.45: four fit, so that ten nodes do."""
    monkeypatch.setattr(cluster_autoscaler, "_NODES_A_JUDGMENT", nodes_a_judgment)
    month = replay(pairs(0.9, nodes=20, hours=8), count=20)
    assert counts(month)[0] == 20
    assert counts(month)[-1] in (10, 11, 12)
    assert month.timeline["added"].sum() == 0


def test_a_node_at_the_threshold_is_a_candidate(replay: Callable[..., MonthReplay]) -> None:
    """Four pods of 2 cores fill two nodes; then each keeps one, exactly half, which may go."""
    pods = days(("a1", 2.0, 1, 4), ("a2", 2.0, 1, 1), ("a3", 2.0, 1, 4), ("a4", 2.0, 1, 1))
    assert counts(replay(pods)) == [2, 2, 1, 1]


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


def spread_out(cores: float, *, count: int = 4, hours: int = 5) -> pd.DataFrame:
    """One pod of these cores on each of the nodes that ran."""
    pods = days(*((f"w{chr(97 + i)}", cores, 1, hours) for i in range(count)))
    return pods.assign(node=[f"node-{i}" for i in range(count)])


def test_the_replay_starts_from_the_nodes_that_ran_with_their_pods_where_they_were(
    replay: Callable[..., MonthReplay],
) -> None:
    """Each node is used by 0.6: packed they would be fewer, but none is unneeded."""
    month = replay(spread_out(2.4), count=4)
    assert counts(month) == [4, 4, 4, 4, 4]
    assert (month.first, month.last, month.scaling_events) == (4, 4, 0)


def test_a_node_that_got_pods_is_judged_again_before_it_goes(
    replay: Callable[..., MonthReplay],
) -> None:
    """Four nodes at 0.3 of the CPU. The first goes, its pod makes another 0.6, and so on."""
    assert counts(replay(spread_out(1.2), count=4)) == [4, 4, 2, 2, 2]


def test_a_higher_threshold_takes_nodes_that_the_default_keeps(
    replay: Callable[..., MonthReplay],
) -> None:
    """Used by 0.55 each: one goes, and two of the others have no room for a third pod then."""
    assert counts(replay(pairs(1.1, nodes=4), count=4)) == [4, 4, 4, 4, 4]
    assert counts(replay(pairs(1.1, nodes=4), count=4, threshold=0.65)) == [4, 4, 3, 3, 3]


def test_pods_avoid_nodes_that_are_about_to_go(replay: Callable[..., MonthReplay]) -> None:
    """Cluster Autoscaler taints unneeded nodes PreferNoSchedule, so the pod of hour 3 goes to the
    fuller node. On the emptier one, where the scores send it else, it would hold both."""
    pods = days(("a1", 2.2, 1, 5), ("b1", 0.4, 1, 5), ("c1", 1.2, 3, 5))
    pods = pods.assign(node=["node-0", "node-1", None])
    assert counts(replay(pods, count=2)) == [2, 2, 1, 1, 1]


def test_a_longer_unneeded_time_keeps_a_node_for_so_many_hours(
    replay: Callable[..., MonthReplay],
) -> None:
    """Unneeded since hour 3: it goes at hour 4 after 10 minutes, at hour 6 after three hours."""
    pods = days(("a1", 3.0, 1, 7), ("b1", 3.0, 1, 2))
    assert counts(replay(pods)) == [2, 2, 2, 1, 1, 1, 1]
    assert counts(replay(pods, unneeded_minutes=180)) == [2, 2, 2, 2, 2, 1, 1]


def test_pods_that_hold_their_node_keep_it(make_nodes: Callable[..., pd.DataFrame]) -> None:
    """Four nodes at 0.3 of the CPU: the held pod's node stays, and takes the others' pods."""
    pods, nodes = spread_out(0.9), make_nodes(4, cpu=4.0)
    held = pods[["namespace", "pod"]].iloc[[1, 2]]
    for kind in ("cluster-autoscaler", "karpenter"):
        free, bound = (
            replay_month(
                pods, priced_types("us-east-1"), nodes, SETTINGS, Autoscaler(kind), held=one
            )
            for one in (None, held)
        )
        assert (free.last, bound.last) == (1, 2)


def test_a_node_with_a_pod_that_no_node_would_take_stays(
    make_nodes: Callable[..., pd.DataFrame],
) -> None:
    """A taint that came after the pod: it runs on, and drained it would have no place."""
    taint = '[{"key": "dedicated", "value": "x", "effect": "NoSchedule"}]'
    nodes, pods = make_nodes(3, cpu=4.0).assign(taints=taint), spread_out(0.9, count=3)
    pods["scheduling"] = [None, *['{"tolerations": [{"operator": "Exists"}]}'] * 2]
    pods.loc[0, "scheduling"] = '{"tolerations": []}'
    for kind in ("cluster-autoscaler", "karpenter"):
        month = replay_month(
            pods, priced_types("us-east-1"), nodes, SETTINGS, Autoscaler(kind), held=None
        )
        assert [pod.pod for pod in month.unplaced] == ["wa"]
        assert month.last == 1


def test_no_node_group_falls_below_its_minimum(make_nodes: Callable[..., pd.DataFrame]) -> None:
    nodes = make_nodes(4, cpu=4.0).assign(node_group="general")
    floor = SETTINGS.model_copy(update={"group_minimum": (("general", 3),)})
    month = replay_month(spread_out(0.9), priced_types("us-east-1"), nodes, floor)
    assert month.last == 3


def test_a_node_that_joins_counts_for_its_group(make_nodes: Callable[..., pd.DataFrame]) -> None:
    """Two of two nodes full, a third joins in hour 2; in hour 3 one of the first is empty, and may go."""
    pods = days(("a1", 3.0, 1, 6), ("b1", 3.0, 1, 2), ("c1", 3.0, 2, 6))
    nodes = make_nodes(2, cpu=4.0).assign(node_group="general")
    floor = SETTINGS.model_copy(update={"group_minimum": (("general", 2),)})
    pods = pods.assign(node=["node-0", "node-1", None])
    month = replay_month(pods, priced_types("us-east-1"), nodes, floor)
    assert counts(month) == [2, 3, 3, 2, 2, 2]


def test_nothing_goes_below_the_least_of_all_groups(replay: Callable[..., MonthReplay]) -> None:
    assert replay(spread_out(0.9), count=4, least=2).last == 2


def test_empty_nodes_go_together_above_the_minimum_of_each_group(
    make_nodes: Callable[..., pd.DataFrame],
) -> None:
    """One pod on a node of the first pair; of the second pair, with a minimum of two, none goes."""
    nodes = make_nodes(4, cpu=4.0).assign(node_group=["a", "a", "b", "b"])
    floor = SETTINGS.model_copy(update={"group_minimum": (("b", 2),)})
    catalogue, pods = priced_types("us-east-1"), spread_out(3.0, count=1)
    assert counts(replay_month(pods, catalogue, nodes, floor)) == [4, 4, 3, 3, 3]
    assert counts(replay_month(pods, catalogue, nodes, SETTINGS)) == [4, 4, 1, 1, 1]


def test_of_a_small_and_a_large_node_below_half_the_one_goes_of_which_the_pods_fit(
    make_nodes: Callable[..., pd.DataFrame],
) -> None:
    """0.9 of 1.93 cores fit beside 1.5 of 4; the other way round they do not."""
    small = make_nodes(1, name="m5.large", cpu=1.93).assign(node="node-1")
    nodes = pd.concat([make_nodes(1, cpu=4.0), small], ignore_index=True)
    pods = days(("a1", 1.5, 1, 4), ("b1", 0.9, 1, 4)).assign(node=["node-0", "node-1"])
    month = replay_month(pods, priced_types("us-east-1"), nodes, SETTINGS)
    assert (counts(month), month.types) == ([2, 2, 1, 1], {"m5.xlarge": 1})


def test_all_but_the_fullest_of_three_nodes_go_one_after_the_other_within_the_hour(
    replay: Callable[..., MonthReplay],
) -> None:
    """1.0, 1.2 and 1.4 of 4 cores: both others fit on the last, whichever is drained first."""
    pods = days(("a1", 1.0, 1, 4), ("b1", 1.2, 1, 4), ("c1", 1.4, 1, 4))
    pods = pods.assign(node=["node-0", "node-1", "node-2"])
    assert counts(replay(pods, count=3)) == [3, 3, 1, 1]


def test_rules_that_keep_pods_where_they_are_keep_their_nodes(
    make_nodes: Callable[..., pd.DataFrame],
) -> None:
    """Replicas kept apart; and a pod that alone tolerates its node's taint, but may run elsewhere too."""
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "w"}}}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    apart = json.dumps({"affinity": {"podAntiAffinity": required}})
    pods, nodes = spread_out(0.5, count=2), make_nodes(2, cpu=4.0)
    pods["workload"] = "w"
    catalogue = priced_types("us-east-1")
    alike = pods.assign(scheduling=apart, labels='{"app": "w"}')
    assert counts(replay_month(alike, catalogue, nodes, SETTINGS)) == [2] * 5
    taint = '[{"key": "dedicated", "value": "x", "effect": "NoSchedule"}]'
    nodes["taints"] = [None, taint]
    pods["scheduling"] = [None, '{"tolerations": [{"key": "dedicated", "operator": "Exists"}]}']
    month = replay_month(pods, catalogue, nodes, SETTINGS)
    assert counts(month) == [2, 2, 1, 1, 1]


def test_daemonsets_count_into_the_use_of_a_node_unless_ignored(
    replay: Callable[..., MonthReplay],
) -> None:
    """1.2 of 4 cores and a DaemonSet of 0.9: 0.525 with it; without it 1.2 of 3.1, below 0.5."""
    agents = days(*((f"agent{i}", 0.9, 1, 5) for i in range(4))).assign(
        daemonset=True, workload="agent", workload_kind="DaemonSet"
    )
    pods = pd.concat([spread_out(1.2), agents], ignore_index=True)
    assert counts(replay(pods, count=4)) == [4, 4, 4, 4, 4]
    assert counts(replay(pods, count=4, ignore_daemonsets=True))[-1] == 2


def test_karpenter_goes_on_hour_after_hour_to_the_floor(replay: Callable[..., MonthReplay]) -> None:
    """A tenth of four nodes, rounded up, is one node at once."""
    assert counts(replay(spread_out(1.0), "karpenter", count=4)) == [4, 3, 2, 1, 1]


def test_karpenter_takes_several_nodes_at_once_where_its_budget_allows(
    replay: Callable[..., MonthReplay],
) -> None:
    assert counts(replay(spread_out(1.0), "karpenter", count=4, budget=0.5)) == [4, 2, 1, 1, 1]


def test_nodes_of_another_type_that_ran_are_in_the_node_set(
    make_nodes: Callable[..., pd.DataFrame],
) -> None:
    small = make_nodes(1, name="m5.large", cpu=2.0).assign(node="node-3")
    nodes = pd.concat([make_nodes(3, cpu=4.0), small], ignore_index=True)
    month = replay_month(spread_out(1.9), priced_types("us-east-1"), nodes, SETTINGS)
    assert month.instance_type == "m5.xlarge"
    # The large node is full with what fills half of the others, and they hold two pods each.
    assert counts(month) == [4, 4, 3, 3, 3]
