"""Each kind of node is recognised by its labels, its resources or its name."""

from __future__ import annotations

import pandas as pd
import pytest

from rightsize.prices.node_kinds import COMPUTE_TYPE, is_extended, kinds_of, may_be_ec2, node_kind


@pytest.mark.parametrize(
    ("labels", "named", "extended", "kind"),
    [
        ({}, "m5.xlarge", {}, "ec2"),
        ({}, None, {}, "ec2"),
        ({COMPUTE_TYPE: "ec2"}, "m5.xlarge", {}, "ec2"),
        ({COMPUTE_TYPE: "auto"}, "m5.xlarge", {}, "auto"),
        ({COMPUTE_TYPE: "fargate"}, None, {}, "fargate"),
        ({COMPUTE_TYPE: "hybrid"}, None, {}, "hybrid"),
        ({COMPUTE_TYPE: "hybrid"}, None, {"nvidia_com_gpu": 1.0}, "hybrid"),
        ({"kubernetes.io/os": "windows"}, "m5.xlarge", {}, "windows"),
        ({"kubernetes.io/os": "linux"}, "m5.xlarge", {}, "ec2"),
        ({}, "g5.xlarge", {}, "accelerator"),
        ({}, "inf2.xlarge", {}, "accelerator"),
        ({}, None, {"nvidia.com/gpu": 1.0}, "accelerator"),
        ({}, "m5.xlarge", {"aws_amazon_com_neuron": 1.0}, "accelerator"),
        ({}, "m5.xlarge", {"nvidia_com_gpu": 0.0}, "ec2"),
        ({}, "m5.xlarge", {"hugepages_2Mi": 0.0, "hugepages_1Gi": 0.0}, "ec2"),
        ({}, "m5.xlarge", {"hugepages_2Mi": 2**30}, "hugepages"),
        ({COMPUTE_TYPE: "auto"}, "g5.xlarge", {}, "accelerator"),
        ({}, "i4i.large", {}, "local-nvme"),
        ({}, "im4gn.large", {}, "local-nvme"),
        ({}, "m5d.large", {}, "ec2"),
    ],
)
def test_a_node_is_of_its_kind(
    labels: dict[str, str], named: str | None, extended: dict[str, float], kind: str
) -> None:
    assert node_kind(labels, named, extended) == kind


@pytest.mark.parametrize(
    ("labels", "machine", "may"),
    [
        ({}, "", True),
        ({}, "aws:///us-east-1a/i-0a1b", True),
        ({}, "kind://docker/kind/worker", False),
        ({}, "azure:///subscriptions/x", False),
        ({}, "vsphere://4237", False),
        ({"cloud.google.com/gke-nodepool": "p"}, "", False),
        ({"type": "virtual-kubelet"}, "", False),
        ({"kubernetes.io/arch": "amd64"}, "", True),
    ],
)
def test_only_a_node_that_can_be_ec2s_may_be_named_by_its_capacity(
    labels: dict[str, str], machine: str, may: bool
) -> None:
    assert may_be_ec2(labels, machine) is may


@pytest.mark.parametrize(
    "name", ["cpu", "memory", "pods", "ephemeral-storage", "ephemeral_storage"]
)
def test_what_every_node_has_is_not_extended(name: str) -> None:
    assert not is_extended(name)


def test_interfaces_of_security_groups_for_pods_are_not_a_device() -> None:
    assert not is_extended("vpc.amazonaws.com/pod-eni")
    assert not is_extended("vpc_amazonaws_com_pod_eni")


def test_elastic_fabric_adapters_are_a_device() -> None:
    assert is_extended("vpc.amazonaws.com/efa")
    assert is_extended("vpc_amazonaws_com_efa")


def test_nodes_of_an_earlier_release_get_their_kind_from_labels_type_and_name() -> None:
    nodes = pd.DataFrame(
        {
            "node": ["a", "b", "fargate-ip-10-0-0-1.ec2.internal", "mi-0123456789abcdef0"],
            "instance_type": ["g5.xlarge", "m5.xlarge", "m5.large", None],
            "labels": [None, '{"kubernetes.io/os":"windows"}', None, None],
        }
    )
    assert list(kinds_of(nodes)) == ["accelerator", "windows", "fargate", "hybrid"]
