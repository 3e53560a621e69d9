"""Random workloads as a Prometheus would have scraped them, with what they really used.

Every workload draws its scrape interval, jitter, oddities (restarts with the old series lingering,
nested control groups, gaps, a second scraper, counters reset in place, start times that jump) and
its usage: rates that change about every half hour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from tests.collectors.prometheus.mesh import DAY, HOUR, MIB, Pod
from tests.servers.prometheus import Series

FROM, TO = DAY - 2 * HOUR, DAY + 26 * HOUR
WINDOW = 300
_LONG_GAP = 2
"""Windows over which an increase is still spread."""


@dataclass(frozen=True)
class Used:
    """CPU seconds since `FROM`, exact at every moment."""

    edges: np.ndarray
    seconds: np.ndarray

    def until(self, moment: np.ndarray | float) -> np.ndarray:
        return np.interp(moment, self.edges, self.seconds)

    def highest_mean(self, length: float, first: float, last: float) -> float:
        """Highest mean over any stretch of this length."""
        length = min(length, last - first)
        begins = np.arange(first, last - length + 1, 10.0)
        return float(((self.until(begins + length) - self.until(begins)) / length).max())


@dataclass
class Life:
    """One counter from zero: a container's run, or the part of it between two resets."""

    begin: float
    times: np.ndarray
    """Of its samples."""


@dataclass
class Workload:
    """One workload of one pod, its samples and the truth.

    Attributes
    ----------
    odd : set of str
    lost : list of (float, float)
        Moments between which usage cannot be known: gaps of more than two windows.
    """

    name: str
    odd: set[str]
    step: float
    used: Used
    lives: list[Life] = field(default_factory=list)
    lost: list[tuple[float, float]] = field(default_factory=list)
    memory: dict[float, float] = field(default_factory=dict)

    @property
    def pod(self) -> Pod:
        owner = ("ReplicaSet", f"{self.name}-6d4cf56db6")
        return Pod(
            f"{self.name}-6d4cf56db6-bcdfg", self.name, owner, started=self.lives[0].begin,
            end=float(self.lives[-1].times[-1]), step=WINDOW,
        )  # fmt: skip

    def seconds(self, first: float, last: float) -> float:
        """CPU seconds of a day, as far as samples can know them."""
        total = 0.0
        for life in self.lives:
            known = life.times[life.times <= last]
            if not known.size or last <= life.begin:
                continue
            before = life.times[life.times <= first]
            begin = before[-1] if before.size else life.begin
            total += self._between(begin, float(known[-1]))
            for lost, found in self.lost:
                total -= self._between(max(begin, lost), min(float(known[-1]), found))
        return total

    def slack(self, first: float, last: float) -> float:
        """CPU seconds that either day may count: one of two scrapers misses a sample at midnight."""
        ends = (first, last) if "twice" in self.odd else ()
        return sum(self._between(end - 4 * self.step, end) for end in ends)

    def _between(self, begin: float, end: float) -> float:
        return max(float(self.used.until(end) - self.used.until(begin)), 0.0)


def random_workload(rng: np.random.Generator, number: int) -> Workload:
    step = float(rng.choice([15, 30, 45, 60, 60, 90, 120]))
    names = ("restart", "nested", "gap", "long-gap", "twice", "reset", "jump", "late", "no-starts")
    odd = {name for name in names if rng.random() < 0.3}
    edges = np.sort(np.r_[FROM, rng.uniform(FROM, TO, 60), TO])
    rates = 0.001 * rng.lognormal(3, 1) * rng.lognormal(0, 0.8, edges.size - 1)
    used = Used(edges, np.r_[0.0, np.cumsum(np.diff(edges) * np.minimum(rates, 2.0))])
    one = Workload(f"w{number:02d}", odd, step, used)
    begin = float(rng.uniform(DAY + HOUR, DAY + 8 * HOUR)) if "late" in odd else FROM + 40.0
    cuts = [begin, TO]
    if "restart" in odd or "reset" in odd:
        cuts = [begin, float(rng.uniform(begin + 4 * HOUR, TO - 4 * HOUR)), TO]
    for a, b in pairwise(cuts):
        down = float(rng.uniform(5, 40)) if a != begin and "restart" in odd else 0.0
        one.lives.append(Life(a + down, _scrapes(rng, one, a + down, b)))
    if odd & {"gap", "long-gap", "jump"}:
        _cut_gap(rng, one, float(rng.uniform(15, 60) if "long-gap" in odd else rng.uniform(2, 6)))
    level = 50 * MIB * float(rng.lognormal(0, 0.5))
    times = np.concatenate([life.times for life in one.lives])
    one.memory = dict(zip(times, level * rng.lognormal(0, 0.1, times.size), strict=True))
    return one


def _scrapes(rng: np.random.Generator, one: Workload, begin: float, end: float) -> np.ndarray:
    first = begin + float(rng.uniform(1, one.step))
    times = np.arange(first, end - 1, one.step)
    return np.round(times + rng.uniform(0, 0.1, times.size), 3)


def _cut_gap(rng: np.random.Generator, one: Workload, minutes: float) -> None:
    life = max(one.lives, key=lambda life: life.times.size)
    at = float(rng.uniform(life.begin + HOUR, life.times[-1] - 2 * HOUR))
    life.times = life.times[(life.times < at) | (life.times > at + 60 * minutes)]
    before, after = life.times[life.times < at][-1], life.times[life.times > at][0]
    window = np.ceil(after / WINDOW) * WINDOW
    if (window - np.ceil(before / WINDOW) * WINDOW) / WINDOW > _LONG_GAP:
        one.lost.append((float(before), float(life.times[life.times <= window][-1])))


def series_of(one: Workload, rng: np.random.Generator) -> Iterator[Series]:
    """What the exporters wrote."""
    yield from one.pod.described()
    group = f"/kubepods/{one.name}"
    for number, life in enumerate(one.lives):
        cgroup = group if "restart" not in one.odd else f"{group}/run-{number}"
        counter = one.used.until(life.times) - one.used.until(life.begin)
        times, values = life.times, counter
        if "restart" in one.odd and life is not one.lives[-1]:
            # The old series lingers for a few minutes.
            extra = life.times[-1] + one.step * np.arange(1, 1 + int(180 // one.step))
            times, values = np.r_[times, extra], np.r_[values, np.full(extra.size, values[-1])]
        yield from _container(one, cgroup, times, values)
        if "no-starts" not in one.odd:
            jump = np.flatnonzero(np.diff(life.times) > 100 + one.step)
            starts = np.full(life.times.size, life.begin)
            if "jump" in one.odd and jump.size:
                starts[jump[0] + 1 :] = life.times[jump[0] + 1] - 12
            labels = one.pod.labels(container="istio-proxy", image="proxyv2", id=cgroup)
            samples = list(zip(life.times.tolist(), starts.tolist(), strict=True))
            yield Series("container_start_time_seconds", labels, samples)
        if "nested" in one.odd:
            share = float(rng.uniform(0.1, 0.9))
            yield from _container(one, f"{cgroup}/init.scope", times, values * share)
            yield from _container(one, f"{cgroup}/a.slice", times, values * (1 - share))
        if "twice" in one.odd:
            keep = rng.random(times.size) < 0.9
            yield from _container(one, cgroup, times[keep], values[keep], job="other")


def _container(
    one: Workload, cgroup: str, times: np.ndarray, counter: np.ndarray, **more: str
) -> Iterator[Series]:
    cpu = list(zip(times.tolist(), counter.tolist(), strict=True))
    memory = [(t, one.memory[t]) for t in times.tolist() if t in one.memory]
    if cgroup.endswith((".scope", ".slice")):
        memory = [(t, value / 2) for t, value in memory]
    yield from one.pod.used(cpu=cpu, memory=memory, cgroup=cgroup, **more)
