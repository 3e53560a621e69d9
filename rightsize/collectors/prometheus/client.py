"""How one server is asked: a few requests at a time, repeated where that helps, within a budget.

prometheus-api-client asks for single values and names, which it does well. It does not read the
windows: it puts even a POST's query into the URL, keeps a whole body and every point of it as
Python objects, may wait for ever, and drops statuses and warnings.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar

import urllib3
from prometheus_api_client import PrometheusConnect

from rightsize.collectors.errors import (
    MetricsServerError,
    QueryRefusedError,
    SlowServerError,
    UnreachableError,
)
from rightsize.collectors.prometheus.connection import Connection
from rightsize.collectors.prometheus.parse import malformed
from rightsize.collectors.prometheus.transport import BoundedSession

_ATTEMPTS = 4
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0
_PIECES = 3
"""Times `--timeout` that a question may take in all its pieces, repeats and pauses."""
_Read = TypeVar("_Read")
Permit = Callable[[], AbstractContextManager[object]]
"""Makes what has to be held while a request is in flight."""


@dataclass
class Traffic:
    """What was asked of one server so far."""

    requests: int = 0
    repeated: int = 0
    received_bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, *, requests: int = 0, size: int = 0) -> None:
        with self._lock:
            self.requests += requests
            self.received_bytes += size


class Budget:
    """Seconds that are left for one question, in all its pieces."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def spend(self, seconds: float) -> None:
        self.seconds = max(self.seconds - seconds, 0.0)


class Gate:
    """Lets a few requests through at a time, and only one after the server showed strain."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._inside = 0
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        # In order of arrival, or a thread that leaves and comes back starves the others.
        turn = object()
        with self._changed:
            self._waiting.append(turn)
            self._changed.wait_for(lambda: self._waiting[0] is turn and self._inside < self.width)
            self._waiting.popleft()
            self._inside += 1
            self._changed.notify_all()

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._inside -= 1
            self._changed.notify_all()

    def narrow(self) -> None:
        """From now on one request at a time."""
        with self._changed:
            self.width = 1


class Server:
    """One Prometheus-compatible server.

    Windows are read by `read`, which posts a form and hands on the body as it arrives; single
    values and names come through `PrometheusConnect`, on the same bounded session.

    Parameters
    ----------
    in_flight : int
        Requests at once; falls to one when the server is slow or asks for less.
    compress : bool
        Ask for gzip.
    pause : callable, optional
        Instead of waiting between repeats.
    permit : callable, optional
        Makes what is held while a request is in flight: a part of a budget beyond this process.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        in_flight: int = 2,
        compress: bool = False,
        pause: Callable[[float], object] | None = None,
        permit: Permit = nullcontext,
    ) -> None:
        self._permit = permit
        self.connection = connection
        self.traffic = Traffic()
        self.gate = Gate(in_flight)
        self._http = BoundedSession(
            connection, compress=compress, received=lambda size: self.traffic.add(size=size)
        )
        self._library = PrometheusConnect(
            url=connection.url,
            headers=dict(connection.headers),
            auth=connection.auth,
            session=self._http,
            timeout=connection.timeout,
        )
        # The library has put an adapter of its own before ours.
        self._http.watch(connection.url)
        self._stopped = threading.Event()
        self._pause = pause or self._stopped.wait
        if connection.verify is False:
            # --insecure says it once; a warning with each request does not help.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._verb = "GET" if connection.get_only else "POST"

    def call(
        self,
        path: str,
        form: Mapping[str, str],
        *,
        most: int = 4 << 20,
        budget: Budget | None = None,
    ) -> bytes:
        """Post a query to `path` and return the body of a 200 answer, of `most` bytes at most.

        Raises
        ------
        MetricsServerError
            One of its kinds, after the repeats that make sense.
        """
        return self.read(path, form, b"".join, most=most, budget=budget)

    def read(
        self,
        path: str,
        form: Mapping[str, str],
        reader: Callable[[Iterator[bytes]], _Read],
        *,
        most: int,
        budget: Budget | None = None,
    ) -> _Read:
        """The same for long answers: `reader` gets the body as it arrives, from its start each time
        the query is repeated, and its result is returned."""

        def once() -> _Read:
            try:
                return self._send(self._verb, path, form, reader, most)
            except QueryRefusedError as error:
                if error.status != 405 or self._verb == "GET":
                    raise
            # Some read-only proxies let nothing but GET through.
            self._verb = "GET"
            return self._send(self._verb, path, form, reader, most)

        return self._repeated(once, budget)

    def get(self, path: str, form: Mapping[str, str]) -> bytes:
        """The same for paths that take no POST: status."""
        return self._repeated(lambda: self._send("GET", path, form, b"".join, 4 << 20), None)

    def single(self, query: str, at: int) -> list[Any]:
        """Return the result of a query of few values, by `PrometheusConnect.custom_query`."""
        return self._asked_by(lambda: self._library.custom_query(query, {"time": at}))

    def label_values(
        self, label: str, form: Mapping[str, str], budget: Budget | None = None
    ) -> list[Any]:
        """Return the values of a label, by `PrometheusConnect.get_label_values`."""
        return self._asked_by(lambda: self._library.get_label_values(label, dict(form)), budget)

    def budget(self) -> Budget:
        """Time for one question in all its pieces."""
        return Budget(_PIECES * self.connection.timeout)

    def stop(self) -> None:
        """Begin no further request: what runs ends by itself, what waits gives up."""
        self._stopped.set()

    def close(self) -> None:
        self._http.close()

    def _asked_by(self, ask: Callable[[], Any], budget: Budget | None = None) -> list[Any]:
        """A list that the library was given, whatever it makes of what came instead."""

        def once() -> list[Any]:
            try:
                found = ask()
            except MetricsServerError:
                raise
            except Exception as error:
                # What is no answer in JSON; a broken connection is named by the session.
                if isinstance(error, OSError) and not isinstance(error, ValueError):
                    raise
                raise malformed(b"?", self.connection.name) from error
            if not isinstance(found, list):
                raise malformed(b"?", self.connection.name)
            return found

        return self._repeated(once, budget)

    def _repeated(self, once: Callable[[], _Read], budget: Budget | None) -> _Read:
        left = budget or self.budget()
        with self.gate:
            for attempt in range(_ATTEMPTS):
                if self._stopped.is_set():
                    raise UnreachableError(f"{self.connection.name}: no longer asked")
                if not left.seconds:
                    raise SlowServerError(
                        f"{self.connection.name}: no whole answer to one question within "
                        f"{_PIECES * self.connection.timeout:g} s, asked in pieces",
                        hint="allow more time with --timeout, or narrow with --matcher",
                        too_much=False,
                    )
                try:
                    with self._permit():
                        return self._timed(once, left)
                except MetricsServerError as error:
                    self._react(error, attempt, left)
        raise AssertionError("the last attempt returns or raises")

    def _timed(self, once: Callable[[], _Read], left: Budget) -> _Read:
        """One request, in the time that is left; what it takes is spent."""
        self.traffic.add(requests=1)
        started = time.monotonic()
        try:
            with self._http.within(min(self.connection.timeout, left.seconds)):
                result = once()
        finally:
            seconds = time.monotonic() - started
            left.spend(seconds)
        if seconds > self.connection.timeout / 4:
            self.gate.narrow()
        return result

    def _react(self, error: MetricsServerError, attempt: int, left: Budget) -> None:
        if error.passing or error.too_much:
            self.gate.narrow()
        if not error.passing or attempt == _ATTEMPTS - 1:
            raise error
        wanted = error.retry_after
        if wanted is None:
            wanted = _FIRST_PAUSE * 2**attempt * random.uniform(0.75, 1.25)
        pause = min(wanted, _LONGEST_PAUSE)
        left.spend(pause)
        if not left.seconds:
            raise error
        self.traffic.repeated += 1
        self._pause(pause)

    def _send(
        self,
        verb: str,
        path: str,
        form: Mapping[str, str],
        reader: Callable[[Iterator[bytes]], _Read],
        most: int,
    ) -> _Read:
        with self._http.request(
            verb,
            self.connection.url + path,
            data=form if verb == "POST" else None,
            params=form if verb == "GET" else None,
            headers=dict(self.connection.headers),
            auth=self.connection.auth,
            # Or a variable of the environment would come before the session's own.
            verify=self.connection.verify,
            stream=True,
        ) as answer:
            return reader(self._http.body(answer, most))
