"""Plans put every pod somewhere allowed, name what binds, and say why not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rightsize.config import NodeSettings
from rightsize.errors import NoDataError, UsageError
from rightsize.nodes.plan import NodePlan
from rightsize.nodes.plans import plan_nodes
from rightsize.prices.catalogue import priced_types

MEBIBYTE = 2**20
CATALOGUE = priced_types("us-east-1")
M5 = {"m5.large": (1.93, 6903, 29), "m5.xlarge": (3.92, 14162, 58), "m5.2xlarge": (7.91, 29317, 58)}
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
Make = Callable[..., pd.DataFrame]


def quick(**options: object) -> NodeSettings:
    base = {"families": ("m5",), "sizes": ("large", "xlarge", "2xlarge"), "time_limit": 3.0}
    return NodeSettings.model_validate(base | {"spread": "none"} | options)


def apart(app: str, key: str = "kubernetes.io/hostname") -> dict[str, object]:
    term = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}
    rule = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    return {"affinity": {"podAntiAffinity": rule}}


def even(app: str, key: str, skew: int = 1) -> dict[str, object]:
    constraint = {
        "topologyKey": key,
        "maxSkew": skew,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": app}},
    }
    return {"topologySpreadConstraints": [constraint]}


def check(pods: pd.DataFrame, placement: pd.DataFrame, offered: dict[str, tuple] = M5) -> None:
    """Every pod is placed once and no node holds too much: by plain sums, with DaemonSets."""
    movable = pods[~pods["daemonset"]]
    assert sorted(placement["pod"]) == sorted(movable["pod"])
    fixed = pods[pods["daemonset"]].drop_duplicates("workload")
    joined = placement.merge(movable, on=["namespace", "pod"])
    for _, node in joined.groupby("node"):
        assert node["instance_type"].nunique() == 1
        cpu, memory, slots = offered[node["instance_type"].iloc[0]]
        assert node["cpu"].sum() + fixed["cpu"].sum() <= cpu + 1e-9
        assert node["memory"].sum() + fixed["memory"].sum() <= memory * MEBIBYTE
        assert len(node) + len(fixed) <= slots


def placed_by(plan: NodePlan, pods: pd.DataFrame, what: str = "node") -> dict[str, Counter]:
    """How many pods of each workload are on each node (or in each zone) as promised."""
    assert plan.promised_placement is not None
    joined = plan.promised_placement.merge(pods, on=["namespace", "pod"], suffixes=("", "_was"))
    return {str(name): Counter(part[what]) for name, part in joined.groupby("workload")}


def test_three_plans_hold_every_pod_within_capacity(make_pods: Make, make_nodes: Make) -> None:
    pods = make_pods(
        ("web", 12, 0.4, 700),
        ("api", 7, 0.9, 300),
        ("db", 3, 1.2, 5000),
        daemonsets=(("aws-node", 0.05, 40), ("logs", 0.1, 200)),
    )
    plans = plan_nodes(pods, CATALOGUE, quick(), make_nodes(6))
    assert [plan.name for plan in plans.plans] == ["same-type", "single-type", "mix"]
    for plan in plans.plans:
        assert plan.packed is not None
        assert plan.promised is not None
        check(pods, plan.packed.placement)
        check(pods, plan.promised_placement)
        assert plan.promised.usd_per_hour >= plan.packed.lower_bound_usd_per_hour - 1e-9
        assert plan.packed.optimality_gap >= 0
    same, single, mix = plans.plans
    assert set(same.packed.node_set.by_type) == {"m5.xlarge"}
    assert len(single.promised.by_type) == 1
    assert mix.packed.node_set.usd_per_hour <= single.packed.node_set.usd_per_hour + 1e-9
    assert mix.promised.usd_per_hour <= single.promised.usd_per_hour + 1e-9


def test_daemonsets_take_their_share_of_every_node(make_pods: Make, make_nodes: Make) -> None:
    without = make_pods(("web", 9, 1.25, 100))
    with_agents = make_pods(("web", 9, 1.25, 100), daemonsets=(("agent", 0.2, 100),))
    counts = [
        plan_nodes(pods, CATALOGUE, quick(), make_nodes(3)).named("same-type").packed.node_set.nodes
        for pods in (without, with_agents)
    ]
    assert counts == [3, 5]


def test_pod_slots_can_bind_and_are_named(make_pods: Make, make_nodes: Make) -> None:
    plan = plan_nodes(make_pods(("tiny", 100, 0.01, 10)), CATALOGUE, quick(), make_nodes(4)).named(
        "same-type"
    )
    assert plan.packed.node_set.nodes == 2
    assert plan.binding == "pod density"


def test_custom_networking_needs_more_nodes(make_pods: Make, make_nodes: Make) -> None:
    """58 slots on an m5.xlarge by default, 44 once the primary interface is lost."""
    pods = make_pods(("tiny", 116, 0.01, 10))
    counts = {
        mode: plan_nodes(pods, CATALOGUE, quick(cni_mode=mode), make_nodes(4))
        .named("same-type")
        .packed.node_set.nodes
        for mode in ("default", "custom", "prefix")
    }
    assert counts == {"default": 2, "custom": 3, "prefix": 2}


@pytest.mark.parametrize(
    ("workload", "binding"),
    [(("cpu", 12, 1.9, 10), "CPU"), (("memory", 12, 0.01, 7000), "memory")],
)
def test_the_scarce_resource_is_named(
    make_pods: Make, make_nodes: Make, workload: tuple, binding: str
) -> None:
    plan = plan_nodes(make_pods(workload), CATALOGUE, quick(), make_nodes(3)).named("same-type")
    assert (plan.packed.node_set.nodes, plan.binding) == (6, binding)


def test_a_pod_larger_than_every_node_is_named_with_the_reason(
    make_pods: Make, make_nodes: Make
) -> None:
    plans = plan_nodes(
        make_pods(("web", 2, 0.5, 100), ("huge", 1, 20.0, 100)), CATALOGUE, quick(), make_nodes(3)
    )
    (lost,) = plans.unplaced
    assert (lost.pod, lost.reason) == ("huge-0", "asks for 20 cores; the largest node leaves 7.91")
    assert plans.named("mix").promised is not None


def test_a_selector_that_no_node_group_satisfies_is_named(
    make_pods: Make, make_nodes: Make
) -> None:
    pods = make_pods(("web", 2, 0.5, 100), ("gpu", 1, 0.5, 100, {"nodeSelector": {"pool": "gpu"}}))
    nodes = make_nodes(3, labels={"pool": "general"})
    (lost,) = plan_nodes(pods, CATALOGUE, quick(), nodes).unplaced
    assert lost.pod == "gpu-0"
    assert "pool" in lost.reason


def test_node_groups_with_labels_of_their_own_are_planned_apart(
    make_pods: Make, make_nodes: Make
) -> None:
    nodes = pd.concat([make_nodes(2, labels={"pool": name}) for name in ("a", "b")])
    pods = make_pods(
        ("one", 1, 0.5, 100, {"nodeSelector": {"pool": "a"}}),
        ("two", 1, 0.5, 100, {"nodeSelector": {"pool": "b"}}),
        ("any", 1, 0.5, 100),
    )
    plans = plan_nodes(pods, CATALOGUE, quick(headroom="none"), nodes)
    assert plans.unplaced == ()
    assert plans.named("same-type").packed.node_set.nodes == 2


def test_labels_that_a_new_node_cannot_be_known_to_have_are_not_asked_for(
    make_pods: Make, make_nodes: Make
) -> None:
    pinned = {"nodeSelector": {"topology.kubernetes.io/region": "us-east-1"}}
    nodes = make_nodes(2, labels={"pool": "a"})
    plans = plan_nodes(make_pods(("web", 1, 0.5, 100, pinned)), CATALOGUE, quick(), nodes)
    assert plans.unplaced == ()


def test_a_selector_on_the_architecture_or_type_is_kept(make_pods: Make, make_nodes: Make) -> None:
    wanted = {"nodeSelector": {"node.kubernetes.io/instance-type": "m5.2xlarge"}}
    pods = make_pods(("web", 2, 0.5, 100, wanted))
    plans = plan_nodes(pods, CATALOGUE, quick(), make_nodes(2))
    assert set(plans.named("mix").packed.node_set.by_type) == {"m5.2xlarge"}
    assert "shop/web" in plans.named("same-type").reason


def test_only_the_plans_asked_for_are_made(make_pods: Make, make_nodes: Make) -> None:
    pods = make_pods(("web", 2, 0.5, 100))
    plans = plan_nodes(pods, CATALOGUE, quick(), make_nodes(2), names=("mix",))
    assert [plan.name for plan in plans.plans] == ["mix"]


def test_a_tainted_pool_holds_only_pods_that_tolerate_it(make_pods: Make, make_nodes: Make) -> None:
    taint = {"key": "team", "value": "a", "effect": "NoSchedule"}
    tolerant = {"tolerations": [{"key": "team", "operator": "Exists"}]}
    pods = make_pods(("web", 2, 0.5, 100), ("team", 2, 0.5, 100, tolerant))
    plans = plan_nodes(pods, CATALOGUE, quick(), make_nodes(3, taints=[taint]))
    assert {lost.workload for lost in plans.unplaced} == {"web"}


def test_pods_of_unknown_rules_tolerate_the_taints_of_the_nodes_that_they_run_on(
    make_pods: Make, make_nodes: Make
) -> None:
    """Taints are collected without tolerations: what runs there tolerates them, and nothing else."""
    taint = [{"key": "team", "value": "a", "effect": "NoSchedule"}]
    nodes = pd.concat(
        [make_nodes(2), make_nodes(2, taints=taint).assign(node=["own-0", "own-1"])],
        ignore_index=True,
    )
    pods = make_pods(("web", 2, 1.5, 500), ("own", 2, 1.5, 500), daemonsets=(("agent", 1.0, 100),))
    pods["node"] = ["node-0", "node-1", "own-0", "own-1", "own-0"]
    found = plan_nodes(pods, CATALOGUE, quick(spread="none"), nodes, names=("same-type",))
    packed = found.named("same-type").packed
    assert not found.unplaced
    assert packed is not None
    placed = packed.placement.groupby("node")["pod"].agg(lambda names: {n[:3] for n in names})
    # A DaemonSet that runs there takes its core on every node: two pods of 1.5 share none.
    assert sorted(map(sorted, placed)) == [["own"], ["own"], ["web"], ["web"]]


def test_required_anti_affinity_puts_one_replica_on_a_node(
    make_pods: Make, make_nodes: Make
) -> None:
    pods = make_pods(("db", 5, 0.1, 100, apart("db")), ("web", 4, 0.1, 100))
    plan = plan_nodes(pods, CATALOGUE, quick(), make_nodes(3)).named("same-type")
    assert plan.packed.node_set.nodes == 5
    assert plan.binding == "replica spread"
    assert max(placed_by(plan, pods)["db"].values()) == 1
    assert plan.promised.nodes >= 6, "the pod of a lost node needs a node without a replica"


def test_anti_affinity_between_workloads_keeps_them_on_different_nodes(
    make_pods: Make, make_nodes: Make
) -> None:
    pods = make_pods(("a", 2, 0.1, 100, apart("b")), ("b", 2, 0.1, 100))
    plan = plan_nodes(pods, CATALOGUE, quick(headroom="none"), make_nodes(3)).named("same-type")
    assert plan.packed.node_set.nodes == 2
    nodes = placed_by(plan, pods)
    assert not set(nodes["a"]) & set(nodes["b"])


def test_topology_spread_over_zones_is_kept(make_pods: Make, make_nodes: Make) -> None:
    rule = even("web", "topology.kubernetes.io/zone")
    pods = make_pods(("web", 7, 0.3, 100, rule), ("api", 4, 0.3, 100))
    plans = plan_nodes(pods, CATALOGUE, quick(), make_nodes(3))
    for plan in plans.plans:
        zones = placed_by(plan, pods, "zone")["web"]
        assert set(zones) == set(ZONES)
        assert max(zones.values()) - min(zones.values()) <= 1
    assert plans.named("same-type").binding == "zone spread"


def test_topology_spread_over_hosts_is_kept_by_the_promised_node_set(
    make_pods: Make, make_nodes: Make
) -> None:
    pods = make_pods(("web", 6, 1.0, 100, even("web", "kubernetes.io/hostname")))
    plan = plan_nodes(pods, CATALOGUE, quick(headroom="none", surge=0), make_nodes(3)).named(
        "same-type"
    )
    hosts = placed_by(plan, pods)["web"]
    assert max(hosts.values()) - min(hosts.values()) <= 1


def test_replicas_are_assumed_on_two_nodes_or_even_over_zones(
    make_pods: Make, make_nodes: Make
) -> None:
    pods = make_pods(("web", 3, 0.1, 100)).assign(scheduling=None)
    nodes = {}
    for spread in ("none", "host", "zone"):
        plans = plan_nodes(pods, CATALOGUE, quick(spread=spread, headroom="none"), make_nodes(3))
        nodes[spread] = plans.named("same-type").packed.node_set.nodes
        assert any("--spread" in line for line in plans.assumptions) is (spread != "none")
    assert nodes == {"none": 1, "host": 2, "zone": 3}


def test_every_zone_has_its_floor(make_pods: Make, make_nodes: Make) -> None:
    plans = plan_nodes(
        make_pods(("web", 2, 0.1, 100)), CATALOGUE, quick(floor_per_zone=2), make_nodes(3)
    )
    for plan in plans.plans:
        zones = Counter({group.zone: 0 for group in plan.promised.groups})
        for group in plan.promised.groups:
            zones[group.zone] += group.nodes
        assert set(zones) == set(ZONES)
        assert min(zones.values()) >= 2


def test_headroom_for_a_node_survives_the_loss_of_any_one(
    make_pods: Make, make_nodes: Make
) -> None:
    """Six pods of 1.9 cores fill three nodes; losing any needs room for two pods elsewhere."""
    pods = make_pods(("web", 6, 1.9, 100))
    none, node, zone = (
        plan_nodes(pods, CATALOGUE, quick(headroom=h, surge=0), make_nodes(3))
        .named("same-type")
        .promised.nodes
        for h in ("none", "node", "zone")
    )
    assert (none, node) == (3, 4)
    assert zone >= 5


def test_surge_makes_room_for_the_largest_rollout(make_pods: Make, make_nodes: Make) -> None:
    pods = make_pods(("web", 8, 1.9, 100))
    counts = [
        plan_nodes(pods, CATALOGUE, quick(headroom="none", surge=surge), make_nodes(3))
        .named("same-type")
        .promised.nodes
        for surge in (0.0, 0.25, 1.0)
    ]
    assert counts == [4, 5, 8]


def test_a_stateful_set_adds_no_surge(make_pods: Make, make_nodes: Make) -> None:
    pods = make_pods(("db", 8, 1.9, 100)).assign(workload_kind="StatefulSet")
    plan = plan_nodes(pods, CATALOGUE, quick(headroom="none", surge=1.0), make_nodes(3))
    assert plan.named("same-type").promised.nodes == 4


def test_an_unknown_price_is_never_a_zero(make_pods: Make, make_nodes: Make) -> None:
    unpriced = CATALOGUE.assign(
        usd_per_hour=CATALOGUE["usd_per_hour"].where(CATALOGUE["instance_type"] != "m5.xlarge")
    )
    plans = plan_nodes(make_pods(("web", 6, 1.0, 100)), unpriced, quick(), make_nodes(3))
    same = plans.named("same-type")
    assert same.promised.nodes >= 2
    assert same.promised.usd_per_hour is None
    assert same.packed.lower_bound_usd_per_hour is None
    for plan in (plans.named("single-type"), plans.named("mix")):
        assert "m5.xlarge" not in plan.promised.by_type
        assert ("m5.xlarge", "on-demand price unknown") in [
            (excuse.option, excuse.reason) for excuse in plan.excuses
        ]


def test_types_not_chosen_say_why(make_pods: Make, make_nodes: Make) -> None:
    single = plan_nodes(
        make_pods(("tiny", 100, 0.01, 10), ("big", 1, 2.5, 100)), CATALOGUE, quick(), make_nodes(3)
    ).named("single-type")
    reasons = {excuse.option: excuse.reason for excuse in single.excuses}
    assert reasons["m5.large"] == "1 pods do not fit, such as those of shop/big (CPU)"
    other = ({"m5.xlarge", "m5.2xlarge"} - set(single.promised.by_type)).pop()
    assert "pod slots bind, at least 2 nodes" in reasons[other]


def test_spot_is_bought_at_its_own_price_and_only_where_it_has_one(
    make_pods: Make, make_nodes: Make
) -> None:
    spot = CATALOGUE["usd_per_hour"].where(CATALOGUE["instance_type"] == "m5.large") * 0.3
    catalogue = CATALOGUE.assign(spot_usd_per_hour=spot)
    pods = make_pods(("web", 12, 0.9, 100))
    plan = plan_nodes(pods, catalogue, quick(capacity="spot"), make_nodes(3)).named("mix")
    assert {(g.instance_type, g.capacity_type) for g in plan.promised.groups} == {
        ("m5.large", "spot")
    }
    blend = plan_nodes(
        pods, catalogue, quick(capacity="blend", on_demand_share=0.5), make_nodes(3)
    ).named("mix")
    assert {g.capacity_type for g in blend.packed.node_set.groups} == {"spot", "on-demand"}


def test_arm64_is_opt_in(make_pods: Make, make_nodes: Make) -> None:
    pods = make_pods(("web", 12, 0.9, 100))
    both = quick(families=("m5", "m6g"), arch=("amd64", "arm64"))
    types = [
        set(
            plan_nodes(pods, CATALOGUE, settings, make_nodes(3))
            .named("mix")
            .packed.node_set.by_type
        )
        for settings in (quick(families=("m5", "m6g")), both)
    ]
    assert all(name.startswith("m5.") for name in types[0])
    assert all(name.startswith("m6g.") for name in types[1])


def test_nodes_in_use_offer_what_they_report(make_pods: Make, make_nodes: Make) -> None:
    pods = make_pods(("web", 4, 1.0, 100))
    small = make_nodes(3, cpu=2.0)
    assert plan_nodes(pods, CATALOGUE, quick(), small).named("same-type").packed.node_set.nodes == 2


def test_without_nodes_only_the_cheapest_plans_are_made(make_pods: Make) -> None:
    plans = plan_nodes(make_pods(("web", 4, 1.0, 100)), CATALOGUE, quick())
    assert plans.named("same-type").reason == "no type of the nodes in use is known"
    assert plans.named("mix").promised is not None
    assert any("zones are not known" in line for line in plans.assumptions)


def test_no_pods_and_no_types_are_errors(make_pods: Make, make_nodes: Make) -> None:
    with pytest.raises(NoDataError):
        plan_nodes(make_pods(), CATALOGUE, quick())
    with pytest.raises(UsageError, match="no instance type"):
        plan_nodes(make_pods(("web", 1, 1.0, 100)), CATALOGUE, quick(families=("zz9",)))


def test_the_same_pods_give_the_same_plan_twice(make_pods: Make, make_nodes: Make) -> None:
    pods = make_pods(("web", 30, 0.37, 700), ("api", 21, 0.81, 300), ("db", 9, 1.2, 5000))
    first, second = (plan_nodes(pods, CATALOGUE, quick(), make_nodes(6)) for _ in range(2))
    assert json.dumps([p.promised.by_type for p in first.plans]) == json.dumps(
        [p.promised.by_type for p in second.plans]
    )


@given(
    sizes=st.lists(
        st.tuples(st.integers(1, 6), st.sampled_from([0.1, 0.35, 0.8, 1.7]), st.integers(50, 5000)),
        min_size=1,
        max_size=5,
    ),
    spread=st.sampled_from(["none", "host", "zone"]),
)
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_the_pods_every_plan_places_each_once_and_costs_no_less_than_its_bound(
    make_pods: Make, make_nodes: Make, sizes: list[tuple[int, float, int]], spread: str
) -> None:
    workloads = [(f"w{i}", *size) for i, size in enumerate(sizes)]
    pods = make_pods(*workloads, daemonsets=(("agent", 0.1, 100),))
    plans = plan_nodes(pods, CATALOGUE, quick(spread=spread, time_limit=1.0), make_nodes(3))
    assert plans.unplaced == ()
    for plan in plans.plans:
        check(pods, plan.packed.placement)
        check(pods, plan.promised_placement)
        bound = plan.packed.lower_bound_usd_per_hour
        assert plan.packed.node_set.usd_per_hour >= bound - 1e-9
        assert plan.promised.usd_per_hour >= bound - 1e-9
        assert plan.promised.nodes >= 2, "one node may be lost"


def test_a_spread_over_hosts_binds_the_packed_plan_and_its_gap_is_not_0(
    make_pods: Make, make_nodes: Make
) -> None:
    """Two pods of 3.5 fill a node each, where none of the five of 1.0 has room. Those must not
    differ by more than one over all nodes, so that each of the five needs a node of its own."""
    pods = make_pods(("big", 2, 3.5, 500), ("web", 5, 1.0, 500))
    free = plan_nodes(pods, CATALOGUE, quick(), make_nodes(7), names=("same-type",))
    assert free.named("same-type").packed.node_set.nodes == 4
    spread = json.dumps(even("web", "kubernetes.io/hostname"))
    pods["scheduling"] = [spread if name == "web" else "{}" for name in pods["workload"]]
    pods["labels"] = [json.dumps({"app": name}) for name in pods["workload"]]
    plan = plan_nodes(pods, CATALOGUE, quick(), make_nodes(7), names=("same-type",))
    packed = plan.named("same-type").packed
    check(pods, packed.placement)
    assert packed.node_set.nodes == 7
    assert packed.optimality_gap > 0.5


def test_a_packing_that_is_even_over_hosts_stays_as_it_is(
    make_pods: Make, make_nodes: Make
) -> None:
    pods = make_pods(("web", 6, 1.2, 500))
    pods["scheduling"] = json.dumps(even("web", "kubernetes.io/hostname"))
    pods["labels"] = json.dumps({"app": "web"})
    plan = plan_nodes(pods, CATALOGUE, quick(), make_nodes(3), names=("same-type",))
    packed = plan.named("same-type").packed
    assert (packed.node_set.nodes, packed.optimality_gap) == (2, 0.0)
