"""From counters at window ends to what was used in each window.

`rate(x[5m])` every 5 minutes loses the increment between the last sample of one window and the
first of the next. Here the counter's last sample of each window is asked for, and differences are
taken on this side: they add up to the counter itself, so no second is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from rightsize.collectors.prometheus.labels import (
    ContainerKey,
    PodKey,
    cgroup_of,
    container_key,
)
from rightsize.collectors.prometheus.parse import Answer, FloatArray, Grid
from rightsize.snapshot.schema import WINDOW_SECONDS

_RunKey = tuple[ContainerKey, str]
_Key = TypeVar("_Key")


@dataclass(frozen=True)
class Windows:
    """One signal of many containers.

    Attributes
    ----------
    keys : sequence of (namespace, pod, container)
    values : array of float, shape (containers, windows)
        NaN where unknown.
    sampled : array of bool, shape (containers, windows)
        Windows in which there was a sample at all.
    resets : int
        Times a counter fell.
    """

    keys: Sequence[ContainerKey]
    values: FloatArray
    sampled: np.ndarray[tuple[int, int], np.dtype[np.bool_]]
    resets: int = 0


@dataclass(frozen=True)
class Starts:
    """When containers' runs and pods started, as epoch seconds."""

    runs: Mapping[_RunKey, float]
    pods: Mapping[PodKey, float]


def highest(answer: Answer) -> Windows:
    """Windows of a gauge that already is each window's maximum; duplicates give the highest."""
    values = np.where(answer.values < 0, np.nan, answer.values)
    groups = _grouped([container_key(labels) for labels in answer.labels])
    rows = [_nanmax(values[index]) for index in groups.values()]
    stacked = np.array(rows) if rows else np.empty((0, answer.values.shape[1]))
    # The first moment of the grid is the end of the day before.
    stacked = stacked[:, 1:]
    return Windows(list(groups), stacked, ~np.isnan(stacked))


def increases(answer: Answer, grid: Grid, starts: Starts) -> Windows:
    """Increase of a counter in each window, from last sample to last sample.

    A counter that falls was reset: it counts its own value. A run of a container (a cgroup) that
    appears counts from zero when it started in that window, or when an earlier run of the same
    container was there until then; otherwise its first window is unknown, and so is the first
    window after a gap. The runs of one container add up.

    Parameters
    ----------
    answer : Answer
        The counter's last sample in each window; the first column is the day before's.
    grid : Grid
        The moments of `answer`.
    starts : Starts
    """
    runs = _runs(answer)
    count = max(answer.values.shape[1] - 1, 0)
    ends = grid.start + grid.step * np.arange(1, count + 1)
    by_container = _grouped([key for key, _ in runs])
    counters = list(runs.values())
    names = list(runs)
    values = np.zeros((len(by_container), count))
    sampled = np.zeros((len(by_container), count), dtype=bool)
    resets = 0
    for row, (key, index) in enumerate(by_container.items()):
        told = {i for i in index if names[i][1]}
        for i in index:
            counter = counters[i]
            if told and i not in told:
                # The same cgroup by way of a scraper that drops its id: a stopgap only.
                counter = _where_silent(counter, [counters[k] for k in told])
            siblings = [counters[k] for k in told if k != i] if i in told else []
            gain = np.diff(counter)
            fell = gain < 0
            resets += int(fell.sum())
            gain = np.where(fell, counter[1:], gain)
            born = np.isnan(counter[:-1]) & ~np.isnan(counter[1:])
            if born.any():
                alone = len(index) == 1
                zero = born & _from_zero(names[i], key, ends, siblings, alone, starts)
                gain[zero] = counter[1:][zero]
            here = ~np.isnan(counter[1:])
            values[row] += np.where(here, gain, 0.0)
            sampled[row] |= here
    values[~sampled] = np.nan
    return Windows(list(by_container), values, sampled, resets)


def _runs(answer: Answer) -> dict[_RunKey, FloatArray]:
    """One counter for each run of a container, joined from its duplicates.

    The fullest series goes first and others fill its gaps: two scrapers of one counter differ by
    seconds only, and what one window gains by that the next one gives back.
    """
    values = np.where(answer.values < 0, np.nan, answer.values)
    groups = _grouped([(container_key(one), cgroup_of(one)) for one in answer.labels])
    runs = {}
    for key, index in groups.items():
        if len(index) == 1:
            runs[key] = values[index[0]]
            continue
        fullest = sorted(index, key=lambda i: -int((~np.isnan(values[i])).sum()))
        counter = values[fullest[0]].copy()
        for other in fullest[1:]:
            counter = np.where(np.isnan(counter), values[other], counter)
        runs[key] = counter
    return runs


def _from_zero(
    run: _RunKey,
    key: ContainerKey,
    ends: FloatArray,
    siblings: Sequence[FloatArray],
    alone: bool,
    starts: Starts,
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Windows in which a counter that appears there counts from zero."""
    started = starts.runs.get(run, starts.pods.get(key[:2], np.nan))
    # On the border before the window the counter is zero too.
    fresh = (started >= ends - WINDOW_SECONDS) & (started <= ends)
    if run in starts.runs or alone:
        return np.asarray(fresh)
    # Not told when this run started: another run right before it was its predecessor.
    before = np.zeros(len(ends), dtype=bool)
    for other in siblings:
        before |= ~np.isnan(other[:-1])
    return np.asarray(fresh | before)


def _where_silent(counter: FloatArray, others: Sequence[FloatArray]) -> FloatArray:
    heard = np.zeros(len(counter), dtype=bool)
    for other in others:
        heard |= ~np.isnan(other)
    return np.where(heard, np.nan, counter)


def _grouped(keys: Sequence[_Key]) -> dict[_Key, list[int]]:
    groups: dict[_Key, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    return groups


def _nanmax(rows: FloatArray) -> FloatArray:
    if len(rows) == 1:
        return np.asarray(rows[0])
    filled = np.where(np.isnan(rows), -np.inf, rows).max(axis=0)
    return np.where(np.isinf(filled), np.nan, filled)
