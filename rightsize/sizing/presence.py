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
from rightsize.sizing.policies.daily import Daily
from rightsize.sizing.records import Records

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


@dataclass(frozen=True, eq=False)
class Presence:
    """One workload's runs.

    Attributes
    ----------
    pod, first, final : int64 arrays of shape (runs,)
        Code of the pod of each run, and the ends of its first and last window in seconds since the
        epoch.
    coverage : float
        Share of the windows in which its runs existed that hold a sample.
    running : bool
        It was there at the end, or pauses no longer than it did before.
    last : pandas.Timestamp or None
        When it was last there.
    """

    pod: Ints
    first: Ints
    final: Ints
    coverage: float
    running: bool
    last: pd.Timestamp | None

    @property
    def runs(self) -> int:
        return self.pod.size


def presence(records: Records, rows: pd.DataFrame, end: pd.Timestamp) -> Presence:
    """Find the runs of one container of one workload.

    Parameters
    ----------
    records : Records
        What its pods used.
    rows : DataFrame
        Its days: `pod`, `workload_kind`, `started`, `first_seen`, `last_seen`.
    end : Timestamp
        The last moment at which the snapshot saw anything.
    """
    daily, last_seen = records.daily, rows["last_seen"].max()
    moments = [pd.Timestamp(int(daily.last.max()), unit="s", tz="UTC")] if daily.rows else []
    moments += [] if pd.isna(last_seen) else [last_seen]
    last = max(moments) if moments else None
    # Without the hours of a pod, nothing is known of when it ran.
    if not daily.rows or last is None or pd.isna(end):
        none = np.zeros(0, dtype=np.int64)
        return Presence(none, none, none, 0.0, last == end, last)
    pod, first, final = _runs(records, rows)
    seen_first, seen_final = _seen_beyond(records, pod, rows, first, final)
    expected = float(((seen_final - seen_first) / WINDOW_SECONDS + 1).sum())
    silent = float(end.timestamp() - last.timestamp())
    kind = str(rows["workload_kind"].iloc[-1])
    return Presence(
        pod=pod,
        first=first,
        final=final,
        coverage=min(1.0, float(daily.windows.sum()) / max(expected, 1.0)),
        running=_still_there(silent, seen_first.astype(float), seen_final.astype(float), kind),
        last=last,
    )


def run_peaks(daily: Daily, found: Presence) -> pd.DataFrame:
    """The highest CPU and memory of each run, at its last window: the samples of a job.

    Of a name that was used again within a day, each run has the peaks of the whole day.
    """
    cpu, memory = daily.cpu.tally.peaks(), daily.memory.tally.peaks()
    order = np.argsort(daily.pod, kind="stable")
    edges = np.searchsorted(daily.pod[order], np.stack([found.pod, found.pod + 1]))
    peaks = np.full((found.runs, 2), np.nan)
    for run, (begin, stop) in enumerate(edges.T):
        mine = order[begin:stop]
        mine = mine[
            (daily.last[mine] >= found.first[run]) & (daily.first[mine] <= found.final[run])
        ]
        peaks[run] = _highest(cpu[mine]), _highest(memory[mine])
    frame = pd.DataFrame(
        {
            "time": pd.to_datetime(found.final, unit="s", utc=True),
            "cpu": peaks[:, 0],
            "memory": peaks[:, 1],
            "pod": "run",
        }
    )
    return frame.sort_values("time", kind="stable", ignore_index=True)


def _highest(values: Floats) -> float:
    return float(np.fmax.reduce(values, initial=np.nan))


def _runs(records: Records, rows: pd.DataFrame) -> tuple[Ints, Ints, Ints]:
    """Pod, first and last window of each run: a pod's name, and its start where it was used again."""
    daily = records.daily
    pods, of_record = np.unique(daily.pod, return_inverse=True)
    first = np.full(pods.size, np.iinfo(np.int64).max)
    final = np.full(pods.size, np.iinfo(np.int64).min)
    np.minimum.at(first, of_record, daily.first)
    np.maximum.at(final, of_record, daily.last)
    parts = [(pods, first, final)]
    again = _started_again(records, rows)
    if again:
        kept = ~np.isin(pods, list(again))
        parts = [(pods[kept], first[kept], final[kept])]
    for pod, moments in again.items():
        times = np.sort(
            np.concatenate([records.times_of(int(row)) for row in np.flatnonzero(daily.pod == pod)])
        )
        # Up to a window late, as clocks differ.
        part = np.searchsorted(moments[1:], times - 1, side="right")
        heads = np.flatnonzero(np.diff(part, prepend=-1))
        ends = np.append(heads[1:], times.size) - 1
        parts.append((np.full(heads.size, pod), times[heads], times[ends]))
    found, begun, ended = (np.concatenate(column) for column in zip(*parts, strict=True))
    return found, begun, ended


def _started_again(records: Records, rows: pd.DataFrame) -> dict[int, Ints]:
    """Starts of the pods of which several are known."""
    known = rows["started"].notna().to_numpy()
    moments = _seconds(rows["started"])[known]
    starts: dict[str, set[int]] = {}
    for pod, moment in zip(rows["pod"].to_numpy()[known], moments.tolist(), strict=True):
        starts.setdefault(pod, set()).add(moment)
    code = _codes(records)
    return {
        code[pod]: np.array(sorted(several))
        for pod, several in sorted(starts.items())
        if len(several) > 1 and pod in code
    }


def _codes(records: Records) -> dict[str, int]:
    """Code of each pod by its name."""
    return dict(zip(records.names["pod"], records.daily.pod.tolist(), strict=True))


def _seen_beyond(
    records: Records, pod: Ints, rows: pd.DataFrame, first: Ints, final: Ints
) -> tuple[Ints, Ints]:
    """Pods that are reported before their first sample or after their last existed then too.

    `pod` is the code of each run's pod; of pods with several runs nothing is known.
    """
    codes, by_name = np.unique(records.daily.pod), _codes(records)
    code = np.array([by_name.get(name, -1) for name in rows["pod"].to_numpy()], dtype=np.int64)
    of_row = np.where(code < 0, -1, np.searchsorted(codes, code))
    run, times = np.searchsorted(codes, pod), np.unique(pod, return_counts=True)[1]
    alone = times[run] == 1
    edges = []
    for name, edge, sign in (("first_seen", first, -1), ("last_seen", final, 1)):
        known = rows[name].notna().to_numpy() & (of_row >= 0)
        # The furthest moment of each pod, in the direction that counts.
        reach = np.full(codes.size, np.iinfo(np.int64).min)
        np.maximum.at(reach, of_row[known], sign * _seconds(rows[name][known]))
        beyond = alone & (reach[run] > sign * edge + 2 * WINDOW_SECONDS)
        edges.append(np.where(beyond, sign * reach[run], edge))
    return edges[0], edges[1]


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
