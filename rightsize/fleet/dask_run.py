"""Tasks on Dask: a local cluster of this machine's cores, or a scheduler that runs already.

Scheduling, moving, and repeating are Dask's. Here tasks are handed over a few at a time, so that a
year of a thousand clusters is not in the scheduler's memory at once, and each end is a row.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import rightsize
from rightsize.border import no_room, scratch_folder
from rightsize.errors import SchedulerError, UsageError
from rightsize.fleet.tasks import Failure, TaskFailed, attempt
from rightsize.secrets import register_address

_AT_ONCE = 500
"""Tasks that the scheduler knows of at once."""
_REPEATS = 3
"""Times that Dask runs a task again whose worker was lost or which failed in a way nobody foresaw."""
_SECONDS = 30
"""Time for a scheduler to answer."""


@dataclass(frozen=True)
class Task:
    """A function of `tasks` with its arguments, and the cluster it is for."""

    cluster: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Ended:
    """A task that came to its end: with a result, or with the reason why there is none."""

    task: Task
    result: Any
    failure: Failure | None


@contextlib.contextmanager
def dask_client(scheduler: str | None = None, workers: int | None = None) -> Iterator[Any]:
    """A client of the scheduler at an address, or of a cluster that ends with the block.

    Raises
    ------
    UsageError
        If Dask is not installed, or the address has a user or a password.
    SchedulerError
        If nothing answers at the address.
    OutputError
        If Dask has no room for its own folder, which every worker needs.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise UsageError("Dask is not installed", hint="pip install 'rightsize[fleet]'") from error
    if scheduler is not None:
        register_address(scheduler)
        if "@" in scheduler:
            raise UsageError(
                f"--scheduler {scheduler}: a Dask scheduler's address has no user and no password",
                hint="say tcp://HOST:8786, or tls:// with certificates in Dask's own settings",
            )
        with _reached(scheduler):
            client = Client(scheduler, timeout=_SECONDS, set_as_default=False)
        with client:
            yield client
        return
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with scratch_folder() as place:
        with _room_for_dask():
            cluster = LocalCluster(
                n_workers=workers or os.cpu_count() or 1,
                threads_per_worker=1,
                # Any free port: two fleets at once would complain about the usual one on stderr.
                dashboard_address="127.0.0.1:0",
                silence_logs=logging.CRITICAL,
                local_directory=str(place),
            )
        with cluster, Client(cluster, set_as_default=False) as client:
            yield client


@contextlib.contextmanager
def _room_for_dask() -> Iterator[None]:
    """A folder that has no room is our error, whichever of Dask's own stands around it."""
    try:
        yield
    except Exception as error:
        cause: BaseException | None = error
        while cause is not None:
            full = no_room(cause) if isinstance(cause, OSError) else None
            if full is not None:
                raise full from error
            cause = cause.__cause__ or cause.__context__
        raise


def run(
    client: Any,
    first: Iterable[Task],
    then: Callable[[Ended], Iterable[Task]] = lambda ended: (),
) -> Iterator[Ended]:
    """Run tasks, and yield each as it ends; `then` says what follows on one."""
    from distributed import as_completed

    waiting, numbers = iter(first), count()
    known: dict[str, Task] = {}

    def submitted(task: Task) -> Any:
        name = f"{task.function.__name__}-{task.cluster}-{next(numbers)}-{id(known)}"
        known[name] = task
        return client.submit(
            attempt, rightsize.__version__, task.function, *task.arguments,
            key=name, pure=False, retries=_REPEATS,
        )  # fmt: skip

    running = as_completed(loop=client.loop)
    for task in (task for _, task in zip(range(_AT_ONCE), waiting, strict=False)):
        running.add(submitted(task))
    for future in running:
        ended = _ended(known.pop(future.key), future)
        future.release()
        for task in then(ended):
            running.add(submitted(task))
        for task in waiting:
            running.add(submitted(task))
            if len(known) >= _AT_ONCE:
                break
        yield ended


def _ended(task: Task, future: Any) -> Ended:
    from distributed import KilledWorker

    if future.status == "finished":
        with contextlib.suppress(Exception):
            found = future.result(timeout=_SECONDS)
            lost = isinstance(found, Failure)
            return Ended(task, None if lost else found, found if lost else None)
    if future.status == "error":
        error = future.exception()
        if isinstance(error, KilledWorker):
            reason = f"{_REPEATS + 1} workers in turn were killed at it: out of memory?"
        else:
            named = "" if isinstance(error, TaskFailed) else f"{type(error).__name__}: "
            reason = f"{named}{error}"
        return Ended(task, None, Failure(reason, 1))
    reason = "the scheduler was lost; the next run goes on"
    return Ended(task, None, Failure(reason, SchedulerError.exit_code))


@contextlib.contextmanager
def _reached(scheduler: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, TimeoutError) as error:
        raise SchedulerError(
            f"{scheduler}: no Dask scheduler answers ({error})",
            hint="start one with `dask scheduler`, or leave --scheduler out to use this machine",
        ) from error
