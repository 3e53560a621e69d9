"""The scheduler's filters and scores for one pod on each of many clusters at once.

What `scheduler.Cluster` decides for one cluster, `Classes.nodes` decides for many of as many nodes: each
has a pod of its own to place. A test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rightsize.nodes.problem import Flags, Floats, Ints, Problem
from rightsize.nodes.scheduler import SPREAD_WEIGHT, score_size, soft_offset
from rightsize.nodes.spread import Owner

Counts = NDArray[np.signedinteger]

_NO_LIMIT = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class Zones:
    """Where the nodes are: the same in every cluster, or not."""

    of: Ints
    """(B,) zone of each node, or (N, B)."""
    count: int

    def sums(self, values: Counts | Flags) -> Floats:
        """(N, Z) sum over the nodes of each zone of values (N, B)."""
        inside = (self.of[..., None] == np.arange(self.count)).astype(float)
        if self.of.ndim == 1:
            return np.asarray(values @ inside)
        return np.asarray((values[:, None, :] @ inside)[:, 0])

    def spread(self, by_zone: NDArray[np.generic]) -> NDArray[np.generic]:
        """(N, B) value of each node's zone, from (N, Z)."""
        if self.of.ndim == 1:
            return by_zone[:, self.of]
        return np.take_along_axis(by_zone, self.of, axis=1)

    def rows(self, rows: Ints | slice) -> Zones:
        """Those of some of the clusters."""
        return self if self.of.ndim == 1 else replace(self, of=self.of[rows])


@dataclass(frozen=True, eq=False)
class State:
    """What N clusters of B nodes have left."""

    rest: tuple[Floats, ...]
    """(N, B) of each resource; one array each, as numpy reduces a last axis of three slowly."""
    scored: tuple[Floats, ...]
    """(N, B) of CPU and of memory that scoring counts as requested."""
    gross: tuple[Floats, ...]
    """(B,) of CPU and of memory of the nodes before their DaemonSets, or (N, B)."""
    alive: Flags
    """(N, B)"""
    zones: Zones

    def of(self, rows: Ints | slice) -> State:
        """Some of the clusters: a view for a slice, else a copy."""
        rest, scored = (tuple(one[rows] for one in part) for part in (self.rest, self.scored))
        gross = tuple(one if one.ndim == 1 else one[rows] for one in self.gross)
        return State(rest, scored, gross, self.alive[rows], self.zones.rows(rows))


class Classes:
    """Sizes and rules of each class of pods."""

    def __init__(self, problem: Problem, owners: tuple[Owner, ...]) -> None:
        names = {owner.key: i for i, owner in enumerate(dict.fromkeys(owners))}
        self.workloads = len(names)
        self.workload: Ints = np.array([names[o.key] for o in owners], dtype=np.int64)
        """(K,) workload of each class."""
        self.size: Floats = problem.size.T[:, :, None]
        """(3, K, 1)"""
        self.score_size: Floats = score_size(problem).T[:, :, None]
        """(2, K, 1)"""
        own_limit = np.append(problem.limit, _NO_LIMIT)[problem.group]
        skews = [owner.host_skew for owner in owners]
        self._limit = np.where([s is None for s in skews], own_limit, _NO_LIMIT)
        self._host_skew = _or_infinite(skews)
        self._zone_skew = _or_infinite([owner.zone_skew for owner in owners])
        self._zone_limit = np.array([owner.zone_limit for owner in owners], dtype=np.int64)
        self._soft = np.array([owner.soft for owner in owners], dtype=np.int64).reshape(-1, 2)
        self._offset = np.array([soft_offset(*owner.soft) for owner in owners])

    def nodes(
        self,
        state: State,
        k: Ints,
        fits: Flags,
        here: Counts,
        near: Flags | None = None,
        bonus: Floats | None = None,
    ) -> Ints:
        """(N,) node that a pod of class `k[i]` goes to in the i-th cluster, -1 without one.

        Parameters
        ----------
        fits : (N, B) bool array
            Nodes of an offer that the class may run on.
        here : (N, B) int array
            Pods of its workload on each node.
        near : (N, B) bool array, optional
            Nodes with a pod from which it keeps apart.
        bonus : (N, B) array, optional
            Added to the scores.
        """
        passing = self._passing(state, k, fits, here)
        if near is not None:
            passing &= ~near
        score = self._score(state, k, here, passing)
        if bonus is not None:
            score += bonus
        score[~passing] = -np.inf
        nodes: Ints = score.argmax(axis=1)
        nodes[~passing[np.arange(len(k)), nodes]] = -1
        return nodes

    def put(self, state: State, rows: Ints, nodes: Ints, k: Ints) -> None:
        """Bind one pod in each of these clusters."""
        for rest, one in zip(state.rest, self.size, strict=True):
            rest[rows, nodes] -= one[k, 0]
        for scored, one in zip(state.scored, self.score_size, strict=True):
            scored[rows, nodes] += one[k, 0]

    def _passing(self, state: State, k: Ints, fits: Flags, here: Counts) -> Flags:
        eligible = fits & state.alive
        mask = eligible & (here < self._limit[k][:, None])
        for rest, size in zip(state.rest, self.size, strict=True):
            mask &= rest >= size[k]
        if np.isfinite(self._host_skew[k]).any():
            least = np.where(eligible, here, np.inf).min(axis=1, keepdims=True)
            mask &= here + 1 - least <= self._host_skew[k][:, None]
        if np.isfinite(self._zone_skew[k]).any():
            zones = state.zones
            inside = zones.sums(here * state.alive)
            least = np.where(zones.sums(eligible) > 0, inside, np.inf).min(axis=1, keepdims=True)
            limit = self._zone_limit[k][:, None]
            even = inside + 1 - least <= self._zone_skew[k][:, None]
            mask &= zones.spread(np.where(limit > 0, inside + 1 <= limit, even)).astype(bool)
        return np.asarray(mask, dtype=bool)

    def _score(self, state: State, k: Ints, here: Counts, passing: Flags) -> Floats:
        cpu, memory = (
            np.minimum((scored + size[k]) / gross, 1.0)
            for scored, size, gross in zip(state.scored, self.score_size, state.gross, strict=True)
        )
        score = (1.0 - (cpu + memory) / 2) * 100
        cpu, memory = (
            np.minimum(1.0 - (rest - size[k]) / gross, 1.0)
            for rest, size, gross in zip(state.rest[:2], self.size[:2], state.gross, strict=True)
        )
        score += (1.0 - np.abs(cpu - memory) / 2) * 100
        soft = self._soft[k]
        with_soft = here.any(axis=1) & soft.any(axis=1)
        if not with_soft.any():
            return np.asarray(score, dtype=float)
        some = slice(None) if with_soft.all() else np.flatnonzero(with_soft)
        here, open_, zones = here[some], passing[some], state.zones.rows(some)
        inside = zones.sums(here * state.alive[some])
        by_host, by_zone = (soft[some] > 0).T[..., None]
        host_weight = by_host * np.log(open_.sum(axis=1, keepdims=True) + 2)
        open_zones = (zones.sums(open_) > 0).sum(axis=1, keepdims=True)
        zone_weight = by_zone * np.log(open_zones + 2)
        count = here * host_weight + zones.spread(inside) * zone_weight
        count = np.rint(count + self._offset[k[some]][:, None])
        top = np.where(open_, count, 0.0).max(axis=1, keepdims=True)
        low = np.where(open_, count, top).min(axis=1, keepdims=True)
        even = 100 * (top + low - count) / np.where(top > 0, top, 1.0)
        score[some] += SPREAD_WEIGHT * np.where(top > 0, even, 100.0)
        return np.asarray(score, dtype=float)


def _or_infinite(skews: list[int | None]) -> Floats:
    return np.array([np.inf if skew is None else skew for skew in skews], dtype=float)
