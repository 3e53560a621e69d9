"""Rows of AWS answers as the snapshot's tables."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa

from rightsize.snapshot import TABLES, frame


def table_of(name: str, rows: Sequence[dict[str, object]] | pd.DataFrame) -> pd.DataFrame:
    """Return `rows` as table `name`; times are cut to the milliseconds that it stores."""
    given = pd.DataFrame(rows)
    if given.empty:
        return frame(name)
    for column in TABLES[name].columns:
        if pa.types.is_timestamp(column.type) and column.name in given.columns:
            given[column.name] = pd.to_datetime(given[column.name], utc=True).dt.floor("ms")
    return frame(name, given)
