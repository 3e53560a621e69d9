"""From counters at window ends to what was used in each window.

`rate(x[5m])` every 5 minutes loses the increment between the last sample of one window and the
first of the next. Here the counter's last sample of each window is asked for, and differences are
taken on this side: they add up to the counter itself, so no second is lost. Each difference comes
with the seconds between its samples, since scrapes need not fall on the windows' borders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rightsize.collectors.prometheus.cgroups import Run, grouped, runs_by_container
from rightsize.collectors.prometheus.labels import ContainerKey, PodKey, container_key
from rightsize.collectors.prometheus.parse import Answer, FloatArray, Grid

_RunKey = tuple[ContainerKey, str]
_LONGEST_WINDOWS = 2
"""Windows over which an increase is still spread; beyond, its time is unknown."""
_SHORTEST_SECONDS = 150.0
"""A rate over less says little about 5 minutes: such a start counts with the next window."""


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
    seconds : array of float, shape (containers, windows)
        The time that each increase covers; NaN where it is unknown, and for a gauge.
    resets : int
        Times a counter fell.
    moved : mapping of container to int
        Windows without a value since the counter went on over a gap under a new start time.
    """

    keys: Sequence[ContainerKey]
    values: FloatArray
    sampled: np.ndarray[tuple[int, int], np.dtype[np.bool_]]
    seconds: FloatArray
    resets: int = 0
    moved: Mapping[ContainerKey, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Starts:
    """When containers' runs and pods started, as epoch seconds."""

    runs: Mapping[_RunKey, float]
    pods: Mapping[PodKey, float]
    moved: Mapping[_RunKey, float] = field(default_factory=dict)
    """Later start times that runs got while they went on, as from a restarted kubelet."""


@dataclass(frozen=True)
class _Increase:
    """Of one run in each window: `gain` (NaN where unknown), from when to when (NaN: nothing)."""

    gain: FloatArray
    begin: FloatArray
    end: FloatArray
    resets: int


def highest(answer: Answer) -> Windows:
    """Windows of a gauge that already is each window's maximum; duplicates give the highest."""
    values = np.where(answer.values < 0, np.nan, answer.values)
    groups = grouped([container_key(labels) for labels in answer.labels])
    rows = [_nanmax(values[index]) for index in groups.values()]
    stacked = np.array(rows) if rows else np.empty((0, answer.values.shape[1]))
    # The first moment of the grid is the end of the day before.
    stacked = stacked[:, 1:]
    return Windows(list(groups), stacked, ~np.isnan(stacked), np.full(stacked.shape, np.nan))


def increases(
    answer: Answer, grid: Grid, starts: Starts, times: FloatArray | None = None
) -> Windows:
    """Increase of a counter in each window, from last sample to last sample.

    A counter that falls was reset: it counts its own value. A counter that goes on has gone on,
    whatever its start time says. A run that appears counts from zero when it started at most two
    windows ago, or when an earlier run of the same container was there until then; otherwise its
    first window is unknown, and so is the first one after a gap of two windows. The runs of one
    container add up.

    Parameters
    ----------
    answer : Answer
        The counter's last sample in each window; the first column is the day before's.
    grid : Grid
        The moments of `answer`.
    times : array of float, shape (series, moments), optional
        When the samples were taken, NaN where that is unknown: at the end of the window, then.
    """
    taken = np.broadcast_to(grid.moments, answer.values.shape)
    if times is not None:
        taken = np.where(np.isnan(times), taken, times)
    # Counts of periods need no time.
    shortest = 0.0 if times is None else _SHORTEST_SECONDS
    keys, values, seconds, sampled = [], [], [], []
    resets, moved = 0, {}
    for key, runs in runs_by_container(answer, taken):
        each = [_increase(run, key, runs, starts, grid.step, shortest) for run in runs]
        here = np.logical_or.reduce([run.known[1:] for run in runs])
        gains = [
            np.where(run.known[1:], one.gain, 0.0) for run, one in zip(runs, each, strict=True)
        ]
        gain = np.sum(gains, axis=0)
        span = np.fmax.reduce([one.end for one in each]) - np.fmin.reduce([o.begin for o in each])
        known = here & ~np.isnan(gain) & (span > 0)
        keys.append(key)
        values.append(np.where(known, gain, np.nan))
        seconds.append(np.where(known, span, np.nan))
        sampled.append(here)
        resets += sum(one.resets for one in each)
        lost = sum(
            _moved(run, one, starts.moved.get((key, run.cgroup)))
            for run, one in zip(runs, each, strict=True)
        )
        if lost:
            moved[key] = lost
    shape = (len(keys), max(grid.count - 1, 0))
    return Windows(
        keys,
        np.array(values, dtype=float).reshape(shape),
        np.array(sampled, dtype=bool).reshape(shape),
        np.array(seconds, dtype=float).reshape(shape),
        resets,
        moved,
    )


def _moved(run: Run, increase: _Increase, start: float | None) -> int:
    """1 if the first window after a new start time has no increase although the counter went on."""
    if start is None:
        return 0
    after = np.flatnonzero(run.known[1:] & (run.times[1:] >= start))
    return int(len(after) > 0 and bool(np.isnan(increase.gain[after[0]])))


def _increase(
    run: Run,
    key: ContainerKey,
    runs: Sequence[Run],
    starts: Starts,
    step: int,
    shortest: float,
) -> _Increase:
    counter, times = run.counter, run.times
    column = np.arange(len(counter))
    before = np.maximum.accumulate(np.where(run.known, column, -1))[:-1]
    last, then = counter[before], times[before]
    gain = counter[1:] - last
    fell = gain < 0
    gain = np.where(fell, counter[1:], gain)
    unknown = ~run.known[1:] | (before < 0) | (column[1:] - before > _LONGEST_WINDOWS)
    gain[unknown] = np.nan
    begin = np.where(unknown, np.nan, then)
    end = np.where(unknown, np.nan, times[1:])
    first = int(np.argmax(run.known))
    zero = _zero_time(run, first, key, runs, starts, step) if first > 0 else None
    if zero is not None:
        at = first - 1
        if times[first] - zero < shortest and run.known[first + 1 : first + 2].any():
            # Nothing is known of the first seconds alone; the next window has them too.
            gain[at], at = 0.0, first
        gain[at], begin[at], end[at] = counter[at + 1], zero, times[at + 1]
    return _Increase(gain, begin, end, int((fell & ~unknown).sum()))


def _zero_time(
    run: Run, first: int, key: ContainerKey, runs: Sequence[Run], starts: Starts, step: int
) -> float | None:
    """When a counter with its first sample at column `first` was zero, None if unknown."""
    sample = run.times[first]
    known = starts.runs.get((key, run.cgroup))
    if known is None or known > sample:
        # A start after the first sample is that of a restarted kubelet, not of the container.
        known = starts.pods.get(key[:2])
    if known is not None and sample - _LONGEST_WINDOWS * step <= known <= sample:
        return known
    if (key, run.cgroup) in starts.runs:
        return None
    # Nothing says when this run started: another run right before it was its predecessor.
    previous = [other.times[first - 1] for other in runs if other is not run and other.cgroup]
    known_before = [moment for moment in previous if not np.isnan(moment)]
    return max(known_before) if known_before else None


def _nanmax(rows: FloatArray) -> FloatArray:
    if len(rows) == 1:
        return np.asarray(rows[0])
    filled = np.where(np.isnan(rows), -np.inf, rows).max(axis=0)
    return np.where(np.isinf(filled), np.nan, filled)
