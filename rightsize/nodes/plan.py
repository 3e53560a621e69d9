"""What a node plan says: node sets with their cost, what binds, and what was turned down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rightsize.frames import KeptFrame
from rightsize.nodes.layout import Layout, Unplaced
from rightsize.nodes.problem import Ints
from rightsize.prices.shapes import Coverage
from rightsize.results import Rejected

PlanName = Literal["same-type", "single-type", "mix"]
PLAN_NAMES: tuple[PlanName, ...] = get_args(PlanName)
Binding = Literal["CPU", "memory", "pod density", "zone spread", "replica spread", "nothing"]


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """Equal nodes. `zone` is None where zones do not matter; `usd_per_hour` is for one node."""

    instance_type: str
    capacity_type: str
    zone: str | None
    nodes: int
    usd_per_hour: float | None
    kind: str = "ec2"
    """Of `rightsize.prices.node_kinds`; a group that is not packed is kept as it is."""


@dataclass(frozen=True, slots=True)
class NodeSet:
    """Nodes to buy. `usd_per_hour` None: the price of some type is unknown."""

    groups: tuple[NodeGroup, ...]
    known: bool = True
    """False where nodes run of which no row was collected."""

    @property
    def nodes(self) -> int:
        return sum(group.nodes for group in self.groups)

    @property
    def usd_per_hour(self) -> float | None:
        if not self.known:
            return None
        total = 0.0
        for group in self.groups:
            if group.usd_per_hour is None:
                return None
            total += group.nodes * group.usd_per_hour
        return total

    @property
    def by_type(self) -> dict[str, int]:
        """Nodes of each instance type, most first."""
        found: dict[str, int] = {}
        for group in self.groups:
            found[group.instance_type] = found.get(group.instance_type, 0) + group.nodes
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


@dataclass(frozen=True, slots=True, eq=False)
class PackedNodeSet:
    """The cheapest node set found for the pods alone, and what no node set can cost less than.

    `placement` has `namespace`, `pod`, `node` (a number), `instance_type`, `zone`.
    """

    node_set: NodeSet
    placement: KeptFrame
    lower_bound_usd_per_hour: float | None
    lower_bound_nodes: int | None
    """Fewest nodes; only where all nodes are of one type."""
    optimality_gap: float
    """(cost - bound) / bound."""


@dataclass(frozen=True, slots=True, eq=False)
class NodePlan:
    """One way to run the pods.

    `packed` is the ideal, `promised` what a replay of the scheduler achieves with the headroom;
    either is None where none was found, and `reason` says why. `use` are shares of what the
    promised nodes (else the packed ones) offer: CPU, memory, pod slots. `promised_placement` is
    like `PackedNodeSet.placement`, before anything is lost.
    """

    name: PlanName
    packed: PackedNodeSet | None
    promised: NodeSet | None
    binding: Binding
    use: tuple[float, float, float] | None
    excuses: tuple[Rejected, ...]
    reason: str | None = None
    promised_placement: KeptFrame | None = None


@dataclass(frozen=True, slots=True, eq=False)
class NodePlans:
    """All plans for one set of pods, with what they leave out and take for granted."""

    pods: int
    plans: tuple[NodePlan, ...]
    unplaced: tuple[Unplaced, ...]
    assumptions: tuple[str, ...]
    coverage: Coverage
    """Of the types among which the cheapest was looked for."""

    def named(self, name: PlanName) -> NodePlan:
        """The plan of that name, which must have been asked for."""
        return next(plan for plan in self.plans if plan.name == name)


def node_set_of(layout: Layout, keep: Ints, offers: Ints, zones: Ints | None = None) -> NodeSet:
    """Sum nodes up by type, purchase and zone. `offers` counts within `keep`."""
    rows = layout.offers.iloc[keep[offers]]
    price = rows["usd_per_hour"].to_numpy(dtype=float)
    placed = zone_names(layout, keep, offers, zones)
    found: dict[tuple[str, str, str], tuple[int, float]] = {}
    for name, capacity, zone, usd in zip(
        rows["instance_type"], rows["capacity_type"], placed, price, strict=True
    ):
        key = (str(name), str(capacity), str(zone))
        found[key] = (found.get(key, (0, usd))[0] + 1, float(usd))
    return NodeSet(
        tuple(
            NodeGroup(name, capacity, zone or None, nodes, usd if np.isfinite(usd) else None)
            for (name, capacity, zone), (nodes, usd) in sorted(found.items())
        )
    )


def zone_names(layout: Layout, keep: Ints, offers: Ints, zones: Ints | None) -> NDArray[np.object_]:
    """(B,) zone of each node by name; empty where zones do not matter."""
    if zones is None or layout.zoned:
        return np.asarray(layout.offers["zone"].to_numpy(dtype=object)[keep[offers]])
    return np.asarray(np.array(layout.zones, dtype=object)[zones])


def placement_of(
    layout: Layout, keep: Ints, offers: Ints, where: Ints, zones: Ints | None = None
) -> pd.DataFrame:
    """Which pod is on which node: `namespace`, `pod`, `node`, `instance_type`, `zone`."""
    types = layout.offers["instance_type"].to_numpy(dtype=object)[keep[offers]]
    return pd.DataFrame(
        {
            "namespace": layout.pods["namespace"].to_numpy(dtype=object),
            "pod": layout.pods["pod"].to_numpy(dtype=object),
            "node": where,
            "instance_type": types[where] if len(where) else [],
            "zone": zone_names(layout, keep, offers, zones)[where] if len(where) else [],
        }
    )
