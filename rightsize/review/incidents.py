"""OOM kills, restarts and throttling of the mesh, in the month and in the one before."""

from __future__ import annotations

import pandas as pd

from rightsize.review.month import Month
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import CONTAINER, containers_by_day

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
    owners = owned.drop_duplicates(CONTAINER)[[*CONTAINER, "component", "workload"]]
    parts = []
    columns = [*CONTAINER, "periods", "throttled_periods"]
    for _, table in snapshot.by_day("usage", columns=columns):
        day = table.to_pandas().dropna(subset="periods")
        day = day.astype(dict.fromkeys(CONTAINER, object))
        sums = day.groupby(CONTAINER)[["periods", "throttled_periods"]].sum().reset_index()
        parts.append(sums.merge(owners, on=CONTAINER))
    periods = pd.concat(parts).groupby(_KEYS)[["periods", "throttled_periods"]].sum()
    share = (periods["throttled_periods"] / periods["periods"]).where(periods["periods"] > 0)
    return events.join(share.rename("throttled_share"), how="left")
