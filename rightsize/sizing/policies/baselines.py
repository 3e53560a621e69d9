"""The recommenders people know, as policies, so that they can be scored on the same history.

Sources: KRR 1.x (`strategies/simple.py` of robusta-dev/krr), the Vertical Pod Autoscaler's
recommender (`pkg/recommender` of kubernetes/autoscaler), and Rzadca et al., "Autopilot: workload
autoscaling at Google", EuroSys 2020. Floors are off by default: usage of the size of a sidecar
lies below them, and a comparison with floors would compare the floors.
"""

from __future__ import annotations

import numpy as np

from rightsize.results import Sizes
from rightsize.sizing.policies.arrays import DAY_SECONDS, ArrayPolicy, History, Ints, Sizing
from rightsize.sizing.policies.base import Floats
from rightsize.sizing.policies.daily import Daily, DailyPolicy

MIB = 2**20


class KRRPolicy(ArrayPolicy):
    """KRR's `simple` strategy: the busiest pod's p95 of CPU, peak of memory plus 15 %.

    Parameters
    ----------
    cpu_percentile : float
        Percentile (0-100) of each pod's CPU; the highest pod counts. No CPU limit is set.
    memory_buffer : float
        Share added to the highest memory; request and limit are equal.
    floors : bool
        Apply KRR's smallest sizes, 10 millicores and 100 MiB.
    """

    def __init__(
        self, cpu_percentile: float = 95.0, memory_buffer: float = 0.15, floors: bool = False
    ) -> None:
        self.cpu_percentile = cpu_percentile
        self.memory_buffer = memory_buffer
        self.floors = floors

    def size(self, history: History) -> Sizing:
        _, pods, cpu = history.known("cpu")
        memory = history.known("memory")[2]
        cpu_request = memory_size = None
        if cpu.size:
            each = _by_pod(pods, cpu)
            cpu_request = max(float(np.percentile(one, self.cpu_percentile)) for one in each)
            cpu_request = max(cpu_request, 0.01) if self.floors else cpu_request
        if memory.size:
            memory_size = float(memory.max()) * (1 + self.memory_buffer)
            memory_size = max(memory_size, 100 * MIB) if self.floors else memory_size
        return Sizing(
            Sizes(cpu_request, None, memory_size, memory_size),
            {
                "cpu": f"KRR: highest p{self.cpu_percentile:g} of a pod",
                "memory": f"KRR: peak + {self.memory_buffer:.0%}",
            },
        )


class VPAPolicy(ArrayPolicy):
    """The Vertical Pod Autoscaler's target: p90 of a decaying histogram plus 15 %.

    CPU samples weigh `2 ** (t / half-life)`; memory enters as the peak of each pod in each
    24 hours from its first window. Buckets grow by 5 %, and a percentile is the end of its bucket.
    VPA scales limits in proportion to requests; the memory limit given here assumes equal ones.

    Parameters
    ----------
    percentile : float
        Percentile (0-100) of both histograms.
    margin : float
        Share added.
    half_life_hours : float
        After which a sample weighs half.
    history_days : float
        Older samples are not seen.
    floors : bool
        Apply VPA's smallest sizes of a pod, 25 millicores and 250 MB.
    """

    def __init__(
        self,
        percentile: float = 90.0,
        margin: float = 0.15,
        half_life_hours: float = 24.0,
        history_days: float = 8.0,
        floors: bool = False,
    ) -> None:
        self.percentile = percentile
        self.margin = margin
        self.half_life_hours = half_life_hours
        self.history_days = history_days
        self.floors = floors

    def size(self, history: History) -> Sizing:
        recent = _last_days(history, self.history_days)
        cpu_request = memory_size = None
        times, _, cpu = recent.known("cpu")
        if cpu.size:
            cpu_request = self._target(times, cpu, first=0.01, largest=1000.0)
            cpu_request = max(cpu_request, 0.025) if self.floors else cpu_request
        times, pods, memory = recent.known("memory")
        if memory.size:
            peak_times, peaks = _daily_peaks(times, pods, memory)
            memory_size = self._target(peak_times, peaks, first=1e7, largest=1e12)
            memory_size = max(memory_size, 250e6) if self.floors else memory_size
        rule = f"VPA: decaying p{self.percentile:g} + {self.margin:.0%}"
        return Sizing(
            Sizes(cpu_request, None, memory_size, memory_size), {"cpu": rule, "memory": rule}
        )

    def _target(self, times: Ints, values: Floats, *, first: float, largest: float) -> float:
        weights = 2.0 ** ((times - times[-1]) / (self.half_life_hours * 3600))
        return histogram_percentile(
            values, weights, self.percentile / 100, first=first, largest=largest
        ) * (1 + self.margin)


class AutopilotPolicy(ArrayPolicy):
    """Autopilot's moving window, in our reading: its text was not at hand, see `docs/policies.md`.

    CPU is the percentile of the load-adjusted histogram: a sample weighs `2 ** (t / half-life)`
    times its own value, so that p95 means 95 % of the CPU-seconds were used at or below it. Memory
    is the highest of the last days (the choice for little tolerance of OOM kills). Both get a
    margin. Buckets are left out: exact values take their place.

    Parameters
    ----------
    cpu_percentile : float
        Percentile (0-100) of the load-adjusted CPU.
    half_life_hours : float
        After which a CPU sample weighs half.
    memory_days : float
        Days of which the peak counts.
    margin : float
        Share added to both.
    """

    def __init__(
        self,
        cpu_percentile: float = 95.0,
        half_life_hours: float = 12.0,
        memory_days: float = 7.0,
        margin: float = 0.15,
    ) -> None:
        self.cpu_percentile = cpu_percentile
        self.half_life_hours = half_life_hours
        self.memory_days = memory_days
        self.margin = margin

    def size(self, history: History) -> Sizing:
        cpu_request = memory_size = None
        times, _, cpu = history.known("cpu")
        if cpu.size:
            weights = 2.0 ** ((times - times[-1]) / (self.half_life_hours * 3600)) * cpu
            level = weighted_percentile(cpu, weights, self.cpu_percentile / 100)
            cpu_request = level * (1 + self.margin)
        memory = _last_days(history, self.memory_days).known("memory")[2]
        if memory.size:
            memory_size = float(memory.max()) * (1 + self.margin)
        return Sizing(
            Sizes(cpu_request, None, memory_size, memory_size),
            {
                "cpu": f"Autopilot (our reading): load-adjusted p{self.cpu_percentile:g}",
                "memory": f"Autopilot (our reading): peak of {self.memory_days:g} days",
            },
        )


class PeakMarginPolicy(DailyPolicy):
    """The peak plus a margin: what a careful person sets by hand.

    Parameters
    ----------
    margin : float
        Share added to the highest CPU and memory.
    """

    def __init__(self, margin: float = 0.2) -> None:
        self.margin = margin

    def size_daily(self, daily: Daily) -> Sizing:
        cpu, memory = (daily.of_resource(name).tally.highest for name in ("cpu", "memory"))
        cpu_request = float(cpu.max()) * (1 + self.margin) if cpu.size else None
        memory_size = float(memory.max()) * (1 + self.margin) if memory.size else None
        rule = f"peak + {self.margin:.0%}"
        return Sizing(
            Sizes(cpu_request, None, memory_size, memory_size), {"cpu": rule, "memory": rule}
        )


def histogram_percentile(
    values: Floats,
    weights: Floats,
    share: float,
    *,
    first: float,
    largest: float,
    growth: float = 1.05,
) -> float:
    """End of the bucket that holds a weighted percentile, as VPA's exponential histogram has it.

    Bucket `n` starts at `first * (growth ** n - 1) / (growth - 1)`.

    Parameters
    ----------
    values, weights : float64 arrays of shape (n,)
    share : float
        Between 0 and 1.
    first, largest : float
        Width of the first bucket and start of the last one, in the unit of the values.
    growth : float
        Ratio of the widths of neighbouring buckets.
    """
    step = growth - 1

    def bucket(value: Floats | float) -> Ints:
        exact = np.log1p(np.asarray(value, dtype=np.float64) * step / first) / np.log(growth)
        whole: Ints = np.floor(exact).astype(np.int64)
        return whole

    last = int(bucket(largest)) + 1
    index = np.where(values < first, 0, np.minimum(bucket(values), last))
    totals = np.bincount(index, weights=weights)
    reached = np.cumsum(totals) >= share * totals.sum()
    found = int(np.argmax(reached))
    end = found if found >= last else found + 1
    return float(first * (growth**end - 1) / step)


def weighted_percentile(values: Floats, weights: Floats, share: float) -> float:
    """Smallest value below or at which `share` of the weight lies; the highest if none weighs."""
    order = np.argsort(values, kind="stable")
    heaped = np.cumsum(weights[order])
    if heaped[-1] <= 0:
        return float(values[order[-1]])
    found = int(np.searchsorted(heaped, share * heaped[-1] * (1 - 1e-12)))
    return float(values[order[min(found, values.size - 1)]])


def _by_pod(pods: Ints, values: Floats) -> list[Floats]:
    order = np.argsort(pods, kind="stable")
    cuts = np.flatnonzero(np.diff(pods[order])) + 1
    return np.split(values[order], cuts)


def _last_days(history: History, days: float) -> History:
    if not history.time.size:
        return history
    end = int(history.time[-1])
    return history.between(end - int(days * DAY_SECONDS), end)


def _daily_peaks(times: Ints, pods: Ints, values: Floats) -> tuple[Ints, Floats]:
    """Highest value of each pod in each 24 hours from its first window, with its end, in order."""
    codes = np.unique(pods, return_inverse=True)[1]
    firsts = np.full(int(codes.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(firsts, codes, times)
    days = (times - firsts[codes]) // DAY_SECONDS
    blocks, which = np.unique(codes * 100_000 + days, return_inverse=True)
    peaks = np.full(blocks.size, -np.inf)
    np.maximum.at(peaks, which, values)
    ends = firsts[blocks // 100_000] + (blocks % 100_000 + 1) * DAY_SECONDS
    order = np.argsort(ends, kind="stable")
    return ends[order], peaks[order]
