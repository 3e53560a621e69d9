"""A request ends when its time is over, wherever it waits: sockets know no total time."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_now = threading.local()
"""The `Deadline` of the request that this thread is making."""


class Deadline:
    """Shuts down what this thread has opened from `POOLS` once its seconds are over."""

    def __init__(self, seconds: float) -> None:
        self.over = False
        self.received = 0
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        _now.deadline = self
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        _now.deadline = None

    @classmethod
    def of_this_thread(cls) -> Deadline | None:
        found: Deadline | None = getattr(_now, "deadline", None)
        return found

    def watch(self, opened: socket.socket) -> None:
        self._sockets.append(opened)
        if self.over:
            self._end()

    def _end(self) -> None:
        self.over = True
        for opened in self._sockets:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)


def _watch(opened: socket.socket | None) -> None:
    deadline = Deadline.of_this_thread()
    if deadline is not None and opened is not None:
        deadline.watch(opened)


class _Http(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        opened = super()._new_conn()
        _watch(opened)
        return opened

    def request(self, *arguments: Any, **options: Any) -> None:
        _watch(self.sock)
        super().request(*arguments, **options)


class _Https(_Http, HTTPSConnection):
    pass


class _HttpPool(HTTPConnectionPool):
    ConnectionCls = _Http


class _HttpsPool(HTTPSConnectionPool):
    ConnectionCls = _Https


POOLS = {"http": _HttpPool, "https": _HttpsPool}
"""Of urllib3's managers: connections that end with the deadline of their thread."""


_PIECE = 1 << 18


def read_whole(raw: Any, most: int) -> bytes:
    """The body of a urllib3 answer as it was sent; of a longer one at least `most` + 1 bytes."""
    pieces, size = [], 0
    chunked = raw.stream(_PIECE, decode_content=False) if raw.chunked else None
    while piece := next(chunked, b"") if chunked else raw.read1(_PIECE, decode_content=False):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            break
    return b"".join(pieces)
