"""A server that says what no server should: bodies without end, bombs, nonsense in every place.

`Raw` makes the bytes that are written to the socket; `faulty_proxy` sends them for the requests that
a test picks, and the real server's answers for the others.
"""

from __future__ import annotations

import functools
import itertools
import json
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

Raw = Callable[[], Iterator[bytes]]
_MEBIBYTE = 1 << 20
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_MATRIX = b'{"status":"success","data":{"resultType":"matrix","result":['
_VECTOR = b'{"status":"success","data":{"resultType":"vector","result":['


def chunked(pieces: Iterator[bytes], *headers: bytes) -> Iterator[bytes]:
    yield _HEAD + b"".join(one + b"\r\n" for one in headers) + b"Transfer-Encoding: chunked\r\n\r\n"
    for piece in pieces:
        yield b"%x\r\n%s\r\n" % (len(piece), piece)
    yield b"0\r\n\r\n"


def endless(opening: bytes, piece: bytes) -> Raw:
    """A body that begins and never ends."""

    def body() -> Iterator[bytes]:
        yield opening or piece
        many = piece * max(_MEBIBYTE // len(piece), 1)
        while True:
            yield many

    return lambda: chunked(body())


def bomb(*headers: bytes) -> Raw:
    """512 MiB of blanks in half a MiB."""
    return lambda: chunked(iter([_packed()]), *headers)


@functools.cache
def _packed() -> bytes:
    pack = zlib.compressobj(1, wbits=31)
    blanks = b" " * _MEBIBYTE
    return b"".join([*(pack.compress(blanks) for _ in range(512)), pack.flush()])


def head_without_end() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    while True:
        yield b"X-Long: " + b"x" * 1000 + b"\r\n"


def _error_without_end() -> Iterator[bytes]:
    yield b"HTTP/1.1 500 Oops\r\nContent-Length: 99999999999\r\n\r\n"
    while True:
        yield b"x" * _MEBIBYTE


def drips(start: bytes, seconds: float = 0.05) -> Raw:
    """`start`, and then a letter at a time for ever."""

    def body() -> Iterator[bytes]:
        yield start
        while True:
            time.sleep(seconds)
            yield b"a"

    return body


def answered(status: bytes, body: bytes, *headers: bytes) -> Raw:
    """A short answer; `status` is the rest of the first line."""
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return lambda: iter([b"\r\n".join(lines) + b"\r\n\r\n" + body])


def said(data: object) -> Raw:
    """A 200 answer with this as its data."""
    return answered(b"200 OK", json.dumps({"status": "success", "data": data}).encode())


def vector(*series: object) -> Raw:
    return said({"resultType": "vector", "result": list(series)})


def matrix(*series: object) -> Raw:
    return said({"resultType": "matrix", "result": list(series)})


SMALL = b'{"metric":{"a":"b"},"values":[[1726272300,"1"]]},'
HOSTILE: dict[str, Raw] = {
    "endless body": endless(b"", b" "),
    "endless series": endless(_MATRIX, SMALL),
    "endless tiny series": endless(_VECTOR, b'{"metric":{},"value":[1,"1"]},'),
    "endless label": endless(_MATRIX + b'{"metric":{"a":"', b"a"),
    "endless labels": endless(_MATRIX + b'{"metric":{', b'"a":"b",'),
    "endless lists": endless(_VECTOR, b"[],"),
    "endless depth": endless(b"", b"["),
    "endless numbers": endless(_MATRIX + b'{"metric":{"a":"b"},"values":[[', b'1726272300,"1"],['),
    "endless error": _error_without_end,
    "endless head": head_without_end,
    "gzip bomb that nobody asked for": bomb(b"Content-Encoding: gzip"),
    "brotli that nobody asked for": answered(b"200 OK", b"\x0b", b"Content-Encoding: br"),
    "a length that is none": answered(b"200 OK", b"", b"Content-Length: -1"),
    "no HTTP": lambda: iter([b"SSH-2.0-OpenSSH_9.2\r\n"]),
    "HTTP 0.9": lambda: iter([b'{"status":"success","data":{}}']),
    "hints without end": lambda: itertools.repeat(b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" * 99),
    "a size of a chunk without end": lambda: itertools.chain(
        [_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"], itertools.repeat(b"1" * 65536)
    ),
    "a chunk of 2^64": lambda: iter(
        [_HEAD + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n{}"]
    ),
    "a length of 5,000 digits": answered(b"200 OK", b"{", b"Content-Length: " + b"9" * 5000),
    "Location of a file": answered(b"302 Found", b"", b"Location: file:///etc/passwd"),
    "a key twice": answered(b"200 OK", b'{"status":"success","status":"error","data":{}}'),
    "a label with half a character": vector({"metric": {"pod": "\ud800"}, "value": [1, "1"]}),
    "status that is none": answered(b"999999 What", b""),
    "Retry-After in superscript": answered(b"429 Busy", b"", "Retry-After: ²".encode()),
    "Retry-After of ages": answered(b"429 Busy", b"", b"Retry-After: " + b"9" * 400),
    "Retry-After of no time": answered(
        b"429 Busy", b"", b"Retry-After: Mon, 99 Foo 99999 99:99:99 +9999"
    ),
    "Location that is none": answered(b"302 Found", b"", b"Location: http://[::1"),
    "an error that is a list": answered(b"400 Bad", b'{"errorType":[1],"error":{"a":[[]]}}'),
    "an error that is deep": answered(b"400 Bad", b'{"error":' + b"[" * 60_000),
    "metric that is a list": matrix({"metric": ["a"], "values": [[1726272300, "1"]]}),
    "metric that is null": matrix({"metric": None, "values": [[1726272300, "1"]]}),
    "labels that are numbers": matrix({"metric": {"pod": 1}, "values": [[1726272300, "1"]]}),
    "labels that are maps": vector({"metric": {"pod": {}}, "value": [1726272300, "1"]}),
    "true as a sample": matrix({"metric": {"a": "b"}, "values": [[1726272300, True]]}),
    "null as a sample": matrix({"metric": {"a": "b"}, "values": [[1726272300, None]]}),
    "a sample of three": matrix({"metric": {"a": "b"}, "values": [[1726272300, "1", "2"]]}),
    "a time that is none": matrix({"metric": {"a": "b"}, "values": [["x", "1"]]}),
    "a time off the grid": matrix({"metric": {"a": "b"}, "values": [[1e300, "1"]]}),
    "a time before the grid": matrix({"metric": {"a": "b"}, "values": [[-1, "1"], [1, "1"]]}),
    "no values": matrix({"metric": {"a": "b"}}),
    "values that are none": matrix({"metric": {"a": "b"}, "values": 5}),
    "a result that is a map": said({"resultType": "matrix", "result": {"a": 1}}),
    "a result that is null": said({"resultType": "vector", "result": None}),
    "data that is a list": said([1, 2]),
    "data that is text": said("x"),
    "no status": answered(b"200 OK", b'{"data":{}}'),
    "JSON that is a number": answered(b"200 OK", b"5"),
    "JSON with a lone surrogate": answered(b"200 OK", b'{"status":"success","data":"\\ud800"}'),
    "bytes that are no text": answered(b"200 OK", b"\xff\xfe\x00" * 40),
    "nothing": answered(b"200 OK", b""),
    "warnings that are a number": answered(
        b"200 OK",
        b'{"status":"success","warnings":5,"data":{"resultType":"vector","result":[]}}',
    ),
}
"""By name, the raw bytes of each."""

VALUES: dict[str, str] = {
    "underflow": "18446744073709551615",
    "1e20 in digits": "100000000000000000000",
    "400 digits": "9" * 400,
    "infinite": "+Inf",
    "minus infinite": "-Inf",
    "not a number": "NaN",
    "negative": "-1",
    "huge": "1e308",
    "tiny": "5e-324",
}
"""Samples that a server may send in place of every sample of an answer."""


def peak_mib() -> float:
    """Most memory of this process since its program began.

    `ru_maxrss` would begin with what the process that started it held (getrusage(2)).
    """
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return float(line.split()[1]) / 1024
