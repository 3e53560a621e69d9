"""Which series describe one run of a container, and which of them count.

A container has a series for each of its cgroups. A restart makes a new cgroup, so its counters add
up. A cgroup below another one is contained in its figures, so it does not count. Two scrape jobs, a
pair of replicas or a changed label give the same cgroup twice, so it counts once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from rightsize.collectors.prometheus.labels import ContainerKey, cgroup_of, container_key
from rightsize.collectors.prometheus.parse import Answer, FloatArray, Labels

_Key = TypeVar("_Key")


@dataclass(frozen=True)
class Run:
    """A counter of one cgroup at the window ends.

    Attributes
    ----------
    cgroup : str
        Empty where the labels were dropped.
    counter : array of float, shape (moments,)
        NaN where there is no sample.
    times : array of float, shape (moments,)
        When the samples were taken, epoch seconds; NaN where there is none.
    """

    cgroup: str
    counter: FloatArray
    times: FloatArray

    @property
    def known(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        return np.asarray(~np.isnan(self.counter))

    def where(self, keep: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Run:
        return replace(
            self,
            counter=np.where(keep, self.counter, np.nan),
            times=np.where(keep, self.times, np.nan),
        )

    def filled_from(self, other: Run) -> Run:
        return replace(
            self,
            counter=np.where(self.known, self.counter, other.counter),
            times=np.where(self.known, self.times, other.times),
        )


def runs_by_container(
    answer: Answer, times: FloatArray
) -> Iterator[tuple[ContainerKey, list[Run]]]:
    """Yield each container with the runs that count.

    Parameters
    ----------
    answer : Answer
        A counter at the window ends.
    times : array of float, shape (series, moments)
        When each sample of `answer` was taken, epoch seconds.
    """
    values = np.where(answer.values < 0, np.nan, answer.values)
    times = np.where(np.isnan(values), np.nan, times)
    names = [(container_key(one), _path_of(one)) for one in answer.labels]
    by_container: dict[ContainerKey, list[Run]] = {}
    for (key, cgroup), index in grouped(names).items():
        series = [Run(cgroup, values[i], times[i]) for i in index]
        by_container.setdefault(key, []).append(_joined(series))
    for key, runs in by_container.items():
        yield key, runs if len(runs) == 1 else list(_counting(runs))


def grouped(keys: Sequence[_Key]) -> dict[_Key, list[int]]:
    groups: dict[_Key, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    return groups


def _path_of(labels: Labels) -> str:
    """The cgroup, with the core of a series for each core as if it were a group below."""
    core = labels.get("cpu", "total")
    return cgroup_of(labels) if core in ("", "total") else f"{cgroup_of(labels)}/{core}"


def _joined(series: Sequence[Run]) -> Run:
    """Duplicates of one counter: the fullest goes first and others fill its gaps.

    Two scrapers of one counter differ by seconds only, and each sample brings its own time.
    """
    first, *others = sorted(series, key=lambda run: -int(run.known.sum()))
    for other in others:
        first = first.filled_from(other)
    return first


def _counting(runs: Sequence[Run]) -> Iterator[Run]:
    named = [run for run in runs if run.cgroup]
    for run in runs:
        if run.cgroup:
            if not any(_contained(run, other) for other in named if other is not run):
                yield run
        elif named:
            # The same cgroup by way of a scraper that drops its id: a stopgap only.
            yield run.where(~np.logical_or.reduce([other.known for other in named]))
        else:
            yield run


def _contained(run: Run, other: Run) -> bool:
    """The cgroup lies below another one of the same time, or is that one as seen from above."""
    below = run.cgroup.startswith(other.cgroup.rstrip("/") + "/")
    from_above = run.cgroup.endswith(other.cgroup) and other.cgroup.startswith("/")
    return (below or from_above) and bool((run.known & other.known).any())
