"""A promised count stands whatever the order in which pods arrive, with any one node lost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightsize.config import NodeSettings
from rightsize.nodes import promise
from rightsize.nodes.inventory import read_inventory
from rightsize.nodes.layout import Layout, lay_out
from rightsize.nodes.offers import find_offers
from rightsize.nodes.plans import plan_nodes
from rightsize.nodes.promise import Grown, grow, spread_days, surge_classes
from rightsize.nodes.scheduler import Cluster
from rightsize.prices.catalogue import priced_types

CATALOGUE = priced_types("us-east-1")
Make = Callable[..., pd.DataFrame]


def settings(**options: object) -> NodeSettings:
    base = {"families": ("m5",), "sizes": ("xlarge",), "time_limit": 3.0, "spread": "host"}
    return NodeSettings.model_validate(base | options)


def promised(pods: pd.DataFrame, nodes: pd.DataFrame, rules: NodeSettings) -> int:
    plan = plan_nodes(pods, CATALOGUE, rules, nodes, names=("same-type",)).named("same-type")
    assert plan.promised is not None
    return plan.promised.nodes


def node_set(pods: pd.DataFrame, nodes: pd.DataFrame, rules: NodeSettings, count: int):
    """The layout, and so many nodes of its one type."""
    inventory = read_inventory(nodes)
    offers = find_offers(CATALOGUE, inventory, rules).table
    layout: Layout = lay_out(pods, offers[offers["in_use"]], inventory, rules)
    zones = np.arange(count) % len(layout.zones)
    nowhere = np.full(layout.problem.pods, -1)
    return layout, Grown(np.zeros(count, dtype=np.int64), zones, nowhere)


def mesh(make_pods: Make, seed: int) -> pd.DataFrame:
    """Ten workloads: many small pods and a few that fill up to half of a node."""
    draw = np.random.default_rng(seed)
    small = [
        (f"s{k}", int(draw.integers(2, 6)), float(draw.uniform(0.1, 0.5)), 300) for k in range(7)
    ]
    large = [
        (f"l{k}", int(draw.integers(1, 4)), float(draw.uniform(0.8, 1.9)), 900) for k in range(3)
    ]
    return make_pods(*small, *large)


@pytest.mark.parametrize("seed", range(6))
def test_no_order_out_of_fifty_breaks_it(make_pods: Make, make_nodes: Make, seed: int) -> None:
    pods, nodes, rules = mesh(make_pods, seed), make_nodes(6), settings()
    layout, grown = node_set(pods, nodes, rules, promised(pods, nodes, rules))
    draw = np.random.default_rng(1000 + seed)
    orders = np.array([draw.permutation(layout.problem.pods) for _ in range(50)])
    assert spread_days(layout, layout.problem, grown, rules, orders).all()


def test_half_a_node_plus_a_little_takes_a_node_each_and_one_to_lose(
    make_pods: Make, make_nodes: Make
) -> None:
    """Twelve pods of 2 of 3.92 cores: two never share a node."""
    pods, nodes = make_pods(("web", 12, 2.0, 500)), make_nodes(12)
    assert promised(pods, nodes, settings(spread="none", surge=0.0)) == 13


@pytest.mark.parametrize(("pods", "cores", "joined"), [(1, 0.5, 1), (3, 2.0, 3), (4, 1.0, 2)])
def test_a_node_joins_only_where_a_pod_finds_no_room(
    make_pods: Make, make_nodes: Make, pods: int, cores: float, joined: int
) -> None:
    rules = settings(spread="none")
    layout, _ = node_set(make_pods(("web", pods, cores, 300)), make_nodes(3), rules, 1)
    grown = grow(layout, layout.problem, np.zeros(5, dtype=np.int64))
    assert grown is not None
    assert len(grown.offers) == joined


def zone_apart(app: str) -> dict[str, object]:
    """Required anti-affinity over zones."""
    term = {
        "topologyKey": "topology.kubernetes.io/zone",
        "labelSelector": {"matchLabels": {"app": app}},
    }
    required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    return {"affinity": {"podAntiAffinity": required}}


@pytest.mark.parametrize("surge", [0.0, 0.25])
def test_three_workloads_with_a_pod_in_each_zone_keep_a_spare_node_in_each(
    make_pods: Make, make_nodes: Make, surge: float
) -> None:
    """Nine pods of half a node and more: three nodes a zone, and one of each zone may be lost.

    A rollout cannot add a pod: no zone is left for one.
    """
    pods = make_pods(*((app, 3, 2.0, 500, zone_apart(app)) for app in ("web", "api", "db")))
    assert promised(pods, make_nodes(9), settings(surge=surge)) == 12


def test_pods_that_may_run_anywhere_do_not_crowd_out_those_bound_to_a_zone(
    make_pods: Make, make_nodes: Make
) -> None:
    """Eighteen nodes spread evenly over three zones, and one more in each."""
    pods = make_pods(("web", 3, 2.0, 500, zone_apart("web")), ("api", 15, 2.0, 500))
    plan = plan_nodes(
        pods, CATALOGUE, settings(surge=0.0), make_nodes(18), names=("same-type",)
    ).named("same-type")
    assert plan.packed is not None
    assert plan.promised is not None
    assert [group.nodes for group in plan.packed.node_set.groups] == [6, 6, 6]
    assert plan.promised.nodes == 21


def test_a_rollout_that_its_anti_affinity_holds_up_is_said(
    make_pods: Make, make_nodes: Make
) -> None:
    pods = make_pods(("web", 3, 2.0, 500, zone_apart("web")), ("api", 2, 2.0, 500))
    plans = plan_nodes(pods, CATALOGUE, settings(), make_nodes(6), names=("same-type",))
    assert any("add no pod" in line for line in plans.assumptions)


def test_arm64_nodes_stand_like_any(make_pods: Make, make_nodes: Make) -> None:
    """Eleven pods of 2 of 3.92 cores, and one node of Graviton to lose."""
    pods = make_pods(("web", 11, 2.0, 500))
    nodes = make_nodes(11, "m6g.xlarge", 3.92, 14103).assign(arch="arm64")
    assert promised(pods, nodes, settings(spread="none", surge=0.0, families=("m6g",))) == 12


def test_pods_bound_to_an_architecture_each_have_a_spare_node_of_it(
    make_pods: Make, make_nodes: Make
) -> None:
    """Two small pods for each of amd64 and arm64: a node each, and one of each may be lost."""
    pods = make_pods(
        *(
            (arch, 2, 0.5, 500, {"nodeSelector": {"kubernetes.io/arch": arch}})
            for arch in ("amd64", "arm64")
        )
    )
    arm = make_nodes(2, "m6g.xlarge", 3.92, 14103).assign(arch="arm64", node=["arm-0", "arm-1"])
    nodes = pd.concat([make_nodes(2), arm], ignore_index=True)
    plan = plan_nodes(pods, CATALOGUE, settings(spread="none"), nodes, names=("same-type",)).named(
        "same-type"
    )
    assert plan.promised is not None
    assert plan.promised.by_type == {"m5.xlarge": 2, "m6g.xlarge": 2}


def test_memory_bound_pods_need_a_node_more_once_small_ones_are_spread(
    make_pods: Make, make_nodes: Make
) -> None:
    """Eight pods of 7,000 of 14,162 MiB share four nodes, which small pods spread over deny them."""
    pods = make_pods(("large", 8, 0.2, 7000), ("small", 4, 0.1, 900))
    assert promised(pods, make_nodes(8), settings()) == 8


def test_memory_binds_as_cpu_does(make_pods: Make, make_nodes: Make) -> None:
    """Two pods of 7,000 of 14,162 MiB fill a node: twelve need six, and one may be lost."""
    pods, nodes = make_pods(("web", 12, 0.1, 7000)), make_nodes(7)
    assert promised(pods, nodes, settings(spread="none", surge=0.0)) == 7


def test_small_pods_that_spread_leave_no_room_for_large_ones_that_come_late(
    make_pods: Make, make_nodes: Make
) -> None:
    """Packed, eight small pods share two nodes; spread, they take the room of the large ones."""
    pods = make_pods(("small", 8, 0.9, 300), ("large", 4, 3.1, 900))
    nodes = make_nodes(8)
    count = promised(pods, nodes, settings(spread="none", surge=0.0))
    layout, grown = node_set(pods, nodes, settings(spread="none", surge=0.0), count)
    late = np.argsort(layout.problem.size[layout.problem.classes, 0], kind="stable")
    rules = settings(spread="none", surge=0.0)
    assert spread_days(layout, layout.problem, grown, rules, late[None]).all()


def one_after_the_other(layout: Layout, grown: Grown, rules: NodeSettings, order) -> bool:
    """What `spread_days` says of one order, by the scheduler of the month's replay."""
    problem = layout.problem
    cluster = Cluster(problem, layout.owners, grown.offers, grown.zones)
    losses = np.eye(len(grown.offers), dtype=bool)
    for pods in (problem.classes[order], surge_classes(layout, problem, rules.surge)):
        if any(cluster.schedule(int(k)) < 0 for k in pods):
            return False
        if any(cluster.survives(lost) >= 0 for lost in losses):
            return False
    return True


def spread_rule(app: str, topology: str) -> dict[str, object]:
    """`DoNotSchedule` with a skew of one."""
    rule = {
        "topologyKey": topology,
        "maxSkew": 1,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": app}},
    }
    return {"topologySpreadConstraints": [rule]}


def host_apart(app: str, other: str) -> dict[str, object]:
    """Required anti-affinity over hosts against a workload's own pods and another's."""
    chosen = {"matchExpressions": [{"key": "app", "operator": "In", "values": [app, other]}]}
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": chosen}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    return {"affinity": {"podAntiAffinity": required}}


@pytest.mark.parametrize(
    ("workloads", "rollout"),
    [
        ([("cpu", 4, 1.9, 300), ("memory", 4, 0.1, 3000)], ["cpu"]),
        ([("cpu", 4, 0.5, 300), ("memory", 4, 0.1, 6000)], ["memory"]),
        ([("large", 2, 1.0, 300), ("many", 12, 0.4, 300)], ["many"] * 3),
        ([("large", 4, 1.5, 900), ("many", 12, 0.4, 300)], ["large"]),
    ],
)
def test_the_rollout_that_asks_for_the_largest_share_surges(
    make_pods: Make, make_nodes: Make, workloads: list[tuple[object, ...]], rollout: list[str]
) -> None:
    """A quarter more pods of one workload, by the larger share of all CPU, or all memory, asked for."""
    layout, _ = node_set(make_pods(*workloads), make_nodes(3), settings(), 1)
    classes = surge_classes(layout, layout.problem, 0.25)
    assert [layout.owners[k].key[2] for k in classes] == rollout
    assert len(surge_classes(layout, layout.problem, 0.0)) == 0


@pytest.mark.parametrize("seed", range(8))
def test_many_orders_at_once_are_scheduled_as_each_alone(
    make_pods: Make, make_nodes: Make, seed: int
) -> None:
    draw, rules = np.random.default_rng(seed), settings()
    choices = (
        lambda app: None,
        zone_apart,
        lambda app: spread_rule(app, "kubernetes.io/hostname"),
        lambda app: spread_rule(app, "topology.kubernetes.io/zone"),
        lambda app: host_apart(app, "w0"),
    )
    workloads = []
    for k in range(8):
        rule = choices[int(draw.integers(0, len(choices)))](f"w{k}")
        size = (round(float(draw.uniform(0, 1.9)), 2), int(draw.integers(0, 7000)))
        workloads.append((f"w{k}", int(draw.integers(1, 4)), *size, *([rule] if rule else [])))
    pods, nodes = make_pods(*workloads), make_nodes(6)
    layout, grown = node_set(pods, nodes, rules, int(draw.integers(8, 20)))
    if layout.zoned:
        offer_of_zone = np.unique(layout.problem.zone, return_index=True)[1]
        grown = Grown(offer_of_zone[grown.zones], grown.zones, grown.where)
    orders = np.array([draw.permutation(layout.problem.pods) for _ in range(12)])
    alone = [one_after_the_other(layout, grown, rules, order) for order in orders]
    assert spread_days(layout, layout.problem, grown, rules, orders).tolist() == alone
    for first in (0, 4, 9):
        few = orders[first : first + 3]
        found = spread_days(layout, layout.problem, grown, rules, few, every=True)
        assert found.tolist() == [all(alone[first : first + 3])] * 3


def test_where_fewer_orders_are_tried_each_hundred_nodes_get_one_more(
    make_pods: Make, make_nodes: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve pods of half a node and more: thirteen nodes by a hundred orders, fourteen by ten."""
    pods, nodes = make_pods(("web", 12, 2.0, 500)), make_nodes(12)
    counts = []
    for placed in (1200, 120):
        monkeypatch.setattr(promise, "_PODS_TRIED", placed)
        counts.append(promised(pods, nodes, settings(spread="none", surge=0.0)))
    assert counts == [13, 14]


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 50), st.integers(0, 30))
def test_a_search_ends_on_a_count_that_passes_and_as_near_to_the_fewest_as_asked(
    start: int, fewest: int, within: int, exact_tries: int
) -> None:
    tried = []

    def passes(count: int) -> bool:
        tried.append(count)
        return count >= fewest

    found = promise._fewest(passes, start, 400, lambda: 1 if len(tried) <= exact_tries else within)

    least = max(start, fewest)
    assert found is not None
    assert least <= found < least + within
    assert found in tried


def test_a_search_finds_nothing_where_the_most_nodes_do_not_pass() -> None:
    assert promise._fewest(lambda count: count > 40, 0, 40, lambda: 7) is None
