"""A bill as CSV of FOCUS, for tools that load cost and usage data."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from rightsize.border import csv_cell
from rightsize.output.console import Printer, error_console
from rightsize.output.tables.formats import Answer, register_format

if TYPE_CHECKING:
    import pandas as pd


@register_format("focus", of="charges")
def _focus(answer: Answer, printer: Printer) -> None:
    if answer.charges is None:
        return
    printer.write(focus_csv(answer.charges()))
    for remark in answer.remarks:
        error_console().print(remark, markup=False)


def focus_csv(rows: pd.DataFrame) -> str:
    """Rows of `rightsize.cost.focus.focus_rows` as CSV.

    Null is an empty field. Texts are quoted, so that readers that infer types take an account of
    digits as the text that FOCUS says it is.
    """
    columns = [rows[name].map(_cell).tolist() for name in rows.columns]
    lines = [",".join(rows.columns), *map(",".join, zip(*columns, strict=True))]
    return "\n".join(lines) + "\n"


def focus_parquet(rows: pd.DataFrame) -> bytes:
    """The same as Parquet, which holds the types that FOCUS names."""
    import pyarrow as pa
    from pyarrow import parquet

    from rightsize.cost.focus import FLAGS, NUMBERS

    types = dict.fromkeys(NUMBERS, pa.float64()) | dict.fromkeys(FLAGS, pa.bool_())
    arrays = []
    for name in rows.columns:
        values = [None if value is None or value != value else value for value in rows[name]]
        if name in NUMBERS:
            values = [None if value is None else float(value) for value in values]
        arrays.append(pa.array(values, types.get(name, pa.string())))
    buffer = pa.BufferOutputStream()
    parquet.write_table(pa.table(arrays, names=list(rows.columns)), buffer)
    return bytes(buffer.getvalue())


def _cell(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return "" if value is None or value != value else str(value)
    text = str(csv_cell(value)).replace('"', '""')
    return f'"{text}"'
