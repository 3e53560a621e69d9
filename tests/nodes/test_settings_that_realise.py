"""The replay says which setting of the autoscaler makes nodes go, and what of that is new."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightsize.cost.saving import Saving, as_replayed
from rightsize.nodes.answer import MonthAnswer, Trial
from rightsize.nodes.autoscaler import TRIED, Autoscaler, autoscaler_in_use, calmer
from rightsize.nodes.holds import held_pods, holds
from rightsize.nodes.month import MonthReplay, OrderRange
from rightsize.output.node_month import month_lines
from rightsize.results import Interval

CA = tuple(one for one in TRIED["cluster-autoscaler"] if not one.ignore_daemonsets)


def month(
    scaler: Autoscaler,
    *nodes: int,
    worst: int = 0,
    usd: float = 1.0,
    events: tuple[int, ...] = (9,),
) -> MonthReplay:
    rows = {"nodes": nodes, "added": 0, "removed": 0, "pods": 9, "usd": usd}
    ends = OrderRange.of([nodes[-1], max(worst, nodes[-1])])
    return MonthReplay(
        scaler, "m5.xlarge", pd.DataFrame(rows), (), {}, ends, OrderRange.of(list(events))
    )


def trial(scaler: Autoscaler, today: int, new: int) -> Trial:
    return Trial(scaler, month(scaler, 24, today), month(scaler, 24, new))


@pytest.fixture
def answer() -> MonthAnswer:
    ends = [(24, 24), (24, 22), (23, 20), (22, 18), (21, 18), (21, 18)]
    return MonthAnswer(tuple(trial(s, *end) for s, end in zip(CA, ends, strict=True)), 24.0)


def test_the_default_comes_first_and_thresholds_rise():
    assert [one.threshold for one in CA] == sorted(one.threshold for one in CA)
    assert CA[0] == Autoscaler("cluster-autoscaler")


def test_the_setting_nearest_to_the_default_that_frees_most_is_named(answer):
    assert answer.realising.autoscaler.threshold == 0.7


def test_the_nodes_that_go_are_split_into_consolidation_and_new_requests(answer):
    assert answer.realising.by_consolidation == 2
    assert answer.realising.by_requests == 4


def test_a_saving_that_the_default_does_not_realise_is_said(answer):
    first, second = month_lines(answer)
    assert "--scale-down-utilization-threshold=0.5 (its default): no node goes" in first
    assert "threshold=0.7 (a change of its settings): ends at 18 nodes at most, 2 fewer" in second


def test_one_line_is_enough_where_the_default_frees_most():
    (line,) = month_lines(MonthAnswer((trial(Autoscaler("karpenter"), 21, 17),), 24.0))
    assert (
        "ends at 17 nodes at most, 3 fewer by consolidation alone and 4 by the recommended" in line
    )


def test_what_goes_is_the_plan_as_far_as_the_replay_takes_it(answer):
    freed = answer.freed(4)
    assert (freed.by_default, freed.expected, freed.planned) == (0, 4, 4)
    assert freed.setting.threshold == 0.65
    assert answer.freed(9).expected == 6
    assert answer.freed(-1).expected == 0


def test_the_worst_of_the_orders_of_arrival_counts():
    """One order ends at 20 nodes, another at 21: four nodes are promised by a higher threshold."""
    low, high = CA[2], CA[3]
    trials = (
        trial(CA[0], 24, 24),
        Trial(low, month(low, 24, 23), month(low, 24, 20, worst=21)),
        trial(high, 22, 20),
    )
    freed = MonthAnswer(trials, 24.0).freed(4)
    assert (freed.expected, freed.setting) == (4, high)


def test_what_spares_events_is_offered_with_its_price():
    best = trial(CA[0], 20, 18)
    spare = Autoscaler("karpenter", spare_pod=True)
    calm = Trial(spare, month(spare, 24, 18), month(spare, 24, 19, usd=1.1, events=(2, 4)))
    text = "\n".join(month_lines(MonthAnswer((best,), 24.0, calmer=(calm,))))
    assert "3 (2 to 4) instead of 9 (9 to 9), for 73 USD a month" in text
    assert "an overprovisioning pod" in text
    none = "\n".join(month_lines(MonthAnswer((best,), 24.0, calmer=(best,))))
    assert "no longer wait and no overprovisioning pod spares scaling events" in none


def test_a_node_more_than_the_end_is_tried_as_the_minimum_of_cluster_autoscaler():
    tried = calmer(CA[0], 18)
    assert [one.least for one in tried] == [0, 0, 19]
    assert "node groups of at least 19 nodes together (minSize)" in tried[2].setting
    assert all(one.least == 0 for one in calmer(TRIED["karpenter"][0], 18))


@given(
    ends=st.lists(st.integers(1, 30), min_size=6, max_size=6),
    planned=st.integers(0, 20),
    usd=st.tuples(*[st.floats(0, 1000)] * 3).map(sorted),
)
def test_a_saving_never_exceeds_its_plan_nor_what_the_autoscaler_takes(ends, planned, usd):
    month = MonthAnswer(tuple(trial(s, 24, end) for s, end in zip(CA, ends, strict=True)), 24.0)
    freed = month.freed(planned)
    assert 0 <= freed.by_default <= freed.expected <= planned
    static = Saving(Interval(*usd), None, planned, "")
    found = as_replayed(static, freed).on_demand_equivalent
    assert found.mid <= usd[1] + 1e-9
    assert found.high <= usd[2] + 1e-9
    if planned and freed.expected == 0:
        assert found.mid == found.low == 0.0


def test_events_within_the_range_of_chance_are_no_difference():
    today, new = OrderRange(49, 55.0, 65, 10), OrderRange(57, 62.0, 69, 10)
    assert not today.differs(new)
    assert today.differs(OrderRange(66, 70.0, 80, 10))


def test_the_autoscaler_in_use_is_known_from_its_labels():
    eks, karpenter = '{"eks.amazonaws.com/nodegroup": "a"}', '{"karpenter.sh/nodepool": "general"}'
    assert autoscaler_in_use(pd.DataFrame({"labels": [eks, None]})) == "cluster-autoscaler"
    assert autoscaler_in_use(pd.DataFrame({"labels": [eks, karpenter]})) == "karpenter"


def held(
    kind, *, budget=1.0, owner="Deployment", namespace="shop", component="sidecar", annotations=None
):
    pods = pd.DataFrame(
        {"namespace": [namespace], "pod": ["web-0"], "workload": ["web"], "workload_kind": [owner]}
    )
    pods["annotations"] = [None if annotations is None else json.dumps(annotations)]
    containers = pd.DataFrame({"namespace": ["shop"], "pod": ["web-0"], "component": [component]})
    pdbs = pd.DataFrame(
        {
            "namespace": ["shop"],
            "pdb": ["one"],
            "workload": ["web"],
            "disruptions_allowed": [budget],
        }
    )
    return "\n".join(holds(kind, pods, containers, pdbs))


def test_injected_volumes_hold_nodes_of_cluster_autoscaler_alone():
    assert "pods with injected proxies (1) have emptyDir volumes" in held("cluster-autoscaler")
    assert "workload-socket,credential-socket,workload-certs,istio-data" in held(
        "cluster-autoscaler"
    )
    assert "emptyDir" not in held("karpenter")
    assert "emptyDir" not in held("cluster-autoscaler", component=None)


STAY = {"karpenter.sh/do-not-disrupt": "true"}
SAFE = "cluster-autoscaler.kubernetes.io/safe-to-evict"
KEEP = {SAFE: "false"}
LOCAL = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"


@pytest.mark.parametrize(
    ("volumes", "holds_it"),
    [
        ("workload-socket,credential-socket,workload-certs,istio-data", False),
        ("istio-data,workload-certs,credential-socket,workload-socket,cache", False),
        ("istio-data, workload-certs, credential-socket, workload-socket", True),
        ("istio-data", True),
    ],
)
def test_volumes_that_an_annotation_lets_go_hold_no_node(volumes, holds_it):
    found = held("cluster-autoscaler", annotations={LOCAL: volumes})
    assert ("emptyDir" in found) == holds_it


def test_annotations_in_the_snapshot_are_read_and_their_pods_named():
    assert '"false" hold their nodes: shop/web-0' in held("cluster-autoscaler", annotations=KEEP)
    assert '"true" hold their nodes: shop/web-0' in held("karpenter", annotations=STAY)
    assert held("karpenter", annotations={}) == ""
    assert "not in the snapshot, check by hand" in held("karpenter")


def test_a_budget_without_a_disruption_holds_nodes_of_both():
    for kind in ("cluster-autoscaler", "karpenter"):
        assert "allow no disruption hold their nodes: shop/one" in held(kind, budget=0.0)
        assert "allow no disruption" not in held(kind)


def test_pods_without_controller_and_of_the_system_hold_nodes():
    assert "without a controller hold their nodes: shop/web-0" in held(
        "cluster-autoscaler", owner="Pod"
    )
    assert "(--skip-nodes-with-system-pods" in held("cluster-autoscaler", namespace="kube-system")
    assert "kube-system" not in held(
        "cluster-autoscaler", namespace="kube-system", owner="DaemonSet"
    )


def test_pods_that_hold_nodes_bind_the_replay_and_local_volumes_do_not():
    pods = pd.DataFrame(
        {
            "namespace": ["shop", "shop", "kube-system", "kube-system", "shop"],
            "pod": ["bare", "marked", "dns", "agent", "guarded"],
            "workload": ["bare", "marked", "dns", "agent", "db"],
            "workload_kind": ["Pod", "Deployment", "Deployment", "DaemonSet", "StatefulSet"],
            "annotations": [None, json.dumps(KEEP), None, None, json.dumps(STAY)],
        }
    )
    pdbs = pd.DataFrame(
        {"namespace": ["shop"], "pdb": ["one"], "workload": ["db"], "disruptions_allowed": [0.0]}
    )
    named = {kind: set(held_pods(kind, pods, pdbs)["pod"]) for kind in TRIED}
    assert named["cluster-autoscaler"] == {"bare", "marked", "dns", "guarded"}
    assert named["karpenter"] == {"guarded"}
    assert set(held_pods("karpenter", pods, pdbs.iloc[:0])["pod"]) == {"guarded"}


def one_pod(owner, *, phase="Running", annotations=None, budgets=()):
    """Autoscalers of which the pod keeps its node; `budgets` are the disruptions that each of them allows."""
    pods = pd.DataFrame(
        {
            "namespace": "shop",
            "pod": ["w-0"],
            "workload": "w",
            "workload_kind": owner,
            "phase": phase,
        }
    ).assign(annotations=None if annotations is None else json.dumps(annotations))
    pdbs = pd.DataFrame(
        {
            "namespace": "shop",
            "pdb": [f"budget-{i}" for i in range(len(budgets))],
            "workload": "w",
            "disruptions_allowed": pd.Series(budgets, dtype=float),
        }
    )
    return {kind for kind in TRIED if len(held_pods(kind, pods, pdbs))}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (one_pod("StrimziPodSet"), {"cluster-autoscaler"}),
        (one_pod("StrimziPodSet", annotations={SAFE: "true"}), set()),
        (one_pod("Rollout"), set()),
        (one_pod("Pod", phase="Succeeded"), set()),
        (one_pod("Job", phase="Failed", annotations=KEEP | STAY), set()),
        (one_pod("Node"), set()),
        (one_pod("DaemonSet", annotations=KEEP | STAY), {"karpenter"}),
        (one_pod("Deployment", budgets=(1, 1)), set(TRIED)),
        (one_pod("Deployment", budgets=(1,)), set()),
    ],
)
def test_each_autoscaler_has_its_own_rules_on_what_keeps_a_node(found, expected):
    """A controller it does not know; pods that ended; static ones; DaemonSets; two budgets for one pod."""
    assert found == expected


def test_a_minimum_that_the_settings_name_is_a_condition():
    empty = pd.DataFrame(columns=["namespace", "pod", "workload", "workload_kind"])
    budgets = pd.DataFrame(columns=["namespace", "pdb", "workload", "disruptions_allowed"])
    parts = empty.assign(component=None)
    (last,) = list(holds(CA[0].kind, empty, parts, budgets, minimum=(("general", 3),)))[-1:]
    assert last == "the minimum of node groups holds nodes: general at 3"
