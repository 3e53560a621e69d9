"""The border to AWS: whatever an endpoint sends, bytes, seconds and pages have bounds."""

from __future__ import annotations

import time
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.exceptions import HTTPClientError, ReadTimeoutError
from urllib3.exceptions import HTTPError as TransportError

from rightsize.collectors.deadline import POOLS, Deadline, read_whole
from rightsize.errors import AwsError, AwsUnreachableError

_PAGE_BYTES = 16 << 20
"""Of one answer: 1,000 machines, the largest page that is asked for, take about 6 MB."""
_PAGE_PARTS = 1_500_000
"""Elements, lists and members of one answer: parsed, each takes 20 times its bytes and more."""
_ERROR_BYTES = 64 << 10
_ANSWER_SECONDS = 60.0
"""Of one answer, from the request to its last byte."""
_CALL_BYTES = 256 << 20
_CALL_SECONDS = 600.0
"""Of all pages of a call, waiting for throttles included."""
_SILENT = 2
"""Answers in a row that do not come before none is waited for again."""


def _too_large(most: int) -> AwsError:
    """One of ours: botocore repeats only errors of its own kinds."""
    return AwsError(f"the answer is larger than {most >> 20} MiB, or made of too many parts")


def _too_slow(seconds: float) -> AwsUnreachableError:
    return AwsUnreachableError(
        f"no whole answer within {seconds:.3g} s",
        hint="check the network, a proxy, and AWS_ENDPOINT_URL settings",
    )


class CallBudget:
    """Bytes and seconds that all pages of one call may take together."""

    def __init__(self) -> None:
        self.begin()

    def begin(self, seconds: float = _CALL_SECONDS) -> None:
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._left = _CALL_BYTES

    def take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise _too_large(_CALL_BYTES)

    def check_time(self) -> None:
        if time.monotonic() > self._until:
            raise _too_slow(self._seconds)


class BoundedHttp:
    """botocore's HTTP session of one client, with bounds; `send` and `close` are what it calls."""

    def __init__(self, http: Any, budget: CallBudget) -> None:
        # Connections that the deadline can end; botocore's own differ for uploads alone.
        http._pool_classes_by_scheme.update(POOLS)
        self._http, self._budget, self._silent = http, budget, 0

    def close(self) -> None:
        self._http.close()

    def send(self, request: Any) -> Any:
        """Send a request; the body of an answer that is not to be streamed is read here."""
        self._budget.check_time()
        streamed = request.stream_output
        request.stream_output = True
        with Deadline(_ANSWER_SECONDS) as deadline:
            try:
                answer = self._http.send(request)
                if streamed and answer.status_code < 300 and not deadline.over:
                    answer.raw = _InPieces(answer.raw, self._budget)
                    return answer
                body = self._body(answer)
                if deadline.over:
                    raise TransportError("the answer ended with the time for it")
            except (HTTPClientError, TransportError, OSError, ValueError) as error:
                slow = deadline.over or isinstance(error, ReadTimeoutError)
                self._silent = self._silent + 1 if slow else 0
                if self._silent >= _SILENT:
                    raise _too_slow(_ANSWER_SECONDS) from error
                if isinstance(error, HTTPClientError):
                    raise
                raise HTTPClientError(error=error) from error
        self._silent = 0
        return AWSResponse(answer.url, answer.status_code, answer.headers, _Whole(body))

    def _body(self, answer: Any) -> bytes:
        most = _PAGE_BYTES if answer.status_code < 300 else _ERROR_BYTES
        body = read_whole(answer.raw, most)
        cut = len(body) <= most and bool(answer.raw.length_remaining)
        # A connection that was read to its end can serve again.
        (answer.raw.close if cut or len(body) > most else answer.raw.release_conn)()
        if cut:
            raise TransportError("the answer was cut off")
        parts = sum(body.count(mark) for mark in b"<{[,")
        if answer.status_code < 300 and (len(body) > most or parts > _PAGE_PARTS):
            raise _too_large(most)
        self._budget.take(len(body))
        return body[:most]


class _InPieces:
    """A body that is read as it arrives, while there is time for it."""

    def __init__(self, raw: Any, budget: CallBudget) -> None:
        self._raw, self._budget = raw, budget
        self._chunks = raw.stream(decode_content=False) if raw.chunked else None

    def read(self, amt: int | None = None) -> bytes:
        self._budget.check_time()
        if self._chunks is not None:
            return next(self._chunks, b"")
        found: bytes = self._raw.read1(amt, decode_content=False)
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


class _Whole:
    """A body that was read, as botocore reads one."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> list[bytes]:
        return [self._body]
