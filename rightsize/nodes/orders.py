"""The scheduler's filters and scores for many orders of arrival at once.

What `scheduler.Cluster` decides for one pod on one cluster, `Orders` decides for one pod on each of many
clusters of the same nodes, which differ in the pods that they have so far. A test holds the two together.
"""

from __future__ import annotations

import numpy as np

from rightsize.nodes.layout import Layout
from rightsize.nodes.problem import Flags, Floats, Ints, Problem
from rightsize.nodes.scheduler import SPREAD_WEIGHT, score_size, soft_offset

_NO_LIMIT = np.iinfo(np.int32).max


class Orders:
    """Clusters of equal nodes, one for each order; `orders` is (R, P), the first pod to arrive first."""

    def __init__(
        self, layout: Layout, problem: Problem, offers: Ints, zones: Ints, orders: Ints
    ) -> None:
        self._problem, self._zones, self._orders = problem, zones, orders
        count, nodes = len(orders), len(offers)
        owners = layout.owners
        names = {owner.key: i for i, owner in enumerate(dict.fromkeys(owners))}
        self._workload = np.array([names[o.key] for o in owners], dtype=np.int64)
        self._fits = problem.fits[:, offers]
        self._gross = np.maximum(problem.scored[offers], 1.0)
        self._score_size = score_size(problem)
        self._in_zone = np.eye(int(zones.max(initial=0)) + 1)[zones]
        self._alive: Flags = np.ones(nodes, dtype=bool)
        # One array for each resource: numpy reduces a last axis of three slowly.
        self._rest = [
            np.repeat(column[None], count, axis=0) for column in problem.capacity[offers].T
        ]
        agents = self._gross - problem.capacity[offers][:, :2]
        self._scored = [np.repeat(column[None], count, axis=0) for column in agents.T]
        self._on_node: Ints = np.zeros((count, len(names), nodes), dtype=np.int64)
        self._where: Ints = np.full(orders.shape, -1, dtype=np.int64)
        self._classes = problem.classes
        own_limit = np.append(problem.limit, _NO_LIMIT)[problem.group]
        skews = [owner.host_skew for owner in owners]
        self._limit = np.where([s is None for s in skews], own_limit, _NO_LIMIT)
        self._host_skew = _or_infinite(skews)
        self._zone_skew = _or_infinite([owner.zone_skew for owner in owners])
        self._zone_limit = np.array([owner.zone_limit for owner in owners], dtype=np.int64)
        self._soft = np.array([owner.soft for owner in owners], dtype=np.int64).reshape(-1, 2)
        self._offset = np.array([soft_offset(*owner.soft) for owner in owners])
        self._shy = np.array([len(other) > 0 for other in problem.avoid], dtype=bool)

    def standing(self, losses: list[Flags], surge: Ints) -> Flags:
        """(R,) orders in which every pod finds a place, also with any of the losses and a surge.

        Parameters
        ----------
        losses : list of (B,) bool array
            Nodes that are lost together.
        surge : int array
            Classes of the pods that a rollout adds.
        """
        rows = np.arange(len(self._orders))
        for pods in self._orders.T:
            rows = rows[self._bind(rows, pods[rows])]
        rows = self._surviving(rows, losses)
        if len(surge):
            self._where = np.hstack([self._where, np.full((len(self._where), len(surge)), -1)])
            first = len(self._classes)
            self._classes = np.append(self._classes, surge)
            for pod in range(first, len(self._classes)):
                rows = rows[self._bind(rows, np.full(len(rows), pod))]
            rows = self._surviving(rows, losses)
        passed = np.zeros(len(self._orders), dtype=bool)
        passed[rows] = True
        return passed

    def _bind(self, rows: Ints, pods: Ints) -> Flags:
        """Schedule a pod in each of these orders; returns where it found a node."""
        nodes = self._schedule(rows, self._classes[pods])
        found = nodes >= 0
        self._where[rows[found], pods[found]] = nodes[found]
        return np.asarray(found, dtype=bool)

    def _surviving(self, rows: Ints, losses: list[Flags]) -> Ints:
        for lost in losses:
            rows = self._survives(rows, lost) if len(rows) else rows
        return rows

    def _survives(self, rows: Ints, lost: Flags) -> Ints:
        """Orders in which the pods of these nodes find other nodes; all is put back afterwards."""
        at, pods = np.nonzero(lost[self._where[rows]] & (self._where[rows] >= 0))
        by = np.lexsort((self._classes[pods], at))
        at, pods = at[by], pods[by]
        turn = np.arange(len(at)) - np.searchsorted(at, at)
        alive, where = self._alive, self._where
        on_lost = self._on_node[:, :, lost].copy()
        self._alive, self._where = alive & ~lost, where.copy()
        self._on_node[:, :, lost] = 0
        self._where[rows[at], pods] = -1
        left = np.ones(len(rows), dtype=bool)
        for step in range(int(turn.max(initial=-1)) + 1):
            now = np.flatnonzero((turn == step) & left[at])
            left[at[now]] = self._bind(rows[at[now]], pods[now])
        moved = np.flatnonzero(self._where[rows[at], pods] >= 0)
        here, of = rows[at[moved]], pods[moved]
        self._shift(here, self._classes[of], self._where[here, of], -1)
        self._alive, self._where = alive, where
        self._on_node[:, :, lost] = on_lost
        return np.asarray(rows[left], dtype=np.int64)

    def _schedule(self, rows: Ints, k: Ints) -> Ints:
        """Place a pod of class `k[i]` in the order `rows[i]`; returns its nodes, -1 without one."""
        here = self._on_node[rows, self._workload[k]]
        passing = self._passing(rows, k, here)
        score = np.where(passing, self._score(rows, k, here, passing), -np.inf)
        nodes = np.where(passing.any(axis=1), score.argmax(axis=1), -1)
        found = nodes >= 0
        self._shift(rows[found], k[found], nodes[found], 1)
        return nodes

    def _passing(self, rows: Ints, k: Ints, here: Ints) -> Flags:
        eligible = self._fits[k] & self._alive
        mask = eligible & (here < self._limit[k][:, None])
        for rest, size in zip(self._rest, self._problem.size.T, strict=True):
            mask &= rest[rows] >= size[k][:, None]
        for i in np.flatnonzero(self._shy[k]):
            mask[i] &= ~self._near(rows[i], self._problem.avoid[k[i]])
        if np.isfinite(self._host_skew[k]).any():
            least = np.where(eligible, here, np.inf).min(axis=1, keepdims=True)
            mask &= here + 1 - least <= self._host_skew[k][:, None]
        if np.isfinite(self._zone_skew[k]).any():
            inside = (here * self._alive) @ self._in_zone
            least = np.where(eligible @ self._in_zone > 0, inside, np.inf).min(
                axis=1, keepdims=True
            )
            limit = self._zone_limit[k][:, None]
            even = inside + 1 - least <= self._zone_skew[k][:, None]
            mask &= np.where(limit > 0, inside + 1 <= limit, even)[:, self._zones]
        return np.asarray(mask, dtype=bool)

    def _near(self, row: int, classes: Ints) -> Flags:
        """(B,) nodes that have a pod of one of the classes."""
        where = self._where[row]
        there: Flags = np.zeros(len(self._alive), dtype=bool)
        there[where[(where >= 0) & np.isin(self._classes, classes)]] = True
        return there & self._alive

    def _score(self, rows: Ints, k: Ints, here: Ints, passing: Flags) -> Floats:
        cpu, memory = (
            np.minimum((scored[rows] + size[k][:, None]) / gross, 1.0)
            for scored, size, gross in zip(
                self._scored, self._score_size.T, self._gross.T, strict=True
            )
        )
        score = (1.0 - (cpu + memory) / 2) * 100
        cpu, memory = (
            np.minimum(1.0 - (rest[rows] - size[k][:, None]) / gross, 1.0)
            for rest, size, gross in zip(
                self._rest[:2], self._problem.size.T[:2], self._gross.T, strict=True
            )
        )
        score = score + (1.0 - np.abs(cpu - memory) / 2) * 100
        soft = self._soft[k]
        some = here.any(axis=1) & soft.any(axis=1)
        inside = (here[some] * self._alive) @ self._in_zone
        open_ = passing[some]
        by_host, by_zone = (soft[some] > 0).T[..., None]
        host_weight = by_host * np.log(open_.sum(axis=1, keepdims=True) + 2)
        zone_weight = by_zone * np.log((open_ @ self._in_zone > 0).sum(axis=1, keepdims=True) + 2)
        count = here[some] * host_weight + inside[:, self._zones] * zone_weight
        count = np.rint(count + self._offset[k[some]][:, None])
        top = np.where(open_, count, 0.0).max(axis=1, keepdims=True)
        low = np.where(open_, count, top).min(axis=1, keepdims=True)
        even = 100 * (top + low - count) / np.where(top > 0, top, 1.0)
        score[some] += SPREAD_WEIGHT * np.where(top > 0, even, 100.0)
        return np.asarray(score, dtype=float)

    def _shift(self, rows: Ints, k: Ints, nodes: Ints, sign: int) -> None:
        # Several pods of one node may leave at once.
        for rest, size in zip(self._rest, self._problem.size.T, strict=True):
            np.subtract.at(rest, (rows, nodes), sign * size[k])
        for scored, size in zip(self._scored, self._score_size.T, strict=True):
            np.add.at(scored, (rows, nodes), sign * size[k])
        np.add.at(self._on_node, (rows, self._workload[k], nodes), sign)


def _or_infinite(skews: list[int | None]) -> Floats:
    return np.array([np.inf if skew is None else skew for skew in skews], dtype=float)
