"""From the bytes of an answer to arrays, at the speed of the disk rather than of Python objects.

A range answer is `{"metric":{...},"values":[[t,"v"],...]}` for each series. Quotes inside JSON
strings are escaped, so the bytes `,"values":[[` occur nowhere else, and everything up to the next
`"]]}` is numbers: these stretches become arrays without a Python object for each point, and are
dropped while the rest is on its way. An answer of any other form goes the plain way.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import simdjson

from rightsize.collectors.errors import MalformedAnswerError, PartialAnswerError

Labels = Mapping[str, str]
FloatArray = np.ndarray[Any, np.dtype[np.float64]]

_RESULT = b'"result":['
_METRIC = b'{"metric":'
_VALUES = b',"values":[['
_LAST = b'"]]}'
_BLANKED = bytes.maketrans(b'[]"', b"   ")


@dataclass(frozen=True)
class Grid:
    """Evenly spaced moments: `count` of them, `step` seconds apart, from `start` (epoch s)."""

    start: int
    step: int
    count: int

    @property
    def end(self) -> int:
        return self.start + (self.count - 1) * self.step

    @property
    def moments(self) -> FloatArray:
        return self.start + self.step * np.arange(self.count, dtype=float)

    def part(self, first: int, count: int) -> Grid:
        return Grid(self.start + first * self.step, self.step, count)


@dataclass(frozen=True)
class Answer:
    """Series on a grid.

    Attributes
    ----------
    labels : sequence of mapping
        One for each series.
    values : array of float, shape (series, moments)
        NaN where there is no sample, and where it was no finite number.
    faults : int
        Samples that were infinite.
    """

    labels: Sequence[Labels]
    values: FloatArray
    faults: int = 0
    notes: tuple[str, ...] = field(default=())
    """What the server said about an incomplete answer."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def column(self) -> FloatArray:
        """The values of an instant answer, shape (series,)."""
        only: FloatArray = self.values[:, 0]
        return only


def empty_answer(grid: Grid) -> Answer:
    return Answer([], np.empty((0, grid.count)))


def merged(answers: Sequence[Answer], offsets: Sequence[int], grid: Grid) -> Answer:
    """Join answers to parts of a question: pieces of time (at `offsets`) and of the series."""
    rows: dict[frozenset[tuple[str, str]], int] = {}
    labels: list[Labels] = []
    for answer in answers:
        for one in answer.labels:
            if rows.setdefault(frozenset(one.items()), len(labels)) == len(labels):
                labels.append(one)
    values = np.full((len(labels), grid.count), np.nan)
    for answer, offset in zip(answers, offsets, strict=True):
        where = [rows[frozenset(one.items())] for one in answer.labels]
        values[where, offset : offset + answer.values.shape[1]] = answer.values
    notes = tuple(dict.fromkeys(note for answer in answers for note in answer.notes))
    return Answer(labels, values, sum(a.faults for a in answers), notes)


def read_range(chunks: Iterable[bytes], grid: Grid, *, server: str) -> Answer:
    """Read the answer of `/api/v1/query_range` as it arrives.

    Raises
    ------
    MalformedAnswerError
        If it is no such answer.
    """
    reading = _RangeReading(grid)
    arriving = iter(chunks)
    for chunk in arriving:
        if not reading.take(chunk):
            break
    answer = reading.answer()
    if answer is not None:
        return answer
    body = reading.pending + b"".join(arriving)
    if reading.begun:
        # Its beginning was of the usual form and is gone: no server changes its ways in between.
        raise malformed(body, server)
    return _plain(body, grid, server)


def parse_instant(body: bytes, *, server: str) -> Answer:
    """Read the answer of `/api/v1/query`: one value for each series.

    Raises
    ------
    MalformedAnswerError
        If it is no such answer.
    """
    return _plain(body, Grid(0, 1, 1), server)


def envelope(body: bytes, *, server: str) -> Any:
    """Return the `data` of any answer of the HTTP API, with the server's warnings.

    Raises
    ------
    MalformedAnswerError
        If it is no such answer.
    """
    try:
        answer = orjson.loads(body)
        if answer["status"] != "success":
            raise KeyError("status")
        return answer["data"], _notes(answer)
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise malformed(body, server) from error


def malformed(body: bytes, server: str) -> MalformedAnswerError:
    """Say what came instead of an answer."""
    page = body.lstrip()[:1] == b"<"
    what = "an HTML page" if page else "nothing" if not body else "no Prometheus answer"
    return MalformedAnswerError(
        f"{server}: answered with {what}",
        hint="is this the address of the API, and not of a web page or a sign-in proxy?",
    )


def refuse_partial(answer: Answer, *, server: str) -> None:
    """Raise if the server said that a part of the data is missing.

    Raises
    ------
    PartialAnswerError
    """
    if answer.notes:
        raise PartialAnswerError(
            f"{server}: the answer lacks a part of the data ({answer.notes[0][:300]})",
            hint="try again when all stores are up, or accept it with --allow-partial",
        )


def _notes(answer: Mapping[str, Any]) -> tuple[str, ...]:
    # Prometheus 3 also warns about the query itself ("PromQL warning: …"): nothing is missing then.
    warnings = [str(w) for w in answer.get("warnings") or () if "PromQL" not in str(w)]
    if answer.get("isPartial"):
        warnings.append("the server marks it as partial")
    return tuple(warnings)


def _plain(body: bytes, grid: Grid, server: str) -> Answer:
    data, notes = envelope(body, server=server)
    try:
        if data["resultType"] == "scalar":
            return Answer([{}], np.array([[float(data["result"][1])]]), 0, notes)
        labels: list[Labels] = []
        values = np.full((len(data["result"]), grid.count), np.nan)
        for row, series in enumerate(data["result"]):
            labels.append(_shared(series["metric"]))
            points = series["values"] if "values" in series else [series["value"]]
            pairs = np.array([(float(t), float(v)) for t, v in points])
            if not _place(values[row], pairs, grid, single="value" in series):
                raise ValueError("a point off the grid")
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise malformed(body, server) from error
    return _finite(labels, values, notes)


class _RangeReading:
    """Series of the usual form, taken from the front of what has arrived so far."""

    def __init__(self, grid: Grid) -> None:
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
        return _finite(self.labels, values, _notes(rest))

    def _take_series(self) -> bool:
        """Turn every whole series into a row, and keep what is left."""
        body, position = self.pending, 0 if self.begun else len(self._opening)
        while True:
            start = position + (bool(self.labels) and body.startswith(b",", position))
            middle = body.find(_VALUES, start)
            end = body.find(_LAST, middle)
            if middle < 0 or end < 0 or not body.startswith(_METRIC, start):
                break
            labels = _shared(orjson.loads(body[start + len(_METRIC) : middle]))
            row = np.full(self._grid.count, np.nan)
            numbers = _numbers(body[middle + len(_VALUES) : end], self._parser)
            if not _place(row, numbers, self._grid):
                return False
            self.labels.append(labels)
            self._rows.append(row)
            position = end + len(_LAST)
        if self.labels:
            self.pending, self.begun = body[position:], True
        return True


def _shared(labels: dict[str, str]) -> Labels:
    """The same labels with each text stored once: pods' names come in twenty answers a day."""
    return {name: sys.intern(value) for name, value in labels.items()}


def _numbers(segment: bytes, parser: Any) -> FloatArray:
    """Turn `t,"v"],[t,"v"` into an array of pairs, shape (points, 2)."""
    flat = segment.translate(_BLANKED)
    try:
        # of_type 'd' copies; the buffer lives as long as the parser's document.
        numbers = np.array(parser.parse(b"[" + flat + b"]").as_buffer(of_type="d")).view(np.float64)
    except (ValueError, TypeError):
        # NaN and +Inf are no JSON numbers.
        numbers = np.array([float(text) for text in flat.split(b",")])
    return numbers.reshape(-1, 2)


def _place(row: FloatArray, pairs: FloatArray, grid: Grid, *, single: bool = False) -> bool:
    """Put points where they belong on the grid; False if one is off it."""
    if single:
        row[0] = pairs[-1, 1]
        return True
    if len(pairs) == grid.count and pairs[0, 0] == grid.start and pairs[-1, 0] == grid.end:
        # A point for every moment, as for most series.
        row[:] = pairs[:, 1]
        return True
    index = np.rint((pairs[:, 0] - grid.start) / grid.step).astype(np.intp)
    if len(index) and (index[0] < 0 or index[-1] >= grid.count):
        return False
    row[index] = pairs[:, 1]
    return True


def _finite(labels: Sequence[Labels], values: FloatArray, notes: tuple[str, ...]) -> Answer:
    infinite = ~np.isfinite(values) & ~np.isnan(values)
    values[infinite] = np.nan
    return Answer(labels, values, int(infinite.sum()), notes)
