"""What sizes would have meant on usage they were not fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rightsize.results import Sizes
from rightsize.sizing.policies.arrays import DAY_SECONDS, History

HIT_DAYS = 7
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Rates:
    """What a core-hour and a GiB-hour cost; None where that is not known."""

    usd_per_core_hour: float | None = None
    usd_per_gib_hour: float | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """One size on one stretch of usage. NaN where the usage or the size is not known."""

    cpu_slack: float
    """Mean of max(0, 1 - CPU / request) over windows."""
    cpu_above: float
    """Share of windows with more CPU than the request."""
    throttled: float
    """Share of windows with a mean CPU above the limit: a lower bound of throttling, since
    5-minute means hide bursts. NaN without a limit."""
    memory_slack: float
    """Mean of max(0, 1 - memory / request)."""
    memory_limit_slack: float
    """The same for the limit."""
    memory_above: float
    """Share of windows with more memory than the request."""
    memory_hit: float
    """Share of a pod's 7-day windows with memory above the limit: an OOM kill. NaN without one."""
    pods: float
    """Mean number of pods at once."""


def score(sizes: Sizes, usage: History) -> Score:
    """Score sizes on usage.

    Parameters
    ----------
    usage : History
        What came after the history that the sizes were fitted on.
    """
    cpu = usage.known("cpu")[2]
    times, pods, memory = usage.known("memory")
    cpu_slack, cpu_above = _against(cpu, sizes.cpu_request)
    throttled = _against(cpu, sizes.cpu_limit)[1]
    memory_slack, memory_above = _against(memory, sizes.memory_request)
    limit_slack = _against(memory, sizes.memory_limit)[0]
    hit = float("nan")
    if sizes.memory_limit is not None and memory.size:
        week = (times - usage.time[0]) // (HIT_DAYS * DAY_SECONDS)
        windows = pods * (int(week.max()) + 1) + week
        over = np.unique(windows[memory > sizes.memory_limit]).size
        hit = over / np.unique(windows).size
    moments = np.count_nonzero(np.diff(usage.time)) + 1 if usage.time.size else 1
    return Score(
        cpu_slack,
        cpu_above,
        throttled,
        memory_slack,
        limit_slack,
        memory_above,
        hit,
        usage.time.size / moments,
    )


def usd_per_hour(sizes: Sizes, pods: float, rates: Rates) -> float:
    """What the requests of `pods` pods cost; NaN where a price or a size is not known."""
    parts = (
        (sizes.cpu_request, rates.usd_per_core_hour),
        (None if sizes.memory_request is None else sizes.memory_request / GIB,
         rates.usd_per_gib_hour),
    )  # fmt: skip
    if any(size is not None and rate is None for size, rate in parts):
        return float("nan")
    costs = [size * rate for size, rate in parts if size is not None and rate is not None]
    return sum(costs) * pods if costs else float("nan")


def _against(used: np.ndarray, size: float | None) -> tuple[float, float]:
    """Mean unused share and share above, of one column against one size."""
    if size is None or not used.size:
        return float("nan"), float("nan")
    above = float(np.count_nonzero(used > size) / used.size)
    if size <= 0:
        return 0.0, above
    return float(np.maximum(0.0, 1.0 - used / size).mean()), above
