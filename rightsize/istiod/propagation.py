"""How long a change takes to reach the proxies, where that time goes, and what to do about it.

`pilot_proxy_convergence_time` is the delay from a change in the configuration until a proxy has
it. Its parts have histograms of their own: debounce (waiting for more changes), queue (waiting
for a push slot), push (making the configuration), send (writing it to the proxy).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rightsize.istiod.histograms import (
    BucketQuantile,
    bucket_quantile,
    buckets_of,
)
from rightsize.istiod.slow_propagation import (
    IstiodCpu,
    SlowPropagation,
    Stage,
    explain,
)

SLOW_SECONDS = 10.0
"""p99 of convergence above which propagation is a finding and nothing of istiod is cut."""
CONVERGENCE = "pilot_proxy_convergence_time"
_STAGES: tuple[tuple[Stage, str], ...] = (
    ("debounce", "pilot_debounce_time"),
    ("queue", "pilot_proxy_queue_time"),
    ("push", "pilot_xds_push_time"),
    ("network", "pilot_xds_send_time"),
)


@dataclass(frozen=True, slots=True)
class Delay:
    """p50 and p99 in seconds; None where nothing was observed."""

    p50: BucketQuantile | None
    p99: BucketQuantile | None
    observations: float


@dataclass(frozen=True, slots=True)
class StageDelay:
    """One part of the way, and its share of the mean time of all known parts."""

    stage: Stage
    delay: Delay
    share: float


@dataclass(frozen=True)
class Propagation:
    """Delay of configuration over the window.

    `daily` has a row for each UTC day: `day`, `p50`, `p99` (seconds), `beyond` (p99 lies above the
    histogram's last bound).
    """

    convergence: Delay
    worst_day_p99: BucketQuantile | None
    stages: tuple[StageDelay, ...]
    daily: pd.DataFrame
    finding: SlowPropagation | None
    unknown: tuple[str, ...]
    """Histograms that the snapshot does not hold."""

    @property
    def hold(self) -> str | None:
        """Why nothing of istiod may be cut, or None."""
        worst = self.worst_day_p99
        if worst is None:
            return f"{CONVERGENCE} was not seen, so that a cut could slow propagation unnoticed"
        if worst.beyond or worst.value > SLOW_SECONDS:
            sign = "more than " if worst.beyond else ""
            return f"propagation is slow: p99 {sign}{worst.value:.1f} s on the worst day"
        debounce = next((s.delay.p99 for s in self.stages if s.stage == "debounce"), None)
        if debounce is not None and (debounce.beyond or debounce.value >= SLOW_SECONDS):
            return "changes wait for the debounce ceiling: p99 of pilot_debounce_time is 10 s"
        return None


def propagation(
    control_plane: pd.DataFrame,
    *,
    cpu: IstiodCpu | None = None,
    istio_version: str | None = None,
) -> Propagation:
    """Read the delays from the snapshot's `control_plane` table.

    Parameters
    ----------
    cpu : IstiodCpu, optional
        Distinguishes a slow push for lack of CPU from one for sheer size.
    istio_version : str, optional
        For the defaults of the settings.
    """
    hours = buckets_of(control_plane, CONVERGENCE)
    daily = _daily(hours)
    stages = _stages(control_plane)
    delay = delay_of(hours)
    worst = _worst(hours)
    slow = worst is not None and (worst.beyond or worst.value > SLOW_SECONDS)
    names = [name for stage, name in _STAGES if stage not in {s.stage for s in stages}]
    return Propagation(
        convergence=delay,
        worst_day_p99=worst,
        stages=stages,
        daily=daily,
        finding=_finding(stages, cpu, istio_version) if slow else None,
        unknown=(*(() if len(hours) else (CONVERGENCE,)), *names),
    )


def delay_of(buckets: pd.DataFrame) -> Delay:
    """p50 and p99 over all rows of `buckets` (see `buckets_of`)."""
    if buckets.empty:
        return Delay(None, None, 0.0)
    bounds = buckets.columns.to_numpy(dtype=float)
    counts = buckets.to_numpy(dtype=float).sum(axis=0)
    return Delay(
        bucket_quantile(bounds, counts, 0.5),
        bucket_quantile(bounds, counts, 0.99),
        float(counts.max()),
    )


def _days(hours: pd.DataFrame) -> list[tuple[pd.Timestamp, pd.DataFrame]]:
    if hours.empty:
        return []
    # Midnight belongs to the day before.
    days = (pd.DatetimeIndex(hours.index) - pd.Timedelta(1, "s")).floor("D")
    return [(pd.Timestamp(str(day)), rows) for day, rows in hours.groupby(days)]


def _daily(hours: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for day, part in _days(hours):
        delay = delay_of(part)
        if delay.p50 is not None and delay.p99 is not None:
            rows.append((day, delay.p50.value, delay.p99.value, delay.p99.beyond))
    return pd.DataFrame(rows, columns=["day", "p50", "p99", "beyond"])


def _worst(hours: pd.DataFrame) -> BucketQuantile | None:
    found = [d.p99 for _, rows in _days(hours) if (d := delay_of(rows)).p99 is not None]
    return max(found, key=lambda q: (q.beyond, q.value), default=None) if found else None


def _stages(control_plane: pd.DataFrame) -> tuple[StageDelay, ...]:
    delays: list[tuple[Stage, Delay, float]] = []
    for stage, name in _STAGES:
        buckets = buckets_of(control_plane, name)
        delay = delay_of(buckets)
        if delay.observations > 0:
            delays.append((stage, delay, _mean(buckets)))
    total = sum(mean for _, _, mean in delays)
    return tuple(
        StageDelay(stage, delay, mean / total if total else 0.0) for stage, delay, mean in delays
    )


def _mean(buckets: pd.DataFrame) -> float:
    """Mean by the middle of each bucket; the last, infinite one counts at its lower bound."""
    bounds = buckets.columns.to_numpy(dtype=float)
    counts = np.maximum.accumulate(buckets.to_numpy(dtype=float).sum(axis=0))
    lower = np.r_[0.0, bounds[:-1]]
    middle = np.where(np.isfinite(bounds), (lower + np.minimum(bounds, 1e9)) / 2, lower)
    inside = np.diff(counts, prepend=0.0)
    return float((middle * inside).sum() / counts[-1]) if counts[-1] else 0.0


def _finding(
    stages: tuple[StageDelay, ...], cpu: IstiodCpu | None, istio_version: str | None
) -> SlowPropagation:
    longest = max(stages, key=lambda s: s.share, default=None)
    return explain(
        None if longest is None else longest.stage,
        0.0 if longest is None else longest.share,
        cpu or IstiodCpu(),
        istio_version,
    )
