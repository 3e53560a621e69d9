"""What a recommendation rests on: quantiles, coverage, throttling, kills."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from rightsize.results import Evidence
from rightsize.sizing.history import ContainerHistory


def evidence_of(history: ContainerHistory) -> Evidence | None:
    """Evidence of one container's history; None where it was never sampled."""
    daily = history.daily
    if not daily.rows:
        return None
    start, end = (
        pd.Timestamp(int(moment), unit="s", tz="UTC").to_pydatetime()
        for moment in (daily.first.min(), daily.last.max())
    )
    return Evidence(
        start=start,
        end=end,
        days=days_between(start, end),
        pods=np.unique(daily.pod).size,
        windows=int(daily.windows.sum()),
        cpu=replace(daily.cpu.tally.pooled().usage, burst=history.cpu_burst),
        memory=daily.memory.tally.pooled().usage,
        throttled_share=throttled_share(history),
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


def throttled_share(history: ContainerHistory) -> float | None:
    """Throttled CFS periods / CFS periods, of the pods that ran with the limit now in force.

    Throttling under an older, smaller limit says nothing against today's.
    """
    limit, records = history.in_force.cpu_limit, history.records
    if limit is None:
        return None
    same = np.isclose(history.pod_cpu_limit, limit, rtol=1e-6)
    periods = float(np.nansum(records.periods[same]))
    if periods == 0:
        return None
    return float(np.nansum(records.throttled_periods[same])) / periods
