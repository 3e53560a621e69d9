"""The nodes in use: how many of which type, where, and what they offer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from rightsize.nodes.rules import Taint, parse_taints

OF_THE_NODE = (
    "kubernetes.io/",
    "beta.kubernetes.io/",
    "failure-domain.beta.kubernetes.io/",
    "topology.kubernetes.io/",
    "topology.ebs.csi.aws.com/",
    "topology.k8s.aws/",
    "node.kubernetes.io/",
    "k8s.io/cloud-provider-aws",
    "karpenter.k8s.aws/instance-",
    "karpenter.sh/capacity-type",
    "eks.amazonaws.com/capacityType",
    "alpha.eksctl.io/instance-id",
)
"""Labels that follow from the machine; the others belong to the pool it is in."""


@dataclass(frozen=True)
class Pool:
    """Nodes with the same labels of their own and the same taints: a node group."""

    labels: tuple[tuple[str, str], ...] = ()
    taints: tuple[Taint, ...] = ()


@dataclass(frozen=True, eq=False)
class Inventory:
    """What is known of the nodes in use.

    `offered` has `instance_type`, `cpu` (cores), `memory` (bytes), `pods`: the least that a node
    of the type reports. `counts` has `instance_type`, `capacity_type`, `nodes`.
    """

    nodes: int
    offered: pd.DataFrame
    counts: pd.DataFrame
    zones: tuple[str, ...]
    arches: tuple[str, ...]
    pools: tuple[Pool, ...]
    labels_known: bool
    tainted: Mapping[str, tuple[Taint, ...]] = field(default_factory=dict)
    """Taints that keep pods away, of the nodes that have any."""

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(sorted(self.offered["instance_type"]))


def read_inventory(nodes: pd.DataFrame | None, asked: frozenset[str] = frozenset()) -> Inventory:
    """Sum up one day of the snapshot's table `nodes`.

    Parameters
    ----------
    nodes : DataFrame, optional
        None or empty: nothing is known of the nodes.
    asked : frozenset of str
        Label keys that pods ask about; others do not make a pool.
    """
    if nodes is None or nodes.empty:
        nothing = pd.DataFrame(columns=["instance_type", "cpu", "memory", "pods"])
        counts = pd.DataFrame(columns=["instance_type", "capacity_type", "nodes"])
        return Inventory(0, nothing, counts, (), (), (Pool(),), False)
    table = nodes.copy()
    for column in ("instance_type", "zone", "arch", "capacity_type"):
        table[column] = table[column].astype("string")
    offered = (
        table.dropna(subset=["instance_type"])
        .groupby("instance_type", observed=True)[
            ["allocatable_cpu", "allocatable_memory", "allocatable_pods"]
        ]
        .min()
        .reset_index()
        .set_axis(["instance_type", "cpu", "memory", "pods"], axis=1)
    )
    filled = table.assign(capacity_type=table["capacity_type"].fillna("unknown"))
    counts = (
        filled.assign(instance_type=filled["instance_type"].fillna("unknown"))
        .groupby(["instance_type", "capacity_type"], observed=True)
        .size()
        .rename("nodes")
        .reset_index()
    )
    labels = [_loads(text) for text in table["labels"].astype(object)]
    pools = [
        Pool(_own(found, asked), tuple(t for t in parse_taints(_text(taints)) if t.binds))
        for found, taints in zip(labels, table["taints"].astype(object), strict=True)
    ]
    return Inventory(
        len(table),
        offered,
        counts,
        tuple(sorted(table["zone"].dropna().unique())),
        tuple(sorted(table["arch"].dropna().unique())),
        tuple(sorted(set(pools), key=repr)),
        any(labels),
        {
            str(node): pool.taints
            for node, pool in zip(table.get("node", ()), pools, strict=False)
            if pool.taints
        },
    )


def _own(labels: Mapping[str, str], asked: frozenset[str]) -> tuple[tuple[str, str], ...]:
    kept = {
        key: value
        for key, value in labels.items()
        if key in asked and not key.startswith(OF_THE_NODE)
    }
    return tuple(sorted(kept.items()))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _loads(value: object) -> dict[str, str]:
    text = _text(value)
    return dict(json.loads(text)) if text else {}
