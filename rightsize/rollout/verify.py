"""After a roll-out: did kills, restarts, throttling or latency get worse for what was changed?

The days before and after a date are compared for every mesh container of which the sizes in force
changed since then. A change is worse only when the difference is more than chance would explain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd

from rightsize.results import Sizes
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import containers_by_day

Verdict = Literal["worse", "not worse", "too early"]

_CHANCE = 0.05
_THROTTLED_RISE = 0.01
"""Share of CFS periods: the same tolerance as for recommending (`max_throttled_share`)."""
_LATENCY_RISE = 1.1
_SIZES = ["cpu_request", "cpu_limit", "memory_request", "memory_limit"]
_KEY = ["component", "namespace", "workload", "container"]


@dataclass(frozen=True)
class Compared:
    """One signal before and after, and whether it rose by more than chance."""

    signal: str
    unit: str
    before: float | None
    after: float | None
    worse: bool


@dataclass(frozen=True)
class RolloutEffect:
    """What changed for one container of one workload, and how it fares since."""

    component: str
    namespace: str
    workload: str
    container: str
    before: Sizes
    after: Sizes
    days_before: int
    days_after: int
    signals: tuple[Compared, ...]
    verdict: Verdict

    @property
    def take_back(self) -> bool:
        return self.verdict == "worse"


def rollout_effects(
    snapshot: Snapshot, since: date, *, min_days: int = 2
) -> tuple[RolloutEffect, ...]:
    """Compare the days before `since` with those from it on, for every container that changed.

    Parameters
    ----------
    snapshot : Snapshot
        Must hold days on both sides of `since`.
    since : date
        First day of the roll-out (UTC).
    min_days : int
        Days after the roll-out below which "not worse" is "too early"; worse is said at once.

    Raises
    ------
    ValueError
        If there is no day before or none after `since`.
    """
    before = [day for day in snapshot.days if day < since]
    after = [day for day in snapshot.days if day >= since]
    if not before or not after:
        raise ValueError(f"the snapshot has no day {'after' if before else 'before'} {since}")
    inventory = containers_by_day(snapshot, mesh_only=True)
    inventory["late"] = inventory["day"] >= pd.Timestamp(since, tz="UTC")
    throttling = _throttling(snapshot, inventory)
    latency = _latency(snapshot, since)
    return tuple(_effects(inventory, throttling, latency, (len(before), len(after)), min_days))


def _effects(
    inventory: pd.DataFrame,
    throttling: pd.DataFrame,
    latency: pd.DataFrame,
    days: tuple[int, int],
    min_days: int,
) -> Iterator[RolloutEffect]:
    for key, rows in inventory.groupby(_KEY, sort=True):
        old, new = rows[~rows["late"]], rows[rows["late"]]
        if old.empty or new.empty:
            continue
        sizes = [_newest(part) for part in (old, new)]
        if sizes[0] == sizes[1]:
            continue
        component, namespace, workload, container = (str(part) for part in key)
        mine = latency[(latency["namespace"] == namespace) & (latency["workload"] == workload)]
        signals = (
            _rate("OOM kills", old["oom_kills"], new["oom_kills"]),
            _rate("restarts", old["restarts"], new["restarts"]),
            _throttled(throttling, tuple(key)),
            _slower(mine),
        )
        worse = any(signal.worse for signal in signals)
        enough = days[1] >= min_days
        verdict: Verdict = "worse" if worse else "not worse" if enough else "too early"
        yield RolloutEffect(
            component, namespace, workload, container, sizes[0], sizes[1], *days, signals, verdict
        )


def _newest(rows: pd.DataFrame) -> Sizes:
    last = rows.sort_values(["day", "started"], kind="stable").iloc[-1]
    return Sizes(*(None if pd.isna(last[name]) else float(last[name]) for name in _SIZES))


def _rate(signal: str, before: pd.Series, after: pd.Series) -> Compared:
    """Events for each pod and day; two Poisson rates compared by the conditional binomial test
    (Przyborowski and Wilenski 1940)."""
    from scipy.stats import binomtest

    old, new = before.dropna(), after.dropna()
    unit = "per pod and day"
    if old.empty or new.empty:
        return Compared(signal, unit, None, None, worse=False)
    events, total = int(new.sum()), int(new.sum() + old.sum())
    rates = float(old.mean()), float(new.mean())
    share = len(new) / (len(new) + len(old))
    unlikely = total > 0 and binomtest(events, total, share, alternative="greater").pvalue < _CHANCE
    return Compared(signal, unit, *rates, worse=bool(unlikely and rates[1] > rates[0]))


def _throttling(snapshot: Snapshot, inventory: pd.DataFrame) -> pd.DataFrame:
    """Throttled and total CFS periods by container, before and after."""
    columns = ["namespace", "pod", "container", "periods", "throttled_periods"]
    parts = []
    owners = inventory.drop_duplicates(["day", "namespace", "pod", "container"])
    for day, table in snapshot.by_day("usage", columns=columns):
        keys = ["namespace", "pod", "container"]
        sums = table.to_pandas().astype(dict.fromkeys(keys, object))
        sums = sums.groupby(keys)[["periods", "throttled_periods"]].sum().reset_index()
        today = owners[owners["day"] == pd.Timestamp(day, tz="UTC")]
        parts.append(sums.merge(today[[*_KEY, "pod", "late"]], on=keys))
    joined = pd.concat(parts, ignore_index=True)
    return pd.DataFrame(joined.groupby([*_KEY, "late"])[["periods", "throttled_periods"]].sum())


def _throttled(periods: pd.DataFrame, key: tuple[object, ...]) -> Compared:
    old, new = (_share(periods, (*key, late)) for late in (False, True))
    worse = new is not None and new > max(_THROTTLED_RISE, 1.5 * (old or 0.0))
    return Compared("throttling", "share of CFS periods", old, new, worse=worse)


def _share(periods: pd.DataFrame, key: tuple[object, ...]) -> float | None:
    if key not in periods.index:
        return None
    sums = periods.loc[[key]].sum()
    total = float(sums["periods"])
    return float(sums["throttled_periods"]) / total if total else None


def _latency(snapshot: Snapshot, since: date) -> pd.DataFrame:
    """Mean latency by hour and called workload, in milliseconds."""
    traffic = snapshot.read("traffic")
    known = traffic[(traffic["requests"] > 0) & traffic["duration_seconds"].notna()]
    keys = ["time", "destination_namespace", "destination_workload"]
    known = known.astype(dict.fromkeys(keys[1:], object))
    sums = known.groupby(keys)[["duration_seconds", "requests"]].sum().reset_index()
    sums["milliseconds"] = 1000 * sums["duration_seconds"] / sums["requests"]
    sums["late"] = sums["time"] > pd.Timestamp(since, tz="UTC")
    renamed = {"destination_namespace": "namespace", "destination_workload": "workload"}
    return sums.rename(columns=renamed)


def _slower(hours: pd.DataFrame) -> Compared:
    """Median of the hourly means; hours compared by the Mann-Whitney test."""
    from scipy.stats import mannwhitneyu

    old = hours.loc[~hours["late"], "milliseconds"].to_numpy(dtype=float)
    new = hours.loc[hours["late"], "milliseconds"].to_numpy(dtype=float)
    if not old.size or not new.size:
        return Compared("mean latency", "ms", None, None, worse=False)
    medians = float(np.median(old)), float(np.median(new))
    rose = medians[1] > _LATENCY_RISE * medians[0]
    unlikely = rose and mannwhitneyu(new, old, alternative="greater").pvalue < _CHANCE
    return Compared("mean latency", "ms", *medians, worse=bool(unlikely))
