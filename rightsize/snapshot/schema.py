"""Tables of a snapshot: typed columns with unit and meaning.

`data/snapshot_tables.toml` describes them column by column, and `docs/snapshot.md` for readers.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rightsize.data_files import data_file

SCHEMA_VERSION = 1
WINDOW_SECONDS = 300
"""Length of a usage window."""
BITS = pa.binary(36)
"""One for each of a day's 288 windows of five minutes."""
_TYPES: Mapping[str, pa.DataType] = {
    "text": pa.dictionary(pa.int32(), pa.string()),
    "time": pa.timestamp("ms", tz="UTC"),
    "float": pa.float64(),
    "short": pa.float32(),
    "flag": pa.bool_(),
    "json": pa.string(),
    "counts": pa.list_(pa.int16()),
    "values": pa.list_(pa.float64()),
    "times": pa.list_(pa.float32()),
    "bits": BITS,
}
LARGEST_CPU = 4096.0
"""Cores. EC2's largest machine (u7inh-32tb.480xlarge, 2025) has 1,920 vCPUs and 32 TiB."""
LARGEST_MEMORY = 2.0**46
"""Bytes."""
_MOST = 2.0**63
"""Kubernetes' quantities and counters of bytes end there."""


@dataclass(frozen=True)
class Column:
    """One column: its Arrow type, its unit, and what it says."""

    name: str
    type: pa.DataType
    unit: str
    text: str


@dataclass(frozen=True)
class Table:
    """One kind of fact, stored as `<name>/<day>.parquet`; `key` names a row."""

    name: str
    text: str
    grain: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    most: Mapping[str, float] = field(default_factory=dict)
    """Largest values of columns where less than `_MOST` is possible."""
    later: frozenset[str] = frozenset()
    """Columns that files of earlier releases lack: null there."""

    def range_of(self, column: Column) -> tuple[float, float]:
        """The least and the largest value that a column of numbers can hold."""
        # A credit is a negative cost.
        least = -_MOST if column.unit == "USD" else 0.0
        return least, self.most.get(column.name, _MOST)

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(column.name, column.type) for column in self.columns])

    def empty(self) -> pd.DataFrame:
        return pd.DataFrame(self.schema.empty_table().to_pandas())


def _tables() -> Iterator[Table]:
    """The tables of `data/snapshot_tables.toml`."""
    described = tomllib.loads(data_file("snapshot_tables.toml").read_text(encoding="utf-8"))
    for name, table in described.items():
        columns = [Column(name, _TYPES[kind], *words) for name, kind, *words in table["columns"]]
        later = frozenset(table.get("later", ()))
        yield Table(
            name, table["text"], table["grain"], tuple(table["key"]), tuple(columns),
            table.get("most", {}), later,
        )  # fmt: skip


TABLES: Mapping[str, Table] = {table.name: table for table in _tables()}
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


def to_arrow(spec: Table, rows: pd.DataFrame) -> pa.Table:
    """Convert to the table's Arrow schema, filling absent columns with nulls."""
    arrays = []
    for column in spec.columns:
        if column.name not in rows.columns:
            arrays.append(pa.nulls(len(rows), column.type))
            continue
        values = rows[column.name]
        if pa.types.is_dictionary(column.type):
            values = values.astype("category")
        array = pa.Array.from_pandas(values)
        if pa.types.is_dictionary(column.type) and not pa.types.is_dictionary(array.type):
            array = array.cast(pa.string()).dictionary_encode()
        # A moment is one of milliseconds, whatever fraction a server gives.
        arrays.append(array.cast(column.type, safe=not pa.types.is_timestamp(column.type)))
    return pa.Table.from_arrays(
        [a.combine_chunks() if isinstance(a, pa.ChunkedArray) else a for a in arrays],
        schema=spec.schema,
    )


def codes_of(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """A number for each value of a column; null has one too."""
    if pa.types.is_dictionary(column.type):
        indices = column.unify_dictionaries().combine_chunks().indices.cast(pa.int64())
        return np.asarray(pc.fill_null(indices, -1).to_numpy(), dtype=np.int64)
    return np.asarray(pd.factorize(column.to_pandas())[0], dtype=np.int64)
