"""What was promised in an earlier month and what came of it, seen in the requests in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


def kept_promises(promises: Sequence[Mapping[str, Any]], in_force: pd.DataFrame) -> pd.DataFrame:
    """Compare earlier recommendations with what is in force now.

    Parameters
    ----------
    promises : sequence of mapping
        As `promises_of` gives them.
    in_force : DataFrame
        namespace, workload, container, cpu_request (cores), memory_request (bytes), as in force
        at the end of the month.

    Returns
    -------
    DataFrame
        The promise, `cpu_now`, `memory_now`, and `state`: `applied` (both requests are the
        recommended ones), `partly`, `not applied`, `changed otherwise`, or `gone`.
    """
    rows = pd.DataFrame(list(promises), columns=list(PROMISE))
    now = in_force.rename(columns={"cpu_request": "cpu_now", "memory_request": "memory_now"})
    joined = rows.astype(dict.fromkeys(_KEYS, object)).merge(
        now[[*_KEYS, "cpu_now", "memory_now"]].astype(dict.fromkeys(_KEYS, object)),
        on=_KEYS,
        how="left",
        indicator=True,
    )
    states = [
        "gone" if merge == "left_only" else _state(row)
        for merge, row in zip(joined["_merge"], joined.to_dict("records"), strict=True)
    ]
    return joined.drop(columns="_merge").assign(state=states)


def _state(row: Mapping[Any, Any]) -> str:
    done = []
    touched = False
    for before, wanted, now in (
        ("cpu_request", "recommended_cpu", "cpu_now"),
        ("memory_request", "recommended_memory", "memory_now"),
    ):
        moved = not _same(row[before], row[now])
        touched = touched or moved
        if not _same(row[before], row[wanted]):
            done.append(_same(row[wanted], row[now]))
    if done and all(done):
        return "applied"
    if any(done):
        return "partly"
    return "changed otherwise" if touched else "not applied"


def _same(one: Any, other: Any) -> bool:
    if pd.isna(one) or pd.isna(other):
        return bool(pd.isna(one) and pd.isna(other))
    return bool(np.isclose(float(one), float(other), rtol=_CLOSE))


def lowered(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Mesh containers whose mean request in force fell between two months, for a first report.

    Both frames: namespace, workload, container, cpu_request, memory_request.
    """
    both = before.merge(after, on=_KEYS, suffixes=("_before", "_now"))
    fell = (both["cpu_request_now"] < both["cpu_request_before"] * (1 - _CLOSE)) | (
        both["memory_request_now"] < both["memory_request_before"] * (1 - _CLOSE)
    )
    return both[fell].reset_index(drop=True)
