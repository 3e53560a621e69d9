"""What sort of machine a node is: which nodes can be replaced by others, and which stay.

Only general EC2 machines and those of EKS Auto Mode are packed anew. A node with devices,
hugepages, local disks to store on or Windows was chosen for what it has, and nodes of Fargate and
Hybrid Nodes are not bought by the machine.

Sources: EKS user guide, "Fargate", "Hybrid nodes", "Auto Mode" (label
`eks.amazonaws.com/compute-type`); Kubernetes, "Well-Known Labels" and "Extended Resources".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Literal, get_args

import pandas as pd

from rightsize.prices.catalogue import instance_types

NodeKind = Literal[
    "ec2", "auto", "fargate", "hybrid", "windows", "accelerator", "hugepages", "local-nvme"
]
NODE_KINDS: tuple[NodeKind, ...] = get_args(NodeKind)
PACKED: tuple[NodeKind, ...] = ("ec2", "auto")
"""Kinds with pods that can be placed on other machines."""
NOT_EC2: tuple[NodeKind, ...] = ("fargate", "hybrid")
"""Kinds without an EC2 instance: never given an instance type."""

COMPUTE_TYPE = "eks.amazonaws.com/compute-type"
_OF_EVERY_NODE = re.compile(
    r"cpu|memory|pods|ephemeral[-_]storage|attachable[-_]volumes.*|"
    # Elastic Fabric Adapters are devices of the nodes that have them.
    r"vpc[._]amazonaws[._]com(?![/_]efa).*"
)
# Storage-optimised families are bought for their disks; an m5d mostly is not.
_STORAGE_FAMILY = re.compile(r"(i\d|i[ms]\d|d\d|h1)")


def is_extended(resource: str) -> bool:
    """Whether a resource is one that only some nodes offer, by Kubernetes's name or the metric's."""
    return _OF_EVERY_NODE.fullmatch(resource) is None


def node_kind(
    labels: Mapping[str, str],
    instance_type: str | None,
    extended: Mapping[str, float],
    name: str = "",
    provider_id: str = "",
) -> NodeKind:
    """Return the kind of a node.

    Parameters
    ----------
    labels : mapping
        Labels of the node; empty where unknown.
    instance_type : str or None
        Type by its label, not by its size.
    extended : mapping
        Amounts of the resources that `is_extended`.
    name : str
        Name of the node: Fargate's begin with `fargate-`, Hybrid Nodes' with `mi-`.
    provider_id : str
        Ends with Fargate's name of the machine there, and begins with `eks-hybrid:` on Hybrid Nodes.
    """
    compute = labels.get(COMPUTE_TYPE, "")
    machine = provider_id.rpartition("/")[2]
    if compute == "fargate" or name.startswith("fargate-") or machine.startswith("fargate-"):
        return "fargate"
    on_hybrid = provider_id.startswith("eks-hybrid:") or re.match(r"mi-[0-9a-f]{8,}", name)
    if compute == "hybrid" or on_hybrid:
        return "hybrid"
    if labels.get("kubernetes.io/os", labels.get("beta.kubernetes.io/os")) == "windows":
        return "windows"
    offered = {resource for resource, amount in extended.items() if amount > 0}
    pages = {resource for resource in offered if resource.startswith("hugepages")}
    if offered - pages or instance_type in _with_devices():
        return "accelerator"
    if pages:
        return "hugepages"
    if instance_type and _STORAGE_FAMILY.match(instance_type):
        return "local-nvme"
    return "auto" if compute == "auto" else "ec2"


def may_be_ec2(labels: Mapping[str, str], provider_id: str) -> bool:
    """Whether a node that names no instance type can be one of EC2's, by its capacity.

    A provider id of AWS says so; one of anybody else, a virtual kubelet, or labels of another cloud
    say that it is none.
    """
    if provider_id:
        return provider_id.startswith("aws://")
    clouds = ("cloud.google.com/", "kubernetes.azure.com/", "k3s.io/")
    return labels.get("type") != "virtual-kubelet" and not any(
        key.startswith(clouds) for key in labels
    )


def runs_daemonsets(nodes: pd.DataFrame) -> pd.Series:
    """Which rows of table `nodes` run pods of DaemonSets: all but those of Fargate."""
    return ~kinds_of(nodes).eq("fargate")


def kinds_of(nodes: pd.DataFrame) -> pd.Series:
    """Return the kind of each row of table `nodes`; found anew in files of earlier releases."""
    stated = nodes["kind"] if "kind" in nodes.columns else pd.Series(None, index=nodes.index)
    found = [
        kind
        if isinstance(kind, str)
        else node_kind(_loads(labels), _text(named), {}, str(name), _text(machine) or "")
        for kind, labels, named, name, machine in zip(
            stated.astype(object),
            nodes["labels"].astype(object) if "labels" in nodes.columns else [None] * len(nodes),
            nodes["instance_type"].astype(object),
            nodes["node"].astype(object) if "node" in nodes.columns else [""] * len(nodes),
            nodes["provider_id"].astype(object) if "provider_id" in nodes else [None] * len(nodes),
            strict=True,
        )
    ]
    return pd.Series(found, index=nodes.index, dtype="string")


@cache
def _with_devices() -> frozenset[str]:
    types = instance_types()
    devices = (types["gpu"].fillna(0) > 0) | types["accelerator"].notna()
    return frozenset(types.loc[devices, "instance_type"].astype(str))


def _loads(value: object) -> dict[str, str]:
    return dict(json.loads(value)) if isinstance(value, str) and value else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
