"""When a workload existed, in how many runs, and how much of that time was measured.

A run is one life of one pod. A window without a sample is a gap where the pod existed; between the
runs of a job, or overnight where a workload is scaled to zero, there is nothing to measure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rightsize.sizing.policies.arrays import DAY_SECONDS, WINDOW_SECONDS, Ints
from rightsize.sizing.policies.base import Floats

JOB_KINDS = frozenset(
    {"Job", "CronJob", "Workflow", "CronWorkflow", "TaskRun", "PipelineRun", "SparkApplication",
     "ScheduledSparkApplication", "ScaledJob"}
)  # fmt: skip
"""Kinds with pods that end by themselves."""
_SOON = 3600
"""A pod of yesterday's last hour may be between two scrapes, or be rolled out just now."""
_LATER = 1.5
"""A pause may be half as long again as the longest one before."""
_FEW_RUNS_SECONDS = 8 * DAY_SECONDS
"""A job that ran once or twice may be a weekly one."""


@dataclass(frozen=True)
class Presence:
    """One workload's runs.

    Attributes
    ----------
    run : int64 array of shape (windows,)
        Number of the run of each window of the usage given.
    runs : int
    coverage : float
        Share of the windows in which its runs existed that hold a sample.
    running : bool
        It was there at the end, or pauses no longer than it did before.
    last : pandas.Timestamp or None
        When it was last there.
    """

    run: Ints
    runs: int
    coverage: float
    running: bool
    last: pd.Timestamp | None


def presence(usage: pd.DataFrame, rows: pd.DataFrame, end: pd.Timestamp) -> Presence:
    """Find the runs of one container of one workload.

    Parameters
    ----------
    usage : DataFrame
        `time` (end of the window) and `pod`, ordered by time.
    rows : DataFrame
        Its days: `pod`, `workload_kind`, `started`, `first_seen`, `last_seen`.
    end : Timestamp
        The last moment at which the snapshot saw anything.
    """
    last_seen = rows["last_seen"].max()
    moments = [usage["time"].iloc[-1]] if len(usage) else []
    moments += [] if pd.isna(last_seen) else [last_seen]
    last = max(moments) if moments else None
    if usage.empty or last is None:
        return Presence(np.zeros(0, dtype=np.int64), 0, 0.0, last == end, last)
    time = _seconds(usage["time"])
    pod, names = pd.factorize(usage["pod"])
    of_row = pd.Index(names).get_indexer(rows["pod"])
    run = _run_of(pod.astype(np.int64), of_row, rows, time)
    order = np.argsort(run, kind="stable")
    heads = np.flatnonzero(np.diff(run[order], prepend=-1))
    first, final = time[order][heads], time[order][np.append(heads[1:], len(run)) - 1]
    first, final = _seen_beyond(pod[order[heads]], of_row, rows, first, final)
    expected = float(((final - first) / WINDOW_SECONDS + 1).sum())
    silent = float(end.timestamp() - last.timestamp())
    kind = str(rows["workload_kind"].iloc[-1])
    return Presence(
        run=run,
        runs=len(heads),
        coverage=min(1.0, len(usage) / max(expected, 1.0)),
        running=_still_there(silent, first.astype(float), final.astype(float), kind),
        last=last,
    )


def run_peaks(usage: pd.DataFrame, run: Ints) -> pd.DataFrame:
    """The highest CPU and memory of each run, at its last window: the samples of a job."""
    peaks = usage.assign(run=run).groupby("run", sort=True)
    found = peaks.agg(time=("time", "max"), cpu=("cpu", "max"), memory=("memory", "max"))
    return found.sort_values("time", kind="stable", ignore_index=True).assign(pod="run")


def _run_of(pod: Ints, of_row: Ints, rows: pd.DataFrame, time: Ints) -> Ints:
    """A pod's name, and its start where a name was used again.

    Parameters
    ----------
    pod : int64 array of shape (windows,)
        Code of the pod of each window.
    of_row : int64 array of shape (rows,)
        Code of the pod of each row; -1 where it has no window.
    """
    known = rows["started"].notna().to_numpy() & (of_row >= 0)
    starts = np.unique(np.stack([of_row[known], _seconds(rows["started"][known])]), axis=1)
    run, following = pod.copy(), int(pod.max()) + 1
    for code in np.flatnonzero(np.bincount(starts[0]) > 1):
        mine, moments = np.flatnonzero(pod == code), starts[1][starts[0] == code]
        # Up to a window late, as clocks differ.
        part = np.searchsorted(moments[1:], time[mine] - 1, side="right")
        run[mine] = np.where(part > 0, following + part, run[mine])
        following += len(moments)
    return np.unique(run, return_inverse=True)[1].astype(np.int64)


def _seen_beyond(
    pod: Ints, of_row: Ints, rows: pd.DataFrame, first: Ints, final: Ints
) -> tuple[Ints, Ints]:
    """Pods that are reported before their first sample or after their last existed then too.

    `pod` is the code of each run's pod; of pods with several runs nothing is known.
    """
    alone = np.bincount(pod)[pod] == 1
    for name, edge, sign in (("first_seen", first, -1), ("last_seen", final, 1)):
        known = rows[name].notna().to_numpy() & (of_row >= 0)
        # The furthest moment of each pod, in the direction that counts.
        reach = np.full(int(pod.max()) + 1, np.iinfo(np.int64).min)
        np.maximum.at(reach, of_row[known], sign * _seconds(rows[name][known]))
        beyond = alone & (reach[pod] > sign * edge + 2 * WINDOW_SECONDS)
        edge[beyond] = sign * reach[pod][beyond]
    return first, final


def _still_there(silent: float, first: Floats, final: Floats, kind: str) -> bool:
    if silent <= _SOON:
        return True
    order = np.argsort(first)
    reached = np.maximum.accumulate(final[order])
    pauses = first[order][1:] - reached[:-1]
    longest = float(pauses.max(initial=0.0))
    if silent <= _LATER * longest:
        return True
    return kind in JOB_KINDS and len(first) < 3 and silent <= _FEW_RUNS_SECONDS


def _seconds(times: pd.Series) -> Ints:
    seconds: Ints = pd.DatetimeIndex(times).as_unit("s").asi8.astype(np.int64)
    return seconds
