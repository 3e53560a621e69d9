"""Everything but collecting: one task for each cluster, and what the answers say together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rightsize.config import Settings
from rightsize.errors import RightsizeError
from rightsize.fleet.collecting import Progress
from rightsize.fleet.dask_run import Task, run
from rightsize.fleet.fleet_file import Fleet
from rightsize.fleet.tasks import Failure, Site, nodes_cluster, recommend_cluster, report_cluster
from rightsize.patch import patch_files
from rightsize.patch.in_force import given_sizes
from rightsize.results import Component, Sizes
from rightsize.snapshot.object_store import ObjectStore


@dataclass(frozen=True)
class ClusterAnswer:
    """One cluster's answer as plain values, or why there is none."""

    cluster: str
    team: str
    found: Mapping[str, Any] | None
    reason: str | None = None
    exit_code: int = 0


Keep = Callable[[dict[str, Any]], dict[str, Any]]
"""What stays in memory of a cluster's answer."""


def recommend_fleet(
    client: Any,
    fleet: Fleet,
    store: ObjectStore,
    settings: Settings,
    days: Sequence[date],
    *,
    keep: Keep = dict,
    progress: Progress | None = None,
) -> list[ClusterAnswer]:
    """Sizes of every cluster, from the days of `days` that the store has."""
    given: dict[tuple[tuple[Path, ...], str | None], Mapping[Component, Sizes] | Failure] = {}
    tasks, failed = [], {}
    for name, cluster in fleet.clusters.items():
        files = (cluster.values, cluster.chart)
        if files not in given:
            given[files] = _given(*files)
        sizes = given[files]
        if isinstance(sizes, Failure):
            failed[name] = sizes
            continue
        tasks.append(
            Task(name, recommend_cluster, (Site(store, name, cluster), settings, sizes, days))
        )
    return _answers(client, fleet, tasks, keep, progress, failed)


def _given(files: tuple[Path, ...], chart: str | None) -> Mapping[Component, Sizes] | Failure:
    try:
        if files:
            patch_files(files, (), chart=chart)  # What cannot be read is said before any work.
        return given_sizes(files, chart=chart)
    except RightsizeError as error:
        return Failure(str(error), error.exit_code)


def nodes_fleet(
    client: Any,
    fleet: Fleet,
    store: ObjectStore,
    settings: Settings,
    days: Sequence[date],
    *,
    keep: Keep = dict,
    progress: Progress | None = None,
) -> list[ClusterAnswer]:
    """Node plans of every cluster."""
    tasks = [
        Task(name, nodes_cluster, (Site(store, name, cluster), settings, days))
        for name, cluster in fleet.clusters.items()
    ]
    return _answers(client, fleet, tasks, keep, progress)


def report_fleet(
    client: Any,
    fleet: Fleet,
    store: ObjectStore,
    settings: Settings,
    month: str,
    *,
    keep: Keep = dict,
    progress: Progress | None = None,
) -> list[ClusterAnswer]:
    """The month's review of every cluster."""
    tasks = [
        Task(name, report_cluster, (Site(store, name, cluster), settings, month))
        for name, cluster in fleet.clusters.items()
    ]
    return _answers(client, fleet, tasks, keep, progress)


def _answers(
    client: Any,
    fleet: Fleet,
    tasks: Sequence[Task],
    keep: Keep,
    progress: Progress | None,
    failed: Mapping[str, Failure] | None = None,
) -> list[ClusterAnswer]:
    found = {
        name: ClusterAnswer(name, fleet.clusters[name].team, None, why.reason, why.exit_code)
        for name, why in (failed or {}).items()
    }
    for done, ended in enumerate(run(client, tasks), start=1):
        name = ended.task.cluster
        team = fleet.clusters[name].team
        if ended.failure is None:
            found[name] = ClusterAnswer(name, team, keep(ended.result))
        else:
            failure = ended.failure
            found[name] = ClusterAnswer(name, team, None, failure.reason, failure.exit_code)
        if progress is not None:
            progress(done, len(tasks), name)
    return [found[name] for name in fleet.clusters]
