"""Frames within answers that are kept: as JSON and back, column by column with its type."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import PlainSerializer, PlainValidator

_TIME = re.compile(r"datetime64\[(s|ms|us|ns), UTC\]")
_NUMBERS = ("int64", "float64", "bool")


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Columns by name, type and values; ValueError where a column is of another type."""
    if not frame.index.equals(pd.RangeIndex(len(frame))):
        raise ValueError("a frame with an index of its own")
    return [
        {"name": str(name), "type": str(values.dtype), "values": _values(values)}
        for name, values in frame.items()
    ]


def _values(column: pd.Series) -> list[Any]:
    """Plain values, None for NaN."""
    values: list[Any] = column.tolist()
    if _TIME.fullmatch(str(column.dtype)):
        times: list[Any] = column.astype("int64").tolist()
        return times
    if str(column.dtype) in _NUMBERS:
        return [None if value != value else value for value in values]
    if not all(isinstance(value, str) for value in values):
        raise ValueError(f"{column.name}: values that are no text")
    return values


def _frame(columns: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame({one["name"]: _column(one["type"], one["values"]) for one in columns})


def _column(kind: str, values: list[Any]) -> pd.Series:
    time = _TIME.fullmatch(kind)
    if time:
        moments = np.array(values, dtype=np.int64).view(f"datetime64[{time[1]}]")
        return pd.Series(moments).dt.tz_localize("UTC")
    if kind == "float64":
        return pd.Series([np.nan if value is None else value for value in values], dtype=kind)
    return pd.Series(values, dtype=kind)


KeptFrame = Annotated[pd.DataFrame, PlainValidator(_frame), PlainSerializer(_plain)]
"""A frame of numbers, texts and times in UTC, as a field of an answer that is kept."""


def digest(frame: pd.DataFrame) -> str:
    """SHA-256 of a frame's columns, their types and values."""
    table = pa.Table.from_pandas(frame)
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    return hashlib.sha256(out.getvalue()).hexdigest()
