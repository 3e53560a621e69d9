"""`PrometheusConnect`, extended where it is slow or loses what the server said.

The library puts even a POST's query into the URL, asks for gzip, repeats a query that the server
gave up on, may wait for ever, and drops statuses and warnings. `Server.call` posts a form, asks for
plain bytes, gives up after one deadline, repeats only what may pass by itself, and raises an error
that names the cause.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

import requests
import urllib3
from prometheus_api_client import PrometheusConnect
from urllib3 import Retry
from urllib3.exceptions import HTTPError as TransportError

from rightsize.collectors.errors import (
    MalformedAnswerError,
    MetricsServerError,
    SlowServerError,
    UnreachableError,
)
from rightsize.collectors.prometheus.connection import Connection
from rightsize.collectors.prometheus.failures import failed_answer, failed_request

_ATTEMPTS = 4
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0
_CONNECT_SECONDS = 10.0
_CHUNK = 1 << 20
_Read = TypeVar("_Read")


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


class Server(PrometheusConnect):
    """One Prometheus-compatible server.

    Parameters
    ----------
    connection : Connection
    in_flight : int
        Requests at once; falls to one when the server is slow or asks for less.
    compress : bool
        Ask for gzip.
    pause : callable, optional
        Instead of waiting between repeats.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        in_flight: int = 2,
        compress: bool = False,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        http = requests.Session()
        http.proxies = dict(connection.proxies)
        super().__init__(
            url=connection.url,
            headers=dict(connection.headers),
            auth=connection.auth,
            session=http,
            timeout=connection.timeout,
            retry=Retry(total=0, redirect=0, read=False),
        )
        self.connection = connection
        self.traffic = Traffic()
        self.gate = Gate(in_flight)
        self._http = http
        self._encoding = "gzip" if compress else "identity"
        self._stopped = threading.Event()
        self._pause = pause or self._stopped.wait
        if connection.verify is False:
            # --insecure says it once; a warning with each request does not help.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._verb = "POST"

    def call(self, path: str, form: Mapping[str, str]) -> bytes:
        """Post a query to `path` and return the body of a 200 answer.

        Raises
        ------
        MetricsServerError
            One of its kinds, after the repeats that make sense.
        """
        return self._asked(self._verb, path, form, b"".join)

    def read(
        self, path: str, form: Mapping[str, str], reader: Callable[[Iterator[bytes]], _Read]
    ) -> _Read:
        """The same for long answers: `reader` gets the body as it arrives, from its start each time
        the query is repeated, and its result is returned."""
        return self._asked(self._verb, path, form, reader)

    def get(self, path: str, form: Mapping[str, str]) -> bytes:
        """The same for paths that take no POST: metadata and status."""
        return self._asked("GET", path, form, b"".join)

    def stop(self) -> None:
        """Begin no further request: what runs ends by itself, what waits gives up."""
        self._stopped.set()

    def _asked(
        self,
        verb: str,
        path: str,
        form: Mapping[str, str],
        reader: Callable[[Iterator[bytes]], _Read],
    ) -> _Read:
        with self.gate:
            for attempt in range(_ATTEMPTS):
                if self._stopped.is_set():
                    raise UnreachableError(f"{self.connection.name}: no longer asked")
                started = time.monotonic()
                self.traffic.add(requests=1)
                try:
                    result = self._once(verb, path, form, started + self.connection.timeout, reader)
                except MetricsServerError as error:
                    self._react(error, attempt)
                    continue
                if time.monotonic() - started > self.connection.timeout / 4:
                    self.gate.narrow()
                return result
        raise AssertionError("the last attempt returns or raises")

    def _react(self, error: MetricsServerError, attempt: int) -> None:
        if error.passing or error.too_much:
            self.gate.narrow()
        if not error.passing or attempt == _ATTEMPTS - 1:
            raise error
        self.traffic.repeated += 1
        wanted = error.retry_after
        if wanted is None:
            wanted = _FIRST_PAUSE * 2**attempt * random.uniform(0.75, 1.25)
        self._pause(min(wanted, _LONGEST_PAUSE))

    def _once(
        self,
        verb: str,
        path: str,
        form: Mapping[str, str],
        deadline: float,
        reader: Callable[[Iterator[bytes]], _Read],
    ) -> _Read:
        place = self.connection
        try:
            answer = self._http.request(
                verb,
                place.url + path,
                data=form if verb == "POST" else None,
                params=form if verb == "GET" else None,
                headers={**place.headers, "Accept-Encoding": self._encoding},
                auth=place.auth,
                timeout=(min(_CONNECT_SECONDS, place.timeout), place.timeout),
                verify=place.verify,
                cert=place.certificate,
                allow_redirects=False,
                stream=True,
            )
        except requests.RequestException as error:
            raise failed_request(error, place) from None
        with answer:
            if answer.status_code == 405 and verb == "POST":
                # Some read-only proxies let nothing but GET through.
                self._verb = "GET"
                return self._once("GET", path, form, deadline, reader)
            if answer.status_code == 200:
                return reader(self._body(answer, deadline))
            body = b"".join(self._body(answer, deadline))
        if 300 <= answer.status_code < 400:
            raise _redirected(answer, place)
        raise failed_answer(answer.status_code, answer.headers, body, place)

    def _body(self, answer: requests.Response, deadline: float) -> Iterator[bytes]:
        try:
            # The library's time-out is one for each read, which a slow drip never exceeds.
            for chunk in _chunks(answer):
                self.traffic.add(size=len(chunk))
                yield chunk
                if time.monotonic() > deadline:
                    raise SlowServerError(
                        f"{self.connection.name}: the answer was not whole after "
                        f"{self.connection.timeout:g} s",
                        hint="allow more time with --timeout, or ask for less with --in-flight 1",
                    )
        except (TransportError, OSError) as error:
            raise _broken_body(error, self.connection) from None


def _chunks(answer: requests.Response) -> Iterator[bytes]:
    """The body as it arrives."""
    raw = answer.raw
    if raw.chunked:
        yield from raw.stream(_CHUNK, decode_content=True)
        return
    while chunk := raw.read1(_CHUNK, decode_content=True):
        yield chunk


def _broken_body(error: Exception, place: Connection) -> MetricsServerError:
    if re.search("timed out", str(error), re.IGNORECASE):
        return SlowServerError(
            f"{place.name}: the answer stopped for {place.timeout:g} s",
            hint="allow more time with --timeout",
        )
    return MalformedAnswerError(
        f"{place.name}: the answer was cut off",
        hint="look at proxies between here and the server",
        passing=True,
    )


def _redirected(answer: requests.Response, place: Connection) -> MetricsServerError:
    target = urlsplit(answer.headers.get("Location", ""))
    host = target.hostname or "another page"
    return MalformedAnswerError(
        f"{place.name}: redirects to {host} instead of answering",
        hint="a sign-in page? Give the address behind it, or credentials; redirects are not "
        "followed, so that no secret goes astray",
    )
