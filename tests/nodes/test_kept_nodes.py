"""Nodes that no general machine replaces stay in every plan, with their pods and their price."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from rightsize.config import NodeSettings
from rightsize.nodes.kept import node_set_in_use
from rightsize.nodes.plans import plan_nodes
from rightsize.prices.catalogue import priced_types
from rightsize.prices.node_kinds import COMPUTE_TYPE

CATALOGUE = priced_types("us-east-1")
MEBIBYTE = 2**20
NOW = pd.Timestamp("2026-03-02T12:00Z")
G5 = float(CATALOGUE.set_index("instance_type")["usd_per_hour"]["g5.xlarge"])
SETTINGS = NodeSettings.model_validate({"families": ("m5",), "spread": "none", "time_limit": 2.0})
Make = Callable[..., pd.DataFrame]


def rows(*nodes: tuple[str, str | None, str | None, str]) -> pd.DataFrame:
    """(name, type, labels, kind) of nodes in use."""
    table = pd.DataFrame(nodes, columns=["node", "instance_type", "labels", "kind"])
    return table.assign(
        zone="us-east-1a",
        arch="amd64",
        capacity_type="on-demand",
        allocatable_cpu=3.92,
        allocatable_memory=14000.0 * MEBIBYTE,
        allocatable_pods=58.0,
        taints=None,
        first_seen=NOW,
        last_seen=NOW,
    )


def mesh(make_pods: Make, special: list[str]) -> pd.DataFrame:
    """Six pods on general nodes, and one of `train` on each special one."""
    pods = make_pods(("web", 6, 1.0, 1024), ("train", len(special), 3.0, 8192))
    return pods.assign(node=["m0"] * 6 + special)


def test_three_gpu_nodes_do_not_vanish(make_pods: Make) -> None:
    gpu = [(f"g{i}", "g5.xlarge", None, "accelerator") for i in range(3)]
    nodes = rows(*[(f"m{i}", "m5.xlarge", None, "ec2") for i in range(3)], *gpu)
    found = plan_nodes(mesh(make_pods, ["g0", "g1", "g2"]), CATALOGUE, SETTINGS, nodes)
    for plan in found.plans:
        assert plan.packed is not None
        assert plan.promised is not None
        for node_set in (plan.packed.node_set, plan.promised):
            assert node_set.by_type["g5.xlarge"] == 3
            assert node_set.usd_per_hour is not None
            assert node_set.usd_per_hour > 3 * G5
        assert not plan.packed.placement["pod"].str.startswith("train").any()
    assert "3 g5.xlarge (accelerator)" in found.assumptions[0]


@pytest.mark.parametrize(
    ("labels", "named", "kind"),
    [
        ('{"kubernetes.io/os":"windows"}', "m5.xlarge", "windows"),
        (None, "m5.xlarge", "hugepages"),
        (None, "i3.large", "local-nvme"),
        (f'{{"{COMPUTE_TYPE}":"fargate"}}', None, "fargate"),
        (f'{{"{COMPUTE_TYPE}":"hybrid"}}', None, "hybrid"),
        (None, "inf2.xlarge", "accelerator"),
    ],
)
def test_pods_of_a_special_node_stay_and_the_node_is_counted(
    make_pods: Make, labels: str | None, named: str | None, kind: str
) -> None:
    nodes = rows(("m0", "m5.xlarge", None, "ec2"), ("s0", named, labels, kind))
    found = plan_nodes(mesh(make_pods, ["s0"]), CATALOGUE, SETTINGS, nodes, names=("same-type",))
    plan = found.named("same-type")
    assert plan.promised is not None
    assert plan.packed is not None
    (kept,) = (group for group in plan.promised.groups if group.kind != "ec2")
    assert (kept.kind, kept.nodes) == (kind, 1)
    assert sorted(plan.packed.placement["pod"]) == [f"web-{i}" for i in range(6)]


def test_fargate_and_hybrid_nodes_cost_no_ec2() -> None:
    nodes = rows(("f", None, None, "fargate"), ("h", None, None, "hybrid"))
    assert node_set_in_use(nodes, CATALOGUE).usd_per_hour == 0.0


def test_auto_mode_nodes_are_packed_anew(make_pods: Make) -> None:
    nodes = rows(*[(f"m{i}", "m5.xlarge", None, "auto") for i in range(3)])
    found = plan_nodes(mesh(make_pods, []), CATALOGUE, SETTINGS, nodes, names=("same-type",))
    node_set = found.named("same-type").promised
    assert node_set is not None
    assert set(node_set.by_type) == {"m5.xlarge"}
    assert any(
        "what EKS charges for Auto Mode is in rightsize cost" in s for s in found.assumptions
    )


def test_daemonsets_alone_are_an_answer(make_pods: Make) -> None:
    pods = make_pods(daemonsets=(("agent", 0.1, 100.0),)).assign(node="m0")
    found = plan_nodes(pods, CATALOGUE, SETTINGS, rows(("m0", "m5.xlarge", None, "ec2")))
    assert [plan.promised for plan in found.plans] == [None] * 3
    assert all("DaemonSets" in str(plan.reason) for plan in found.plans)


def test_pods_that_fit_nowhere_are_an_answer(make_pods: Make) -> None:
    pods = make_pods(("huge", 2, 999.0, 10)).assign(node="m0")
    found = plan_nodes(pods, CATALOGUE, SETTINGS, rows(("m0", "m5.xlarge", None, "ec2")))
    assert len(found.unplaced) == 2
    assert all("no pod fits" in str(plan.reason) for plan in found.plans)


def test_where_every_pod_is_on_a_kept_node_the_plan_is_these_nodes(make_pods: Make) -> None:
    pods = make_pods(("train", 1, 3.0, 8192)).assign(node="g0")
    found = plan_nodes(pods, CATALOGUE, SETTINGS, rows(("g0", "g5.xlarge", None, "accelerator")))
    for plan in found.plans:
        assert plan.promised is not None
        assert plan.promised.by_type == {"g5.xlarge": 1}
