"""Options that say which clusters, which store and which Dask, shared by the commands of `fleet`."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from rightsize.errors import UsageError
from rightsize.output.console import progress_bar

if TYPE_CHECKING:
    from rightsize.fleet.collecting import Progress
    from rightsize.fleet.fleet_file import Fleet
    from rightsize.snapshot.object_store import ObjectStore

_OPTIONS: dict[str, tuple[object, object]] = {
    "fleet": (
        Annotated[Path, typer.Option(help="File that lists the clusters.")],
        Path("fleet.toml"),
    ),
    "store": (
        Annotated[
            str, typer.Option(help="Where the snapshots are: a folder, or s3://bucket/prefix.")
        ],
        "fleet-store",
    ),
    "cluster": (
        Annotated[list[str] | None, typer.Option(help="This cluster alone; repeat for more.")],
        None,
    ),
    "team": (Annotated[str | None, typer.Option(help="Clusters of this team alone.")], None),
    "scheduler": (
        Annotated[
            str | None,
            typer.Option(help="Dask scheduler, as tcp://HOST:8786; without it, a local cluster."),
        ],
        None,
    ),
    "workers": (
        Annotated[
            int | None,
            typer.Option(min=1, help="Processes of the local cluster. One for each core."),
        ],
        None,
    ),
}


@dataclass(frozen=True)
class Work:
    """What the options chose, ready to run."""

    fleet: Fleet
    store: ObjectStore
    scheduler: str | None
    workers: int | None

    @contextlib.contextmanager
    def running(self) -> Iterator[tuple[Any, Progress]]:
        """A client of Dask, and a progress bar on stderr."""
        from rightsize.fleet.dask_run import dask_client

        self._ask_store()
        with dask_client(self.scheduler, self.workers) as client, progress_bar() as bar:
            task = bar.add_task("starting", total=None)

            def report(done: int, total: int, cluster: str) -> None:
                bar.update(task, completed=done, total=total, description=cluster)

            yield client, report

    def _ask_store(self) -> None:
        """One answer for all where the store gives none; any other fault is of one cluster, a row."""
        from rightsize.errors import StoreError, StoreUnreachableError

        try:
            self.store.sizes(f"{next(iter(self.fleet.clusters))}/days")
        except StoreUnreachableError:
            raise
        except StoreError:
            pass


def with_fleet(command: Callable[..., None]) -> Callable[..., None]:
    """Add these options to a command, which gets one `Work` for them: `work`."""
    hints = get_type_hints(command, include_extras=True, localns={"Work": Work})
    own = [
        parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "work"
    ]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=option)
        for name, (option, default) in _OPTIONS.items()
    ]

    @functools.wraps(command)
    def wrapper(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in _OPTIONS}
        command(**given, work=_work(**chosen))

    shown = [*added[:2], *own, *added[2:]]
    wrapper.__dict__["__signature__"] = inspect.Signature(shown)
    wrapper.__annotations__ = {p.name: p.annotation for p in shown}
    return wrapper


def _work(
    fleet: Path,
    store: str,
    cluster: list[str] | None,
    team: str | None,
    scheduler: str | None,
    workers: int | None,
) -> Work:
    from rightsize.fleet.fleet_file import read_fleet
    from rightsize.snapshot.object_store import ObjectStore

    if scheduler is not None and workers is not None:
        raise UsageError("--workers is for the local cluster", hint="leave one of the two out")
    place = store if "://" in store else str(Path(store).absolute())
    return Work(read_fleet(fleet).only(cluster or (), team), ObjectStore(place), scheduler, workers)
