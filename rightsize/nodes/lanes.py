"""Replays of one month side by side: the pods that they schedule next are placed as one array program.

Each replay is a cluster of its own that goes its own way; it stops where it needs a node for a pod
(`Running.timeline`), and goes on when all the others have come to theirs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rightsize.nodes.layout import Layout
from rightsize.nodes.many import Classes, State, Zones
from rightsize.nodes.problem import Flags, Ints
from rightsize.nodes.running import Running, Scaler
from rightsize.nodes.scheduler import Cluster, taint_score

_MOST_CELLS = 4_000_000
"""Counts of pods by workload, class and node, in all clusters together."""
_FEWEST = 3
"""Fewer pods are placed one by one."""


def side_by_side(layout: Layout, nodes: int) -> int:
    """How many replays from so many nodes are held in memory at once."""
    workloads = len({owner.key for owner in layout.owners})
    return max(_MOST_CELLS // max((workloads + len(layout.owners)) * nodes, 1), 1)


def timelines(replays: Sequence[tuple[Running, Scaler]]) -> list[pd.DataFrame]:
    """The timeline of each replay; all are of one layout.

    Parameters
    ----------
    replays : sequence of (Running, Scaler)
        As they start.
    """
    lanes = _Lanes([running.cluster for running, _ in replays]) if len(replays) > 1 else None
    steps = [running.timeline(scaler) for running, scaler in replays]
    found: dict[int, pd.DataFrame] = {}
    asked: dict[int, int] = {}

    def go_on(lane: int, node: int | None = None) -> None:
        """Up to the next pod that is to be placed, or to the end."""
        try:
            asked[lane] = next(steps[lane]) if node is None else steps[lane].send(node)
        except StopIteration as ended:
            found[lane] = ended.value

    for lane in range(len(steps)):
        go_on(lane)
    while asked:
        if lanes is None or len(asked) < _FEWEST:
            nodes = {lane: replays[lane][0].cluster.schedule(k) for lane, k in asked.items()}
        else:
            nodes = lanes.schedule(asked)
        asked = {}
        for lane, node in nodes.items():
            go_on(lane, node)
    return [found[lane] for lane in range(len(steps))]


class _Lanes:
    """Clusters of one problem in common arrays, of which each keeps its part up to date."""

    def __init__(self, clusters: Sequence[Cluster]) -> None:
        self._clusters = clusters
        first = clusters[0]
        self._fits = first.problem.fits
        self._keeps_apart = np.array([len(others) > 0 for others in first.problem.avoid])
        self._classes = Classes(first.problem, first.owners)
        self._common = common = Cluster.in_common(clusters)
        self._state = State(
            tuple(common.rest),
            tuple(common.scored),
            tuple(common.gross),
            common.alive,
            Zones(common.zones, first.zone_count),
        )

    def schedule(self, asked: dict[int, int]) -> dict[int, int]:
        """Place a pod of a class in each of these clusters, as `Cluster.schedule` in each."""
        common = self._common
        # Where more nodes joined than there was room for, a cluster has arrays of its own.
        own = [lane for lane in asked if len(self._clusters[lane].alive) != common.alive.shape[1]]
        found = {lane: self._clusters[lane].schedule(asked[lane]) for lane in own}
        rows = np.array([lane for lane in asked if lane not in found], dtype=np.int64)
        if not len(rows):
            return found
        k = np.array([asked[lane] for lane in rows.tolist()], dtype=np.int64)
        w = self._classes.workload[k]
        avoided = common.avoided[rows]
        tainted = avoided.any(axis=1, keepdims=True)
        nodes = self._classes.nodes(
            self._state.of(rows),
            k,
            self._fits[k[:, None], common.offers[rows]],
            common.on_node[rows, w],
            self._near(rows, k),
            np.where(tainted, taint_score(avoided), 0.0) if tainted.any() else None,
        )
        placed = nodes >= 0
        at, node = rows[placed], nodes[placed]
        self._classes.put(self._state, at, node, k[placed])
        common.on_node[at, w[placed], node] += 1
        common.in_class[at, k[placed], node] += 1
        return found | dict(zip(rows.tolist(), nodes.tolist(), strict=True))

    def _near(self, rows: Ints, k: Ints) -> Flags | None:
        """(M, B) nodes with a pod from which the pod keeps apart; None where none keeps apart."""
        shy = np.flatnonzero(self._keeps_apart[k])
        if not len(shy):
            return None
        near = np.zeros((len(rows), self._common.alive.shape[1]), dtype=bool)
        for i in shy.tolist():
            near[i] = self._clusters[rows[i]].near(int(k[i]))
        return near
