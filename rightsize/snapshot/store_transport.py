"""The border to a store on S3: whatever an endpoint sends or does not, bytes, seconds and pages have bounds."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from xml.parsers.expat import ExpatError, ParserCreate

import aiohttp
from aiobotocore.awsrequest import AioAWSResponse
from aiobotocore.httpsession import (
    AIOHTTPSession,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)

from rightsize.errors import StoreError, StoreUnreachableError
from rightsize.secrets import register_sent

LARGEST_OBJECT = 512 * 2**20
"""Bytes of one answer that is an object, or a part of one."""
_LISTING_BYTES = 16 * 2**20
"""Of one page: 1,000 keys of 1,024 bytes, each as long as XML can write it, take 6 MB."""
_PAGE_KEYS = 1000
_MOST_PAGES = 50
"""Of one listing. A day is an object or two: 50,000 are the days of a cluster for a lifetime."""
_ERROR_BYTES = 64 * 2**10
_SECONDS = 7.0
"""For an answer to begin, and what each may take beyond its bytes."""
_SLOWEST = 64 * 2**10
"""Bytes a second, sent or received."""
_PATIENCE = 6.0
"""Seconds without any answer after which none is waited for again."""
_FAILING = 20.0
"""Seconds of nothing but 500 and 503 after which no request is repeated."""
_TRANSPORT = (
    HTTPClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ProxyConnectionError,
    SSLError,
)
_RANGE = re.compile(r"bytes=(\d+)-(\d+)")


class BoundedSession(AIOHTTPSession):  # type: ignore[misc]
    """aiobotocore's HTTP session of one client, with bounds; each body is read as a whole.

    botocore repeats what did not come; an error of ours is repeated by nobody.
    """

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._silent_since: float | None = None
        self._refused_since: float | None = None
        self._pages: dict[str, int] = {}

    async def send(self, request: Any) -> AioAWSResponse:
        streamed, request.stream_output = request.stream_output, True
        self._count_page(request)
        register_sent(request.headers.items())
        budget = _Budget(_length(request))
        try:
            async with asyncio.timeout(None) as limit:
                budget.limit = limit
                budget.received(0)
                answer = await super().send(request)
                body = await _read(answer, _allowed(request, answer, streamed), budget)
        except (*_TRANSPORT, aiohttp.ClientError, OSError) as error:
            self._note_silence(request, error)
            if isinstance(error, _TRANSPORT):
                raise
            if isinstance(error, TimeoutError):
                raise ReadTimeoutError(endpoint_url=request.url, error=error) from error
            raise ConnectionClosedError(
                error=error, request=request, endpoint_url=request.url
            ) from error
        self._silent_since = None
        self._note_refusal(request, answer.status_code)
        _check(request, answer, body)
        found = AioAWSResponse(answer.url, answer.status_code, answer.headers, _Whole(body, answer))
        found._content = body
        return found

    def _note_silence(self, request: Any, error: Exception) -> None:
        now = time.monotonic()
        if self._silent_since is None:
            self._silent_since = now
        elif now - self._silent_since > _PATIENCE:
            slow = isinstance(error, TimeoutError | ReadTimeoutError | ConnectTimeoutError)
            cause = getattr(error, "kwargs", {}).get("error") or error
            said = f"no whole answer within {_SECONDS:.0f} s" if slow else str(cause)
            raise _unreachable(request, said) from error

    def _note_refusal(self, request: Any, status: int) -> None:
        now = time.monotonic()
        if status < 500:
            self._refused_since = None
        elif self._refused_since is None:
            self._refused_since = now
        elif now - self._refused_since > _FAILING:
            raise _unreachable(request, f"answers {status} for more than {_FAILING:.0f} s")

    def _count_page(self, request: Any) -> None:
        asked = dict(parse_qsl(urlsplit(request.url).query))
        if "list-type" not in asked:
            return
        place = f"{urlsplit(request.url).path}?{asked.get('prefix')}"
        more = "continuation-token" in asked
        self._pages[place] = self._pages.get(place, 0) + 1 if more else 1
        if self._pages[place] > _MOST_PAGES:
            raise StoreError(f"holds more than {_MOST_PAGES * _PAGE_KEYS:,} objects, or has no end")


def _unreachable(request: Any, said: str) -> StoreUnreachableError:
    server = "{0.scheme}://{0.netloc}".format(urlsplit(request.url))
    return StoreUnreachableError(
        f"cannot be reached at {server} ({said})",
        hint="check the network, a proxy, and AWS_ENDPOINT_URL; what is in the store is not done "
        "twice",
    )


class _Budget:
    """Seconds that grow with the bytes that were sent and have arrived."""

    limit: asyncio.Timeout

    def __init__(self, sent: int) -> None:
        self._begin, self._sent = asyncio.get_running_loop().time(), sent

    def received(self, size: int) -> None:
        self.limit.reschedule(self._begin + _SECONDS + (self._sent + size) / _SLOWEST)


class _Whole:
    """A body that was read, as aiobotocore reads one."""

    def __init__(self, body: bytes, answer: Any) -> None:
        self._body, self.url, self.content = body, answer.url, self

    async def read(self, size: int = -1) -> bytes:
        end = len(self._body) if size < 0 else size
        found, self._body = self._body[:end], self._body[end:]
        return found

    def at_eof(self) -> bool:
        return not self._body

    def close(self) -> None:
        """Nothing is open."""


async def _read(answer: Any, most: int, budget: _Budget) -> bytes:
    """The body as a whole; of an error, what fits."""
    raw, found = answer.raw, bytearray()
    try:
        async for piece in raw.content.iter_any():
            found += piece
            if len(found) > most:
                raw.close()
                if answer.status_code >= 300:
                    return bytes(found[:most])
                raise StoreError(f"answered with more than the {most:,} bytes that it may")
            budget.received(len(found))
    except BaseException:
        raw.close()
        raise
    return bytes(found)


def _allowed(request: Any, answer: Any, streamed: bool) -> int:
    if answer.status_code >= 300:
        return _ERROR_BYTES
    if not streamed:
        return _LISTING_BYTES
    asked = request.headers.get("Range", b"")
    found = _RANGE.fullmatch(asked.decode() if isinstance(asked, bytes) else asked)
    size = LARGEST_OBJECT if found is None else int(found[2]) - int(found[1]) + 1
    return min(size, LARGEST_OBJECT)


def _check(request: Any, answer: Any, body: bytes) -> None:
    """What answers in the place of a store (a proxy, a sign-in page) is none."""
    if answer.status_code >= 300:
        return
    listing = "list-type" in urlsplit(request.url).query
    if (listing and not _is_listing(body)) or (
        request.method == "PUT" and "etag" not in answer.headers
    ):
        raise StoreError(
            "answered, but not as S3 does", hint="check AWS_ENDPOINT_URL, and a proxy in between"
        )
    if listing and body.count(b"<Key>") + body.count(b"<CommonPrefixes>") > _PAGE_KEYS:
        raise StoreError(f"answered with more than {_PAGE_KEYS:,} keys on one page of a listing")


def _is_listing(body: bytes) -> bool:
    """botocore takes what is no XML for a fault that passes, and any other XML for an empty listing."""
    names: list[str] = []
    parser = ParserCreate()
    parser.StartElementHandler = lambda name, _: names.append(name) if not names else None
    parser.StartDoctypeDeclHandler = lambda *_: names.append("a document type")
    try:
        parser.Parse(body, True)
    except ExpatError:
        return False
    return names == ["ListBucketResult"]


def _length(request: Any) -> int:
    """Bytes that a request sends."""
    said = request.headers.get("X-Amz-Decoded-Content-Length") or request.headers.get(
        "Content-Length"
    )
    return int(said or 0)
