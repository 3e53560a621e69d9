"""Texts of a Parquet file by its dictionaries: how much they spell out is known before it is done.

A dictionary of one text of a megabyte, and 65,536 rows that name it, are 64 GiB in 6 kB of a file.
"""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def text_leaves(about: pq.FileMetaData, columns: Collection[str]) -> list[str]:
    """Paths of the texts in these columns, as `read_dictionary` of a `ParquetFile` takes them."""
    found = (about.schema.column(number) for number in range(len(about.schema)))
    return [
        one.path
        for one in found
        if one.physical_type == "BYTE_ARRAY" and one.path.split(".")[0] in columns
    ]


def spelled_bytes(values: pa.Array) -> int:
    """Bytes of a column once each row has its own text."""
    if pa.types.is_map(values.type):
        return spelled_bytes(values.keys) + spelled_bytes(values.items)
    if not pa.types.is_dictionary(values.type):
        return int(values.nbytes)
    lengths = pc.binary_length(values.dictionary).take(values.indices)
    return int(pc.sum(lengths).as_py() or 0)


def spelled(values: pa.Array) -> pa.Array:
    """The column with each row's own text."""
    if pa.types.is_map(values.type):
        key, item = (_plain(kind) for kind in (values.type.key_type, values.type.item_type))
        return values.cast(pa.map_(key, item))
    return values.cast(_plain(values.type))


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
