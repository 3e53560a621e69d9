"""From the bytes of a range answer to arrays, at the speed of the disk rather than of Python objects.

A range answer is `{"metric":{...},"values":[[t,"v"],...]}` for each series. Quotes inside JSON
strings are escaped, so the bytes `,"values":[[` occur nowhere else, and everything up to the next
`"]]}` is numbers: these stretches become arrays without a Python object for each point, and are
dropped while the rest is on its way. An answer of any other form goes the plain way.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import orjson
import simdjson

from rightsize.collectors.prometheus.parse import (
    MOST_OBJECTS,
    MOST_PLAIN_BYTES,
    MOST_POINTS,
    Answer,
    FloatArray,
    Grid,
    Labels,
    Room,
    finite,
    malformed,
    notes_of,
    objects_in,
    parsing,
    place,
    plain,
    shared,
    too_large,
)

_RESULT = b'"result":['
_METRIC = b'{"metric":'
_VALUES = b',"values":[['
_LAST = b'"]]}'
_MOST_SERIES_BYTES = 1 << 20
"""Of the labels of one series: Prometheus' own limit on a scrape's labels is far below."""
_BLANKED = bytes.maketrans(b'[]"', b"   ")


def read_range(
    chunks: Iterable[bytes], grid: Grid, *, server: str, most_points: int = MOST_POINTS
) -> Answer:
    """Read the answer of `/api/v1/query_range` as it arrives.

    Raises
    ------
    MalformedAnswerError
        If it is no such answer.
    QueryTooLargeError
        If it brings more than `most_points` points, or labels of such a size.
    """
    with parsing(server):
        reading = _RangeReading(grid, server, most_points)
        arriving = iter(chunks)
        for chunk in arriving:
            if not reading.take(chunk):
                break
        answer = reading.answer()
        if answer is not None:
            return answer
        if reading.begun:
            # Its beginning was of the usual form and is gone: no server changes its ways in between.
            raise malformed(reading.pending, server)
        body = bytearray(reading.pending)
        reading.pending = b""
        objects = objects_in(body)
        for chunk in arriving:
            body += chunk
            objects += objects_in(chunk)
            if len(body) > MOST_PLAIN_BYTES or objects > MOST_OBJECTS:
                # The error's traceback would keep it for as long as the error is kept.
                body.clear()
                raise too_large(server)
        return plain(body, grid, server, most_points)


class _RangeReading:
    """Series of the usual form, taken from the front of what has arrived so far."""

    def __init__(self, grid: Grid, server: str, most_points: int) -> None:
        self._server = server
        self._room = Room(server, most_points)
        self.labels: list[Labels] = []
        self.pending = b""
        self.begun = False
        self._grid = grid
        self._rows: list[FloatArray] = []
        self._parser = simdjson.Parser()
        self._opening = b""

    def take(self, chunk: bytes) -> bool:
        """Add a piece; False if the answer has another form than the usual one."""
        self.pending += chunk
        if len(self.pending) > _MOST_SERIES_BYTES + 64 * self._grid.count + len(chunk):
            if self._opening:
                raise too_large(self._server)
            return False
        if not self._opening:
            end = self.pending.find(_RESULT)
            if end < 0:
                return True
            if b'"matrix"' not in self.pending[:end]:
                return False
            self._opening = self.pending[: end + len(_RESULT)]
        try:
            return self._take_series()
        except ValueError:
            return False

    def answer(self) -> Answer | None:
        """What was read, when everything has come; None if it is not whole or of another form."""
        left = self.pending if self.begun else self.pending[len(self._opening) :]
        if not self._opening or not left.startswith(b"]"):
            return None
        try:
            # What is left is the envelope alone: small, and the place of the warnings.
            rest = orjson.loads(self._opening + left)
        except orjson.JSONDecodeError:
            return None
        if rest.get("status") != "success":
            return None
        values = np.array(self._rows) if self._rows else np.empty((0, self._grid.count))
        return finite(self.labels, values, notes_of(rest))

    def _take_series(self) -> bool:
        """Turn every whole series into a row, and keep what is left."""
        body, position = self.pending, 0 if self.begun else len(self._opening)
        while True:
            start = position + (bool(self.labels) and body.startswith(b",", position))
            middle = body.find(_VALUES, start)
            end = body.find(_LAST, middle)
            if middle < 0 or end < 0 or not body.startswith(_METRIC, start):
                break
            labels = shared(orjson.loads(body[start + len(_METRIC) : middle]))
            self._room.take(labels, self._grid.count)
            row = np.full(self._grid.count, np.nan)
            numbers = _numbers(body[middle + len(_VALUES) : end], self._parser)
            if not place(row, numbers, self._grid):
                return False
            self.labels.append(labels)
            self._rows.append(row)
            position = end + len(_LAST)
        if self.labels:
            self.pending, self.begun = body[position:], True
        return True


def _numbers(segment: bytes, parser: Any) -> FloatArray:
    """Turn `t,"v"],[t,"v"` into an array of pairs, shape (points, 2)."""
    flat = segment.translate(_BLANKED)
    try:
        # of_type 'd' copies; the buffer lives as long as the parser's document.
        numbers = np.array(parser.parse(b"[" + flat + b"]").as_buffer(of_type="d")).view(np.float64)
    except (ValueError, TypeError, RuntimeError):
        # NaN and +Inf are no JSON numbers; whole ones of 1e20 and more are too large for it.
        numbers = np.array([float(text) for text in flat.split(b",")])
    return numbers.reshape(-1, 2)
