"""Graviton stands beside x86 with what is known of the images, and never drops a pod to be cheap."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from rightsize.config import NodeSettings
from rightsize.nodes.graviton import (
    Graviton,
    NamespacePods,
    graviton_beside,
    readiness_of,
    workloads_on_arm,
)
from rightsize.nodes.plans import plan_nodes
from rightsize.prices.catalogue import priced_types

CATALOGUE = priced_types("us-east-1")
SETTINGS = NodeSettings(time_limit=0.5, headroom="none", surge=0.0, spread="none")
X86 = {"nodeSelector": {"kubernetes.io/arch": "amd64"}}
ARM = {"nodeSelector": {"kubernetes.io/arch": "arm64"}}
Make = Callable[..., pd.DataFrame]


def affinity(operator: str, *values: str) -> dict[str, object]:
    asked = {"key": "kubernetes.io/arch", "operator": operator, "values": list(values)}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [asked]}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


def beside(
    pods: pd.DataFrame, nodes: pd.DataFrame, settings: NodeSettings = SETTINGS
) -> Graviton | None:
    mix = plan_nodes(pods, CATALOGUE, settings, nodes, names=("mix",)).named("mix")
    return graviton_beside(mix, pods, CATALOGUE, settings, nodes)


def test_graviton_costs_less_than_x86_for_the_same_pods(make_pods: Make, make_nodes: Make) -> None:
    found = beside(make_pods(("web", 12, 0.9, 1024)), make_nodes(3))
    assert found is not None
    assert found.arm.packed is not None
    assert found.x86.packed is not None
    arm, x86 = (plan.node_set for plan in (found.arm.packed, found.x86.packed))
    assert all(name.split(".")[0].rstrip("dn").endswith("g") for name in arm.by_type)
    assert arm.usd_per_hour is not None
    assert x86.usd_per_hour is not None
    assert arm.usd_per_hour < x86.usd_per_hour
    assert found.namespaces == (NamespacePods("shop", 0, 12, 0),)
    assert "known of 0 pods, unknown of 12 pods" in found.condition


def test_a_pod_bound_to_x86_keeps_a_machine_of_x86(make_pods: Make, make_nodes: Make) -> None:
    pods = make_pods(("web", 8, 0.9, 1024), ("old", 2, 0.9, 1024, X86))
    found = beside(pods, make_nodes(3, labels={"kubernetes.io/arch": "amd64"}))
    assert found is not None
    assert found.arm.packed is not None
    placed = found.arm.packed.placement
    arches = placed["instance_type"].map(CATALOGUE.set_index("instance_type")["arch"])
    assert set(arches[placed["pod"].str.startswith("old")]) == {"amd64"}
    assert set(arches[placed["pod"].str.startswith("web")]) == {"arm64"}
    assert len(placed) == 10
    assert "2 are bound to x86" in found.condition


@pytest.mark.parametrize(
    ("rules", "readiness"),
    [
        (None, "unknown"),
        (X86, "bound"),
        (ARM, "known"),
        ({"nodeSelector": {"beta.kubernetes.io/arch": "amd64"}}, "bound"),
        (affinity("In", "amd64", "arm64"), "known"),
        (affinity("In", "amd64"), "bound"),
        (affinity("NotIn", "arm64"), "bound"),
        (affinity("NotIn", "amd64"), "known"),
        (affinity("NotIn", "s390x"), "unknown"),
        (affinity("Exists"), "unknown"),
        ({"nodeSelector": {"kubernetes.io/os": "linux"}}, "unknown"),
    ],
)
def test_rules_say_whether_a_pod_admits_arm64(
    make_pods: Make, rules: dict[str, object] | None, readiness: str
) -> None:
    pods = make_pods(("web", 1, 0.5, 256, rules) if rules else ("web", 1, 0.5, 256))
    assert list(readiness_of(pods, frozenset())) == [readiness]


def test_a_workload_seen_on_an_arm64_node_is_known_to_run_there(
    make_pods: Make, make_nodes: Make
) -> None:
    pods = make_pods(("web", 2, 0.5, 256), ("api", 1, 0.5, 256)).assign(
        node=["node-0", "node-1", "node-1"]
    )
    nodes = make_nodes(2).assign(arch=["arm64", "amd64"])
    ran = workloads_on_arm(pods, nodes)
    assert list(readiness_of(pods, ran)) == ["known", "known", "unknown"]


def test_add_ons_of_eks_have_images_for_both_and_other_daemonsets_are_named(
    make_pods: Make, make_nodes: Make
) -> None:
    agents = (("aws-node", 0.05, 64), ("logs", 0.05, 64))
    found = beside(make_pods(("web", 4, 0.5, 256), daemonsets=agents), make_nodes(2))
    assert found is not None
    assert found.daemonsets == ("kube-system/logs",)


def test_no_line_where_arm64_is_in_use_alone_or_architectures_are_chosen(
    make_pods: Make, make_nodes: Make
) -> None:
    pods = make_pods(("web", 4, 0.5, 256))
    assert beside(pods, make_nodes(2, "m6g.xlarge").assign(arch="arm64")) is None
    chosen = SETTINGS.model_copy(update={"arch": ("amd64",)})
    assert beside(pods, make_nodes(2), chosen) is None


def test_where_both_run_the_mix_is_held_against_x86_alone(
    make_pods: Make, make_nodes: Make
) -> None:
    nodes = pd.concat([make_nodes(2), make_nodes(1, "m6g.xlarge").assign(arch="arm64", node="g")])
    found = beside(make_pods(("web", 8, 0.9, 1024)), nodes)
    assert found is not None
    assert found.arm.packed is not None
    assert found.x86.packed is not None
    arches = CATALOGUE.set_index("instance_type")["arch"]
    assert {arches[name] for name in found.x86.packed.node_set.by_type} == {"amd64"}
    assert {arches[name] for name in found.arm.packed.node_set.by_type} == {"arm64"}


def test_a_region_without_prices_of_arm64_says_so(make_pods: Make, make_nodes: Make) -> None:
    pods, nodes = make_pods(("web", 4, 0.5, 256)), make_nodes(2)
    bare = CATALOGUE.assign(
        usd_per_hour=CATALOGUE["usd_per_hour"].mask(CATALOGUE["arch"] == "arm64")
    )
    mix = plan_nodes(pods, bare, SETTINGS, nodes, names=("mix",)).named("mix")
    found = graviton_beside(mix, pods, bare, SETTINGS, nodes)
    assert found is not None
    assert found.arm.packed is None
    assert found.arm.reason
