"""Asks one or several servers, in pieces that they can bear, a few at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from rightsize.collectors.errors import MalformedAnswerError, MetricsServerError
from rightsize.collectors.prometheus.client import Budget, Permit, Server
from rightsize.collectors.prometheus.connection import connections, matchers, quoted
from rightsize.collectors.prometheus.days import DAY_SECONDS, HOUR_SECONDS, Span
from rightsize.collectors.prometheus.labels import ContainerKey, cgroup_of, container_key
from rightsize.collectors.prometheus.parse import (
    MOST_PLAIN_BYTES,
    Answer,
    FloatArray,
    Grid,
    empty_answer,
    merged,
    parse_instant,
    parse_result,
    possible,
    refuse_partial,
)
from rightsize.collectors.prometheus.product import Product, identify
from rightsize.collectors.prometheus.query import Query, Shape
from rightsize.collectors.prometheus.range_reading import read_range
from rightsize.config import PrometheusSettings

_FIRST_CLOCK, _LAST_CLOCK = 1e9, 6e9
"""Seconds of the years 2001 and 2160."""
_SHORTEST_SPAN = HOUR_SECONDS
"""Seconds below which a question is split by namespace rather than by time."""


@dataclass
class Endpoint:
    """A server with what was found out about it."""

    server: Server
    product: Product
    series: dict[str, int] = field(default_factory=dict)
    """Series of the last answer to each query, for sizing the next question."""


class Source:
    """The servers that together know one mesh."""

    def __init__(self, endpoints: Sequence[Endpoint], settings: PrometheusSettings) -> None:
        self.endpoints = tuple(endpoints)
        self._matchers = matchers(settings)
        self._max_points = settings.max_points
        self._allow_partial = settings.allow_partial
        self._pool = ThreadPoolExecutor(settings.in_flight * len(self.endpoints))
        self._failed: tuple[int, MetricsServerError] | None = None
        self.partial: set[str] = set()

    @property
    def product(self) -> Product:
        return self.endpoints[0].product

    def ask(self, query: Query, span: Span) -> list[Future[Answer]]:
        """Start asking every server; the answers come in the servers' order."""
        return [self._pool.submit(self._ask_one, e, query, span) for e in self.endpoints]

    def close(self) -> None:
        for endpoint in self.endpoints:
            endpoint.server.stop()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for endpoint in self.endpoints:
            endpoint.server.close()

    def now(self) -> float:
        """The first server's clock, since ours may be off."""
        answer = self.instant("time()", None)
        clock = float(answer.column[0]) if len(answer) else np.nan
        if not _FIRST_CLOCK < clock < _LAST_CLOCK:
            raise MalformedAnswerError(
                f"{self.endpoints[0].server.connection.name}: says that the time is {clock:g}",
                hint="is this a Prometheus API? Set the server's clock if it is",
            )
        return clock

    def instant(self, text: str, at: int | None, endpoint: Endpoint | None = None) -> Answer:
        """Ask one server once, now or at a time."""
        one = endpoint or self.endpoints[0]
        form = {"query": self.written(text, one)}
        if at is not None:
            form["time"] = str(at)
        return self._get_instant(one, form)

    def single(self, text: str, at: int, endpoint: Endpoint) -> Answer:
        """Ask one server for a few values, by prometheus-api-client."""
        server = endpoint.server
        return parse_result(
            server.single(self.written(text, endpoint), at), server=server.connection.name
        )

    def daily(
        self, text: str, first: int, last: int, endpoint: Endpoint
    ) -> tuple[list[int], FloatArray]:
        """One number a day, as moments and values; NaN where there is none."""
        grid = Grid(first, DAY_SECONDS, (last - first) // DAY_SECONDS + 1)
        query = Query("daily", Shape.WINDOWS, text, ())
        answer = self._once(endpoint, query, grid, "")
        values = answer.values[0] if len(answer) else np.full(grid.count, np.nan)
        return [first + DAY_SECONDS * i for i in range(grid.count)], values

    def measure(self, endpoint: Endpoint, query: Query, span: Span) -> int:
        """Ask for a part of a day and return how many series came."""
        return len(self._once(endpoint, query, span.grid(query.shape), ""))

    def _ask_one(self, endpoint: Endpoint, query: Query, span: Span) -> Answer:
        grid = span.grid(query.shape)
        if grid.count == 1 and query.shape is Shape.HOURS:
            return empty_answer(grid)
        budget = endpoint.server.budget()
        if self._failed is not None and span.start >= self._failed[0]:
            # Without that answer this day is none either; days before it still become whole.
            raise self._failed[1]
        try:
            answer = self._pieces(endpoint, query, grid, "", budget)
        except MetricsServerError as error:
            self._failed = self._failed or (span.start, error)
            raise
        endpoint.series[query.name] = len(answer)
        return possible(answer, query.most)

    def _pieces(
        self, endpoint: Endpoint, query: Query, grid: Grid, shard: str, budget: Budget
    ) -> Answer:
        """Ask for a grid, in one piece where possible, and within one budget."""
        expected = endpoint.series.get(query.name, 0) * grid.count
        splittable = grid.end - grid.start > _SHORTEST_SPAN
        if not (splittable and not shard and expected > self._max_points):
            try:
                return self._once(endpoint, query, grid, shard, budget)
            except MetricsServerError as error:
                if not error.too_much or not budget.seconds:
                    raise
                if not splittable:
                    if shard:
                        raise
                    return self._by_namespace(endpoint, query, grid, error, budget)
        half = grid.count // 2
        parts = [(0, half), (half, grid.count - half)]
        answers = [
            self._pieces(endpoint, query, grid.part(first, count), shard, budget)
            for first, count in parts
        ]
        return merged(answers, [first for first, _ in parts], grid)

    def _by_namespace(
        self,
        endpoint: Endpoint,
        query: Query,
        grid: Grid,
        error: MetricsServerError,
        budget: Budget,
    ) -> Answer:
        names = sorted(self._namespaces(endpoint, query, grid, budget))
        if len(names) < 2:
            raise error
        answers = [
            self._once(endpoint, query, grid, f"namespace={quoted(name)},", budget)
            for name in names
        ]
        return merged(answers, [0] * len(answers), grid)

    def _namespaces(self, endpoint: Endpoint, query: Query, grid: Grid, budget: Budget) -> set[str]:
        """Namespaces that the query's metrics have, the empty one for series without."""
        form = {
            "match[]": f'{{__name__=~"{"|".join(query.metrics)}",{self._matchers}}}',
            "start": str(grid.start - DAY_SECONDS),
            "end": str(grid.end),
        }
        found = endpoint.server.label_values("namespace", form, budget)
        return {*(name for name in found if isinstance(name, str)), ""}

    def _once(
        self,
        endpoint: Endpoint,
        query: Query,
        grid: Grid,
        shard: str,
        budget: Budget | None = None,
    ) -> Answer:
        text = self.written(query.text, endpoint, shard)
        if query.shape in (Shape.DAY, Shape.MORNING) and grid.count == 1:
            form = {"query": text, "time": str(grid.start)}
            return self._get_instant(endpoint, form, budget)
        server = endpoint.server
        form = {
            "query": text,
            "start": str(grid.start),
            "end": str(grid.end),
            "step": str(grid.step),
        }
        answer = server.read(
            "/api/v1/query_range",
            form | self._extras(endpoint),
            partial(
                read_range,
                grid=grid,
                server=server.connection.name,
                most_points=self._max_points,
            ),
            # A point takes 35 bytes, a series' labels a few hundred.
            most=(1 << 20) + 64 * self._max_points,
            budget=budget,
        )
        return self._checked(answer, endpoint)

    def _get_instant(
        self, endpoint: Endpoint, form: Mapping[str, str], budget: Budget | None = None
    ) -> Answer:
        server = endpoint.server
        body = server.call(
            "/api/v1/query",
            dict(form) | self._extras(endpoint),
            most=MOST_PLAIN_BYTES,
            budget=budget,
        )
        answer = parse_instant(body, server=server.connection.name, most_points=self._max_points)
        return self._checked(answer, endpoint)

    def _extras(self, endpoint: Endpoint) -> dict[str, str]:
        # The server should stop before nobody waits any more, and say so: then smaller pieces are
        # asked for, whereas silence may be anything.
        extras = {"timeout": f"{endpoint.server.connection.timeout * 900:.0f}ms"}
        if endpoint.product.name == "victoriametrics":
            # Its cache drops the newest points and rounds windows.
            extras["nocache"] = "1"
        return extras

    def _checked(self, answer: Answer, endpoint: Endpoint) -> Answer:
        if answer.notes and not self._allow_partial:
            refuse_partial(answer, server=endpoint.server.connection.name)
        self.partial.update(answer.notes)
        return answer

    def written(self, text: str, endpoint: Endpoint, shard: str = "") -> str:
        """A query as this server takes it, with the matchers in place of `$M`."""
        return endpoint.product.durations(text).replace("$M", shard + self._matchers)


def joined(answers: Sequence[Answer]) -> Answer:
    """Series of several servers in one answer; the same series of two stays twice."""
    if len(answers) == 1:
        return answers[0]
    labels = [one for answer in answers for one in answer.labels]
    return replace(
        answers[0],
        labels=labels,
        values=np.concatenate([answer.values for answer in answers]),
        faults=sum(answer.faults for answer in answers),
        impossible=sum(answer.impossible for answer in answers),
    )


def are_replicas(answers: Sequence[Answer]) -> bool:
    """Whether servers scrape the same containers: a pair for availability, not a division."""
    seen: set[tuple[ContainerKey, str]] = set()
    for answer in answers:
        here = {(container_key(labels), cgroup_of(labels)) for labels in answer.labels}
        if here & seen:
            return True
        seen |= here
    return False


def highest_of(answers: Sequence[Answer]) -> Answer:
    """Sums that replicas made of the same counters: the highest, as one may have missed some."""
    both = joined(answers)
    rows: dict[frozenset[tuple[str, str]], list[int]] = {}
    for row, labels in enumerate(both.labels):
        rows.setdefault(frozenset(labels.items()), []).append(row)
    values = [np.fmax.reduce(both.values[index]) for index in rows.values()]
    names = [both.labels[index[0]] for index in rows.values()]
    return replace(
        both, labels=names, values=np.array(values).reshape(len(rows), both.values.shape[1])
    )


@contextlib.contextmanager
def open_source(settings: PrometheusSettings, permits: Sequence[Permit] = ()) -> Iterator[Source]:
    """Connect to every server of `settings` and find out what each is.

    `permits`, one for each server, make what is held while a request is in flight.

    Raises
    ------
    MetricsServerError
        If one cannot be asked.
    """
    found = connections(settings)
    held: list[Permit] = [*permits, *[contextlib.nullcontext] * len(found)]
    servers = [
        Server(one, in_flight=settings.in_flight, compress=settings.compress, permit=permit)
        for one, permit in zip(found, held, strict=False)
    ]
    source = Source([Endpoint(server, identify(server)) for server in servers], settings)
    try:
        yield source
    finally:
        source.close()
