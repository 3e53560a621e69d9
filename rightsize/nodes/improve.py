"""Near-ideal packings: buy the fluid node set, pack it tight, and mend what is left outside.

The fluid program says how many nodes of each offer would do if pods were liquid. Real pods need
a little more, so node sets with some slack are tried. Each is packed at once (largest pods first,
each to the node with the free room it resembles most) and then mended by moves that always keep
every rule:

- a pod outside takes the place of one worth less, which goes outside in its stead;
- a pod outside enters node `i` while two pods of `i` and another node change places.

What still finds no place gets further nodes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rightsize.nodes.bound import fluid_node_set
from rightsize.nodes.greedy import dot_product, raise_floors, resource_values
from rightsize.nodes.load import Load
from rightsize.nodes.problem import Floats, Ints, Packing, Problem
from rightsize.nodes.work import Clock

_FIRST_SLACK, _LOOSEST, _FINEST = 0.004, 0.1, 0.0005
"""Shares by which a liquid node set is made larger: the first one tried, the largest, and the step
at which bisecting ends."""
_MORE_ROUNDS = 6
_PODS_COMPARED = 2_500
"""Partners looked at for one exchange; more cost time and find little."""
_NODES_TRIED = 30
_ATTEMPT_SECONDS, _MOVE_SECONDS, _PUSH_SECONDS = 0.04, 0.0002, 0.0003
_ATTEMPT_POD_SECONDS, _MOVE_POD_SECONDS = 2e-5, 2e-6
"""What one node set, one exchange and one push take on an idle core, and what each pod looked at adds;
measured on 300 to 3,000 pods."""


def improve(problem: Problem, best: Packing, bound: float, clock: Clock, seed: int = 0) -> Packing:
    """A packing that costs no more than `best`, nearer to `bound` if the time allows.

    The slack with which a node set can be packed is bisected, so that a good packing comes early;
    what time is left goes into the tightest node set that could not be packed yet.
    """
    if problem.pods == 0:
        return best
    search = _Search(problem, best, bound, clock, seed)
    tight, loose, slack = 0.0, _LOOSEST, _FIRST_SLACK
    while loose - tight > _FINEST and not search.done:
        if search.attempt(slack):
            loose = slack
        else:
            tight = slack
        slack = min(3 * slack, _LOOSEST) if loose == _LOOSEST else (tight + loose) / 2
    for i in range(_MORE_ROUNDS):
        if search.done:
            break
        search.patience *= 1.5
        search.attempt(tight * i / (_MORE_ROUNDS - 1))
    return search.best


class _Search:
    """The best packing so far, and attempts to beat it."""

    def __init__(
        self, problem: Problem, best: Packing, bound: float, clock: Clock, seed: int
    ) -> None:
        self._problem, self._bound, self._clock = problem, bound, clock
        self._worth, _ = resource_values(problem)
        self._random = np.random.default_rng(seed)
        self.best = best
        self._cost = best.cost(problem)
        # Small cases need many node sets rather than long mending of one.
        self.patience = min(0.3 + problem.pods / 600, 6.0)

    @property
    def done(self) -> bool:
        """No time is left, or nothing to gain."""
        return self._clock.out or self._cost <= self._bound * (1 + 1e-9)

    def attempt(self, slack: float) -> bool:
        """Pack the liquid node set with this slack; True if all pods fit, or it costs too much."""
        problem = self._problem
        self._clock.spend(_ATTEMPT_SECONDS + problem.pods * _ATTEMPT_POD_SECONDS)
        node_set, _ = fluid_node_set(problem, slack, self._clock.part(1.0, most=2.0))
        if node_set is None:
            return False
        if float(problem.price @ node_set) >= self._cost - 1e-9:
            return True
        load = pack_tight(problem, np.repeat(np.arange(len(node_set)), node_set))
        mend(load, self._worth, self._clock.part(0.4, most=self.patience), self._random)
        tried = with_more_nodes(problem, load.packing())
        if tried is not None and tried.cost(problem) < self._cost - 1e-9:
            self.best, self._cost = tried, tried.cost(problem)
        return not len(load.outside)


def pack_tight(problem: Problem, offers: Ints) -> Load:
    """Place pods on a given node set, largest first, each where the free room is most like it."""
    load = Load(problem, offers)
    scale = problem.scale
    size = load.size / scale
    order = np.argsort(-size.max(axis=1), kind="stable")
    for pod in order:
        room = load.room(int(pod))
        if not room.any():
            continue
        free = load.rest[room] / scale
        # Cosine between request and room; the length of the request does not matter.
        alike = (free @ size[pod]) / np.sqrt((free * free).sum(axis=1)).clip(1e-300)
        load.put(int(pod), int(np.flatnonzero(room)[alike.argmax()]))
    return load


def mend(load: Load, worth: Floats, clock: Clock, random: np.random.Generator) -> None:
    """Bring pods from outside in, until none is left or the time is out."""
    value = load.size @ worth
    lowest, keep = float("inf"), load.where.copy()
    idle = 0
    move = _MOVE_SECONDS + min(len(load.where), _PODS_COMPARED) * _MOVE_POD_SECONDS
    while not clock.out and idle < 8:
        clock.spend(move)
        _replace_smaller(load, value, clock)
        moved = False
        outside = load.outside
        for pod in outside[np.argsort(-value[outside], kind="stable")]:
            if clock.out:
                break
            clock.spend(move)
            moved |= _exchange(load, int(pod), value, worth, random)
        left = float(value[load.outside].sum())
        if left < lowest - 1e-12:
            lowest, keep, idle = left, load.where.copy(), 0
        else:
            idle += 1
        if not len(load.outside):
            return
        if not moved:
            _loosen(load, random)
    if float(value[load.outside].sum()) > lowest:
        _restore(load, keep)


def _replace_smaller(load: Load, value: Floats, clock: Clock) -> None:
    """Let pods from outside push out cheaper ones, until none can; each push lowers the rest."""
    queue = list(load.outside[np.argsort(-value[load.outside], kind="stable")])
    while queue and not clock.out:
        clock.spend(_PUSH_SECONDS)
        pod = int(queue.pop(0))
        room = load.room(pod)
        if room.any():
            nodes = np.flatnonzero(room)
            load.put(pod, int(nodes[load.rest[nodes].min(axis=1).argmin()]))
            continue
        placed = np.flatnonzero((load.where >= 0) & (value < value[pod] - 1e-15))
        home = load.where[placed]
        fits = ((load.rest[home] + load.size[placed]) >= load.size[pod]).all(axis=1)
        fits &= load.allowed(pod)[home]
        if not fits.any():
            continue
        out = int(placed[fits][value[placed[fits]].argmin()])
        node = int(load.where[out])
        load.take(out)
        load.put(pod, node)
        queue.append(out)


def _exchange(
    load: Load, pod: int, value: Floats, worth: Floats, random: np.random.Generator
) -> bool:
    """Bring `pod` into a node by letting a pod of it and one of another node change places."""
    free = load.rest @ worth
    allowed = load.allowed(pod)
    nodes = np.flatnonzero(allowed)
    nodes = nodes[np.argsort(-free[nodes], kind="stable")][:_NODES_TRIED]
    placed = np.flatnonzero(load.where >= 0)
    if len(placed) > _PODS_COMPARED:
        placed = random.choice(placed, _PODS_COMPARED, replace=False)
    home = load.where[placed]
    size = load.size[placed]
    spare = load.rest[home] + size
    for node in nodes:
        inside = np.flatnonzero(load.where == node)
        most = load.rest[node] + load.size[inside] - load.size[pod]
        keep = (most >= 0).all(axis=1)
        inside, most = inside[keep], most[keep]
        if not len(inside):
            continue
        swap = (size[None, :, 0] <= most[:, None, 0]) & (home != node)[None, :]
        for resource in range(size.shape[1]):
            swap &= size[None, :, resource] <= most[:, None, resource]
            swap &= load.size[inside][:, None, resource] <= spare[None, :, resource]
        if not swap.any():
            continue
        for flat in np.argsort(-np.where(swap, value[placed][None, :], -1.0).ravel())[:3]:
            a, b = np.unravel_index(flat, swap.shape)
            if swap[a, b] and _try_swap(load, pod, int(inside[a]), int(placed[b])):
                return True
    return False


def _try_swap(load: Load, pod: int, inner: int, outer: int) -> bool:
    """Swap `inner` and `outer` and put `pod` where `inner` was, if every rule allows it."""
    node, other = int(load.where[inner]), int(load.where[outer])
    load.take(inner)
    load.take(outer)
    if load.room(outer)[node]:
        load.put(outer, node)
        if load.room(pod)[node]:
            load.put(pod, node)
            if load.room(inner)[other]:
                load.put(inner, other)
                return True
            load.take(pod)
        load.take(outer)
    load.put(inner, node)
    load.put(outer, other)
    return False


def _loosen(load: Load, random: np.random.Generator) -> None:
    """Take a few pods out at random, so that the next round starts from elsewhere."""
    placed = np.flatnonzero(load.where >= 0)
    for pod in random.choice(placed, min(6, len(placed)), replace=False):
        load.take(int(pod))


def _restore(load: Load, where: Ints) -> None:
    for pod in np.flatnonzero((load.where >= 0) & (load.where != where)):
        load.take(int(pod))
    for pod in np.flatnonzero((load.where < 0) & (where >= 0)):
        load.put(int(pod), int(where[pod]))


def with_more_nodes(problem: Problem, packing: Packing) -> Packing | None:
    """The packing with nodes for the pods that are outside; None if some fit nowhere."""
    used = np.unique(packing.where[packing.where >= 0])
    offers = packing.offers
    if len(used) < len(offers):
        # A node without pods is sold again; floors are raised at the end.
        number = np.full(len(offers), -1, dtype=np.int64)
        number[used] = np.arange(len(used))
        where = np.where(packing.where >= 0, number[packing.where], -1)
        packing = Packing(offers[used], where)
    outside = packing.where < 0
    if outside.any():
        rest = problem.with_count(
            np.bincount(problem.classes[outside], minlength=len(problem.count))
        )
        if problem.max_types is not None:
            kinds = np.unique(problem.kind[packing.offers])
            if len(kinds) >= problem.max_types:
                keep = np.flatnonzero(np.isin(problem.kind, kinds))
                more = dot_product(rest.with_offers(keep))
                more = Packing(keep[more.offers], more.where)
            else:
                more = dot_product(replace(rest, max_types=problem.max_types - len(kinds)))
        else:
            more = dot_product(rest)
        if not more.whole:
            return None
        where = packing.where.copy()
        where[outside] = more.where + len(packing.offers)
        packing = Packing(np.concatenate([packing.offers, more.offers]), where)
    return Packing(raise_floors(problem, packing.offers), packing.where)
