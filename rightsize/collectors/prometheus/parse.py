"""What an answer is: series on a grid, read so that nothing from outside is trusted."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson

from rightsize.collectors.errors import (
    MalformedAnswerError,
    MetricsServerError,
    PartialAnswerError,
    QueryTooLargeError,
)
from rightsize.secrets import excerpt

Labels = Mapping[str, str]
FloatArray = np.ndarray[Any, np.dtype[np.float64]]

MOST_POINTS = 5_000_000
"""Points of one answer, unless the settings say otherwise."""
MOST_PLAIN_BYTES = 48 << 20
"""Of an answer that is decoded as a whole."""
MOST_OBJECTS = 3_000_000
"""Of such an answer: each costs 50 bytes and more, and is written with two."""


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
    impossible : int
        Samples that no machine can produce; see `possible`.
    """

    labels: Sequence[Labels]
    values: FloatArray
    faults: int = 0
    impossible: int = 0
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
    faults, impossible = (sum(a.faults for a in answers), sum(a.impossible for a in answers))
    return Answer(labels, values, faults, impossible, notes)


def parse_instant(body: bytes, *, server: str, most_points: int = MOST_POINTS) -> Answer:
    """Read the answer of `/api/v1/query`: one value for each series.

    Raises
    ------
    MalformedAnswerError
        If it is no such answer.
    QueryTooLargeError
        As `read_range`.
    """
    with parsing(server):
        return plain(body, Grid(0, 1, 1), server, most_points)


def parse_result(result: Sequence[Any], *, server: str) -> Answer:
    """Read the series of an instant query that were decoded already.

    Raises
    ------
    MalformedAnswerError
        If they are none.
    """
    with parsing(server):
        return _series(result, Grid(0, 1, 1), (), Room(server, MOST_POINTS))


def envelope(body: bytes | bytearray, *, server: str) -> Any:
    """Return the `data` of any answer of the HTTP API, with the server's warnings.

    Raises
    ------
    MalformedAnswerError
        If it is no such answer.
    """
    with parsing(server):
        if objects_in(body) > MOST_OBJECTS:
            raise too_large(server)
        try:
            answer = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise malformed(body, server) from error
        if answer["status"] != "success":
            raise malformed(body, server)
        return answer["data"], notes_of(answer)


@contextlib.contextmanager
def parsing(server: str) -> Iterator[None]:
    """Whatever is raised by reading what came from outside: the answer is none."""
    try:
        yield
    except MetricsServerError:
        raise
    except Exception as error:
        raise malformed(b"?", server) from error


def too_large(server: str) -> QueryTooLargeError:
    return QueryTooLargeError(
        f"{server}: the answer has more series or labels than expected",
        hint="narrow the question with --matcher, or raise max_points in the settings",
    )


class Room:
    """Memory that one answer may take: 40 bytes for each point, of which the value takes eight."""

    def __init__(self, server: str, most_points: int) -> None:
        self._server, self._left = server, 40 * most_points

    def take(self, labels: Labels, points: int) -> None:
        """Account for one series.

        Raises
        ------
        QueryTooLargeError
        """
        self._left -= 8 * points + 250 + 60 * len(labels) + sum(map(len, labels.values()))
        if self._left < 0:
            raise too_large(self._server)


def objects_in(body: bytes | bytearray) -> int:
    """How many objects decoding can make, at most."""
    return sum(map(body.count, (b",", b"[", b"{")))


def malformed(body: bytes | bytearray, server: str) -> MalformedAnswerError:
    """Say what came instead of an answer."""
    page = body[:100].lstrip()[:1] == b"<"
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
            f"{server}: the answer lacks a part of the data ({excerpt(answer.notes[0], 300)})",
            hint="try again when all stores are up, or accept it with --allow-partial",
        )


def notes_of(answer: Mapping[str, Any]) -> tuple[str, ...]:
    # Prometheus 3 also warns about the query itself ("PromQL warning: …"): nothing is missing then.
    warnings = [str(w) for w in answer.get("warnings") or () if "PromQL" not in str(w)]
    if answer.get("isPartial"):
        warnings.append("the server marks it as partial")
    return tuple(warnings)


def plain(body: bytes | bytearray, grid: Grid, server: str, most_points: int) -> Answer:
    data, notes = envelope(body, server=server)
    if data["resultType"] == "scalar":
        return Answer([{}], np.array([[_sample(data["result"])[1]]]), notes=notes)
    return _series(data["result"], grid, notes, Room(server, most_points))


def _series(
    result: Sequence[Mapping[str, Any]], grid: Grid, notes: tuple[str, ...], room: Room
) -> Answer:
    labels: list[Labels] = []
    rows: list[FloatArray] = []
    for series in result:
        labels.append(shared(series["metric"]))
        room.take(labels[-1], grid.count)
        single = "value" in series
        points = [series["value"]] if single else series["values"]
        pairs = np.array([_sample(point) for point in points]).reshape(-1, 2)
        rows.append(np.full(grid.count, np.nan))
        if not place(rows[-1], pairs, grid, single=single):
            raise ValueError("a point off the grid")
    values = np.array(rows) if rows else np.empty((0, grid.count))
    return finite(labels, values, notes)


def _sample(point: Any) -> tuple[float, float]:
    """A moment and a value, which is text: `true` is no sample, and neither is a bare number."""
    moment, value = point
    if isinstance(moment, bool) or not isinstance(moment, int | float) or type(value) is not str:
        raise ValueError("no sample")
    return float(moment), float(value)


def shared(labels: dict[str, str]) -> Labels:
    """The same labels with each text stored once: pods' names come in twenty answers a day."""
    if type(labels) is not dict or not all(type(value) is str for value in labels.values()):
        raise ValueError("labels that are no texts")
    return {name: sys.intern(value) for name, value in labels.items()}


def place(row: FloatArray, pairs: FloatArray, grid: Grid, *, single: bool = False) -> bool:
    """Put points where they belong on the grid; False if one is off it."""
    if single:
        row[0] = pairs[-1, 1]
        return True
    if len(pairs) == grid.count and np.array_equal(pairs[:, 0], grid.moments):
        # A point for every moment, as for most series.
        row[:] = pairs[:, 1]
        return True
    index = np.rint((pairs[:, 0] - grid.start) / grid.step)
    if not np.all((index >= 0) & (index < grid.count)):
        return False
    row[index.astype(np.intp)] = pairs[:, 1]
    return True


def finite(labels: Sequence[Labels], values: FloatArray, notes: tuple[str, ...]) -> Answer:
    infinite = ~np.isfinite(values) & ~np.isnan(values)
    values[infinite] = np.nan
    return Answer(labels, values, int(infinite.sum()), notes=notes)


def possible(answer: Answer, most: float) -> Answer:
    """The same without samples below zero or above `most`: an underflow writes 2^64 as memory."""
    beyond = (answer.values < 0) | (answer.values > most)
    if not beyond.any():
        return answer
    values = np.where(beyond, np.nan, answer.values)
    return replace(answer, values=values, impossible=answer.impossible + int(beyond.sum()))
