"""A replay of kube-scheduler: one pod after the other, filtered and scored, never moved again.

Filters: resources and pod slots, node selector, taints, zones (all by `Problem.fits`), required
anti-affinity over hosts, topology spread over hosts and zones. Scores, with the weights of the
default profile of Kubernetes 1.30: NodeResourcesFit (LeastAllocated, 1) of the whole node, DaemonSets
included, NodeResourcesBalancedAllocation (1), PodTopologySpread (2) with the pods' own soft constraints or
the built-in ones (host skew 3, zone skew 5), TaintToleration (3) for nodes that Cluster Autoscaler taints with
PreferNoSchedule. Other preferences of pods and other such taints are left out. Scores are not cut to whole
numbers, but for the count of PodTopologySpread, and ties go to the first node, where the scheduler draws lots.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from rightsize.nodes.problem import CPU, MEMORY, Flags, Floats, Ints, Problem
from rightsize.nodes.spread import Owner

_SCORED_CPU = 100.0
_SCORED_MEMORY = 200.0 * 2**20
"""What scoring takes for a pod that requests nothing (`schedutil.DefaultMilliCPURequest`)."""
SPREAD_WEIGHT = 2.0
"""Of PodTopologySpread among the scores."""
_TAINT_WEIGHT = 3.0
_MORE_NODES = 16
"""Nodes for which room is made at once."""


def score_size(problem: Problem) -> Floats:
    """(K, 2) CPU and memory that scoring takes a pod of each class to request."""
    size = problem.size[:, :2]
    return np.where(size > 0, size, [_SCORED_CPU, _SCORED_MEMORY])


def taint_score(avoided: Flags) -> Floats:
    """What TaintToleration gives nodes, of which some are avoided."""
    return np.where(avoided, 0.0, _TAINT_WEIGHT * 100)


def soft_offset(host: int, zone: int) -> float:
    """What PodTopologySpread adds to every count, so that skews that are tolerated weigh less."""
    return float(max(host - 1, 0) + max(zone - 1, 0))


@dataclass(frozen=True, eq=False)
class Common:
    """State of N clusters of B nodes side by side, each array as in a `Cluster`."""

    offers: Ints
    """(N, B)"""
    zones: Ints
    """(N, B)"""
    alive: Flags
    """(N, B)"""
    avoided: Flags
    """(N, B)"""
    rest: Floats
    """(3, N, B)"""
    scored: Floats
    """(2, N, B)"""
    gross: Floats
    """(2, N, B)"""
    on_node: Ints
    """(N, W, B)"""
    in_class: Ints
    """(N, K, B)"""


_BY_NODE = ("offers", "zones", "alive", "avoided")
_BY_RESOURCE = ("rest", "_scored", "_gross")
_BY_POD = ("on_node", "_in_class")
"""Arrays of a cluster by their shapes, in the order of `Common`."""


class Cluster:
    """Nodes that pods are scheduled on, one by one.

    Parameters
    ----------
    problem : Problem
        Sizes and rules of the pods, capacities of the offers.
    owners : sequence of Owner
        Workload of each class.
    offers : (B,) int array
        Offer of each node.
    zones : (B,) int array
        Zone of each node.
    zone_count : int, optional
        Zones in all, where nodes may join in others than those of `zones`.
    """

    def __init__(
        self,
        problem: Problem,
        owners: tuple[Owner, ...],
        offers: Ints,
        zones: Ints,
        zone_count: int = 0,
    ) -> None:
        self.problem = problem
        self.offers = offers
        self.zones = zones
        self.zone_count = max(int(zones.max(initial=0)) + 1, zone_count)
        self.alive: Flags = np.ones(len(offers), dtype=bool)
        self.avoided: Flags = np.zeros(len(offers), dtype=bool)
        """Nodes with a taint of effect PreferNoSchedule."""
        self.total: Floats = problem.capacity[offers]
        # Resources side by side in memory: filters and scores look at all nodes, one resource at a time.
        self.rest: Floats = np.asfortranarray(self.total)
        self.owners = owners
        names = {owner.key: i for i, owner in enumerate(dict.fromkeys(owners))}
        self.owner_of_class: Ints = np.array([names[o.key] for o in owners], dtype=np.int64)
        self.on_node: Ints = np.zeros((len(names), len(offers)), dtype=np.int64)
        self._in_class: Ints = np.zeros((len(problem.count), len(offers)), dtype=np.int64)
        self._sizes: list[list[float]] = problem.size.tolist()
        self._fits_all: Flags = np.asarray(problem.fits.all(axis=1))
        self._has_rules: list[bool] = [
            problem.group[k] >= 0
            or len(problem.avoid[k]) > 0
            or owner.host_skew is not None
            or owner.zone_skew is not None
            for k, owner in enumerate(owners)
        ]
        self._score_size = score_size(problem)
        self._gross: Floats = np.asfortranarray(np.maximum(problem.scored[offers], 1.0))
        """(B, 2) CPU and memory of the nodes before their DaemonSets."""
        self._scored: Floats = np.asfortranarray(self._gross - self.total[:, :2])
        """(B, 2) what scoring takes to be requested there."""
        self._next = 0

    def copy(self) -> Cluster:
        """The same cluster, to try moves on."""
        twin = copy.copy(self)
        for name in ("alive", "avoided", "rest", "on_node", "_in_class", "_scored"):
            setattr(twin, name, getattr(self, name).copy(order="K"))
        return twin

    def launch(self, offer: int, zone: int) -> int:
        """Let a node of an offer join; returns its index."""
        free = np.flatnonzero(~self.alive)
        if not len(free):
            free = np.array([len(self.alive)])
            self.make_room()
        node = int(free[0])
        self.offers[node], self.zones[node] = offer, zone
        self.total[node] = self.rest[node] = self.problem.capacity[offer]
        self._gross[node] = np.maximum(self.problem.scored[offer], 1.0)
        self._scored[node] = self._gross[node] - self.total[node, :2]
        self.alive[node], self.avoided[node] = True, False
        return node

    def make_room(self, places: int = _MORE_NODES) -> None:
        """Have places for more nodes to join."""
        for name in (*_BY_NODE, "total", *_BY_RESOURCE):
            have = getattr(self, name)
            more = np.full((places, *have.shape[1:]), name == "_gross", dtype=have.dtype)
            setattr(self, name, np.asfortranarray(np.concatenate([have, more])))
        for name in _BY_POD:
            have = getattr(self, name)
            more = np.zeros((len(have), places), dtype=have.dtype)
            setattr(self, name, np.concatenate([have, more], axis=1))

    @staticmethod
    def in_common(clusters: Sequence[Cluster]) -> Common:
        """Let N clusters of one problem and as many nodes have their state side by side.

        A cluster to which more nodes join than it has places for takes its own away again.
        """
        common = {}
        for name in (*_BY_NODE, *_BY_RESOURCE, *_BY_POD):
            parts = [getattr(cluster, name) for cluster in clusters]
            wide = name in _BY_RESOURCE
            block = common[name] = np.stack([part.T if wide else part for part in parts])
            if wide:
                block = common[name] = np.ascontiguousarray(block.swapaxes(0, 1))
            for i, cluster in enumerate(clusters):
                setattr(cluster, name, block[:, i].T if wide else block[i])
        return Common(*common.values())

    def schedule(self, k: int) -> int:
        """Place one pod of class `k` and return its node; -1 if no node passes the filters."""
        nodes = self.passing(k).nonzero()[0]
        if not len(nodes):
            return -1
        score = self._score(k, nodes)
        if np.count_nonzero(self.avoided):
            score += taint_score(self.avoided[nodes])
        node = int(nodes[score.argmax()])
        self.put(k, node)
        return node

    def first_fit(self, k: int) -> int:
        """Place one pod of class `k` on the next node that passes, as autoscalers try moves."""
        moved, _ = self._first_fits(np.array([k]))
        return moved[0][1] if moved else -1

    def passing(self, k: int) -> Flags:
        """(B,) nodes that pass every filter for a pod of class `k`."""
        cpu, memory, slots = self._sizes[k]
        mask: Flags = (self.rest[:, 0] >= cpu) & self.alive
        mask &= self.rest[:, 1] >= memory
        mask &= self.rest[:, 2] >= slots
        if not self._fits_all[k]:
            mask &= self.problem.fits[k, self.offers]
        return self._by_rules(k, mask)

    def _by_rules(self, k: int, mask: Flags) -> Flags:
        """Of the nodes with room, those where the rules of class `k` allow another pod."""
        if not self._has_rules[k] or not np.count_nonzero(mask):
            return mask
        problem, owner = self.problem, self.owners[k]
        here = self.on_node[self.owner_of_class[k]]
        group = problem.group[k]
        if group >= 0 and owner.host_skew is None:
            mask &= here < problem.limit[group]
        if len(problem.avoid[k]):
            mask &= ~self.near(k)
        if owner.host_skew is not None:
            eligible = self.alive & problem.fits[k, self.offers]
            mask &= here + 1 - here[eligible].min() <= owner.host_skew
        if owner.zone_skew is not None:
            mask &= self._zones_even(k, owner, here)
        return mask

    def near(self, k: int) -> Flags:
        """(B,) nodes with a pod of a class that shares no node with class `k`."""
        return np.asarray(self._in_class[self.problem.avoid[k]].any(axis=0))

    def _zones_even(self, k: int, owner: Owner, here: Ints) -> Flags:
        eligible = self.alive & self.problem.fits[k, self.offers]
        in_zone = np.bincount(
            self.zones[self.alive], weights=here[self.alive], minlength=self.zone_count
        )
        if owner.zone_limit:
            allowed = in_zone + 1 <= owner.zone_limit
        else:
            least = in_zone[np.unique(self.zones[eligible])].min()
            allowed = in_zone + 1 - least <= (owner.zone_skew or 1)
        return np.asarray(allowed[self.zones])

    def _score(self, k: int, nodes: Ints) -> Floats:
        least, balanced = self._resource_scores(k)
        resources = (least + balanced)[nodes]
        here = self.on_node[self.owner_of_class[k]]
        host, zone = self.owners[k].soft
        if not np.count_nonzero(here) or not host + zone:
            return np.asarray(resources)
        count = np.full(len(nodes), soft_offset(host, zone))
        if host:
            count += here[nodes] * _log(len(nodes) + 2)
        if zone:
            at = self.zones[nodes]
            in_zone = np.bincount(self.zones, weights=here * self.alive, minlength=self.zone_count)
            count += in_zone[at] * _log(len(set(at.tolist())) + 2)
        count = np.rint(count)
        top, low = np.maximum.reduce(count), np.minimum.reduce(count)
        even = 100.0 if top == 0 else 100 * (top + low - count) / top
        return np.asarray(resources + SPREAD_WEIGHT * even)

    def _resource_scores(self, k: int) -> tuple[Floats, Floats]:
        """(B,) LeastAllocated and BalancedAllocation of every node with one more pod of class `k`."""
        gross = self._gross[:, 0], self._gross[:, 1]
        scored, size = self._score_size[k].tolist(), self._sizes[k]
        cpu, memory = (
            np.minimum((self._scored[:, i] + scored[i]) / gross[i], 1.0) for i in (CPU, MEMORY)
        )
        least = (1.0 - (cpu + memory) / 2) * 100
        cpu, memory = (
            np.minimum(1.0 - (self.rest[:, i] - size[i]) / gross[i], 1.0) for i in (CPU, MEMORY)
        )
        return least, (1.0 - np.abs(cpu - memory) / 2) * 100

    def put(self, k: int, node: int) -> None:
        """Bind a pod of class `k` to a node."""
        self.rest[node] -= self.problem.size[k]
        self._scored[node] += self._score_size[k]
        self.on_node[self.owner_of_class[k], node] += 1
        self._in_class[k, node] += 1

    def remove(self, k: int, node: int) -> None:
        """Take a pod of class `k` off a node."""
        self.rest[node] += self.problem.size[k]
        self._scored[node] -= self._score_size[k]
        self.on_node[self.owner_of_class[k], node] -= 1
        self._in_class[k, node] -= 1

    def place(self, classes: Ints, where: Ints) -> None:
        """Bind many pods at once: `classes` and `where` have one entry a pod, -1 is left out."""
        bound = where >= 0
        k, node = classes[bound], where[bound]
        np.subtract.at(self.rest, node, self.problem.size[k])
        np.add.at(self._scored, node, self._score_size[k])
        np.add.at(self.on_node, (self.owner_of_class[k], node), 1)
        np.add.at(self._in_class, (k, node), 1)

    def pods_on(self, nodes: Flags) -> Ints:
        """Classes of the pods on these nodes, one entry a pod."""
        found = self._in_class[:, nodes].sum(axis=1)
        return np.repeat(np.arange(len(found)), found)

    def survives(self, nodes: Flags) -> int:
        """Lose nodes, place their pods elsewhere, and put everything back as it was.

        Returns
        -------
        int
            Class of the first pod without a place, -1 if all found one.
        """
        kept = self.alive.copy(), self.on_node[:, nodes].copy(), self._in_class[:, nodes].copy()
        moved, failed = self._evacuate(nodes)
        self._undo(moved, nodes, kept)
        return failed

    def cost_on(self, cost: Floats) -> Floats:
        """(B,) sum of a cost by class, (K,), over the pods of each node."""
        return np.asarray(cost @ self._in_class, dtype=float)

    def left_over(self, nodes: Flags, most: int | None = None) -> list[int]:
        """Classes of the pods of these nodes that pass on no other; everything is put back.

        The largest are tried first, each on the first node that passes; `most` ends the search.
        """
        kept = self.alive.copy(), self.on_node[:, nodes].copy(), self._in_class[:, nodes].copy()
        size, moved, left = self.problem.size, [], []
        for k in sorted(self.lose(nodes), key=lambda k: (-size[k, 0], -size[k, 1], k)):
            fits = self.passing(int(k)).nonzero()[0]
            if len(fits):
                self.put(int(k), int(fits[0]))
                moved.append((int(k), int(fits[0])))
                continue
            left.append(int(k))
            if len(left) == most:
                break
        self._undo(moved, nodes, kept)
        return left

    def drain(self, nodes: Flags, *, first_fit: bool = False) -> list[tuple[int, int]] | None:
        """Take nodes away if their pods find places elsewhere, else change nothing.

        Returns
        -------
        list of (class, node) or None
            Where each pod went; None if one found no place.
        """
        kept = self.alive.copy(), self.on_node[:, nodes].copy(), self._in_class[:, nodes].copy()
        moved, failed = self._evacuate(nodes, first_fit=first_fit)
        if failed >= 0:
            self._undo(moved, nodes, kept)
            return None
        self.rest[nodes] = self.total[nodes]
        return moved

    def lose(self, nodes: Flags) -> Ints:
        """Take nodes away; returns the classes of their pods, which run nowhere now."""
        orphans = self.pods_on(nodes)
        self.alive &= ~nodes
        self.on_node[:, nodes] = 0
        self._in_class[:, nodes] = 0
        return orphans

    def _evacuate(
        self, nodes: Flags, *, first_fit: bool = False
    ) -> tuple[list[tuple[int, int]], int]:
        orphans = self.lose(nodes)
        if first_fit:
            return self._first_fits(orphans)
        moved: list[tuple[int, int]] = []
        for k in orphans.tolist():
            node = self.schedule(k)
            if node < 0:
                return moved, k
            moved.append((k, node))
        return moved, -1

    def _first_fits(self, classes: Ints) -> tuple[list[tuple[int, int]], int]:
        """Place each pod on the next node that passes, as autoscalers try moves, until one finds none."""
        size = self.problem.size[classes]
        # Where each has room: all pods at once, as a node is changed by those that go there alone.
        room = np.tile(self.alive, (len(classes), 1))
        for resource in range(size.shape[1]):
            room &= self.rest[:, resource] >= size[:, resource, None]
        if not self._fits_all[classes].all():
            room &= self.problem.fits[classes[:, None], self.offers]
        moved: list[tuple[int, int]] = []
        changed: set[int] = set()
        for i, k in enumerate(classes.tolist()):
            mask = self._by_rules(k, room[i])
            while True:
                node = (
                    self._next + int(mask[self._next :].argmax()) if self._next < len(mask) else 0
                )
                if not mask[node]:
                    node = int(mask.argmax())
                    if not mask[node]:
                        return moved, k
                if node not in changed or (self.rest[node] >= size[i]).all():
                    break
                mask[node] = False
            self._next = node + 1
            self.put(k, node)
            moved.append((k, node))
            changed.add(node)
        return moved, -1

    def _undo(
        self, moved: list[tuple[int, int]], nodes: Flags, kept: tuple[Flags, Ints, Ints]
    ) -> None:
        for k, node in moved:
            self.remove(k, node)
        self.alive[:], self.on_node[:, nodes], self._in_class[:, nodes] = kept


@cache
def _log(number: int) -> float:
    return float(np.log(number))
