"""Cluster Autoscaler, as its releases 1.30 to 1.35 take nodes away.

A node is a candidate when the larger share of CPU and memory requested of what it offers, DaemonSets
included, is at or below `--scale-down-utilization-threshold`
(`core/scaledown/eligibility`, `simulator/utilization`). The candidates are tried one after the other, empty
ones and those unneeded before first: a node is unneeded when each of its pods passes the scheduler's filters on
another node that is not unneeded itself, with the moves of those before it made
(`core/scaledown/planner`, `simulator/cluster.go`).

Unneeded nodes get the taint `DeletionCandidateOfClusterAutoscaler` of effect PreferNoSchedule
(`core/scaledown/actuation/softtaint.go`), so kube-scheduler places pods on them only where nothing
else has room. A node that stays unneeded for `--scale-down-unneeded-time` is drained, one at a time
(`--max-drain-parallelism` is 1), which of several is left to chance; kube-scheduler places its pods, and
all is judged again.

The replay looks once an hour. A wait shorter than the step takes effect at the next: a node goes that was
unneeded at the ends of two hours running. The ten minutes without scale-down after a node joined
(`--scale-down-delay-after-add`) are over within the step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rightsize.nodes.autoscaler import Autoscaler
from rightsize.nodes.problem import Ints
from rightsize.nodes.running import Running

_NODES_A_JUDGMENT = 100
"""Nodes of which one goes between two judgments of all: with thousands of pods each takes a second."""


class ClusterAutoscaler:
    """Decides on the nodes of a `Running` cluster."""

    def __init__(
        self,
        autoscaler: Autoscaler,
        running: Running,
        main: Ints,
        others: Sequence[Autoscaler] = (),
    ) -> None:
        self._autoscaler, self._running = autoscaler, running
        self._kinds = sorted(range(len(running.first.price)), key=lambda o: (o not in set(main), o))
        self._wait = max(math.ceil(autoscaler.unneeded_minutes / 60), 1)
        """Hours for which a node is unneeded before it goes."""
        self._since: dict[int, int] = {}
        """Hour since which each unneeded node is so."""
        self.alike = others
        """Other settings under which all went as it did here so far: no node was unneeded."""

    @property
    def waits(self) -> bool:
        """A node is unneeded, and goes once it has been for long enough."""
        return bool(self._since)

    def join(self, k: int) -> int:
        """Bring a node of the type most in use, else of another in use that suits the pod."""
        running = self._running
        for offer in self._kinds:
            if not running.cluster.problem.fits[k, offer]:
                continue
            new = running.launch(int(offer))
            node = running.cluster.schedule(k)
            if node >= 0:
                return node
            running.cluster.alive[new] = False
        return -1

    def provision(self, waiting: Sequence[int]) -> None:
        """No pod waits: a node joins within minutes, far shorter than the step."""

    def shrink(self) -> int:
        """Drain unneeded nodes one at a time, judging all again after each, or each hundredth of many."""
        running, hour = self._running, self._running.hour
        stuck: set[int] = set()
        removed = 0
        at_once = max(running.nodes // _NODES_A_JUDGMENT, 1)
        unjudged = at_once if running.changed else 0
        while True:
            if unjudged >= at_once:
                self._judge()
                unjudged = 0
            due = [n for n, since in self._since.items() if hour - since >= self._wait]
            due = [n for n in due if n not in stuck]
            if not due or running.nodes <= max(self._autoscaler.least, 1):
                if unjudged:
                    unjudged = at_once
                    continue
                running.changed = False
                return removed
            pods = running.pods()
            empty = [n for n in due if not pods[n]]
            node = int(running.draw.choice(empty or due))
            if self._still_below(node) and running.drain([node]):
                del self._since[node]
                removed += 1
                unjudged += 1
            else:
                # Others' pods came to it, or the scheduler's order leaves a pod over where the simulation
                # found room for all.
                stuck.add(node)

    def _still_below(self, node: int) -> bool:
        """Whether the pods of the nodes that went since all was judged left it below the threshold."""
        used = self._running.used(ignore_daemonsets=self._autoscaler.ignore_daemonsets)
        return bool(used[node] <= self._autoscaler.threshold)

    def _judge(self) -> None:
        """Find the unneeded nodes, which the scheduler avoids from now on."""
        unneeded = self._unneeded(self._autoscaler)
        self.alike = [other for other in self.alike if not (unneeded or self._unneeded(other))]
        self._since = {n: self._since.get(n, self._running.hour) for n in unneeded}
        self._running.cluster.avoided[:] = False
        self._running.cluster.avoided[list(self._since)] = True

    def _unneeded(self, scaler: Autoscaler) -> list[int]:
        running, cluster = self._running, self._running.cluster
        used = running.used(ignore_daemonsets=scaler.ignore_daemonsets)
        below = np.flatnonzero(running.may_go() & (used <= scaler.threshold)).tolist()
        pods = running.pods()
        below.sort(key=lambda n: (pods[n] > 0, n not in self._since, n))
        trial, found = cluster.copy() if below else cluster, []
        for n in below:
            only = np.arange(len(trial.alive)) == n
            if trial.alive.sum() > 1 and trial.drain(only, first_fit=True) is not None:
                found.append(n)
        return found
