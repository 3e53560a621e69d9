"""Rows of AWS answers as the snapshot's tables."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import pyarrow as pa

from rightsize.collectors.aws.session import reading
from rightsize.snapshot import TABLES, frame
from rightsize.snapshot.faults import within_range
from rightsize.snapshot.schema import to_arrow


def table_of(name: str, rows: Sequence[dict[str, object]] | pd.DataFrame) -> pd.DataFrame:
    """Return `rows` as table `name`; times are cut to the milliseconds that it stores.

    Numbers that no machine or bill can have are not known.

    Raises
    ------
    AwsError
        If a value is of another type than its column.
    """
    given, spec = pd.DataFrame(rows), TABLES[name]
    if given.empty:
        return frame(name)
    with reading(f"what AWS gave for {name}"):
        for column in spec.columns:
            if pa.types.is_timestamp(column.type) and column.name in given.columns:
                given[column.name] = pd.to_datetime(given[column.name], utc=True).dt.floor("ms")
        return pd.DataFrame(within_range(spec, to_arrow(spec, given)).to_pandas())
