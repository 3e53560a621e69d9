"""What the pages of a Parquet file unpack to, by their own headers: the footer may say otherwise.

A page's buffer is made as large as its header says before a byte of it is unpacked, up to 2 GiB.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import IO, Any

import pyarrow.parquet as pq

_HEAD = 256
_LONGEST_HEAD = 64 * 2**10
"""Statistics of texts included; Arrow writes none above 4 kB."""
_DEEPEST = 8
_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = (
    0, 1, 2, 3, 7, 8, 9, 10, 12,
)  # fmt: skip
"""Types of Thrift's compact protocol ("Thrift Compact protocol encoding", struct and field types)."""
_UNPACKED, _PACKED = 2, 3
"""Fields of `PageHeader` in parquet.thrift."""


def unpacked_bytes(
    source: IO[bytes] | Any,
    about: pq.FileMetaData,
    columns: Collection[str],
    groups: Sequence[int],
    most: int,
) -> int:
    """Bytes that the pages of some columns and row groups unpack to; it stops counting above `most`.

    Raises
    ------
    ValueError
        If a page has no header that can be read, or none of its bytes are in the file.
    """
    total = 0
    for number in groups:
        group = about.row_group(number)
        chunks = [group.column(index) for index in range(group.num_columns)]
        if not group.num_rows and not any(chunk.num_values for chunk in chunks):
            continue  # Of no row no page is read, and a writer need not say where one would be.
        for chunk in chunks:
            if chunk.path_in_schema.partition(".")[0] in columns:
                total += _of_chunk(source, chunk, most - total)
            if total > most:
                return total
    return total


def _of_chunk(source: IO[bytes] | Any, chunk: Any, most: int) -> int:
    if chunk.num_values <= 0:  # Arrow reads no page then, and an empty file has no place of one.
        return 0
    place = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < place:
        place = chunk.dictionary_page_offset
    end, total = place + chunk.total_compressed_size, 0
    while place < end and total <= most:
        size, unpacked, packed = _header(source, place, end)
        if unpacked < 0 or packed < 0:
            raise ValueError("a page of less than no bytes")
        total += unpacked
        place += size + packed
    return total


def _header(source: IO[bytes] | Any, place: int, end: int) -> tuple[int, int, int]:
    """Bytes of a page's header, and of the page unpacked and packed."""
    for length in (_HEAD, _LONGEST_HEAD):
        source.seek(place)
        found = _Compact(source.read(min(length, end - place)))
        try:
            fields = found.struct()
            return found.place, fields[_UNPACKED], fields[_PACKED]
        except (IndexError, KeyError):
            continue
    raise ValueError("a page without a header")


class _Compact:
    """Reads one struct of Thrift's compact protocol: its numbers by their field."""

    def __init__(self, content: bytes) -> None:
        self._content, self.place = content, 0

    def struct(self, depth: int = 0) -> dict[int, int]:
        if depth > _DEEPEST:
            raise ValueError("a header of a page that is too deep")
        fields: dict[int, int] = {}
        field = 0
        while True:
            head = self._content[self.place]
            self.place += 1
            kind = head & 15
            if kind == _STOP:
                return fields
            field = field + (head >> 4) if head >> 4 else self._number()
            if kind in (4, 5, 6):
                fields[field] = self._number()
            elif kind not in (_TRUE, _FALSE):
                self._skip(kind, depth + 1)

    def _skip(self, kind: int, depth: int) -> None:
        if kind in (_TRUE, _FALSE, _BYTE):  # In a list a flag takes a byte.
            self.place += 1
        elif kind in (4, 5, 6):
            self._varint()
        elif kind == _DOUBLE:
            self.place += 8
        elif kind == _BINARY:
            length = self._varint()
            self.place += length
        elif kind == _STRUCT:
            self.struct(depth)
        elif kind in (_LIST, _SET):
            head = self._content[self.place]
            self.place += 1
            count = self._varint() if head >> 4 == 15 else head >> 4
            for _ in range(min(count, _LONGEST_HEAD)):
                self._skip(head & 15, depth + 1)
        else:
            raise ValueError("a header of a page that is none")

    def _varint(self) -> int:
        found = 0
        for shift in range(0, 70, 7):
            byte = self._content[self.place]
            self.place += 1
            found |= (byte & 127) << shift
            if byte < 128:
                return found
        raise ValueError("a number of a page's header that has no end")

    def _number(self) -> int:
        found = self._varint()
        return (found >> 1) ^ -(found & 1)
