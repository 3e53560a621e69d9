"""S3 as a stranger would play it: a folder served over HTTP, with answers that a test puts in their place."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from tests.servers.object_store import _Server

Answer = Callable[[BaseHTTPRequestHandler], bool]
"""Answers a request by itself, or says that it does not."""


@dataclass
class HostileStore:
    """Objects below `folder`, as `s3://hostile/...`."""

    folder: Path
    address: str = ""
    asked: list[str] = field(default_factory=list)
    hostile: Answer = lambda handler: False
    listed: Callable[[str], str] = lambda xml: xml
    """What becomes of a listing."""
    given: Callable[[str, bytes], bytes] = lambda key, content: content
    """What becomes of an object, before a range of it is cut."""


@contextlib.contextmanager
def hostile_store(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostileStore]:
    store = HostileStore(folder)
    server = _Server(("127.0.0.1", 0), _handler(store))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    store.address = f"http://127.0.0.1:{server.server_address[1]}"
    for name, value in {
        "AWS_ENDPOINT_URL_S3": store.address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test-secret-of-nobody",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()


def answer(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **more: str) -> bool:
    handler.send_response(status)
    for name, value in ({"Content-Length": str(len(body))} | more).items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)
    return True


def listing(keys: dict[str, int], rest: str = "") -> str:
    rows = "".join(
        f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size>"
        "<LastModified>2026-09-01T00:00:00.000Z</LastModified></Contents>"
        for key, size in keys.items()
    )
    return f'<?xml version="1.0"?><ListBucketResult>{rest}{rows}</ListBucketResult>'


def _handler(store: HostileStore) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            store.asked.append(f"{self.command} {self.path}")
            if store.hostile(self):
                return
            place = urlsplit(self.path)
            key = unquote(place.path).removeprefix("/hostile").lstrip("/")
            path = store.folder / key
            if self.command == "PUT":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(body)
                answer(self, b"", ETag='"x"')
            elif "list-type" in place.query:
                prefix = parse_qs(place.query)["prefix"][0]
                found = sorted((store.folder / prefix).glob("*")) if prefix else []
                xml = listing({f"{prefix}{p.name}": p.stat().st_size for p in found if p.is_file()})
                answer(self, store.listed(xml).encode())
            elif not path.is_file():
                answer(self, b"<Error><Code>NoSuchKey</Code><Message>no</Message></Error>", 404)
            else:
                content = store.given(key, path.read_bytes())
                begin, _, end = self.headers.get("Range", "bytes=0-")[6:].partition("-")
                part = content[int(begin) : int(end) + 1 if end else None]
                answer(self, part, 206 if "Range" in self.headers else 200, ETag='"x"')

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _any  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    return Handler
