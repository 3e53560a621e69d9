"""OOM kills, restarts and throttling of the mesh, in the month and in the one before."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rightsize.review.month import Month
from rightsize.sizing.history import MeshWindows
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import containers_by_day

_KEYS = ["component", "namespace", "workload"]


def incidents(snapshot: Snapshot, month: Month) -> pd.DataFrame:
    """Return a row for each workload with an incident in either month.

    Returns
    -------
    DataFrame
        component, namespace, workload; `oom_kills`, `restarts`, `throttled_share` (of CFS
        periods) of the month, and the same with `_before`; NaN where a month has no data.
    """
    earlier = [day for day in snapshot.days if day.strftime("%Y-%m") == month.label_before]
    now = _of(snapshot.only(month.days))
    before = _of(snapshot.only(earlier)) if earlier else now.iloc[:0]
    both = now.join(before.add_suffix("_before"), how="outer").reset_index()
    some = (
        (both["oom_kills"].fillna(0) > 0)
        | (both["oom_kills_before"].fillna(0) > 0)
        | (both["throttled_share"].fillna(0) > 0.01)
        | (both["throttled_share_before"].fillna(0) > 0.01)
    )
    order = ["oom_kills", "throttled_share"]
    return both[some].sort_values(order, ascending=False, kind="stable").reset_index(drop=True)


def _of(snapshot: Snapshot) -> pd.DataFrame:
    owned = containers_by_day(snapshot, mesh_only=True)
    events = owned.groupby(_KEYS)[["oom_kills", "restarts"]].sum(min_count=1)
    mesh = MeshWindows.of(snapshot)
    sums = np.zeros((2, len(mesh.keys)))
    for number, used in mesh.days(["periods", "throttled_periods"]):
        known = np.isfinite(used["periods"])
        for row, values in zip(sums, used.values(), strict=True):
            counted = np.nan_to_num(values[known])
            row += np.bincount(number[known], counted, minlength=len(mesh.keys))
    keys = pd.DataFrame([key[:3] for key in mesh.keys], columns=_KEYS)
    periods = keys.assign(periods=sums[0], throttled=sums[1])
    periods = periods.groupby(_KEYS)[["periods", "throttled"]].sum()
    share = (periods["throttled"] / periods["periods"]).where(periods["periods"] > 0)
    return events.join(share.rename("throttled_share"), how="left")
