"""What becomes of stdout and stderr: secrets are blanked, a full disk and a closed pipe are answers."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, TextIO

from rightsize.errors import OutputError
from rightsize.secrets import blanked, guarded, register_environment, register_words

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF)


class GatedStream:
    """A text stream that blanks secrets; everything else is the stream's own.

    What is no data may be of strangers (logs of libraries, of plugins): shapes are blanked there too.
    """

    def __init__(self, stream: TextIO, *, data: bool) -> None:
        self._stream, self._data = stream, data
        self._fault: BaseException | None = None

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError("a text stream takes text")
        if text:
            with self._faults():
                self._stream.write(blanked(text) if self._data else guarded(text))
        return len(text)

    def writelines(self, lines: Iterator[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with self._faults():
            self._stream.flush()

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        if self._fault is not None:
            raise self._fault
        try:
            yield
        except BrokenPipeError:
            # The reader of our output went away (`| head`): that is no fault.
            self._discard()
            self._fault = SystemExit(0)
            raise self._fault from None
        except OSError as error:
            if error.errno not in _FULL or not self._data:
                raise
            self._discard()
            self._fault = OutputError(
                f"stdout cannot be written ({error.strerror})", hint="free space, or another disk"
            )
            raise self._fault from error

    def _discard(self) -> None:
        """What is still in the buffer goes nowhere, or Python complains once more at its end."""
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def gated_streams() -> Iterator[None]:
    """Stdout and stderr pass the gate of secrets while a command runs."""
    _open_closed()
    register_environment()
    register_words(sys.argv[1:])
    out, err = sys.stdout, sys.stderr
    gated: Any = GatedStream(out, data=True), GatedStream(err, data=False)
    sys.stdout, sys.stderr = gated
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err


def _open_closed() -> None:
    """Open what the caller has closed (`>&-`), or the next file would take its place.

    What is written to such a stdout fails as on a full disk; messages to such a stderr go nowhere.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def end_on_signals() -> None:
    """Leave in order on SIGTERM and SIGHUP, so that unfinished files are removed: 143 and 129."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # A job under nohup goes on.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            with contextlib.suppress(ValueError):  # not the main thread
                signal.signal(number, leave)
