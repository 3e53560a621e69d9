"""Nodes that no plan takes away, and the nodes in use: what a comparison has on both its sides."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rightsize.nodes.plan import NodeGroup, NodePlan, NodeSet, PackedNodeSet
from rightsize.prices.derived import windows_licences
from rightsize.prices.node_kinds import NOT_EC2, PACKED, kinds_of
from rightsize.snapshot.schema import WINDOW_SECONDS

_CHARGED = {"auto": "Auto Mode", "fargate": "Fargate", "hybrid": "Hybrid Nodes"}
"""What EKS charges for beside EC2 or in its stead, by kind of node."""


@dataclass(frozen=True)
class Split:
    """What is planned for, and what stays as it is."""

    pods: pd.DataFrame
    nodes: pd.DataFrame | None
    kept: NodeSet
    staying_pods: int
    unknown_in: tuple[str, ...] = ()
    """For each of the staying pods whose requests nobody knows, its namespace."""

    @property
    def unknown_elsewhere(self) -> int:
        """Pods to be planned for whose requests nobody knows: no node in use is theirs."""
        return int(_unknown(self.pods).sum())

    @property
    def said(self) -> tuple[str, ...]:
        """The kept nodes, by kind and type, for the reader."""
        counts: dict[str, int] = {}
        for group in self.kept.groups:
            name = group.kind if group.kind in NOT_EC2 else f"{group.instance_type} ({group.kind})"
            counts[name] = counts.get(name, 0) + group.nodes
        said = []
        if counts:
            named = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
            said.append(
                f"kept as they are, with their {self.staying_pods} pods and their price, in every "
                f"plan: {named}"
            )
        if self.unknown_in:
            spaces = sorted(set(self.unknown_in))
            more = f" and {len(spaces) - 3} more" if len(spaces) > 3 else ""
            said.append(
                f"nobody knows what {len(self.unknown_in)} pods of {', '.join(spaces[:3])}{more} "
                "request, so the nodes they run on are kept: have kube-state-metrics report these "
                "namespaces and collect again"
            )
        if self.unknown_elsewhere:
            said.append(
                f"{self.unknown_elsewhere} pods count as requesting nothing: neither their requests "
                "nor the nodes they run on are known"
            )
        packed = set() if self.nodes is None else set(kinds_of(self.nodes))
        kinds = packed | {group.kind for group in self.kept.groups}
        charged = [name for kind, name in _CHARGED.items() if kind in kinds]
        if charged:
            said.append(
                f"prices are those of EC2 alone: what EKS charges for {', '.join(charged)} is in "
                "rightsize cost"
            )
        return tuple(said)


def split(pods: pd.DataFrame, nodes: pd.DataFrame | None, catalogue: pd.DataFrame) -> Split:
    """Set apart the nodes that stay as they are, and the pods that run on them.

    Parameters
    ----------
    pods : DataFrame
        As of `scheduled_pods`; a pod without a known `node` is planned for.
    nodes : DataFrame or None
        One day of the snapshot's table `nodes`.
    catalogue : DataFrame
        Prices, as for `plan_nodes`.
    """
    if nodes is None or nodes.empty:
        return Split(pods, nodes, NodeSet(()), 0)
    names = staying(nodes, pods)
    if not names:
        return Split(pods, nodes, NodeSet(()), 0)
    special = nodes["node"].astype(str).isin(names)
    stays = pods["node"].astype("string").isin(names).fillna(False).to_numpy(dtype=bool)
    return Split(
        pods[~stays].reset_index(drop=True),
        nodes[~special],
        node_set_in_use(nodes[special], catalogue, nodes["last_seen"].max()),
        int((stays & ~pods["daemonset"].to_numpy(dtype=bool)).sum()),
        tuple(pods.loc[stays & _unknown(pods), "namespace"].astype(str)),
    )


def staying(nodes: pd.DataFrame, pods: pd.DataFrame) -> frozenset[str]:
    """Names of the nodes that no plan takes away.

    Those that no general machine replaces, and those with a pod of which nobody knows what it
    requests: room that looks free there may be taken.

    Parameters
    ----------
    nodes : DataFrame
        Rows of the table `nodes`.
    pods : DataFrame
        As of `pod_days`.
    """
    special = ~kinds_of(nodes).isin(PACKED)
    unknown = _unknown(pods)
    if not special.any() and not unknown.any():
        return frozenset()
    names = nodes["node"].astype(str)
    return frozenset(names[special | names.isin(pods.loc[unknown, "node"].dropna().astype(str))])


def _unknown(pods: pd.DataFrame) -> NDArray[np.bool_]:
    if "unknown" not in pods.columns:
        return np.zeros(len(pods), dtype=bool)
    return pods["unknown"].to_numpy(dtype=bool)


def with_kept(plan: NodePlan, kept: NodeSet) -> NodePlan:
    """Return a plan with the kept nodes in its node sets and bounds."""
    if not kept.groups:
        return plan
    promised = None if plan.promised is None else _joined(plan.promised, kept)
    packed = None if plan.packed is None else _packed_with(plan.packed, kept)
    return replace(plan, promised=promised, packed=packed)


def _joined(node_set: NodeSet, kept: NodeSet) -> NodeSet:
    return NodeSet((*node_set.groups, *kept.groups))


def _packed_with(packed: PackedNodeSet, kept: NodeSet) -> PackedNodeSet:
    usd, bound, fewest = (
        kept.usd_per_hour,
        packed.lower_bound_usd_per_hour,
        packed.lower_bound_nodes,
    )
    return replace(
        packed,
        node_set=_joined(packed.node_set, kept),
        lower_bound_usd_per_hour=None if usd is None or bound is None else bound + usd,
        lower_bound_nodes=None if fewest is None else fewest + kept.nodes,
    )


def node_set_in_use(
    nodes: pd.DataFrame, catalogue: pd.DataFrame, until: pd.Timestamp | None = None
) -> NodeSet:
    """The nodes seen at the end of the table's last day, priced where a price is known.

    Nodes of Fargate and Hybrid Nodes cost no EC2.
    """
    if nodes.empty:
        return NodeSet((), known=False)
    # A missed scrape or two does not take a node away.
    end = nodes["last_seen"].max() if until is None else until
    last = nodes[nodes["last_seen"] >= end - 3 * pd.Timedelta(seconds=WINDOW_SECONDS)]
    price = catalogue.set_index("instance_type")
    kinds = kinds_of(last)
    table = pd.DataFrame(
        {
            "type": last["instance_type"]
            .astype("string")
            .fillna("unknown")
            .mask(kinds.isin(NOT_EC2), kinds),
            "capacity": last["capacity_type"].astype("string").fillna("unknown"),
            "zone": last["zone"].astype("string").fillna(""),
            "kind": kinds,
        }
    )
    groups = []
    for key, members in table.groupby(["type", "capacity", "zone", "kind"]):
        assert isinstance(key, tuple)
        name, capacity, zone, kind = (str(part) for part in key)
        column = "spot_usd_per_hour" if capacity == "spot" else "usd_per_hour"
        usd = float(price[column].get(name, float("nan")))
        if kind == "windows":
            licence = windows_licences().get(name, float("nan"))
            usd = float("nan") if capacity == "spot" else usd + licence
        known = 0.0 if kind in NOT_EC2 else usd if usd > 0 else None
        groups.append(NodeGroup(name, capacity, zone or None, len(members), known, kind))
    return NodeSet(tuple(groups))
