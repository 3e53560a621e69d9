"""The packing problem as arrays: classes of equal pods, offers of nodes, and what binds them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

CPU, MEMORY, SLOTS = 0, 1, 2
RESOURCES = ("CPU", "memory", "pod density")
"""Names of the columns of `size` and `capacity`: millicores, bytes, pod slots."""


@dataclass(frozen=True, eq=False)
class Problem:
    """Pods of K classes to be put on nodes of O offers; every figure is a whole number.

    `avoid[k]` lists the classes that may not share a node with class `k`, in both directions.
    A `group` is a workload (or a set that repels itself) of which a node takes at most `limit`.
    """

    size: Floats
    """(K, 3) request of one pod: millicores, bytes, slots."""
    count: Ints
    """(K,) pods of the class."""
    capacity: Floats
    """(O, 3) what a node has left for these pods once its DaemonSets run."""
    price: Floats
    """(O,) USD per hour."""
    fits: Flags
    """(K, O) the class may run on the offer: size, selectors, taints, zone."""
    group: Ints
    """(K,) index into `limit`, -1 for none."""
    limit: Ints
    """(G,) most pods of the group on one node."""
    avoid: tuple[Ints, ...]
    kind: Ints
    """(O,) instance type, for `max_types`."""
    zone: Ints
    """(O,) zone, for `floor`."""
    on_demand: Flags
    """(O,) not Spot."""
    floor: int = 0
    """Fewest nodes in every zone."""
    max_types: int | None = None
    on_demand_share: float = 0.0
    """Share of the pods' CPU that on-demand nodes must be able to hold."""
    allocatable: Floats | None = None
    """(O, 2) CPU and memory of a node before its DaemonSets, which the scheduler's scores count as used;
    None where no DaemonSet runs."""

    @property
    def scored(self) -> Floats:
        """(O, 2) what the scheduler's scores divide by."""
        return self.capacity[:, :2] if self.allocatable is None else self.allocatable

    @property
    def demand(self) -> Floats:
        """(3,) requests of all pods together."""
        return np.asarray(self.count @ self.size, dtype=float)

    @property
    def scale(self) -> Floats:
        """(3,) what makes the resources comparable: the demand, or the capacity without one."""
        demand = self.demand
        usual = self.capacity.mean(axis=0) if len(self.capacity) else np.ones(3)
        scale = np.where(demand > 0, demand, usual)
        return np.where(scale > 0, scale, 1.0)

    @property
    def pods(self) -> int:
        return int(self.count.sum())

    @property
    def classes(self) -> Ints:
        """(P,) class of each pod, pods of a class side by side."""
        return np.repeat(np.arange(len(self.count)), self.count)

    def with_offers(self, keep: Flags | Ints) -> Problem:
        """The same pods with only these offers."""
        return replace(
            self,
            capacity=self.capacity[keep],
            price=self.price[keep],
            fits=self.fits[:, keep],
            kind=self.kind[keep],
            zone=self.zone[keep],
            on_demand=self.on_demand[keep],
            allocatable=None if self.allocatable is None else self.allocatable[keep],
        )

    def with_count(self, count: Ints) -> Problem:
        """The same classes with other numbers of pods."""
        return replace(self, count=count)


@dataclass(frozen=True, eq=False)
class Packing:
    """Nodes bought and where each pod went. `where` is -1 for a pod that found no place."""

    offers: Ints
    """(B,) offer of each node."""
    where: Ints
    """(P,) node of each pod, in the order of `Problem.classes`."""

    @property
    def whole(self) -> bool:
        return bool((self.where >= 0).all())

    def cost(self, problem: Problem) -> float:
        """USD per hour of all nodes."""
        return float(problem.price[self.offers].sum())

    def used(self, problem: Problem) -> Floats:
        """(B, 3) what the pods on each node request."""
        used = np.zeros((len(self.offers), problem.size.shape[1]))
        placed = self.where >= 0
        np.add.at(used, self.where[placed], problem.size[problem.classes[placed]])
        return used


def undominated(problem: Problem, fits: Flags, offers: Ints) -> Ints:
    """Offers that no other one beats in every resource, rule and the price."""
    keep = []
    for o in offers:
        same = offers[
            (problem.zone[offers] == problem.zone[o])
            & (problem.on_demand[offers] == problem.on_demand[o])
            & (offers != o)
        ]
        beaten = (problem.capacity[same] >= problem.capacity[o]).all(axis=1)
        beaten &= problem.price[same] <= problem.price[o]
        beaten &= ~(fits[:, [o]] & ~fits[:, same]).any(axis=0)
        # Of equals the first stays.
        equal = (problem.capacity[same] == problem.capacity[o]).all(axis=1)
        equal &= problem.price[same] == problem.price[o]
        equal &= (fits[:, same] == fits[:, [o]]).all(axis=0)
        if not (beaten & ~(equal & (same > o))).any():
            keep.append(int(o))
    return np.array(keep, dtype=np.int64)
