"""Karpenter's consolidation equals timelines worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from rightsize.config import NodeSettings
from rightsize.nodes.autoscaler import Autoscaler
from rightsize.nodes.month import MonthReplay, replay_month
from rightsize.prices.catalogue import priced_types
from tests.nodes.test_node_month import counts, days, spread_out

M5 = NodeSettings(spread="none", families=("m5",), sizes=("large", "xlarge", "2xlarge"))


@pytest.fixture
def karpenter(make_nodes: Callable[..., pd.DataFrame]) -> Callable[..., MonthReplay]:
    """m5.xlarge nodes with 4 cores for pods; an m5.large has 1.93, an m5.2xlarge 7.91."""

    def run(
        pods: pd.DataFrame,
        count: int,
        settings: NodeSettings = M5,
        nodes: pd.DataFrame | None = None,
        **options: object,
    ) -> MonthReplay:
        ran = make_nodes(count, cpu=4.0) if nodes is None else nodes
        scaler = Autoscaler("karpenter", **options)
        return replay_month(pods, priced_types("us-east-1"), ran, settings, scaler)

    return run


def test_a_node_is_replaced_by_a_cheaper_type_that_holds_its_pods(karpenter):
    """1.5 of 4 cores: an m5.large at half the price will do, and holds one pod alone."""
    month = karpenter(spread_out(1.5, count=1), 1, replaces=True)
    assert month.types == {"m5.large": 1}
    assert counts(month) == [1] * 5
    assert month.timeline["usd"].round(3).tolist() == [0.192] + [0.096] * 4
    assert month.events.high == 2


def test_types_that_do_not_run_are_bought_only_where_every_allowed_type_may_be(karpenter):
    month = karpenter(spread_out(1.5, count=1), 1)
    assert (month.types, month.events.high) == ({"m5.xlarge": 1}, 0)


def test_several_nodes_become_one_cheaper_one(karpenter):
    """Four nodes of 2.1 cores, so that no pod fits beside another. Three become an m5.2xlarge for
    the price of two; all four would be too much for it. Two at once cost what the new node does."""
    pods = spread_out(2.1)
    month = karpenter(pods, 4, replaces=True, budget=1.0)
    assert month.types == {"m5.2xlarge": 1, "m5.xlarge": 1}
    assert counts(month) == [4, 2, 2, 2, 2]
    assert month.timeline["usd"].round(3).tolist() == [0.768] + [0.576] * 4
    two = karpenter(pods, 4, replaces=True, budget=0.5)
    assert (two.types, two.events.high) == ({"m5.xlarge": 4}, 0)


def test_one_of_the_nodes_that_go_stays_rather_than_a_new_one_of_its_type(karpenter, make_nodes):
    """An m5.large of 1.2 cores and an m5.xlarge of 2.0: together they would fill an m5.xlarge, which is
    cheaper than both, but deleting the small one does the same."""
    small = make_nodes(1, name="m5.large", cpu=1.93).assign(node="node-1")
    nodes = pd.concat([make_nodes(1, cpu=4.0), small], ignore_index=True)
    pods = days(("a1", 2.0, 1, 4), ("b1", 1.2, 1, 4)).assign(node=["node-0", "node-1"])
    month = karpenter(pods, 2, nodes=nodes, replaces=True, budget=1.0)
    assert month.types == {"m5.xlarge": 1}
    assert month.timeline["added"].sum() == 0


def test_arm64_is_bought_only_where_it_is_allowed(karpenter):
    pods = spread_out(1.5, count=1)
    both = M5.model_copy(update={"families": ("m5", "m6g"), "arch": ("amd64", "arm64")})
    assert karpenter(pods, 1, both, replaces=True).types == {"m6g.large": 1}
    amd64 = both.model_copy(update={"arch": ("amd64",)})
    assert karpenter(pods, 1, amd64, replaces=True).types == {"m5.large": 1}


def test_the_node_that_saves_most_for_its_pods_goes_first(karpenter, make_nodes):
    """One pod on each: the dear node goes, though its pod is the larger; by pods both are alike."""
    large = make_nodes(1, name="m5.2xlarge", cpu=8.0).assign(node="node-1")
    nodes = pd.concat([make_nodes(2, cpu=4.0), large], ignore_index=True).assign(
        node=["node-0", "node-2", "node-1"]
    )
    pods = days(("a1", 1.0, 1, 2), ("b1", 1.2, 1, 2), ("c1", 1.0, 1, 2))
    month = karpenter(pods.assign(node=["node-0", "node-1", "node-2"]), 3, nodes=nodes)
    assert counts(month) == [3, 2]
    assert month.types == {"m5.xlarge": 2}


def test_a_node_waits_for_consolidate_after_from_its_last_pod_event(karpenter):
    """Both nodes lose a pod in hour 3: one goes at once, or after three hours of quiet."""
    pods = days(("a1", 1.0, 1, 8), ("b1", 3.0, 1, 2), ("c1", 0.5, 1, 8), ("d1", 3.0, 1, 2))
    pods = pods.assign(node=["node-0", "node-0", "node-1", "node-1"])
    assert counts(karpenter(pods, 2)) == [2, 2, 1, 1, 1, 1, 1, 1]
    waits = karpenter(pods, 2, consolidate_after_minutes=180)
    assert counts(waits) == [2, 2, 2, 2, 2, 1, 1, 1]


def test_when_empty_takes_empty_nodes_alone(karpenter):
    pods = pd.concat([spread_out(1.0, count=2), days(("z1", 1.0, 1, 2)).assign(node="node-2")])
    month = karpenter(pods.reset_index(drop=True), 3, policy="WhenEmpty")
    assert counts(month) == [3, 3, 2, 2, 2]


def test_pods_without_room_get_the_cheapest_node_that_holds_them_together(karpenter):
    """Three pods of 2.4 come in hour 2: an m5.2xlarge holds all, an m5.xlarge one."""
    pods = days(("a1", 3.5, 1, 3), ("b1", 2.4, 2, 3), ("c1", 2.4, 2, 3), ("d1", 2.4, 2, 3))
    month = karpenter(pods.assign(node=["node-0", None, None, None]), 1, replaces=True)
    assert month.types == {"m5.xlarge": 1, "m5.2xlarge": 1}


def test_each_node_pool_has_a_budget_of_its_own(karpenter, make_nodes):
    """A tenth of three nodes is one: one of each of two pools goes in an hour."""
    pods, nodes = spread_out(0.5, count=6, hours=6), make_nodes(6, cpu=4.0)
    assert counts(karpenter(pods, 6, nodes=nodes)) == [6, 5, 4, 3, 2, 1]
    pools = nodes.assign(node_group=["a"] * 3 + ["b"] * 3)
    assert counts(karpenter(pods, 6, nodes=pools)) == [6, 4, 2, 1, 1, 1]


@pytest.mark.parametrize(("marked", "end"), [((0, 1, 2), 3), ((0,), 1)])
def test_a_daemonset_that_must_not_be_disrupted_keeps_its_nodes(make_nodes, marked, end):
    """Karpenter heeds the annotation on every pod that runs; the others' pods go to the node that stays."""
    agents = days(*((f"agent{i}", 0.1, 1, 5) for i in range(3))).assign(
        daemonset=True, workload_kind="DaemonSet", workload="agent"
    )
    agents["node"] = [f"node-{i}" for i in range(3)]
    pods = pd.concat([spread_out(1.0, count=3), agents], ignore_index=True)
    held = agents.loc[list(marked), ["namespace", "pod"]]
    scaler = Autoscaler("karpenter", budget=1.0)
    catalogue, nodes = priced_types("us-east-1"), make_nodes(3, cpu=4.0)
    assert replay_month(pods, catalogue, nodes, M5, scaler, held=held).last == end


def test_nodes_of_spot_are_taken_away_and_not_replaced(karpenter, make_nodes):
    """On demand, an m5.large would take the place of the one that is left with 1.5 of 4 cores."""
    spot = make_nodes(2, cpu=4.0).assign(capacity_type="spot")
    month = karpenter(spread_out(1.5, count=1), 2, nodes=spot, replaces=True)
    assert (month.types, month.timeline["added"].sum()) == ({"m5.xlarge": 1}, 0)


def test_the_budget_is_rounded_up_to_nodes():
    scaler = Autoscaler("karpenter")
    assert [scaler.at_once(nodes) for nodes in (1, 10, 11, 30)] == [1, 1, 2, 3]
