"""Days, and the moments at which they are asked about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from rightsize.collectors.prometheus.parse import Answer, Grid
from rightsize.collectors.prometheus.query import Shape
from rightsize.snapshot.schema import WINDOW_SECONDS

DAY_SECONDS = 86_400
HOUR_SECONDS = 3_600


@dataclass(frozen=True)
class Span:
    """Whole UTC days, or the part of one day that is over; epoch seconds, from a midnight."""

    start: int
    end: int

    def grid(self, shape: Shape) -> Grid:
        """Moments at which a query of this shape is evaluated.

        The part of a started hour is left to the next collect, which fetches the day anew.
        """
        length = self.end - self.start
        if shape is Shape.WINDOWS:
            return Grid(self.start, WINDOW_SECONDS, length // WINDOW_SECONDS + 1)
        if shape is Shape.HOURS:
            return Grid(self.start, HOUR_SECONDS, length // HOUR_SECONDS + 1)
        days = -(-length // DAY_SECONDS)
        first = self.start if shape is Shape.MORNING else min(self.start + DAY_SECONDS, self.end)
        return Grid(first, DAY_SECONDS, days)


@dataclass(frozen=True)
class Day(Span):
    """One UTC day or the part of it that is over."""

    @property
    def complete(self) -> bool:
        return self.end - self.start == DAY_SECONDS

    @property
    def label(self) -> datetime:
        return datetime.fromtimestamp(self.start, UTC)


def runs(days: Sequence[Day], longest: int) -> Iterator[list[Day]]:
    """Cut days into runs of whole ones that follow each other; a part of a day stands alone."""
    run: list[Day] = []
    for day in days:
        follows = run and run[-1].complete and day.complete and run[-1].end == day.start
        if run and (not follows or len(run) == longest):
            yield run
            run = []
        run.append(day)
    if run:
        yield run


def part_of(answer: Answer, shape: Shape, number: int) -> Answer:
    """Cut the answer for a run of days to one of them; series that it does not have are left out.

    Faults are those of the windows alone, which are asked for by day.
    """
    first, count = (24 * number, 25) if shape is Shape.HOURS else (number, 1)
    values = answer.values[:, first : first + count]
    there = np.flatnonzero(~np.isnan(values).all(axis=1))
    return replace(
        answer,
        labels=[answer.labels[int(i)] for i in there],
        values=values[there],
        faults=0,
        impossible=0,
    )
