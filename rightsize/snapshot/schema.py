"""What a snapshot's tables hold, whatever is given for their rows.

`data/snapshot_tables.toml` describes them column by column, and `docs/snapshot.md` for readers.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from rightsize.snapshot.columns import TABLES, to_arrow

SCHEMA_VERSION = 1
WINDOW_SECONDS = 300
"""Length of a usage window."""
USAGE = TABLES["usage"]


def frame(table: str, rows: pd.DataFrame | Mapping[str, object] | None = None) -> pd.DataFrame:
    """Return `rows` with exactly the table's columns and types; absent columns become null.

    Raises
    ------
    ValueError
        For a column that the table does not have.
    """
    spec = TABLES[table]
    if rows is None:
        return spec.empty()
    given = pd.DataFrame(rows)
    unknown = set(given.columns) - {column.name for column in spec.columns}
    if unknown:
        raise ValueError(f"table {table} has no column {', '.join(sorted(unknown))}")
    return pd.DataFrame(to_arrow(spec, given).to_pandas())
