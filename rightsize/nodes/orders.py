"""The scheduler's filters and scores for many orders of arrival at once.

What `scheduler.Cluster` decides for one pod on one cluster, `Orders` decides for one pod on each of many
clusters of the same nodes, which differ in the pods that they have so far. Every loss of nodes in every order
is such a cluster too. A test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rightsize.nodes.layout import Layout
from rightsize.nodes.problem import Flags, Floats, Ints, Problem
from rightsize.nodes.scheduler import SPREAD_WEIGHT, score_size, soft_offset

Counts = NDArray[np.int32]

_NO_LIMIT = np.iinfo(np.int32).max
_AT_ONCE = 50_000
"""Nodes of all clusters that are looked at together: what a processor's cache holds of each array."""


@dataclass(frozen=True, eq=False)
class _State:
    """What N clusters of B nodes have left."""

    rest: tuple[Floats, ...]
    """(N, B) of each resource; one array each, as numpy reduces a last axis of three slowly."""
    scored: tuple[Floats, ...]
    """(N, B) of CPU and of memory that scoring counts as requested."""
    alive: Flags
    """(N, B)"""

    def of(self, rows: Ints | slice) -> _State:
        """Some of the clusters: a view for a slice, else a copy."""
        rest, scored = (tuple(one[rows] for one in part) for part in (self.rest, self.scored))
        return _State(rest, scored, self.alive[rows])


class Orders:
    """Clusters of equal nodes, one for each order; `orders` is (R, P), the first pod to arrive first."""

    def __init__(
        self, layout: Layout, problem: Problem, offers: Ints, zones: Ints, orders: Ints
    ) -> None:
        self._zones = zones
        count, nodes = len(orders), len(offers)
        owners = layout.owners
        names = {owner.key: i for i, owner in enumerate(dict.fromkeys(owners))}
        self._workload = np.array([names[o.key] for o in owners], dtype=np.int64)
        self._fits = problem.fits[:, offers]
        self._size, self._score_size = problem.size.T[:, :, None], score_size(problem).T[:, :, None]
        self._gross = np.maximum(problem.scored[offers], 1.0).T.copy()
        self._in_zone = np.eye(int(zones.max(initial=0)) + 1)[zones]
        own_limit = np.append(problem.limit, _NO_LIMIT)[problem.group]
        skews = [owner.host_skew for owner in owners]
        self._limit = np.where([s is None for s in skews], own_limit, _NO_LIMIT)
        self._host_skew = _or_infinite(skews)
        self._zone_skew = _or_infinite([owner.zone_skew for owner in owners])
        self._zone_limit = np.array([owner.zone_limit for owner in owners], dtype=np.int64)
        self._soft = np.array([owner.soft for owner in owners], dtype=np.int64).reshape(-1, 2)
        self._offset = np.array([soft_offset(*owner.soft) for owner in owners])
        self._apart = _apart(problem, self._workload, len(names))
        self._order: Ints = np.arange(count)
        """(N,) order of each cluster that still stands."""
        self._pods: Ints = problem.classes[orders]
        """(N, P) class of each pod placed or to be placed, in the order of arrival."""
        self._where: Ints = np.full(orders.shape, -1, dtype=np.int64)
        self._on_node: Counts = np.zeros((count, len(names), nodes), dtype=np.int32)
        capacity = problem.capacity[offers].T
        self._state = _State(
            tuple(np.repeat(of[None], count, axis=0) for of in capacity),
            tuple(np.repeat(of[None], count, axis=0) for of in self._gross - capacity[:2]),
            np.ones((count, nodes), dtype=bool),
        )

    def standing(self, lost: Ints | None, surge: Ints) -> Flags:
        """(R,) orders in which every pod finds a place, also with any nodes lost and a surge.

        Parameters
        ----------
        lost : (B,) int array or None
            Nodes of one number, from 0 on, are lost together; None where none is.
        surge : int array
            Classes of the pods that a rollout adds.
        """
        passed = np.zeros(len(self._order), dtype=bool)
        self._arrive(range(self._pods.shape[1]), lost)
        if len(surge):
            more = np.tile(surge, (len(self._order), 1))
            first = self._pods.shape[1]
            self._pods = np.hstack([self._pods, more])
            self._where = np.hstack([self._where, np.full_like(more, -1)])
            self._arrive(range(first, self._pods.shape[1]), lost)
        passed[self._order] = True
        return passed

    def _arrive(self, pods: range, lost: Ints | None) -> None:
        """Schedule pods, then try each loss; clusters in which one finds no place are dropped."""
        for pod in pods:
            self._keep(self._bind(pod))
        if lost is not None and len(self._order):
            self._keep(self._survivors(lost))

    def _keep(self, standing: Flags) -> None:
        if standing.all():
            return
        rows = np.flatnonzero(standing)
        self._order, self._pods, self._where = (
            one[rows] for one in (self._order, self._pods, self._where)
        )
        self._on_node, self._state = self._on_node[rows], self._state.of(rows)

    def _bind(self, pod: int) -> Flags:
        """Schedule the next pod of every cluster; where it found a node."""
        k, rows = self._pods[:, pod], np.arange(len(self._order))
        w = self._workload[k]
        nodes = self._nodes(self._state, k, self._on_node[rows, w], self._near(rows, w))
        self._where[:, pod] = nodes
        found = np.asarray(nodes >= 0, dtype=bool)
        _put(self._state, rows[found], nodes[found], k[found], self._size, self._score_size)
        self._on_node[rows[found], w[found], nodes[found]] += 1
        return found

    def _survivors(self, lost: Ints) -> Flags:
        """(N,) clusters in which the pods of any lost nodes find others; all stays as it was."""
        losses = int(lost.max()) + 1
        row, pod = np.nonzero(self._where >= 0)
        case = row * losses + lost[self._where[row, pod]]
        k = self._pods[row, pod]
        by = np.lexsort((k, case))
        case, k = case[by], k[by]
        cases, first, pods = np.unique(case, return_index=True, return_counts=True)
        # Cases with most pods first, so that those that still have some are the first of a chunk.
        largest = np.argsort(-pods, kind="stable")
        standing = np.ones(len(self._order), dtype=bool)
        step = max(_AT_ONCE // len(lost), 1)
        for start in range(0, len(cases), step):
            now = largest[start : start + step]
            of, which = np.divmod(cases[now], losses)
            failed = self._evacuate(of, lost != which[:, None], k, first[now], pods[now])
            standing[of[failed]] = False
        return standing

    def _evacuate(self, rows: Ints, alive: Flags, k: Ints, first: Ints, pods: Ints) -> Flags:
        """Whether a pod of the nodes that are not alive finds no other, in copies of these clusters.

        Parameters
        ----------
        rows : (M,) int array
            Cluster of each case.
        alive : (M, B) bool array
        k : int array
            Classes, those of a case side by side.
        first, pods : (M,) int array
            Where a case's classes begin, and how many they are; never rising.
        """
        copied = self._state.of(rows)
        state = _State(copied.rest, copied.scored, alive)
        failed = np.zeros(len(rows), dtype=bool)
        moved_w = np.zeros((len(rows), int(pods[0])), dtype=np.int64)
        moved_to = np.zeros_like(moved_w)
        for turn in range(int(pods[0])):
            m = int(np.searchsorted(-pods, -turn))
            now, case = k[first[:m] + turn], np.arange(m)
            w = moved_w[:m, turn] = self._workload[now]
            here = self._on_node[rows[:m], w] * alive[:m]
            at, before = np.nonzero(moved_w[:m, :turn] == w[:, None])
            np.add.at(here, (at, moved_to[at, before]), 1)
            near = self._near(rows[:m], w)
            if near is not None:
                at, before = np.nonzero(self._apart[w[:, None], moved_w[:m, :turn]])
                near[at, moved_to[at, before]] = True
            part = state.of(slice(0, m))
            nodes = self._nodes(part, now, here, near)
            failed[:m] |= nodes < 0
            # A case that failed goes on; what it decides no longer counts.
            moved_to[:m, turn] = nodes
            _put(part, case, nodes, now, self._size, self._score_size)
        return failed

    def _near(self, rows: Ints, w: Ints) -> Flags | None:
        """(M, B) nodes that have a pod from which a pod of the workload keeps apart; None without any."""
        shy = self._apart[w].any(axis=1)
        if not shy.any():
            return None
        near = np.zeros((len(rows), len(self._zones)), dtype=bool)
        for one in np.unique(w[shy]):
            own = w == one
            there = self._on_node[rows[own]][:, self._apart[one]]
            near[own] = there.any(axis=1)
        return near

    def _nodes(self, state: _State, k: Ints, here: Counts, near: Flags | None) -> Ints:
        """(M,) node that a pod of class `k[i]` goes to in the i-th cluster, -1 without one.

        `here` is (M, B): pods of its workload on each node.
        """
        passing = self._passing(state, k, here)
        if near is not None:
            passing &= ~near
        score = self._score(state, k, here, passing)
        score[~passing] = -np.inf
        nodes: Ints = score.argmax(axis=1)
        nodes[~passing[np.arange(len(k)), nodes]] = -1
        return nodes

    def _passing(self, state: _State, k: Ints, here: Counts) -> Flags:
        eligible = self._fits[k] & state.alive
        mask = eligible & (here < self._limit[k][:, None])
        for rest, size in zip(state.rest, self._size, strict=True):
            mask &= rest >= size[k]
        if np.isfinite(self._host_skew[k]).any():
            least = np.where(eligible, here, np.inf).min(axis=1, keepdims=True)
            mask &= here + 1 - least <= self._host_skew[k][:, None]
        if np.isfinite(self._zone_skew[k]).any():
            inside = (here * state.alive) @ self._in_zone
            least = np.where(eligible @ self._in_zone > 0, inside, np.inf).min(
                axis=1, keepdims=True
            )
            limit = self._zone_limit[k][:, None]
            even = inside + 1 - least <= self._zone_skew[k][:, None]
            mask &= np.where(limit > 0, inside + 1 <= limit, even)[:, self._zones]
        return np.asarray(mask, dtype=bool)

    def _score(self, state: _State, k: Ints, here: Counts, passing: Flags) -> Floats:
        cpu, memory = (
            np.minimum((scored + size[k]) / gross, 1.0)
            for scored, size, gross in zip(state.scored, self._score_size, self._gross, strict=True)
        )
        score = (1.0 - (cpu + memory) / 2) * 100
        cpu, memory = (
            np.minimum(1.0 - (rest - size[k]) / gross, 1.0)
            for rest, size, gross in zip(state.rest[:2], self._size[:2], self._gross, strict=True)
        )
        score += (1.0 - np.abs(cpu - memory) / 2) * 100
        soft = self._soft[k]
        some = np.flatnonzero(here.any(axis=1) & soft.any(axis=1))
        here, open_ = here[some], passing[some]
        inside = (here * state.alive[some]) @ self._in_zone
        by_host, by_zone = (soft[some] > 0).T[..., None]
        host_weight = by_host * np.log(open_.sum(axis=1, keepdims=True) + 2)
        zone_weight = by_zone * np.log((open_ @ self._in_zone > 0).sum(axis=1, keepdims=True) + 2)
        count = here * host_weight + inside[:, self._zones] * zone_weight
        count = np.rint(count + self._offset[k[some]][:, None])
        top = np.where(open_, count, 0.0).max(axis=1, keepdims=True)
        low = np.where(open_, count, top).min(axis=1, keepdims=True)
        even = 100 * (top + low - count) / np.where(top > 0, top, 1.0)
        score[some] += SPREAD_WEIGHT * np.where(top > 0, even, 100.0)
        return np.asarray(score, dtype=float)


def _put(state: _State, rows: Ints, nodes: Ints, k: Ints, size: Floats, score_size: Floats) -> None:
    """Bind one pod in each of these clusters."""
    for rest, one in zip(state.rest, size, strict=True):
        rest[rows, nodes] -= one[k, 0]
    for scored, one in zip(state.scored, score_size, strict=True):
        scored[rows, nodes] += one[k, 0]


def _apart(problem: Problem, workload: Ints, workloads: int) -> Flags:
    """(W, W) workloads of which no two pods may share a node."""
    apart = np.zeros((workloads, workloads), dtype=bool)
    for k, others in enumerate(problem.avoid):
        apart[workload[k], workload[others]] = True
    return apart


def _or_infinite(skews: list[int | None]) -> Floats:
    return np.array([np.inf if skew is None else skew for skew in skews], dtype=float)
