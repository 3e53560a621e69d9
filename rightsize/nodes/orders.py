"""Many orders of arrival at once: clusters of the same nodes, which differ in the pods that they have so far.

Every loss of nodes in every order is such a cluster too.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rightsize.nodes.layout import Layout
from rightsize.nodes.many import Classes, State, Zones
from rightsize.nodes.problem import Flags, Ints, Problem
from rightsize.nodes.scheduler import Cluster

Counts = NDArray[np.signedinteger]

_FEW_ORDERS = 3
"""Orders up to which one after the other takes less time than all as one array program."""
_AT_ONCE = 50_000
"""Nodes of all clusters that are looked at together: what a processor's cache holds of each array."""


class Orders:
    """Clusters of equal nodes, one for each order; `orders` is (R, P), the first pod to arrive first."""

    def __init__(
        self, layout: Layout, problem: Problem, offers: Ints, zones: Ints, orders: Ints
    ) -> None:
        count, nodes = len(orders), len(offers)
        self._cluster = partial(Cluster, problem, layout.owners, offers, zones)
        self._classes = Classes(problem, layout.owners)
        self._workload = self._classes.workload
        self._fits = problem.fits[:, offers]
        self._apart = _apart(problem, self._workload, self._classes.workloads)
        self._order: Ints = np.arange(count)
        """(N,) order of each cluster that still stands."""
        self._pods: Ints = problem.classes[orders]
        """(N, P) class of each pod placed or to be placed, in the order of arrival."""
        self._where: Ints = np.full(orders.shape, -1, dtype=np.int64)
        self._on_node: Counts = np.zeros((count, self._classes.workloads, nodes), dtype=np.int32)
        capacity = problem.capacity[offers].T
        gross = np.maximum(problem.scored[offers], 1.0).T.copy()
        self._state = State(
            tuple(np.repeat(of[None], count, axis=0) for of in capacity),
            tuple(np.repeat(of[None], count, axis=0) for of in gross - capacity[:2]),
            tuple(gross),
            np.ones((count, nodes), dtype=bool),
            Zones(zones, int(zones.max(initial=0)) + 1),
        )

    def standing(self, lost: Ints | None, surge: Ints, *, every: bool = False) -> Flags:
        """(R,) orders in which every pod finds a place, also with any nodes lost and a surge.

        Parameters
        ----------
        lost : (B,) int array or None
            Nodes of one number, from 0 on, are lost together; None where none is.
        surge : int array
            Classes of the pods that a rollout adds.
        every : bool
            Ends with the first order that fails: then none is said to stand.
        """
        self._every = every
        few = every and len(self._order) <= _FEW_ORDERS
        self._alone = self._one_by_one() if few else []
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

    def _one_by_one(self) -> list[Cluster]:
        """A cluster for each order, which keeps its part of the common state up to date."""
        clusters = [self._cluster() for _ in self._order]
        common = Cluster.in_common(clusters)
        self._on_node = common.on_node
        self._state = replace(
            self._state, rest=tuple(common.rest), scored=tuple(common.scored), alive=common.alive
        )
        return clusters

    def _arrive(self, pods: range, lost: Ints | None) -> None:
        """Schedule pods, then try each loss; clusters in which one finds no place are dropped."""
        if self._alone and len(self._order):
            self._keep(self._bind_in_turn(pods))
        for pod in () if self._alone else pods:
            if not len(self._order):
                return
            self._keep(self._bind(pod))
        if lost is not None and len(self._order):
            self._keep(self._survivors(lost))

    def _keep(self, standing: Flags) -> None:
        if standing.all():
            return
        rows = np.flatnonzero(standing & (not self._every))
        self._order, self._pods, self._where = (
            one[rows] for one in (self._order, self._pods, self._where)
        )
        self._on_node, self._state = self._on_node[rows], self._state.of(rows)

    def _bind_in_turn(self, pods: range) -> Flags:
        """Schedule pods in one cluster after the other; false of all with the first left over."""
        for row, cluster in enumerate(self._alone):
            for pod in pods:
                node = self._where[row, pod] = cluster.schedule(int(self._pods[row, pod]))
                if node < 0:
                    return np.zeros(len(self._order), dtype=bool)
        return np.ones(len(self._order), dtype=bool)

    def _bind(self, pod: int) -> Flags:
        """Schedule the next pod of every cluster; where it found a node."""
        k, rows = self._pods[:, pod], np.arange(len(self._order))
        w = self._workload[k]
        nodes = self._classes.nodes(
            self._state, k, self._fits[k], self._on_node[rows, w], self._near(rows, w)
        )
        self._where[:, pod] = nodes
        found = np.asarray(nodes >= 0, dtype=bool)
        self._classes.put(self._state, rows[found], nodes[found], k[found])
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
            if self._every and failed.any():
                break
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
        state = replace(copied, alive=alive)
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
            nodes = self._classes.nodes(part, now, self._fits[now], here, near)
            failed[:m] |= nodes < 0
            if self._every and failed.any():
                break
            # A case that failed goes on; what it decides no longer counts.
            moved_to[:m, turn] = nodes
            self._classes.put(part, case, nodes, now)
        return failed

    def _near(self, rows: Ints, w: Ints) -> Flags | None:
        """(M, B) nodes that have a pod from which a pod of the workload keeps apart; None without any."""
        shy = self._apart[w].any(axis=1)
        if not shy.any():
            return None
        near = np.zeros((len(rows), self._on_node.shape[2]), dtype=bool)
        for one in np.unique(w[shy]):
            own = w == one
            there = self._on_node[rows[own]][:, self._apart[one]]
            near[own] = there.any(axis=1)
        return near


def _apart(problem: Problem, workload: Ints, workloads: int) -> Flags:
    """(W, W) workloads of which no two pods may share a node."""
    apart = np.zeros((workloads, workloads), dtype=bool)
    for k, others in enumerate(problem.avoid):
        apart[workload[k], workload[others]] = True
    return apart
