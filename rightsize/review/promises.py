"""What was promised in an earlier month and what came of it, seen in the requests in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from rightsize.results import Advice

_KEYS = ["namespace", "workload", "container"]
PROMISE = (
    "component",
    *_KEYS,
    "cpu_request",
    "memory_request",
    "recommended_cpu",
    "recommended_memory",
)
"""What a promise holds: cores and bytes, None where nothing is or was recommended."""
_AMOUNTS = {"cpu_request": "recommended_cpu", "memory_request": "recommended_memory"}
_CLOSE = 0.02
"""A request within 2 % of the recommended one is the recommended one, written in other units."""


def promises_of(advice: Advice) -> list[dict[str, Any]]:
    """Recommendations that change a request, as plain rows for the months to come."""
    return [
        {
            "component": row.component,
            "namespace": row.namespace,
            "workload": row.workload,
            "container": row.container,
            "cpu_request": row.cpu.request,
            "memory_request": row.memory.request,
            "recommended_cpu": row.cpu.recommended_request,
            "recommended_memory": row.memory.recommended_request,
        }
        for row in advice.recommendations
        if row.workload is not None and row.changes
    ]


@dataclass(frozen=True)
class Promise:
    """One container's recommendations over all earlier reports, from the first that asked."""

    key: tuple[str, str, str]
    component: str
    asked_in: str
    """Month of the report that asked first: the baseline that savings are taken against."""
    baseline: Mapping[str, float | None]
    """`cpu_request` (cores) and `memory_request` (bytes) in force when it was asked."""
    wanted: Mapping[str, tuple[float | None, ...]]
    """The same as recommended, step by step; the last is the newest."""


def promises_before(
    label: str, earlier: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[tuple[str, str, str], Promise]:
    """Follow each container's recommendations through the reports before a month.

    A later report that starts from sizes which nobody recommended begins a new promise: what was
    asked before has been undone.
    """
    found: dict[tuple[str, str, str], Promise] = {}
    for month in sorted(one for one in earlier if one < label):
        for row in earlier[month]:
            key = (str(row["namespace"]), str(row["workload"]), str(row["container"]))
            known = found.get(key)
            steps = {name: (row[wanted],) for name, wanted in _AMOUNTS.items()}
            if known is None or not all(
                _among(row[name], (known.baseline[name], *known.wanted[name])) for name in _AMOUNTS
            ):
                now = {name: row[name] for name in _AMOUNTS}
                found[key] = Promise(key, str(row["component"]), month, now, steps)
            else:
                longer = {name: known.wanted[name] + steps[name] for name in _AMOUNTS}
                found[key] = replace(known, wanted=longer)
    return found


def followed(
    promises: Mapping[tuple[str, str, str], Promise], pods: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Follow promises through one month's pods.

    Parameters
    ----------
    pods : DataFrame
        `MonthFacts.pods`: `day`, namespace, workload, container, `since`, `hours`,
        `cpu_request`, `memory_request` of each pod.

    Returns
    -------
    kept : DataFrame
        A row for each promise: component, namespace, workload, container, `asked_in`, the sizes
        then (`cpu_request`, `memory_request`), the newest recommended (`recommended_cpu`,
        `recommended_memory`), those at the end of the month (`cpu_now`, `memory_now`),
        `applied_on` (first day of the month on which a recommended size was in force) and `state`:
        `applied` (both requests are recommended ones), `partly`, `not applied`,
        `changed otherwise`, `undone` (in force earlier in the month, not at its end), `gone`, or
        `unknown` where no pod at all was seen in the month.
    removed : DataFrame
        namespace, workload, container, `cpu_request` (core-hours) and `memory_request` (byte-hours)
        that recommended sizes took away in the month, against the sizes when they were asked.
    """
    groups = dict(tuple(pods.groupby(_KEYS))) if len(pods) else {}
    kept, removed = [], []
    for key, promise in promises.items():
        mine = groups.get(key)
        row, took = _followed(
            promise,
            None if mine is None else mine.sort_values(["day", "since"], kind="stable"),
            "gone" if groups else "unknown",
        )
        kept.append(row)
        if any(took.values()):
            removed.append(dict(zip(_KEYS, key, strict=True)) | took)
    return (
        pd.DataFrame(kept, columns=[*PROMISE, "asked_in", "cpu_now", "memory_now", "applied_on",
                                    "state"]),
        pd.DataFrame(removed, columns=[*_KEYS, *_AMOUNTS]).astype(dict.fromkeys(_AMOUNTS, float)),
    )  # fmt: skip


def _followed(
    promise: Promise, pods: pd.DataFrame | None, absent: str
) -> tuple[dict[str, object], dict[str, float]]:
    row: dict[str, object] = dict(zip(_KEYS, promise.key, strict=True)) | dict(promise.baseline)
    row |= {wanted: promise.wanted[name][-1] for name, wanted in _AMOUNTS.items()}
    row |= {"component": promise.component, "asked_in": promise.asked_in, "applied_on": None}
    took = dict.fromkeys(_AMOUNTS, 0.0)
    if pods is None or pods.empty:
        return row | {"cpu_now": np.nan, "memory_now": np.nan, "state": absent}, took
    days, last, credited = {}, pods[pods["day"] == pods["day"].max()], []
    for name, amount in (("cpu_request", "cpu_now"), ("memory_request", "memory_now")):
        before, wanted = promise.baseline[name], promise.wanted[name]
        row[amount] = last[name].iloc[-1]
        asked = tuple(one for one in wanted if one is not None and not _same(one, before))
        if not asked:
            continue
        here = np.array([_among(value, asked) for value in pods[name]], dtype=bool)
        fall = (0.0 if before is None else before) - pods[name].fillna(0.0)
        took[name] = float((fall * pods["hours"])[here].sum())
        days[name] = pods["day"][here]
        credited.append(_among(row[amount], asked))
    seen = pd.concat(list(days.values())) if days else pods["day"].iloc[:0]
    row["applied_on"] = None if seen.empty else seen.min().date()
    return row | {"state": _state(promise, row, credited, bool(len(seen)))}, took


def _state(
    promise: Promise, row: Mapping[str, object], credited: Sequence[bool], seen: bool
) -> str:
    if credited and all(credited):
        return "applied"
    if any(credited):
        return "partly"
    if seen:
        return "undone"
    pairs = (("cpu_request", "cpu_now"), ("memory_request", "memory_now"))
    untouched = all(_same(promise.baseline[name], row[now]) for name, now in pairs)
    return "not applied" if untouched else "changed otherwise"


def _among(value: Any, sizes: Sequence[Any]) -> bool:
    return any(_same(value, size) for size in sizes)


def _same(one: Any, other: Any) -> bool:
    if pd.isna(one) or pd.isna(other):
        return bool(pd.isna(one) and pd.isna(other))
    return bool(np.isclose(float(one), float(other), rtol=_CLOSE))


def lowered(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Mesh containers with a mean request in force that fell between two months, for a first report.

    Both frames: namespace, workload, container, cpu_request, memory_request.
    """
    both = before.merge(after, on=_KEYS, suffixes=("_before", "_now"))
    fell = (both["cpu_request_now"] < both["cpu_request_before"] * (1 - _CLOSE)) | (
        both["memory_request_now"] < both["memory_request_before"] * (1 - _CLOSE)
    )
    return both[fell].reset_index(drop=True)
