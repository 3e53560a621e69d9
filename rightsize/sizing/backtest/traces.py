"""Usage traces as CSV: one row for each series and time, as published data sets have them.

Columns: `series_id`, `timestamp` (epoch seconds, UTC, or ISO 8601), and at least one of
`cpu_cores`, `cpu_percent` (of a machine of one core), `memory_bytes`, `memory_fraction` (of a
machine of 1 GiB). A blank value is unknown. Gzip is recognized by the suffix `.gz`.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from rightsize.errors import InputFileError
from rightsize.sizing.backtest import trace_workloads
from rightsize.sizing.backtest.run import own_answers
from rightsize.sizing.policies import SizingPolicy

_CPU = {"cpu_cores": 1.0, "cpu_percent": 0.01}
_MEMORY = {"memory_bytes": 1.0, "memory_fraction": float(2**30)}


def read_traces(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a trace file.

    Returns
    -------
    DataFrame
        `series_id` (category, in order of first appearance), `time` (datetime64, UTC), `cpu`
        (cores) and `memory` (bytes); a usage column that the file lacks is NaN throughout. Rows
        are ordered by series and time.

    Raises
    ------
    InputFileError
        If the file cannot be read, lacks a column, or holds something that is no number or time.
    """
    file = Path(path)
    try:
        raw = pd.read_csv(file, dtype={"series_id": str})
    except (OSError, EOFError) as error:
        raise InputFileError(f"cannot be read ({error})", path=file) from error
    except ValueError as error:
        raise InputFileError(
            f"is no CSV ({error})", path=file, hint="columns: series_id,timestamp,cpu_cores"
        ) from error
    raw.columns = [str(name).strip() for name in raw.columns]
    for name in ("series_id", "timestamp"):
        if name not in raw:
            raise InputFileError(
                f"has no column {name}",
                path=file,
                line=1,
                hint="columns: series_id, timestamp, and cpu_cores, cpu_percent, memory_bytes "
                "or memory_fraction",
            )
    if not (set(_CPU) | set(_MEMORY)) & set(raw.columns):
        raise InputFileError(
            "has no usage column",
            path=file,
            line=1,
            hint="give cpu_cores, cpu_percent, memory_bytes or memory_fraction",
        )
    ids = raw["series_id"]
    if ids.isna().any():
        raise InputFileError("series_id is blank", path=file, line=_line(ids.isna()))
    frame = pd.DataFrame(
        {
            "series_id": pd.Categorical(ids, categories=ids.unique()),
            "time": _times(raw["timestamp"], file),
            "cpu": _usage(raw, _CPU, file),
            "memory": _usage(raw, _MEMORY, file),
        }
    )
    frame = frame.sort_values(["series_id", "time"], kind="stable")
    # The last of two rows for one time stands, as in most exports that correct themselves.
    return frame.drop_duplicates(["series_id", "time"], keep="last").reset_index(drop=True)


def recommend_traces(path: str | os.PathLike[str], policy: SizingPolicy) -> pd.DataFrame:
    """Size every series of a trace file, with no floors, no rounding and nothing in force.

    Parameters
    ----------
    path : path-like
        A file that `read_traces` understands.
    policy : SizingPolicy
        Unfitted.

    Returns
    -------
    DataFrame
        One row for each series: `series_id`, `cpu_request`, `cpu_limit` (cores),
        `memory_request`, `memory_limit` (bytes); NaN where the trace has no such usage.

    Raises
    ------
    InputFileError
        As `read_traces`.
    """
    rows = []
    for series in trace_workloads(read_traces(path)):
        sizes = own_answers({"": policy}, series.history)[""].sizes
        rows.append({"series_id": series.workload, **asdict(sizes)})
    columns = ["series_id", "cpu_request", "cpu_limit", "memory_request", "memory_limit"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype(dict.fromkeys(columns[1:], "float64"))


def _times(column: pd.Series, path: Path) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column):
        if column.isna().any():
            raise InputFileError("timestamp is blank", path=path, line=_line(column.isna()))
        return pd.to_datetime(column, unit="s", utc=True).astype("datetime64[s, UTC]")
    times = pd.to_datetime(column, utc=True, format="ISO8601", errors="coerce")
    if times.isna().any():
        line = _line(times.isna())
        raise InputFileError(
            f"{column.iloc[line - 2]!r} is no time",
            path=path,
            line=line,
            hint="epoch seconds, or ISO 8601",
        )
    return times.astype("datetime64[s, UTC]")


def _usage(raw: pd.DataFrame, units: dict[str, float], path: Path) -> pd.Series:
    found = [name for name in units if name in raw]
    if len(found) > 1:
        raise InputFileError(f"has both {found[0]} and {found[1]}", path=path, line=1)
    if not found:
        return pd.Series(float("nan"), index=raw.index)
    given = raw[found[0]]
    values = pd.to_numeric(given, errors="coerce")
    bad = (values.isna() & given.notna()) | (values < 0) | values.isin([float("inf")])
    if bad.any():
        line = _line(bad)
        raise InputFileError(
            f"{found[0]} is {given.iloc[line - 2]!r}", path=path, line=line, hint="a number >= 0"
        )
    return values.astype("float64") * units[found[0]]


def _line(bad: pd.Series) -> int:
    """Line of the first bad row; line 1 is the header."""
    return int(bad.to_numpy().argmax()) + 2
