"""Pods on nodes while a search moves them about; no move may break a rule."""

from __future__ import annotations

import numpy as np

from rightsize.nodes.problem import Flags, Floats, Ints, Packing, Problem


class Load:
    """A node set and its pods, with what is left on each node.

    Parameters
    ----------
    offers : (B,) int array
        Offer of each node.
    where : (P,) int array, optional
        Where pods are to begin with; nowhere by default.

    Attributes
    ----------
    rest : (B, 3) float array
        What is left on each node.
    where : (P,) int array
        Node of each pod, -1 for none.
    """

    def __init__(self, problem: Problem, offers: Ints, where: Ints | None = None) -> None:
        self.problem = problem
        self.offers = offers
        self.classes = problem.classes
        self.size = problem.size[self.classes]
        self.rest: Floats = problem.capacity[offers].copy()
        self.where: Ints = np.full(len(self.classes), -1, dtype=np.int64)
        self._in_group = np.zeros((len(problem.limit), len(offers)), dtype=np.int64)
        # Counts by class are needed only where classes avoid each other.
        self._avoids = any(len(others) for others in problem.avoid)
        shape = (len(problem.count), len(offers)) if self._avoids else (0, 0)
        self._in_class = np.zeros(shape, dtype=np.int64)
        self._open_offers = problem.fits[:, offers]
        if where is not None:
            for pod in np.flatnonzero(where >= 0):
                self.put(int(pod), int(where[pod]))

    def allowed(self, pod: int) -> Flags:
        """(B,) nodes with rules that let the pod in, room or not."""
        k = self.classes[pod]
        mask: Flags = self._open_offers[k].copy()
        group = self.problem.group[k]
        if group >= 0:
            mask &= self._in_group[group] < self.problem.limit[group]
        if self._avoids and len(self.problem.avoid[k]):
            mask &= ~self._in_class[self.problem.avoid[k]].any(axis=0)
        return mask

    def welcome(self, node: int) -> Flags:
        """(P,) pods with rules that let them onto the node, room or not."""
        problem = self.problem
        classes: Flags = self._open_offers[:, node].copy()
        if len(problem.limit):
            full = self._in_group[:, node] >= problem.limit
            classes &= ~((problem.group >= 0) & full[problem.group])
        if self._avoids:
            present = self._in_class[:, node] > 0
            classes &= ~np.array([bool(present[others].any()) for others in problem.avoid])
        return np.asarray(classes[self.classes])

    def room(self, pod: int) -> Flags:
        """(B,) nodes with room for the pod and rules that let it in."""
        mask = (self.rest >= self.size[pod]).all(axis=1)
        if mask.any():
            mask &= self.allowed(pod)
        return np.asarray(mask)

    def put(self, pod: int, node: int) -> None:
        """Place a pod that is nowhere."""
        self._shift(pod, node, 1)
        self.where[pod] = node

    def take(self, pod: int) -> None:
        """Remove a pod from its node."""
        self._shift(pod, int(self.where[pod]), -1)
        self.where[pod] = -1

    @property
    def outside(self) -> Ints:
        """Pods that are nowhere."""
        return np.flatnonzero(self.where < 0)

    def packing(self) -> Packing:
        return Packing(self.offers.copy(), self.where.copy())

    def _shift(self, pod: int, node: int, sign: int) -> None:
        k = self.classes[pod]
        self.rest[node] -= sign * self.size[pod]
        group = self.problem.group[k]
        if group >= 0:
            self._in_group[group, node] += sign
        if self._avoids:
            self._in_class[k, node] += sign
