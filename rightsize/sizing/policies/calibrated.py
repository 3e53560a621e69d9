"""The policy behind the profiles: the quantile that the price of each error picks.

A single percentile for all pods spends its risk badly. Where usage is flat, covering the last per
cent costs nearly nothing; where it bursts to ten times its level, covering it wastes nine tenths
of the request. So each pod's request minimises what it wastes plus the price of what it misses,
over a history in which old windows weigh less, and never above the risk that the profile allows.

Memory has two answers. The request reserves a node's memory and is set as for CPU, at a much
higher price. The limit kills, so it is set from the law of daily peaks: each peak seen is blurred
by a logistic kernel on a log scale; its width grows with the spread of the peaks, and the
resulting distribution is raised to the number of days ahead, since the peak of seven days stays
below a level only if each day's does. The kernel's tail falls like a power of the level; beyond
the peaks seen it extrapolates, and `rules_` says so.

What was tried and left out for want of gain in the back-test is listed in `docs/policies.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rightsize.results import Resource, Sizes
from rightsize.sizing.policies.arrays import DAY_SECONDS, Sizing
from rightsize.sizing.policies.base import Floats
from rightsize.sizing.policies.daily import Daily, DailyPolicy, Measured, age_weights, by_week
from rightsize.snapshot.histogram import Histogram
from rightsize.snapshot.summary_table import PEAKS

_GRID = 400
_LOGISTIC = 1.702
"""Scale at which a logistic law comes closest to the normal one (Camilli, 1994)."""
_POD_WINDOWS = 288
"""A day of windows: below, a pod says too little of its own level."""
_MIN_WINDOWS = 50
"""Fewer windows than this cannot show a risk of a few per cent."""


@dataclass(frozen=True, slots=True)
class Priced:
    """A level, and the weighted share of the history above it."""

    level: float
    above: float


class CalibratedPolicy(DailyPolicy):
    """Requests by the price of each error, memory limits by the law of daily peaks.

    Parameters
    ----------
    cpu_price : float
        Price of having every window above the CPU request, in whole wasted requests: 4.2 says
        that 1 % of the windows above it is as bad as 4.2 % of the request unused.
    cpu_risk : float
        Highest share of windows above the CPU request, pods pooled, in the weighted history.
    busiest_pod_risk : float
        The same for each pod that still runs, where there are several: pods are taken to be alike
        until one is busier all the time, as a leader is.
    memory_price, memory_request_risk : float
        The same for the memory request.
    memory_risk : float
        Highest probability that a pod's memory passes its limit within `horizon_days`.
    kill_price : float
        Price of one kill in the horizon, in whole wasted limits; it may ask for more than
        `memory_risk` does where more costs little.
    memory_blur : float
        Width of the kernel, in standard deviations of the log of the daily peaks.
    memory_blur_least : float
        Least width, as a share of the level: memory that never moved may still move.
    half_life_days : float
        After which a day's windows weigh half.
    horizon_days : float
        Days ahead for which the memory limit holds.
    cpu_limit_margin : float
        Share added to the highest CPU for the limit: 5-minute means hide bursts.
    """

    def __init__(
        self,
        cpu_price: float = 4.2,
        cpu_risk: float = 0.06,
        busiest_pod_risk: float = 0.15,
        memory_price: float = 40.0,
        memory_request_risk: float = 0.01,
        memory_risk: float = 0.08,
        kill_price: float = 2.0,
        memory_blur: float = 0.3,
        memory_blur_least: float = 0.04,
        half_life_days: float = 14.0,
        horizon_days: float = 7.0,
        cpu_limit_margin: float = 1.0,
    ) -> None:
        self.cpu_price = cpu_price
        self.cpu_risk = cpu_risk
        self.busiest_pod_risk = busiest_pod_risk
        self.memory_price = memory_price
        self.memory_request_risk = memory_request_risk
        self.memory_risk = memory_risk
        self.kill_price = kill_price
        self.memory_blur = memory_blur
        self.memory_blur_least = memory_blur_least
        self.half_life_days = half_life_days
        self.horizon_days = horizon_days
        self.cpu_limit_margin = cpu_limit_margin

    def size_daily(self, daily: Daily) -> Sizing:
        cpu_request = cpu_limit = memory_request = memory_limit = None
        rules: dict[Resource, str] = {}
        abstained: dict[Resource, str] = {}
        if daily.cpu.tally.counts.size:
            chosen = self._priced(daily, daily.cpu, self.cpu_price, self.cpu_risk)
            busiest = self._busiest_pod(daily)
            cpu_request = max(chosen.level, busiest)
            peak = float(daily.cpu.tally.highest.max())
            cpu_limit = max(peak * (1 + self.cpu_limit_margin), cpu_request)
            rules["cpu"] = (
                f"{chosen.above:.1%} of windows above, by price of waste and shortage"
                if chosen.level >= busiest
                else f"{self.busiest_pod_risk:.0%} of the busiest pod's windows above"
            )
            _note_unpredictable(daily, "cpu", abstained)
        if daily.memory.tally.counts.size:
            memory_limit, risk = self._memory_limit(daily)
            priced = self._priced(daily, daily.memory, self.memory_price, self.memory_request_risk)
            memory_request = min(priced.level * (1 + self.memory_blur_least), memory_limit)
            rules["memory"] = (
                f"limit passed in {risk:.0%} of {self.horizon_days:g}-day windows, "
                "extrapolated from daily peaks"
            )
            _note_unpredictable(daily, "memory", abstained)
        sizes = Sizes(cpu_request, cpu_limit, memory_request, memory_limit)
        return Sizing(sizes, {"cpu": "no usage", "memory": "no usage", **rules}, abstained)

    def _priced(self, daily: Daily, measured: Measured, price: float, risk: float) -> Priced:
        weights = age_weights(daily, measured, self.half_life_days)
        return priced_level(measured.tally.pooled(weights), price, risk)

    def _busiest_pod(self, daily: Daily) -> float:
        """Level that the busiest of several pods, seen for a day and still there, may pass."""
        tally = daily.cpu.tally
        pod, pods = daily.pod, int(daily.pod.max()) + 1
        windows = np.bincount(pod, weights=tally.windows(), minlength=pods)
        if np.count_nonzero(windows) < 2:
            return 0.0
        last = np.zeros(pods, dtype=np.int64)
        np.maximum.at(last, pod, daily.last)
        lasting = (windows >= _POD_WINDOWS) & (last > daily.last.max() - DAY_SECONDS)
        part = tally.take(np.flatnonzero(lasting[pod]))
        owner = np.repeat(pod[lasting[pod]], np.diff(part.start))
        order = np.lexsort((part.highest, owner))
        owner, counted = owner[order], np.cumsum(part.seconds[order])
        heads = np.flatnonzero(np.diff(owner, prepend=-1))
        edges = np.concatenate([[0.0], counted])[np.append(heads, owner.size)]
        before, unit = edges[:-1], np.diff(edges) / windows[owner[heads]]
        # The value of this rank, as numpy.quantile with method "higher".
        rank = np.ceil((windows[owner[heads]] - 1) * (1 - self.busiest_pod_risk)) * unit
        levels = part.highest[order][np.searchsorted(counted, before + rank, side="right")]
        return float(levels.max(initial=0.0))

    def _memory_limit(self, daily: Daily) -> tuple[float, float]:
        """The limit in bytes, and the probability that memory passes it in the horizon."""
        peaks, ahead, seen = block_peaks(daily, self.horizon_days)
        logs = np.log(np.maximum(peaks, 1.0))
        # Few peaks understate the spread to come: below two horizons the kernel widens.
        few = max(1.0, 2 * ahead / seen)
        width = float(np.hypot(self.memory_blur * few * logs.std(), self.memory_blur_least))
        grid = np.linspace(logs.min(), logs.max() + max(8 * width, 0.5), _GRID)
        passed = passing_probability(grid, logs, width, ahead)
        levels = np.exp(grid)
        allowed = passed <= max(self.memory_risk, float(passed[-1]))
        loss = unused_share(daily.memory.tally.pooled(), levels) + self.kill_price * passed
        best = int(np.argmin(np.where(allowed, loss, np.inf)))
        return float(levels[best]), float(passed[best])


def priced_level(usage: Histogram, price: float, risk: float) -> Priced:
    """Level with the least mean unused share plus `price` times the share of windows above.

    The loss at level `r` is `E[max(0, 1 - u / r)] + price * P(u > r)`. Between two values seen it
    only grows, so the minimum lies at one of them; the highest of each bucket is tried. The share
    above the k-th of n exchangeable windows is (n + 1 - k) / (n + 1) in expectation for the next one,
    not (n - k) / n; the bound on the risk uses the former, as split-conformal prediction does.

    Parameters
    ----------
    usage : Histogram
        Usage, and what each window counts.
    risk : float
        Levels with more than this share above them are not taken; the highest always may be.
    """
    level, windows = usage.highest, usage.windows
    weight = usage.weights / usage.weights.sum()
    covered, load = np.cumsum(weight), np.cumsum(weight * level)
    above = np.maximum(1 - covered, 0.0)
    expected = (above * windows + 1) / (windows + 1)
    allowed = expected <= risk
    allowed[-1] = True
    with np.errstate(invalid="ignore", divide="ignore"):
        unused = np.where(level > 0, covered - load / level, 0.0)
    loss = np.where(allowed, unused + price * above, np.inf)
    best = int(np.argmin(loss))
    return Priced(float(level[best]), float(above[best]))


def block_peaks(daily: Daily, horizon_days: float) -> tuple[Floats, float, float]:
    """Highest memory of each pod in each block of time, the blocks in the horizon and in history.

    A block is a UTC day; in a history below four days it is two hours, and the horizon is no longer
    than the history: hours say nothing on weeks. Two, since longer ones leave a history of half a day
    two or three peaks, which hide how memory grows.
    """
    span = float(daily.last.max() - daily.first.min()) + 300.0
    if span >= 4 * DAY_SECONDS:
        length, peaks = float(DAY_SECONDS), daily.memory.tally.peaks()
    else:
        length, peaks = DAY_SECONDS / PEAKS, daily.peaks.ravel()
    return peaks[~np.isnan(peaks)], min(horizon_days * DAY_SECONDS, span) / length, span / length


def passing_probability(grid: Floats, peaks: Floats, width: float, ahead: float) -> Floats:
    """Probability that the highest of `ahead` blocks passes each level; all on a log scale."""
    # Pods of a large workload share few distinct peaks: a histogram bounds the work.
    if peaks.size > 4 * _GRID:
        counts, edges = np.histogram(peaks, bins=_GRID)
        centres, counts = edges[1:][counts > 0], counts[counts > 0] / peaks.size
    else:
        centres, counts = peaks, np.full(peaks.size, 1 / peaks.size)
    scaled = np.clip(_LOGISTIC * (grid[:, None] - centres[None, :]) / width, -50, 50)
    below = (1 / (1 + np.exp(-scaled))) @ counts
    passing: Floats = 1 - below**ahead
    return passing


def unused_share(usage: Histogram, levels: Floats) -> Floats:
    """Mean of `max(0, 1 - u / level)` for each level."""
    below = np.searchsorted(usage.highest, levels)
    count = np.concatenate([[0.0], np.cumsum(usage.weights)])[below]
    load = np.concatenate([[0.0], np.cumsum(usage.weights * usage.highest)])[below]
    share: Floats = (count - load / levels) / usage.weights.sum()
    return share


def _note_unpredictable(daily: Daily, resource: Resource, abstained: dict[Resource, str]) -> None:
    measured = daily.of_resource(resource)
    windows = int(measured.tally.counts.sum())
    if windows < _MIN_WINDOWS:
        abstained[resource] = f"{windows} windows are too few to know a risk of a few per cent"
        return
    shifts, weeks = level_shifts(by_week(daily, measured))
    if weeks >= 4 and shifts == weeks - 1:
        abstained[resource] = f"its level shifted in each of the last {weeks} weeks"


def level_shifts(weeks: Sequence[Histogram], factor: float = 2.0) -> tuple[int, int]:
    """How often the median of a week is off that of the week before by `factor`, and the weeks."""
    medians = np.array([week.quantile(0.5) for week in weeks if week.windows >= 12])
    if medians.size < 2:
        return 0, medians.size
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.abs(np.log(medians[1:] / medians[:-1]))
    return int(np.count_nonzero(ratio > np.log(factor))), medians.size
