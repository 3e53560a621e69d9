"""What programs write to stderr that a library starts for us, at a terminal: it passes the gate too."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rightsize.secrets import guarded

_PAUSE_SECONDS = 0.2
"""After which the beginning of a line is a question to the user."""
_LONGEST_LINE = 2**16
_LAST_SECONDS = 1.0
"""For what is left in the pipe; a program that went into the background keeps it open."""


@contextmanager
def gated_child_stderr() -> Iterator[None]:
    """Make stderr a pipe for programs that are started in the block and would inherit it.

    They do where somebody can be asked, at a terminal: else the library keeps what they say.
    """
    if not sys.stdout.isatty():
        yield
        return
    shown, (ours, theirs) = sys.stderr, os.pipe()
    reader = threading.Thread(target=_pass_on, args=(ours, shown), daemon=True)
    reader.start()
    try:
        with os.fdopen(theirs, "w") as pipe:
            sys.stderr = pipe
            yield
    finally:
        sys.stderr = shown
        reader.join(_LAST_SECONDS)


def _pass_on(pipe: int, shown: TextIO) -> None:
    """Write each line, and what stands alone for a while, without secrets."""
    waiting = b""
    while True:
        quiet = not select.select([pipe], [], [], _PAUSE_SECONDS if waiting else None)[0]
        piece = b"" if quiet else os.read(pipe, 4096)
        waiting += piece
        if quiet or not piece or len(waiting) > _LONGEST_LINE:
            whole, waiting = waiting, b""
        else:
            whole, end, waiting = waiting.rpartition(b"\n")
            whole += end
        if whole:
            shown.write(guarded(whole.decode("utf-8", "replace")))
            shown.flush()
        if not piece and not quiet:
            os.close(pipe)
            return
