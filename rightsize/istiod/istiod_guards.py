"""From what istiod needs to what is recommended: the guards of every container, istiod's own too."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rightsize.config import PolicySettings
from rightsize.istiod.replicas import FLOOR_CPU, FLOOR_MEMORY, ReplicaPlan
from rightsize.results import Evidence, ResourceAdvice, Sizes, Usage
from rightsize.sizing.guards import Situation, cpu_events, guarded, memory_events
from rightsize.sizing.history import Events, OutOfMemory

_WINDOWS_AN_HOUR = 12


@dataclass(frozen=True, slots=True)
class Holds:
    """Why the request of a resource may not be cut; None where it may."""

    cpu: str | None = None
    memory: str | None = None


def evidence_of_hours(
    known: pd.DataFrame, containers: pd.DataFrame, throttled_share: float | None
) -> Evidence:
    """What istiod's sizes rest on: hours stand for their twelve 5-minute windows.

    Parameters
    ----------
    known : DataFrame
        Hours of istiod with usage, at least one.
    containers : DataFrame
        Rows of the snapshot's table.
    throttled_share : float or None
        Throttled CFS periods / CFS periods.
    """
    events = events_of_istiod(containers)
    return Evidence(
        start=known["time"].min().to_pydatetime(),
        end=known["time"].max().to_pydatetime(),
        days=known["time"].nunique() / 24,
        pods=int(known["pod"].nunique()),
        windows=len(known) * _WINDOWS_AN_HOUR,
        cpu=_usage(known["cpu"], known["cpu_burst"]),
        memory=_usage(known["memory"], known["memory"]),
        throttled_share=throttled_share,
        oom_kills=events.oom_kills,
        restarts=events.restarts,
    )


def guard_istiod(
    best: ReplicaPlan,
    sizes: Sizes,
    evidence: Evidence,
    kills: tuple[OutOfMemory, ...],
    *,
    hold: Holds,
    thin: str | None,
    rules: PolicySettings,
) -> tuple[ResourceAdvice, ResourceAdvice]:
    """CPU and memory of this step and of the end.

    Parameters
    ----------
    best : ReplicaPlan
        What one pod needs.
    sizes : Sizes
        In force.
    thin : str or None
        Why nothing may be changed.
    """
    needed_cpu, needed_limit, throttled = cpu_events(evidence, sizes.cpu_limit, rules)
    cpu = Situation(
        "cpu", sizes.cpu_request, sizes.cpu_limit, best.cpu_request,
        max(best.cpu_peak, best.cpu_request), evidence.cpu, FLOOR_CPU, basis="istiod law",
        hold=hold.cpu, thin=thin, needed_request=needed_cpu, needed_limit=needed_limit,
        event=throttled,
    )  # fmt: skip
    needed, needed_limit, killed = memory_events(kills, evidence.memory, sizes.memory_limit)
    memory = Situation(
        "memory", sizes.memory_request, sizes.memory_limit, best.memory.high,
        best.memory.high * (1 + rules.limit_margin), evidence.memory, FLOOR_MEMORY,
        basis="istiod law", hold=hold.memory, thin=thin, needed_request=needed,
        needed_limit=needed_limit, event=killed,
    )  # fmt: skip
    return (
        _covering(guarded(cpu, rules), best.cpu_peak),
        _covering(guarded(memory, rules), best.memory.high),
    )


def events_of_istiod(containers: pd.DataFrame) -> Events:
    """Restarts and OOM kills of istiod, as far as they were reported."""
    return Events.of(containers[containers["component"] == "istiod"])


def out_of_memory(containers: pd.DataFrame) -> tuple[OutOfMemory, ...]:
    """OOM kills of istiod by day, with the limit in force."""
    ours = containers[(containers["component"] == "istiod") & (containers["oom_kills"] > 0)]
    return tuple(
        OutOfMemory(
            row["day"].date(),
            int(row["oom_kills"]),
            None if pd.isna(row["memory_limit"]) else float(row["memory_limit"]),
        )
        for row in ours.to_dict("records")
    )


def _covering(advice: ResourceAdvice, peak: float) -> ResourceAdvice:
    """A limit in force must leave room for the peak after a loss."""
    if advice.recommended_limit is None or advice.recommended_limit >= peak:
        return advice
    return replace(
        advice,
        recommended_limit=peak,
        target_limit=max(peak, advice.target_limit or 0.0),
    )


def _usage(values: pd.Series, peaks: pd.Series) -> Usage:
    known = values.dropna().to_numpy(dtype=float)
    if not known.size:
        return Usage()
    p50, p95, p99 = (float(q) for q in np.percentile(known, [50, 95, 99]))
    top = peaks.max()
    return Usage(p50, p95, p99, float(known.max() if pd.isna(top) else max(top, known.max())))
