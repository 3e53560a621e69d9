"""S3 on loopback: moto's server over HTTP, behind a gate that a test can close, slow down and read."""

from __future__ import annotations

import contextlib
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from moto.server import ThreadedMotoServer

BUCKET = "rightsize-test"


@dataclass
class Gate:
    """What passed the gate, and what the gate does to the next requests."""

    address: str = ""
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    """Verb, path and bytes of each answer, in order."""
    refusing: int = 0
    """Answer so many requests with 503."""
    slow_seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"s3://{BUCKET}/fleet"

    def received(self, verb: str = "GET", part: str = "") -> int:
        """Bytes of answers to such requests."""
        return sum(n for v, path, n in self.asked if v == verb and part in path)


@contextlib.contextmanager
def s3_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """An S3 with one empty bucket, which every client of this process and its children finds."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    gate = Gate()
    server = _Server(("127.0.0.1", 0), _handler(gate, f"http://{host}:{port}"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    gate.address = f"http://127.0.0.1:{server.server_address[1]}"
    for name, value in {
        "AWS_ENDPOINT_URL_S3": gate.address,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test-secret-of-nobody",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    # All servers of a process share one memory: no reset, which would empty those of other tests.
    store = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
    store.create_bucket(Bucket=BUCKET)
    try:
        yield gate
    finally:
        for page in store.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            for one in page.get("Contents", []):
                store.delete_object(Bucket=BUCKET, Key=one["Key"])
        store.delete_bucket(Bucket=BUCKET)
        server.shutdown()
        moto.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that are killed leave in the middle."""


def _handler(gate: Gate, behind: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with gate.lock:
                refused = gate.refusing > 0
                gate.refusing -= refused
            time.sleep(gate.slow_seconds)
            if refused:
                self._answer(
                    503, {}, b"<Error><Code>SlowDown</Code><Message>slow</Message></Error>"
                )
                return
            kept = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
            if body:  # Or urllib calls it a form.
                kept.setdefault("Content-Type", "binary/octet-stream")
            request = urllib.request.Request(
                behind + self.path, data=body or None, headers=kept, method=self.command
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as found:
                    self._answer(found.status, dict(found.headers), found.read())
            except urllib.error.HTTPError as error:
                self._answer(error.code, dict(error.headers), error.read())

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass  # noqa: N815

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            with gate.lock:
                gate.asked.append((self.command, self.path, len(body)))
            self.send_response(status)
            length = headers.get("Content-Length") if self.command == "HEAD" else None
            for name, value in headers.items():
                if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", length or str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    return Handler
