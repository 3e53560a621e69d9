"""What no table of a snapshot can hold: other types, impossible values, a row twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from rightsize.snapshot.schema import Column, Table, codes_of

_NAMED = frozenset(("usage", "summaries", "pods", "containers", "nodes", "namespaces"))
"""Tables of which every part of the key is known."""
_UNIQUE = _NAMED | {"control_plane", "traffic", "proxies"}
"""Tables that are joined or added up by their key."""
_OF_ITS_DAY = frozenset(("first_seen", "last_seen", "first", "last"))
"""Ends of windows: a file of another day has others."""
_MANY_ROWS = 20_000
"""Above so many a count by key takes longer than a look at their order."""
_FIRST_TIME, _LAST_TIME = (datetime(year, 1, 1, tzinfo=UTC) for year in (1970, 2200))


def schema_faults(spec: Table, schema: pa.Schema, columns: Sequence[str] | None) -> Iterator[str]:
    """Say which columns are absent or of another type."""
    for column in spec.columns:
        if columns is not None and column.name not in columns:
            continue
        count = len(schema.get_all_field_indices(column.name))
        if not count and column.name in spec.later:
            continue
        if count != 1:
            yield f"{count} columns {column.name}" if count else f"no column {column.name}"
        elif (there := schema.field(column.name).type) != column.type:
            yield f"column {column.name} is {there}, not {column.type}"


def value_faults(spec: Table, day: date, rows: pa.Table) -> Iterator[str]:
    """Say which of the columns that were read hold impossible values, and whether rows are double.

    `rows` may have fewer columns than the table; double rows are looked for if its key is there.
    """
    try:
        rows.validate(full=True)
    except pa.ArrowException as error:
        yield str(error)
        return
    for column in spec.columns:
        if column.name in rows.column_names:
            yield from _column_faults(spec, column, day, rows.column(column.name))
    for name in spec.key if spec.name in _NAMED else ("time",):
        if name in rows.column_names and (count := rows.column(name).null_count):
            yield f"{name} is not known of {count} rows"
    if spec.name in _UNIQUE and set(spec.key) <= set(rows.column_names):
        double = rows.num_rows - _distinct(rows, spec.key)
        if double:
            yield f"{double} rows are double ({', '.join(spec.key)})"


def within_range(spec: Table, rows: pa.Table) -> pa.Table:
    """The same with null in place of numbers out of range."""
    for number, column in enumerate(spec.columns):
        if pa.types.is_floating(column.type):
            values = rows.column(number)
            bad = _out_of_range(spec, column, values)
            if pc.any(bad).as_py():
                values = pc.if_else(pc.fill_null(bad, False), None, values)
                rows = rows.set_column(number, rows.field(number), values)
    return rows


def _out_of_range(spec: Table, column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    least, most = spec.range_of(column)
    return pc.invert(pc.and_(pc.greater_equal(values, least), pc.less_equal(values, most)))


def _column_faults(
    spec: Table, column: Column, day: date, values: pa.ChunkedArray
) -> Iterator[str]:
    if pa.types.is_floating(column.type):
        least, most = spec.range_of(column)
        if count := _outside(values, least, most):
            yield f"{count} values of {column.name} are not in {least:g} to {most:g}"
    elif pa.types.is_timestamp(column.type):
        first, last = _FIRST_TIME, _LAST_TIME
        if column.name in _OF_ITS_DAY or (column.name == "time" and spec.grain != "day"):
            first = datetime(day.year, day.month, day.day, tzinfo=UTC)
            last = first + timedelta(days=1)
        limits = (pa.scalar(moment, column.type).value for moment in (first, last))
        if count := _outside(values.cast(pa.int64()), *limits):
            yield f"{count} times of {column.name} are not in {first} to {last}"
    elif column.unit == "JSON":
        kind = list if column.name == "taints" else dict
        texts = values.unique().drop_null().to_pylist()
        if count := sum(not _is_json(text, kind) for text in texts):
            yield f"{count} values of {column.name} are no JSON {kind.__name__}"


def _outside(values: pa.ChunkedArray, least: float, most: float) -> int:
    """Number of known values that are not in a range; those that are no number are not."""
    numbers = values.to_numpy()
    inside = np.count_nonzero((numbers >= least) & (numbers <= most))
    return len(numbers) - int(values.null_count) - int(inside)


def _is_json(text: str, kind: type) -> bool:
    try:
        return isinstance(orjson.loads(text), kind)
    except orjson.JSONDecodeError:
        return False


def _distinct(rows: pa.Table, key: Sequence[str]) -> int:
    """Number of different keys; of many rows without a count of each where they stand as they were written."""
    if rows.num_rows > _MANY_ROWS and "time" in key:
        series = [name for name in key if name != "time"]
        heads = np.zeros(rows.num_rows, dtype=bool)
        heads[0] = True
        for name in series:
            part = codes_of(rows.column(name))
            heads[1:] |= part[1:] != part[:-1]
        later = np.diff(rows.column("time").cast(pa.int64()).to_numpy(), prepend=0) > 0
        firsts = rows.filter(pa.array(heads))
        if (heads | later).all() and _counted(firsts, series) == firsts.num_rows:
            return int(rows.num_rows)
    return _counted(rows, key)


def _counted(rows: pa.Table, key: Sequence[str]) -> int:
    names = list(key)
    keys = rows.select(names).unify_dictionaries()
    return int(keys.group_by(names, use_threads=False).aggregate([]).num_rows)
