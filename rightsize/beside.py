"""Parts of one answer side by side: what needs nothing of the rest is computed in a second process.

A part is a function of this package with arguments that can be pickled, and gives the same answer wherever
it runs. Where there is no second processor, or the second process ends (the machine had no
memory for it), the part is computed here when its answer is needed.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from typing import Protocol, TypeVar

Answer = TypeVar("Answer")


class Beside(Protocol):
    """Has a part computed, and returns what gives its answer or raises its error."""

    def __call__(self, part: Callable[..., Answer], *of: object) -> Callable[[], Answer]: ...


def at_need(part: Callable[..., Answer], *of: object) -> Callable[[], Answer]:
    """Have a part computed here, when its answer is asked for."""
    return partial(part, *of)


@contextmanager
def second_process() -> Iterator[Beside]:
    """Have parts computed one after the other in a second process, which ends with the block."""
    others = set(active_children())
    pool = _pool() if _processors() > 1 else None
    if pool is None:
        yield at_need
        return

    def beside(part: Callable[..., Answer], *of: object) -> Callable[[], Answer]:
        here = at_need(part, *of)
        try:
            there = pool.submit(part, *of)
        except (BrokenProcessPool, OSError):
            return here

        def answer() -> Answer:
            try:
                return there.result()
            except BrokenProcessPool:
                return here()

        return answer

    try:
        yield beside
    finally:
        for child in set(active_children()) - others:
            child.terminate()  # What nobody waits for any more, after an error or Ctrl-C.
        pool.shutdown(cancel_futures=True)


def _pool() -> ProcessPoolExecutor | None:
    # Ctrl-C is the first process's: blocked when the second one starts, it stays so there.
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        # Not forked: the libraries' own threads would be missing in the copy.
        pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        pool.submit(_end_with_the_first)
        return pool
    except (OSError, ImportError, NotImplementedError):  # No semaphores, or no memory, here.
        return None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _processors() -> int:
    """As `os.process_cpu_count` of Python 3.13: those the process may use, or PYTHON_CPU_COUNT."""
    said = os.environ.get("PYTHON_CPU_COUNT", "")
    if said.isdecimal():
        return int(said)
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # Not Linux.
        return os.cpu_count() or 1


def _end_with_the_first() -> None:
    """The second process does not outlive the first, however that ends."""
    threading.Thread(target=_wait_and_end, daemon=True).start()


def _wait_and_end() -> None:
    first = parent_process()
    if first is not None:
        wait([first.sentinel])
        os._exit(1)
