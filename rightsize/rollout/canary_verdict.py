"""Does a size hold? Resized pods against their siblings, over the same hours.

An hour counts where both sides ran in it. Each signal is the difference of the two sides' means in
that hour, so that traffic, deployments and time of day, which are the same for both, fall out; what
differed between the same pods in the week before the resize is taken off. A signal is worse where the
95 % interval of its mean difference lies above what is tolerated, holds where it lies below, and is
open between the two (Student's t on the hourly differences, wider where neighbouring hours are alike).
Before a whole day has passed the answer is looked up again and again, so that chance has many tries:
worse then needs an interval of 99.9 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from rightsize.rollout.canary_folder import TriedSize

Answer = Literal["holds", "worse", "too early"]
Floats = NDArray[np.float64]

LEAST_HOURS = 24
"""Hours that hold the day's highs and lows."""
_CONFIDENCE = 0.95
_EARLY_CONFIDENCE = 0.999
_NEAR_LIMIT = 0.95
"""Share of the memory limit above which the next rise is a kill."""
_LOAD_SEEN = 0.8
"""Share of a pod's requests in the busiest hour that a resized pod must have served."""
_TOLERATED = {
    "throttling": 0.01,
    "errors": 0.005,
    "latency": math.log(1.1),
    "CPU per request": math.log(1.25),
}
"""Rise of the throttled share, of the share of 5xx answers, and of the logs of the mean latency and of
the CPU time of a request, which also holds what a proxy does without any."""
_LOGS = ("latency", "CPU per request")
_LOADS = {"requests": "requests", "tcp_bytes": "bytes"}
_FURTHER_RESTARTS = 0.5
"""Restarts of a resized pod beyond those of a sibling."""
_FEWEST = 3
_MOST_ALIKE = 0.9
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


def marked(hours: pd.DataFrame, tried: TriedSize) -> pd.DataFrame:
    """Say of each row of `pods_by_hour` which side it is on, and when, as `judge` takes them.

    A pod counts as resized while it is the one that was: the next pod of that name has its template's
    sizes, as a StatefulSet's do, and so has one that was taken back. Hours in which sizes changed are
    left out, but for what `partial` rows know.
    """
    found = hours.assign(resized=False, after=hours["time"] > _next_hour(tried.since))
    partial = found["partial"]
    found.loc[partial, "after"] = True
    keep = pd.Series(data=True, index=found.index)
    for pod in tried.pods:
        known = found["uid"] != ""
        same = np.where(known, found["uid"] == pod.uid, ~(found["started"] > pod.since))
        mine = (found["pod"] == pod.name) & same
        until = pd.Timestamp.max.tz_localize("UTC") if pod.until is None else pod.until
        inside = (found["time"] > _next_hour(pod.since)) & (found["time"] <= until)
        inside |= partial & (found["time"] > pod.since) & (found["time"] <= until)
        found.loc[mine & (inside | ~found["after"]), "resized"] = True
        back = found["time"] > _next_hour(until) if pod.until else False
        keep &= ~mine | inside | back | ~found["after"]
    limits = [tried.memory_after, tried.memory_goal]
    lowest = min((limit for limit in limits if limit is not None), default=math.nan)
    before = math.nan if tried.memory_before is None else tried.memory_before
    ours = found["resized"] & found["after"]
    return found.assign(memory_limit=np.where(ours, lowest, before))[keep]


def made_anew(hours: pd.DataFrame, tried: TriedSize) -> tuple[str, ...]:
    """Resized pods of which another has the name now."""
    newest = hours[hours["uid"] != ""].sort_values("time").drop_duplicates("pod", keep="last")
    uids = dict(zip(newest["pod"], newest["uid"], strict=True))
    return tuple(
        pod.name
        for pod in tried.pods
        if pod.until is None and uids.get(pod.name, pod.uid) != pod.uid
    )


def _next_hour(moment: datetime) -> pd.Timestamp:
    return pd.Timestamp(moment).ceil("h")


def judge(hours: pd.DataFrame) -> CanaryVerdict:
    """Compare resized pods with their siblings.

    Parameters
    ----------
    hours : DataFrame
        A row for each hour and pod: `time`, `pod`, `resized` (bool: a pod of that side), `after`
        (bool: since the resize), `partial` (bool: part of an hour, for kills, restarts and memory
        alone), `periods`, `throttled` (CFS periods), `cpu` (seconds), `kills`, `restarts`, `memory`
        (highest working set, bytes), `memory_limit`, `requests`, `errors` (5xx), `duration_seconds`
        (their sum), `tcp_bytes`. NaN is unknown.
    """
    mine, others = (hours[hours["resized"] == side] for side in (True, False))
    now = [side[side["after"]] for side in (mine, others)]
    hurt = _hurt(*now)
    whole = [side[~side["partial"]] for side in now]
    both = sorted(set(whole[0]["time"]) & set(whole[1]["time"]))
    count = len(both)
    usual = [side[~side["after"]] for side in (mine, others)]
    found = tuple(_difference(signal, whole, usual) for signal in _TOLERATED)

    def answered(answer: Answer, reason: str, more: int | None = None) -> CanaryVerdict:
        return CanaryVerdict(answer, reason, count, more, found)

    if hurt is not None:
        return answered("worse", hurt)
    worse = [one for one in found if one.answer == "worse"]
    if worse:
        return answered("worse", "; ".join(map(_said, worse)))
    if not count:
        return answered(
            "too early", "no hour in which resized pods and siblings both ran", LEAST_HOURS
        )
    mine = whole[0][whole[0]["time"].isin(both)]
    dark = [name for name in _NEEDED if mine[name].isna().all()]
    if dark:
        reason = (
            f"{' and '.join(dark)} of the resized pods are not measured: a kill would go unseen"
        )
        return answered("too early", reason, max(LEAST_HOURS - count, 1))
    if count < LEAST_HOURS:
        reason = f"{count} hours of the {LEAST_HOURS} that hold a day's highs and lows"
        return answered("too early", reason, LEAST_HOURS - count)
    light = _light(mine, pd.concat(usual))
    if light is not None:
        return answered("too early", light, LEAST_HOURS)
    open_ones = [one for one in found if one.answer == "too early" and one.high is not None]
    if open_ones:
        more = max(_hours_needed(one, count) for one in open_ones) - count
        reason = "; ".join(f"{one.signal} may still differ" for one in open_ones)
        return answered("too early", reason, max(more, 1))
    return answered("holds", _holding(found, count))


def _light(mine: pd.DataFrame, week: pd.DataFrame) -> str | None:
    """Why the resized pods have not yet carried what a pod carries in a week's busiest hour.

    Load is requests, and bytes of TCP where nothing but these was ever measured; the hour's mean over
    the pods, since the most of one pod grows with their number.
    """
    measured = [c for c in _LOADS if pd.notna(week[c].max()) and week[c].max() > 0]
    if not measured:
        return (
            "the busiest hour of the week before is unknown: no requests and no TCP bytes of one pod "
            "were measured, so the load that was tried cannot be judged"
        )
    load = measured[0]
    busiest = float(week.groupby("time")[load].mean().max())
    seen = float(np.nan_to_num(mine[load].max()))
    if seen >= _LOAD_SEEN * busiest:
        return None
    return (
        f"the resized pods served {seen:,.0f} {_LOADS[load]} in their busiest hour, the week before "
        f"had {busiest:,.0f} for each pod"
    )


def _hurt(mine: pd.DataFrame, others: pd.DataFrame) -> str | None:
    """What needs no statistics: kills, restarts the siblings do not have, memory at its limit."""
    kills = float(mine["kills"].sum())
    if kills > 0:
        return f"OOM-killed {max(kills, 1):.0f} times"
    restarts = float(mine["restarts"].sum())
    usual = float(others["restarts"].sum()) / max(others["pod"].nunique(), 1)
    if restarts > 0 and restarts / max(mine["pod"].nunique(), 1) > usual + _FURTHER_RESTARTS:
        return f"{restarts:.0f} restarts of the resized pods, {usual:.1f} of a sibling"
    share = (mine["memory"] / mine["memory_limit"]).max()
    if pd.notna(share) and share >= _NEAR_LIMIT:
        return f"its working set reached {share:.0%} of the recommended memory limit"
    return None


def _by_hour(signal: str, rows: pd.DataFrame) -> pd.Series:
    """The signal's mean by hour; hours without traffic or periods have none."""
    columns = ["periods", "throttled", "requests", "errors", "duration_seconds", "cpu"]
    sums = rows.groupby("time")[columns].sum(min_count=1)
    served = sums["requests"].where(sums["requests"] > 0)
    if signal == "throttling":
        found = sums["throttled"] / sums["periods"].where(sums["periods"] > 0)
    elif signal == "errors":
        found = sums["errors"].fillna(0.0) / served
    else:
        mean = sums["duration_seconds" if signal == "latency" else "cpu"] / served
        found = pd.Series(np.log(mean.where(mean > 0)))
    return found.dropna()


def _difference(
    signal: str, now: Sequence[pd.DataFrame], usual: Sequence[pd.DataFrame]
) -> Difference:
    """Both sides since the resize, less what already differed in the week before it."""
    sides = _apart(signal, now)
    mean, siblings = (_mean(sides[:, n], signal) for n in (0, 1))
    apart = sides[:, 0] - sides[:, 1]
    tolerated = _TOLERATED[signal]
    if len(apart) < _FEWEST:
        # Without limits there are no periods, and without traffic no answers: nothing to be worse.
        answer: Answer = "holds" if len(apart) == 0 else "too early"
        return Difference(signal, mean, siblings, None, None, answer)
    before = _apart(signal, usual)
    habit = before[:, 0] - before[:, 1]
    middle, spread = float(apart.mean()), _variance_of_mean(apart)
    if len(habit) >= LEAST_HOURS:
        middle -= float(habit.mean())
        spread += _variance_of_mean(habit)
    confidence = _CONFIDENCE if len(apart) >= LEAST_HOURS else _EARLY_CONFIDENCE
    half = float(stdtrit(len(apart) - 1, 0.5 + confidence / 2)) * math.sqrt(spread)
    low, high = middle - half, middle + half
    answer = "worse" if low > tolerated else "holds" if high <= tolerated else "too early"
    return Difference(signal, mean, siblings, low, high, answer)


def _apart(signal: str, sides: Sequence[pd.DataFrame]) -> Floats:
    """Values of the hours that both sides have, shape (hours, 2)."""
    joined = pd.concat([_by_hour(signal, side) for side in sides], axis=1, join="inner")
    return joined.sort_index().to_numpy(dtype=float).reshape(len(joined), 2)


def _mean(values: Floats, signal: str) -> float | None:
    if not len(values):
        return None
    return math.exp(float(values.mean())) if signal in _LOGS else float(values.mean())


def _variance_of_mean(values: Floats) -> float:
    """Of hours that resemble the hour before: the correlation of neighbours makes them count less."""
    spread = float(values.var(ddof=1))
    if spread == 0:
        return 0.0
    off = values - values.mean()
    alike = max(float((off[1:] * off[:-1]).sum() / (off * off).sum()), 0.0)
    return spread / len(values) * (1 + alike) / (1 - min(alike, _MOST_ALIKE))


def _hours_needed(one: Difference, hours: int) -> int:
    """Hours after which the interval is narrow enough, if the difference stays what it is."""
    low, high = one.low or 0.0, one.high or 0.0
    half, middle = (high - low) / 2, (high + low) / 2
    room = abs(_TOLERATED[one.signal] - middle)
    if room <= half / math.sqrt(_MOST_HOURS / max(hours, 1)):
        return _MOST_HOURS
    return math.ceil(hours * (half / room) ** 2)


def _said(one: Difference) -> str:
    low, high = one.low or 0.0, one.high or 0.0
    if one.signal in _LOGS:
        what = "mean latency" if one.signal == "latency" else "CPU per request"
        sides = f"{what} {_ms(one.resized)} against {_ms(one.siblings)} of the siblings"
        low, high = math.expm1(low), math.expm1(high)
    else:
        what = "throttled CFS periods" if one.signal == "throttling" else "5xx answers"
        sides = f"{one.resized or 0:.1%} {what} against {one.siblings or 0:.1%} of the siblings"
    return f"{sides} ({low:+.1%} to {high:+.1%}, what differed before taken off)"


def _ms(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds * 1000:.1f} ms"


def _holding(found: tuple[Difference, ...], count: int) -> str:
    unknown = [one.signal for one in found if one.resized is None]
    lacks = f"; no {', '.join(unknown)} was measured" if unknown else ""
    return f"no kill, no signal worse in {count} hours beside the siblings{lacks}"
