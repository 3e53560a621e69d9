"""Shapes of usage that a quantile hides: each is named, with its figures, beside the size.

All work on figures of each pod's UTC days: a few hundred numbers, whatever the number of windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from rightsize.quantity import MEBIBYTE, format_cpu, format_memory
from rightsize.results import Resource, Shape, ShapeKind, Sizes
from rightsize.sizing.history import ContainerHistory
from rightsize.sizing.policies.arrays import DAY_SECONDS, Ints
from rightsize.sizing.policies.base import Floats
from rightsize.sizing.policies.daily import Daily, Measured

_STEP = 1.5
"""The new level's days all lie this much above (below) every day before."""
_LEAK_DAYS = 4
_LEAK_GROWTH = 0.05
_LEAK_LEAST = 1.0 * MEBIBYTE
_BURST = 4.0
"""An hour of the day is a burst where its mean is this many times the median hour's."""
_SHORT_BURST = 3.0
"""Of the highest 5 minutes; rates over two scrapes are above these by themselves."""
_UNEVEN = 4.0
_START = 1.5


@dataclass(frozen=True)
class NewLevel:
    """Since when one resource is used at another level.

    Attributes
    ----------
    since : int
        The day on which it began, in days since the epoch.
    rises : bool
        It is the higher one.
    """

    since: int
    rises: bool


@dataclass(frozen=True)
class Shapes:
    """The shapes found, and what follows for sizes.

    Attributes
    ----------
    found : tuple of Shape
    levels : mapping of Resource to NewLevel
        Of resources whose level changed.
    growth : float
        Bytes a day by which memory grows; 0 where it does not.
    start_request : float or None
        Bytes that each pod must request for a rollout's start to fit on a node; None where it fits.
    """

    found: tuple[Shape, ...] = ()
    levels: Mapping[Resource, NewLevel] = field(default_factory=dict)
    growth: float = 0.0
    start_request: float | None = None


@dataclass(frozen=True)
class _Days:
    """Means and peaks of each pod on each day; days count back from the newest."""

    pod: Ints
    ago: Ints
    mean: Floats
    peak: Floats


def shapes_of(history: ContainerHistory, free_memory: float | None = None) -> Shapes:
    """Name the shapes of one container's usage; a job's runs have none but their peaks.

    Parameters
    ----------
    free_memory : float, optional
        Bytes that no pod requests on a node of its pods.
    """
    daily = history.daily
    if not daily.rows or history.is_job or not history.running:
        return Shapes()
    found: list[Shape] = []
    levels: dict[Resource, NewLevel] = {}
    newest = int(daily.day.max())
    resources: tuple[Resource, ...] = ("cpu", "memory")
    known = {name: int(daily.of_resource(name).tally.counts.sum()) >= 24 for name in resources}
    for resource in resources:
        if not known[resource]:
            continue
        days = _days(daily, daily.of_resource(resource))
        step = _step(resource, days)
        if step is not None:
            shape, ago = step
            found.append(shape)
            levels[resource] = NewLevel(newest + 1 - ago, shape.kind is ShapeKind.STEP_UP)
        if resource == "cpu":
            found += _daily_burst(history)
            found += _short_burst(history, days)
        found += _uneven(resource, days)
    growth = 0.0
    if known["memory"] and not levels:
        leak = _leak(_days(daily, daily.memory), history.in_force)
        found += [] if leak is None else [leak[0]]
        growth = 0.0 if leak is None else leak[1]
    start = _start_peak(history, free_memory)
    found += [] if start is None else [start[0]]
    return Shapes(tuple(found), levels, growth, None if start is None else start[1])


def _days(daily: Daily, measured: Measured) -> _Days:
    windows = measured.tally.windows()
    ago = daily.day.max() - daily.day
    known = windows > 0
    # Less than half a day says nothing on the day.
    if 2 * (daily.last[ago == 0].max() - daily.day.max() * DAY_SECONDS) < DAY_SECONDS:
        known &= (ago > 0) | (ago.max() == 0)
    peak = measured.tally.peaks()[known]
    # Of steady usage the mean is the peak; a sum is off by a rounding.
    mean = np.minimum(measured.sums[known] / windows[known], peak)
    return _Days(daily.pod[known], ago[known], mean, peak)


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
    for pod in np.unique(days.pod[days.ago == days.ago.min()]):
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


def _daily_burst(history: ContainerHistory) -> Iterator[Shape]:
    """One to three hours of the day that are many times as busy as the others, day after day."""
    daily, records = history.daily, history.records
    if daily.last.max() - daily.first.min() < 3 * DAY_SECONDS:
        return
    counts = records.hour_windows.sum(axis=0)
    if (counts == 0).any():
        return
    means = records.hours.sum(axis=0) / counts
    usual = float(np.median(means))
    busy = np.flatnonzero(means > _BURST * max(usual, 1e-9))
    if not 1 <= len(busy) <= 3:
        return
    days, row = np.unique(daily.day, return_inverse=True)
    sums, windows = (
        np.bincount(row, part[:, busy].sum(axis=1), days.size)
        for part in (records.hours, records.hour_windows)
    )
    nights = sums[windows > 0] / windows[windows > 0]
    if len(nights) < 3 or np.mean(nights > _BURST * usual) < 0.7:
        return
    level = float(np.median(nights))
    request = history.in_force.cpu_request
    times = "" if not request else f", {level / request:.1f} times its request"
    hours = f"{busy[0]:02d}:00" if len(busy) == 1 else f"{busy[0]:02d}:00 to {busy[-1] + 1:02d}:00"
    text = f"each day about {hours} UTC CPU is {format_cpu(level)}{times}; else {format_cpu(usual)}"
    yield Shape(ShapeKind.DAILY_BURST, "cpu", text)


def _short_burst(history: ContainerHistory, days: _Days) -> Iterator[Shape]:
    """CPU of less than a minute far above the highest 5 minutes."""
    burst, peak, limit = history.cpu_burst, float(days.peak.max()), history.in_force.cpu_limit
    if burst is None or burst < _SHORT_BURST * peak:
        return
    against = "" if limit is None else f"; its limit is {format_cpu(limit)}"
    text = (
        f"CPU bursts to {format_cpu(burst)} for less than a minute, which 5-minute means hide (their "
        f"peak is {format_cpu(peak)}){against}"
    )
    yield Shape(ShapeKind.SHORT_BURST, "cpu", text)


def _uneven(resource: Resource, days: _Days) -> Iterator[Shape]:
    """One pod that is many times as busy as its siblings."""
    recent = days.ago <= days.ago.min() + 1
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


def _start_peak(
    history: ContainerHistory, free_memory: float | None
) -> tuple[Shape, float | None] | None:
    """Memory in the first minutes of a run against that of the rest, and what a rollout asks for."""
    daily, records, runs = history.daily, history.records, history.presence
    # A row is the start of a run where it begins with the run's first window.
    begins = np.isin(_moments(daily.pod, daily.first), _moments(runs.pod, runs.first))
    later = np.where(begins, records.later, daily.memory.tally.peaks())
    # What ran when the snapshot begins may have started before: its first windows are neither.
    starts = begins & (daily.first > daily.first.min())
    early = float(np.fmax.reduce(records.start[starts], initial=0.0))
    usual = float(np.fmax.reduce(later, initial=0.0))
    if not usual or early < _START * usual:
        return None
    text = (
        f"memory peaks at {format_memory(early)} while it starts and stays below "
        f"{format_memory(usual)} afterwards: the request is for the latter, the limit for the start"
    )
    at_once = _started_at_once(history)
    more, request = at_once * (early - usual), None
    if at_once:
        starts = "one pod at a time" if at_once == 1 else f"up to {at_once} of its pods at once"
        text += (
            f"; a rollout starts {starts}, and a node that takes "
            f"{'it' if at_once == 1 else 'them all'} needs {format_memory(more)} beyond requests"
        )
    if at_once and free_memory is not None:
        text += f": {format_memory(free_memory)} are free on its nodes"
        if more > free_memory:
            request = early - free_memory / at_once
            text += f", so each pod would have to request {format_memory(request)}"
    return Shape(ShapeKind.START_UP, "memory", text), request


def _started_at_once(history: ContainerHistory) -> int:
    """Pods that a rolling update may start together, by Kubernetes' defaults.

    A Deployment's `maxSurge` and `maxUnavailable` are 25 % each, the first rounded up and the
    second down; a StatefulSet starts one.
    """
    runs = history.presence
    if not history.running or runs.runs == 0 or history.is_job:
        return 0
    pods = int((runs.final >= runs.final.max()).sum())
    rolling = history.kind in ("Deployment", "ReplicaSet", "Rollout")
    return -(-pods // 4) + pods // 4 if rolling else 1


def _moments(pod: Ints, time: Ints) -> Ints:
    """One number for a pod and a moment."""
    return pod * 2**36 + time


def _name(resource: Resource) -> str:
    return "CPU" if resource == "cpu" else "memory"


def _text(resource: Resource, value: float) -> str:
    return format_cpu(value) if resource == "cpu" else format_memory(value)
