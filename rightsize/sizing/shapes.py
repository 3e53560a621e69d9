"""Shapes of usage that a quantile hides: each is named, with its figures, beside the size.

All work on daily figures of each pod: a few hundred numbers, whatever the number of windows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rightsize.quantity import MEBIBYTE, format_cpu, format_memory
from rightsize.results import Resource, Shape, ShapeKind, Sizes
from rightsize.sizing.history import ContainerHistory
from rightsize.sizing.policies.arrays import DAY_SECONDS, History, Ints
from rightsize.sizing.policies.base import Floats

_STEP = 1.5
"""The new level's days all lie this much above (below) every day before."""
_LEAK_DAYS = 4
_LEAK_GROWTH = 0.05
_LEAK_LEAST = 1.0 * MEBIBYTE
_BURST = 4.0
"""An hour of the day is a burst where its mean is this many times the median hour's."""
_UNEVEN = 4.0
_START_SECONDS = 900
_START = 1.5


@dataclass(frozen=True)
class Shapes:
    """The shapes found, and what follows for sizes.

    Attributes
    ----------
    found : tuple of Shape
    since : Timestamp or None
        Beginning of a new level of CPU or memory, where the level changed.
    rises : bool
        The new level is the higher one.
    growth : float
        Bytes a day by which memory grows; 0 where it does not.
    start_peak : float or None
        Bytes used while starting, where the running container uses much less.
    """

    found: tuple[Shape, ...] = ()
    since: pd.Timestamp | None = None
    rises: bool = False
    growth: float = 0.0
    start_peak: float | None = None


@dataclass(frozen=True)
class _Days:
    """Means and peaks of each pod on each day; days count back from the last window."""

    pod: Ints
    ago: Ints
    mean: Floats
    peak: Floats


def shapes_of(history: ContainerHistory) -> Shapes:
    """Name the shapes of one container's usage; a job's runs have none but their peaks."""
    if history.usage.empty or history.is_job or not history.running:
        return Shapes()
    arrays = History.of(history.usage)
    found: list[Shape] = []
    since, rises = None, False
    resources: tuple[Resource, ...] = ("cpu", "memory")
    for resource in resources:
        time, pod, values = arrays.known(resource)
        if len(values) < 24:
            continue
        days = _days(time, pod, values)
        step = _step(resource, days)
        if step is not None:
            shape, ago = step
            found.append(shape)
            moment = pd.Timestamp(int(time[-1]) - ago * DAY_SECONDS, unit="s", tz="UTC")
            # Of two new levels the later one: what came before it is old for both.
            since, rises = max(since or moment, moment), rises or shape.kind is ShapeKind.STEP_UP
        if resource == "cpu":
            found += _daily_burst(time, values, history.in_force)
        found += _uneven(resource, days)
    growth = 0.0
    time, pod, memory = arrays.known("memory")
    if len(memory) >= 24 and since is None:
        leak = _leak(_days(time, pod, memory), history.in_force)
        found += [] if leak is None else [leak[0]]
        growth = 0.0 if leak is None else leak[1]
    start = _start_peak(history)
    found += [] if start is None else [start[0]]
    return Shapes(tuple(found), since, rises, growth, None if start is None else start[1])


def _days(time: Ints, pod: Ints, values: Floats) -> _Days:
    ago = (time[-1] - time) // DAY_SECONDS
    key = pod * (int(ago.max()) + 1) + ago
    order = np.argsort(key, kind="stable")
    heads = np.flatnonzero(np.diff(key[order], prepend=-1))
    counts = np.diff(np.append(heads, len(key)))
    first = order[heads]
    sums: Floats = np.add.reduceat(values[order], heads)
    peaks: Floats = np.maximum.reduceat(values[order], heads)
    return _Days(pod[first], ago[first], sums / counts, peaks)


def _by_day(days: _Days, values: Floats) -> tuple[Ints, Floats]:
    """Mean over pods for each day, the newest first."""
    numbers = np.unique(days.ago)
    means = np.array([values[days.ago == number].mean() for number in numbers])
    return numbers, means


def _step(resource: Resource, days: _Days) -> tuple[Shape, int] | None:
    """A level that every day since lies above (below) every day before."""
    numbers, level = _by_day(days, days.mean)
    if len(numbers) < 4:
        return None
    best = None
    for cut in range(1, len(numbers) - 2):
        after, before = level[:cut], level[cut:]
        up = after.min() / max(before.max(), 1e-12)
        down = before.min() / max(after.max(), 1e-12)
        ratio = max(up, down)
        if ratio >= _STEP and (best is None or ratio > best[0]):
            best = (ratio, cut, up > down)
    if best is None:
        return None
    _, cut, rises = best
    old, new = float(np.median(level[cut:])), float(np.median(level[:cut]))
    ago = int(numbers[cut - 1]) + 1
    kind = ShapeKind.STEP_UP if rises else ShapeKind.STEP_DOWN
    verb = "rose" if rises else "fell"
    when = "a day ago" if ago == 1 else f"{ago} days ago"
    text = f"{_name(resource)} {verb} from {_text(resource, old)} to {_text(resource, new)} {when}"
    return Shape(kind, resource, text), ago


def _leak(days: _Days, sizes: Sizes) -> tuple[Shape, float] | None:
    """Memory of a pod that peaks every day above the day before."""
    best, level = 0.0, 0.0
    for pod in np.unique(days.pod[days.ago == 0]):
        mine = days.pod == pod
        order = np.argsort(-days.ago[mine])
        ago, peak = days.ago[mine][order], days.peak[mine][order]
        if len(peak) < _LEAK_DAYS:
            continue
        steps = np.diff(peak) / np.diff(-ago)
        grown = peak[-1] - peak[0]
        # Warming up fills a cache and slows down: the later half must grow like the earlier one.
        late = steps[len(steps) // 2 :].mean()
        steady = (steps > -0.002 * peak[:-1]).all() and late > 0.5 * steps.mean()
        if steady and grown > _LEAK_GROWTH * peak[0] and late >= max(_LEAK_LEAST, best):
            best, level = float(late), float(peak[-1])
    if not best:
        return None
    text = f"memory grows by {format_memory(best)} a day and is at {format_memory(level)}"
    for name, size in (("request", sizes.memory_request), ("limit", sizes.memory_limit)):
        if size is not None:
            left = (size - level) / best
            text += f", {'past' if left <= 0 else f'in {left:.0f} days past'} its {name}"
    return Shape(ShapeKind.LEAK, "memory", text), best


def _daily_burst(time: Ints, cpu: Floats, sizes: Sizes) -> Iterator[Shape]:
    """One to three hours of the day that are many times as busy as the others, day after day."""
    span_days = (time[-1] - time[0]) / DAY_SECONDS
    if span_days < 3:
        return
    hour = (time - 1) % DAY_SECONDS // 3600
    day = (time - 1) // DAY_SECONDS
    counts = np.bincount(hour, minlength=24)
    if (counts == 0).any():
        return
    means = np.bincount(hour, weights=cpu, minlength=24) / counts
    usual = float(np.median(means))
    busy = np.flatnonzero(means > _BURST * max(usual, 1e-9))
    if not 1 <= len(busy) <= 3:
        return
    inside = np.isin(hour, busy)
    nights = [cpu[inside & (day == one)] for one in np.unique(day[inside])]
    repeated = np.mean([part.mean() > _BURST * usual for part in nights])
    if len(nights) < 3 or repeated < 0.7:
        return
    level = float(np.median(cpu[inside]))
    request = sizes.cpu_request
    times = "" if not request else f", {level / request:.1f} times its request"
    hours = f"{busy[0]:02d}:00" if len(busy) == 1 else f"{busy[0]:02d}:00 to {busy[-1] + 1:02d}:00"
    text = f"each day about {hours} UTC CPU is {format_cpu(level)}{times}; else {format_cpu(usual)}"
    yield Shape(ShapeKind.DAILY_BURST, "cpu", text)


def _uneven(resource: Resource, days: _Days) -> Iterator[Shape]:
    """One pod that is many times as busy as its siblings."""
    recent = days.ago <= 1
    pods = np.unique(days.pod[recent])
    if len(pods) < 3:
        return
    level = np.array([days.mean[recent & (days.pod == pod)].mean() for pod in pods])
    top = int(np.argmax(level))
    others = float(np.median(np.delete(level, top)))
    if others > 0 and level[top] >= _UNEVEN * others:
        text = (
            f"one pod of {len(pods)} uses {level[top] / others:.0f} times the {_name(resource)} of "
            f"its siblings ({_text(resource, float(level[top]))} against {_text(resource, others)})"
        )
        yield Shape(ShapeKind.UNEVEN_POD, resource, text)


def _start_peak(history: ContainerHistory) -> tuple[Shape, float] | None:
    """Memory in the first minutes of a run against that of the rest."""
    usage, run = history.usage, history.presence.run
    memory = usage["memory"].to_numpy(dtype=float)
    time = pd.DatetimeIndex(usage["time"]).as_unit("s").asi8
    firsts = np.full(int(run.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(firsts, run, time)
    begun = firsts > time[0]
    starting = (time - firsts[run] < _START_SECONDS) & begun[run]
    known = np.isfinite(memory)
    early, later = memory[starting & known], memory[~starting & known]
    if not early.size or not later.size or early.max() < _START * later.max():
        return None
    text = (
        f"memory peaks at {format_memory(early.max())} while it starts and stays below "
        f"{format_memory(later.max())} afterwards: the request is for the latter, the limit for the start"
    )
    return Shape(ShapeKind.START_UP, "memory", text), float(early.max())


def _name(resource: Resource) -> str:
    return "CPU" if resource == "cpu" else "memory"


def _text(resource: Resource, value: float) -> str:
    return format_cpu(value) if resource == "cpu" else format_memory(value)
