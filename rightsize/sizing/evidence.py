"""What a recommendation rests on: quantiles, coverage, throttling, kills."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from rightsize.results import Evidence, Usage
from rightsize.sizing.history import ContainerHistory
from rightsize.sizing.policies.base import finite


def summarise(values: pd.Series) -> Usage:
    """Median, p95, p99 and peak of the known windows of all pods (linear interpolation)."""
    known = finite(values)
    if not known.size:
        return Usage()
    p50, p95, p99 = np.percentile(known, [50, 95, 99])
    return Usage(float(p50), float(p95), float(p99), float(known.max()))


def evidence_of(history: ContainerHistory) -> Evidence | None:
    """Evidence of one container's history; None where it was never sampled."""
    usage = history.usage
    if usage.empty:
        return None
    return Evidence(
        start=usage["time"].min().to_pydatetime(),
        end=usage["time"].max().to_pydatetime(),
        days=history_days(usage["time"]),
        pods=int(usage["pod"].nunique()),
        windows=len(usage),
        cpu=summarise(usage["cpu"]),
        memory=summarise(usage["memory"]),
        throttled_share=throttled_share(usage, history.in_force.cpu_limit),
        oom_kills=history.events.oom_kills,
        restarts=history.events.restarts,
        coverage=history.presence.coverage,
        runs=history.presence.runs if history.is_job else None,
    )


def history_days(times: pd.Series) -> float:
    """Calendar days from the beginning of the first window to the end of the last."""
    return days_between(times.min(), times.max())


def days_between(start: datetime, end: datetime) -> float:
    """The same from the ends of the first and of the last window."""
    return (end - start + timedelta(minutes=5)) / timedelta(days=1)


def throttled_share(usage: pd.DataFrame, cpu_limit: float | None) -> float | None:
    """Throttled CFS periods / CFS periods, of the pods that ran with the limit now in force.

    Throttling under an older, smaller limit says nothing against today's.
    """
    if cpu_limit is None:
        return None
    same = np.isclose(usage["pod_cpu_limit"].to_numpy(dtype=float), cpu_limit, rtol=1e-6)
    periods = float(np.nansum(usage["periods"].to_numpy(dtype=float)[same]))
    if periods == 0:
        return None
    return float(np.nansum(usage["throttled_periods"].to_numpy(dtype=float)[same])) / periods
