"""An HTTP proxy that spoils answers as asked: between a client and a real server."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests


@dataclass(frozen=True)
class Asked:
    """One request as the proxy saw it."""

    number: int
    verb: str
    path: str
    form: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Fault:
    """What to answer with. Without `status` the server's own answer is spoiled as asked."""

    status: int | None = None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    reset: bool = False
    """Break the connection instead of answering."""
    cut: bool = False
    """Send half of the body, then close."""
    chunked: bool = False
    """Send the body in chunks (and cut it between two, with `cut`)."""
    drip_seconds: float = 0.0
    """Seconds between the bytes of a slow drip."""
    silent_seconds: float = 0.0
    """Say nothing for so long."""
    change: Callable[[bytes], bytes] | None = None
    """Rewrite the server's own body."""
    raw: Callable[[], Iterator[bytes]] | None = None
    """Write these bytes instead of an answer, and close."""


class FaultyProxy:
    """Forwards to `target`; `fault` decides about each request. `asked` lists them."""

    def __init__(self, target: str, fault: Callable[[Asked], Fault | None]) -> None:
        self.target = target
        self.fault = fault
        self.asked: list[Asked] = []
        self.running = 0
        self.most_at_once = 0
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.address = ""


@contextlib.contextmanager
def faulty_proxy(target: str, fault: Callable[[Asked], Fault | None]) -> Iterator[FaultyProxy]:
    """Run a faulty proxy in front of `target`."""
    proxy = FaultyProxy(target, fault)

    class Handler(_Handler):
        state = proxy

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: FaultyProxy
    protocol_version = "HTTP/1.1"
    # Headers and body are written apart: without this each answer waits 40 ms for an ACK.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve("")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self, body: str) -> None:
        state = self.state
        address = urllib.parse.urlsplit(self.path)
        form = dict(urllib.parse.parse_qsl(body or address.query))
        with state.lock:
            asked = Asked(
                len(state.asked) + 1, self.command, address.path, form, dict(self.headers)
            )
            state.asked.append(asked)
            state.running += 1
            state.most_at_once = max(state.most_at_once, state.running)
        try:
            self._answer(asked, body, state.fault(asked) or Fault())
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with state.lock:
                state.running -= 1

    def _answer(self, asked: Asked, body: str, fault: Fault) -> None:
        if fault.silent_seconds:
            self.state.stopping.wait(fault.silent_seconds)
        if fault.reset:
            # Linger 0 makes close() send RST.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        if fault.raw is not None:
            self.close_connection = True
            for piece in fault.raw():
                if self.state.stopping.is_set():
                    return
                self._write(piece)
            return
        if fault.status is not None:
            self._send(fault.status, fault.body, fault)
            return
        # A client that uses this as its proxy names the whole address.
        path = self.path if self.path.startswith("/") else self.path.split("/", 3)[3]
        there = requests.request(
            self.command,
            f"{self.state.target}/{path.lstrip('/')}",
            data=body or None,
            headers={"Content-Type": self.headers.get("Content-Type", "")} if body else {},
            timeout=30,
        )
        content = there.content if fault.change is None else fault.change(there.content)
        self._send(there.status_code, content, fault)

    def _send(self, status: int, body: bytes, fault: Fault) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, value in fault.headers.items():
            self.send_header(name, value)
        if fault.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        half = body[: len(body) // 2] if fault.cut else body
        if fault.chunked:
            self._write(b"%x\r\n%s\r\n" % (len(half), half))
            if not fault.cut:
                self._write(b"0\r\n\r\n")
        elif fault.drip_seconds:
            for byte in body:
                self._write(bytes([byte]))
                if self.state.stopping.wait(fault.drip_seconds):
                    break
        else:
            self._write(half)
        if fault.cut or fault.drip_seconds:
            self.close_connection = True

    def _write(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()


def first(count: int, fault: Fault, path: str = "query") -> Callable[[Asked], Fault | None]:
    """`fault` for the first `count` requests of a path."""
    left = [count]

    def decide(asked: Asked) -> Fault | None:
        if path in asked.path and left[0] > 0:
            left[0] -= 1
            return fault
        return None

    return decide


def since(moment: float, fault: Fault) -> Callable[[Asked], Fault | None]:
    """`fault` for 5-minute windows that begin at `moment` or later: earlier days are served."""

    def decide(asked: Asked) -> Fault | None:
        windows = asked.form.get("step") == "300"
        return fault if windows and float(asked.form["start"]) >= moment else None

    return decide


def pause_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for a condition, or fail."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come true")
        time.sleep(0.01)
