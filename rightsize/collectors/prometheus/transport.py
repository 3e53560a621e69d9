"""The border to a metrics server: whatever it sends, bytes and seconds have bounds.

Every request of ours goes through `BoundedSession`, those that prometheus-api-client makes
included. What is no 200 answer becomes the error that names its cause, here and nowhere else.
"""

from __future__ import annotations

import base64
import contextlib
import io
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_auth_from_url
from urllib3 import Retry
from urllib3.exceptions import HTTPError as TransportError

from rightsize.collectors.deadline import POOLS, Deadline
from rightsize.collectors.errors import (
    MalformedAnswerError,
    MetricsServerError,
    QueryTooLargeError,
    SlowServerError,
)
from rightsize.collectors.prometheus.connection import Connection
from rightsize.collectors.prometheus.failures import failed_answer, failed_request
from rightsize.secrets import register_sent

_CONNECT_SECONDS = 10.0
_CHUNK = 1 << 20
_ERROR_BYTES = 64 << 10
"""Of the body of an answer that is no 200: a message and no more."""


class _WatchedAdapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, *arguments: Any, **options: Any) -> Any:
        manager = super().proxy_manager_for(*arguments, **options)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def proxy_headers(self, proxy: str) -> dict[str, str]:
        """The sign-in of a proxy's address, in UTF-8 (RFC 7617): the library takes Latin-1 alone."""
        user, password = get_auth_from_url(proxy)
        if not user:
            return {}
        coded = base64.b64encode(f"{user}:{password}".encode()).decode()
        return {"Proxy-Authorization": f"Basic {coded}"}


class BoundedSession(requests.Session):
    """A session with one server.

    Parameters
    ----------
    compress : bool
        Ask for gzip.
    received : callable
        Called with the size of each piece that arrives.
    """

    def __init__(
        self, place: Connection, *, compress: bool, received: Callable[[int], None]
    ) -> None:
        super().__init__()
        self.proxies = dict(place.proxies)
        self.verify = place.verify
        self.cert = place.certificate
        self.headers["Accept-Encoding"] = "gzip" if compress else "identity"
        self._place = place
        self._compress = compress
        self._received = received
        self.watch("http://")
        self.watch("https://")

    def watch(self, prefix: str) -> None:
        """Make requests below `prefix` end at their deadline."""
        self.mount(prefix, _WatchedAdapter(max_retries=Retry(total=0, redirect=0, read=False)))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """No redirect is followed; where it leads is said by `_check`."""

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Give the requests of a block so much time in all, and name what goes wrong with them.

        Raises
        ------
        MetricsServerError
            One of its kinds.
        """
        with Deadline(seconds) as deadline:
            try:
                yield
            except (MetricsServerError, OSError, ValueError) as error:
                # requests.RequestException is an OSError; a socket that was shut down while
                # it did TLS raises a ValueError.
                if deadline.over:
                    raise self._too_slow(seconds, deadline.received) from None
                if isinstance(error, requests.RequestException):
                    raise failed_request(error, self._place) from None
                raise

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request and return its 200 answer.

        Raises
        ------
        MetricsServerError
            For any other answer, and for one in an encoding that was not asked for.
        """
        whole = not options.pop("stream", False)
        seconds = self._place.timeout
        options |= {"stream": True, "allow_redirects": False}
        options["timeout"] = (min(_CONNECT_SECONDS, seconds), seconds)
        register_sent(request.headers.items())
        answer = super().send(request, **options)
        try:
            self._check(answer)
            if whole:
                answer.raw = io.BytesIO(b"".join(self.body(answer)))
        except BaseException:
            answer.close()
            raise
        return answer

    def body(self, answer: requests.Response, most: int = 4 << 20) -> Iterator[bytes]:
        """The body as it arrives, unpacked, and of at most `most` bytes.

        Raises
        ------
        QueryTooLargeError
            When more comes.
        """
        pieces = self._pieces(answer)
        if answer.headers.get("Content-Encoding", "identity").lower() == "gzip":
            pieces = _unpacked(pieces)
        size = 0
        try:
            for piece in pieces:
                size += len(piece)
                if size > most:
                    raise QueryTooLargeError(
                        f"{self._place.name}: the answer is larger than {most >> 20} MiB",
                        hint="narrow the question with --matcher",
                    )
                yield piece
        except MetricsServerError:
            raise
        except Exception as error:
            raise self._broken(error) from None

    def _pieces(self, answer: requests.Response) -> Iterator[bytes]:
        raw = answer.raw
        deadline = Deadline.of_this_thread()
        chunked = raw.stream(_CHUNK, decode_content=False) if raw.chunked else None
        while piece := next(chunked, b"") if chunked else raw.read1(_CHUNK, decode_content=False):
            self._received(len(piece))
            if deadline is not None:
                deadline.received += len(piece)
            yield piece

    def _check(self, answer: requests.Response) -> None:
        place, status = self._place, answer.status_code
        if status != 200:
            body = b""
            # Without its text an error still has its status.
            with contextlib.suppress(TransportError, OSError, ValueError):
                for piece in self._pieces(answer):
                    body += piece[: _ERROR_BYTES - len(body)]
                    if len(body) == _ERROR_BYTES:
                        break
            if 300 <= status < 400:
                raise _redirected(answer.headers, place)
            raise failed_answer(status, answer.headers, body, place)
        encoding = answer.headers.get("Content-Encoding", "identity").lower()
        if encoding != "identity" and not (encoding == "gzip" and self._compress):
            raise MalformedAnswerError(
                f"{place.name}: the answer is packed, which was not asked for",
                hint="look at proxies between here and the server; --compress asks for gzip",
            )

    def _too_slow(self, seconds: float, received: int) -> SlowServerError:
        if not received:
            return SlowServerError(
                f"{self._place.name}: no answer within {seconds:.3g} s",
                hint="allow more time with --timeout",
                too_much=False,
            )
        return SlowServerError(
            f"{self._place.name}: the answer was not whole after {seconds:.3g} s",
            hint="allow more time with --timeout, or ask for less with --in-flight 1",
        )

    def _broken(self, error: Exception) -> MetricsServerError:
        if "timed out" in str(error).lower():
            return self._too_slow(self._place.timeout, 1)
        return MalformedAnswerError(
            f"{self._place.name}: the answer was cut off",
            hint="look at proxies between here and the server",
            passing=True,
        )


def _unpacked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack gzip, never more than a piece's worth at a time."""
    unzip = zlib.decompressobj(wbits=31)
    for piece in pieces:
        while piece:
            yield unzip.decompress(piece, _CHUNK)
            piece = unzip.unconsumed_tail
    if not unzip.eof:
        raise EOFError("the packed body is cut off")


def _redirected(headers: Mapping[str, str], place: Connection) -> MalformedAnswerError:
    try:
        host = urlsplit(headers.get("Location", "")).hostname or "another page"
    except ValueError:
        host = "an address that is none"
    return MalformedAnswerError(
        f"{place.name}: redirects to {host} instead of answering",
        hint="a sign-in page? Give the address behind it, or credentials; redirects are not "
        "followed, so that no secret goes astray",
    )
