"""Windows summed up by day, as a snapshot's summaries are."""

from __future__ import annotations

import pandas as pd

from rightsize.sizing.records import Records, records_of
from rightsize.snapshot.schema import USAGE, to_arrow
from rightsize.snapshot.summary_table import summarised


def records(usage: pd.DataFrame) -> Records:
    """Records of one container: `usage` has `time`, `pod`, and what else is known."""
    rows = usage.assign(namespace="shop", container="istio-proxy")
    rows["time"] = rows["time"].astype("datetime64[ms, UTC]")
    rows = rows.sort_values(["pod", "time"], kind="stable")
    # A window belongs to the day in which it ends, midnight to the day before it.
    days = (rows["time"] - pd.Timedelta("1ms")).dt.date
    return records_of(
        [(day, summarised(to_arrow(USAGE, part), day)) for day, part in rows.groupby(days)]
    )
