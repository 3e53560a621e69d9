"""Karpenter, as it disrupts nodes for consolidation (`pkg/controllers/disruption`, August 2026).

Candidates are nodes that no pod holds and of which the last pod event is `consolidateAfter` ago, in
descending order of price over the cost of disruption: 1, and for each pod 1 and its priority / 2^25, from 0 to 10
(`types.go`, `pkg/utils/disruption`). Releases to 1.9 order by that cost alone, which is the same where all
nodes cost the same. What is done in an hour disrupts at most the budget's nodes of each NodePool:

- empty nodes go;
- of several nodes, the longest row of candidates (found by bisection, at most 100) goes of which the pods
  fit elsewhere, or elsewhere and on one new node that costs less than they do and less than the
  cheapest of its own type among them;
- else single ones go, or are replaced by a node that costs less.

Room is tried like Karpenter tries it, the largest pods first and each on the first node that passes; the pods then
go where kube-scheduler's scores send them. New nodes are of the types in use, or of every type that
the settings allow, the cheapest that holds what is to go there. A command takes Karpenter minutes; one
round is made each hour, hour after hour until nothing can go. Drift, expiry and interruptions are left out. Nodes of
Spot are taken away and never replaced: replacing Spot by Spot is off by default, and no machine on demand is cheaper.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rightsize.nodes.autoscaler import Autoscaler
from rightsize.nodes.problem import Floats, Ints
from rightsize.nodes.running import Running

_MOST_CANDIDATES = 100
"""Nodes considered together (`multinodeconsolidation.go`)."""
_PRIORITY = 2.0**25
"""Priority that costs as much as a pod (`pkg/utils/disruption`)."""
_MOST_COST = 10.0


@dataclass(frozen=True)
class _Command:
    """Nodes that go, and the offer of the one that joins for them."""

    nodes: tuple[int, ...]
    replacement: int | None = None


class Karpenter:
    """Decides on the nodes of a `Running` cluster."""

    def __init__(
        self,
        autoscaler: Autoscaler,
        running: Running,
        main: Ints,
        others: Sequence[Autoscaler] = (),
    ) -> None:
        self._autoscaler, self._running = autoscaler, running
        self.alike: Sequence[Autoscaler] = ()
        problem = running.cluster.problem
        every = np.arange(len(problem.price))
        offers = every if autoscaler.replaces else main
        self._offers: Ints = offers[np.argsort(problem.price[offers], kind="stable")]
        """What may be bought, the cheapest first."""
        priority = np.array([rule.priority for rule in running.layout.rules])
        self._cost: Floats = np.clip(1.0 + priority / _PRIORITY, 0.0, _MOST_COST)
        """(K,) cost of evicting a pod of the class."""

    @property
    def waits(self) -> bool:
        """It looks again only where `Running.changed` says so."""
        return False

    def join(self, k: int) -> int:
        """Pods without room wait for the others of the hour, so that nodes suit them together."""
        return -1

    def provision(self, waiting: Sequence[int]) -> None:
        """Launch nodes for waiting pods, the largest first, of the cheapest type that holds a node's."""
        size = self._running.cluster.problem.size
        rest = sorted(waiting, key=lambda k: (-size[k, 0], -size[k, 1], k))
        while rest:
            batch: list[int] = []
            for k in rest:
                if self._cheapest([*batch, k]) is not None:
                    batch.append(k)
            offer = self._cheapest(batch)
            if not batch or offer is None:
                return
            self._running.launch(offer)
            for k in batch:
                rest.remove(k)

    def shrink(self) -> int:
        """One round; how many nodes went."""
        running = self._running
        if not running.changed:
            return 0
        running.changed = False
        candidates, budgets = self._candidates(), self._budgets()
        removed, pods = 0, running.pods()
        for node in self._within([n for n in candidates if not pods[n]], budgets):
            if running.nodes > 1:
                removed += self._do(_Command((node,)), budgets)
        if self._autoscaler.policy == "WhenEmpty":
            return removed
        row = [n for n in candidates if running.cluster.alive[n]]
        several = self._several(self._within(row, budgets)[:_MOST_CANDIDATES])
        if several is not None:
            return removed + self._do(several, budgets)
        for node in row:
            command = self._command((node,)) if budgets[running.group(node)] else None
            if command is not None:
                removed += self._do(command, budgets)
        return removed

    def _budgets(self) -> Counter[str]:
        """Nodes that may still go in this round, by NodePool."""
        running = self._running
        pools = Counter(running.group(n) for n in np.flatnonzero(running.cluster.alive).tolist())
        return Counter({pool: self._autoscaler.at_once(n) for pool, n in pools.items()})

    def _within(self, nodes: list[int], budgets: Counter[str]) -> list[int]:
        """The first nodes of each NodePool, as many as its budget allows."""
        taken: Counter[str] = Counter()
        found = []
        for node in nodes:
            pool = self._running.group(node)
            if taken[pool] < budgets[pool]:
                taken[pool] += 1
                found.append(node)
        return found

    def _candidates(self) -> list[int]:
        """Nodes that may be disrupted, those that save most for what it costs first."""
        running, cluster = self._running, self._running.cluster
        hours = self._autoscaler.consolidate_after_minutes / 60
        quiet = running.hour - running.touched >= hours
        if not quiet.all():
            running.changed = True
        free = np.flatnonzero(running.may_go() & quiet)
        cost = 1.0 + cluster.cost_on(self._cost)[free]
        ratio = cluster.problem.price[cluster.offers[free]] / cost
        return [int(n) for n in free[np.argsort(-ratio, kind="stable")]]

    def _several(self, row: list[int]) -> _Command | None:
        """The longest row of at least two candidates that can go together, by bisection."""
        found, low, high = None, 1, len(row) - 1
        while low <= high:
            middle = (low + high) // 2
            command = self._command(tuple(row[: middle + 1]))
            if command is None:
                high = middle - 1
            else:
                found, low = command, middle + 1
        return found

    def _command(self, nodes: tuple[int, ...]) -> _Command | None:
        """What would be done with these nodes; None where their pods need what costs as much."""
        cluster = self._running.cluster
        price, kind = cluster.problem.price, cluster.problem.kind
        own = cluster.offers[list(nodes)]
        paid = float(price[own].sum())
        # Without a cheaper offer one pod that is left over is enough to know.
        alone = price[self._offers[0]] >= paid - 1e-9 or self._running.spot(nodes)
        going = np.zeros(len(cluster.alive), dtype=bool)
        going[list(nodes)] = True
        left = cluster.left_over(going, most=1 if alone else None)
        if not left:
            return _Command(nodes) if self._running.nodes > len(nodes) else None
        offer = None if self._running.spot(nodes) else self._cheapest(left, below=paid)
        if offer is None:
            return None
        same = own[kind[own] == kind[offer]]
        # One of several that go could stay as well as a new one of its type comes.
        if len(nodes) > 1 and len(same) and price[offer] >= price[same].min():
            return None
        return _Command(nodes, offer)

    def _cheapest(self, classes: list[int], below: float = float("inf")) -> int | None:
        """The cheapest offer of which one node holds these pods; None where all cost as much."""
        problem = self._running.cluster.problem
        offers = self._offers[problem.price[self._offers] < below - 1e-9]
        if not classes or not len(offers):
            return None
        needed = problem.size[classes].sum(axis=0)
        holds = problem.fits[classes][:, offers].all(axis=0)
        holds &= (problem.capacity[offers] >= needed).all(axis=1) & self._together(classes)
        return int(offers[holds.argmax()]) if holds.any() else None

    def _together(self, classes: list[int]) -> bool:
        """Whether rules on hosts let these pods share a node."""
        problem, here = self._running.cluster.problem, set(classes)
        groups = problem.group[classes]
        most = np.bincount(groups[groups >= 0], minlength=len(problem.limit))
        apart = any(here & set(problem.avoid[k].tolist()) for k in here)
        return bool((most <= problem.limit).all()) and not apart

    def _do(self, command: _Command, budgets: Counter[str]) -> int:
        """Carry a command out; 0 where the scheduler's order leaves a pod without a place."""
        running = self._running
        new = None if command.replacement is None else running.launch(command.replacement)
        if running.drain(command.nodes):
            budgets.subtract(running.group(n) for n in command.nodes)
            return len(command.nodes)
        if new is not None:
            running.cluster.alive[new] = False
        return 0
