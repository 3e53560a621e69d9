"""In which order a collect asks, so that little is asked and less is kept in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from rightsize.collectors.prometheus.days import Day, Span, part_of, runs
from rightsize.collectors.prometheus.istio_queries import TRAFFIC
from rightsize.collectors.prometheus.parse import Answer
from rightsize.collectors.prometheus.queries import DAILY, asked_together, joint, own_part
from rightsize.collectors.prometheus.query import Query, Shape
from rightsize.collectors.prometheus.source import Source, are_replicas, highest_of, joined

DAYS_AT_ONCE = 7
"""Days that one query for inventory or hourly figures covers: their labels, which are most of these
answers, come once a week rather than once a day."""

_SUMMED = frozenset({*(query.name for query in TRAFFIC), "dns_agents"})
"""Queries with sums over pods that are the servers' own."""
_Asked = Mapping[str, Sequence[Future[Answer]]]
_Shared = Mapping[tuple[Query, ...], Sequence[Future[Answer]]]
"""Answers for a run of days, by the questions that they answer."""


@dataclass(frozen=True)
class _Waiting:
    """A day that was asked about: its own windows, and its place in its run's answers."""

    day: Day
    number: int
    windows: _Asked
    shared: _Shared


def answers_by_day(
    source: Source, days: Sequence[Day]
) -> Iterator[tuple[Day, Mapping[str, Answer]]]:
    """Yield the answers to all queries of `DAILY`, day by day.

    While one day is put together the next one's windows are on their way, and no more.
    """
    waiting: list[_Waiting] = []
    for one in _asked(source, days):
        waiting.append(one)
        if len(waiting) == 2:
            yield _received(waiting.pop(0))
    for one in waiting:
        yield _received(one)


def _asked(source: Source, days: Sequence[Day]) -> Iterator[_Waiting]:
    by_run = asked_together([query for query in DAILY if query.shape is not Shape.WINDOWS])
    by_day = [query for query in DAILY if query.shape is Shape.WINDOWS]
    for run in runs(days, DAYS_AT_ONCE):
        whole = Span(run[0].start, run[-1].end)
        shared: _Shared = {}
        for number, day in enumerate(run):
            windows = {query.name: source.ask(query, day) for query in by_day}
            if number == 0:
                shared = {group: source.ask(joint(group), whole) for group in by_run}
            yield _Waiting(day, number, windows, shared)


def _received(one: _Waiting) -> tuple[Day, Mapping[str, Answer]]:
    parts = {name: [future.result() for future in asked] for name, asked in one.windows.items()}
    for group, asked in one.shared.items():
        found = [part_of(future.result(), group[0].shape, one.number) for future in asked]
        parts |= {
            query.name: [own_part(answer, query, group) for answer in found] for query in group
        }
    twice = are_replicas(parts["cpu"])
    return one.day, {
        name: highest_of(answers) if twice and name in _SUMMED else joined(answers)
        for name, answers in parts.items()
    }
