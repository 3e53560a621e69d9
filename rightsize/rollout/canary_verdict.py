"""Does a size hold? Resized pods against their siblings, over the same hours.

An hour counts where both sides ran in it. Each signal is the difference of the two sides' means in
that hour, so that traffic, deployments and time of day, which are the same for both, fall out. A
signal is worse where the 95 % interval of its mean difference lies above what is tolerated, holds
where it lies below, and is open between the two (Student's t on the hourly differences).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

Answer = Literal["holds", "worse", "too early"]
Floats = NDArray[np.float64]

LEAST_HOURS = 24
"""Hours that hold the day's highs and lows."""
_CONFIDENCE = 0.95
_NEAR_LIMIT = 0.95
"""Share of the memory limit above which the next rise is a kill."""
_LOAD_SEEN = 0.8
"""Share of the busiest hour's requests that the resized pods must have served."""
_TOLERATED = {"throttling": 0.01, "errors": 0.005, "latency": math.log(1.1)}
"""Rise of the throttled share, of the share of 5xx answers, and of the log of the mean latency."""
_MOST_HOURS = 14 * 24
_NEEDED = ("restarts", "memory")
"""Without these nothing holds: they are what shows a kill, and one that is near."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One signal: both sides' means, and the interval of the mean hourly difference."""

    signal: str
    resized: float | None
    siblings: float | None
    low: float | None
    high: float | None
    answer: Answer


@dataclass(frozen=True)
class CanaryVerdict:
    """What became of it, with the reason; `more_hours` where it is too early."""

    answer: Answer
    reason: str
    hours: int
    more_hours: int | None
    differences: tuple[Difference, ...]


def with_limits(
    hours: pd.DataFrame, pods: Collection[str], before: float | None, after: float | None
) -> pd.DataFrame:
    """Mark the resized pods, and give each its memory limit in bytes, as `judge` takes them."""
    resized = hours["pod"].isin(list(pods))
    limits = np.where(
        resized, np.nan if after is None else after, np.nan if before is None else before
    )
    return hours.assign(resized=resized, memory_limit=limits)


def judge(hours: pd.DataFrame, busiest: float | None) -> CanaryVerdict:
    """Compare resized pods with their siblings.

    Parameters
    ----------
    hours : DataFrame
        A row for each hour and pod: `time`, `pod`, `resized` (bool), `periods`, `throttled`
        (CFS periods), `kills`, `restarts`, `memory` (highest working set, bytes), `memory_limit`,
        `requests`, `errors` (5xx), `duration_seconds` (their sum). NaN is unknown.
    busiest : float or None
        Requests of one pod in the busiest hour of the week before; None is unknown.
    """
    mine, others = hours[hours["resized"]], hours[~hours["resized"]]
    both = sorted(set(mine["time"]) & set(others["time"]))
    count = len(both)
    hurt = _hurt(mine, others)
    mine, others = (side[side["time"].isin(both)] for side in (mine, others))
    found = tuple(
        _difference(signal, _by_hour(signal, mine), _by_hour(signal, others))
        for signal in _TOLERATED
    )
    if hurt is not None:
        return CanaryVerdict("worse", hurt, count, None, found)
    worse = [one for one in found if one.answer == "worse"]
    if worse:
        return CanaryVerdict("worse", "; ".join(map(_said, worse)), count, None, found)
    if not count:
        reason = "no hour in which resized pods and siblings both ran"
        return CanaryVerdict("too early", reason, 0, LEAST_HOURS, found)
    dark = [name for name in _NEEDED if mine[name].isna().all()]
    if dark:
        reason = (
            f"{' and '.join(dark)} of the resized pods are not measured: a kill would go unseen"
        )
        return CanaryVerdict("too early", reason, count, max(LEAST_HOURS - count, 1), found)
    short = LEAST_HOURS - count
    if short > 0:
        reason = f"{count} hours of the {LEAST_HOURS} that hold a day's highs and lows"
        return CanaryVerdict("too early", reason, count, short, found)
    seen = float(mine["requests"].max()) if mine["requests"].notna().any() else None
    if busiest and (seen is None or seen < _LOAD_SEEN * busiest):
        reason = (
            f"the resized pods served {0 if seen is None else seen:,.0f} requests in their busiest "
            f"hour, the week before had {busiest:,.0f}"
        )
        return CanaryVerdict("too early", reason, count, 24, found)
    open_ones = [one for one in found if one.answer == "too early" and one.high is not None]
    if open_ones:
        more = max(_hours_needed(one, count) for one in open_ones) - count
        reason = "; ".join(f"{one.signal} may still differ" for one in open_ones)
        return CanaryVerdict("too early", reason, count, max(more, 1), found)
    return CanaryVerdict("holds", _holding(found, count), count, None, found)


def _hurt(mine: pd.DataFrame, others: pd.DataFrame) -> str | None:
    """What needs no statistics: kills, restarts the siblings do not have, memory at its limit."""
    kills = float(mine["kills"].sum())
    if kills > 0:
        return f"OOM-killed {kills:.0f} times"
    restarts = float(mine["restarts"].sum())
    usual = float(others["restarts"].sum()) / max(others["pod"].nunique(), 1)
    if restarts > 0 and restarts / max(mine["pod"].nunique(), 1) > usual + 1:
        return f"{restarts:.0f} restarts of the resized pods, {usual:.1f} of a sibling"
    share = (mine["memory"] / mine["memory_limit"]).max()
    if pd.notna(share) and share >= _NEAR_LIMIT:
        return f"its working set reached {share:.0%} of the memory limit"
    return None


def _by_hour(signal: str, rows: pd.DataFrame) -> pd.Series:
    """The signal's mean by hour; hours without traffic or periods have none."""
    sums = rows.groupby("time")[
        ["periods", "throttled", "requests", "errors", "duration_seconds"]
    ].sum(min_count=1)
    if signal == "throttling":
        found = sums["throttled"] / sums["periods"].where(sums["periods"] > 0)
    elif signal == "errors":
        found = sums["errors"].fillna(0.0) / sums["requests"].where(sums["requests"] > 0)
    else:
        mean = sums["duration_seconds"] / sums["requests"].where(sums["requests"] > 0)
        found = pd.Series(np.log(mean.where(mean > 0)))
    return found.dropna()


def _difference(signal: str, mine: pd.Series, others: pd.Series) -> Difference:
    joined = pd.concat([mine.rename("mine"), others.rename("others")], axis=1).dropna()
    mean, usual = (_mean(joined[side].to_numpy(dtype=float), signal) for side in ("mine", "others"))
    apart = (joined["mine"] - joined["others"]).to_numpy(dtype=float)
    tolerated = _TOLERATED[signal]
    if len(apart) < 3:
        # Without limits there are no periods, and without traffic no answers: nothing to be worse.
        answer: Answer = "holds" if len(apart) == 0 else "too early"
        return Difference(signal, mean, usual, None, None, answer)
    middle, half = float(apart.mean()), _half_width(apart)
    low, high = middle - half, middle + half
    answer = "worse" if low > tolerated else "holds" if high <= tolerated else "too early"
    return Difference(signal, mean, usual, low, high, answer)


def _mean(values: Floats, signal: str) -> float | None:
    if not len(values):
        return None
    return math.exp(float(values.mean())) if signal == "latency" else float(values.mean())


def _half_width(apart: Floats) -> float:
    spread = float(apart.std(ddof=1)) / math.sqrt(len(apart))
    return float(stats.t.ppf(0.5 + _CONFIDENCE / 2, len(apart) - 1)) * spread


def _hours_needed(one: Difference, hours: int) -> int:
    """Hours after which the interval is narrow enough, if the difference stays what it is."""
    low, high = one.low or 0.0, one.high or 0.0
    half, middle = (high - low) / 2, (high + low) / 2
    room = abs(_TOLERATED[one.signal] - middle)
    if room <= half / math.sqrt(_MOST_HOURS / max(hours, 1)):
        return _MOST_HOURS
    return math.ceil(hours * (half / room) ** 2)


def _said(one: Difference) -> str:
    if one.signal == "latency":
        return f"mean latency {_ms(one.resized)} against {_ms(one.siblings)} of the siblings"
    what = "throttled CFS periods" if one.signal == "throttling" else "5xx answers"
    return f"{one.resized or 0:.1%} {what} against {one.siblings or 0:.1%} of the siblings"


def _ms(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds * 1000:.1f} ms"


def _holding(found: tuple[Difference, ...], count: int) -> str:
    unknown = [one.signal for one in found if one.resized is None]
    lacks = f"; no {', '.join(unknown)} was measured" if unknown else ""
    return f"no kill, no signal worse in {count} hours beside the siblings{lacks}"
