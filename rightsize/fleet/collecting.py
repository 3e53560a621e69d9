"""Collecting a fleet: the days that the store lacks, each cluster's newest first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from rightsize.fleet.dask_run import Ended, Task, run
from rightsize.fleet.fleet_file import Fleet
from rightsize.fleet.tasks import DayDone, Site, collect_day, missing_days
from rightsize.snapshot.object_store import ObjectStore

_DAYS_AT_ONCE = 2
"""Of one cluster: its server takes two requests at once, whatever the workers."""
Progress = Callable[[int, int, str], None]
"""Called with tasks that ended, tasks known so far, and the cluster of the last one."""


@dataclass(frozen=True)
class CollectedCluster:
    """What collecting did for one cluster."""

    cluster: str
    team: str
    wanted: int
    """Days that were asked for."""
    there: int = 0
    """Of them, days that were in the store before."""
    fetched: int = 0
    empty: int = 0
    """Days of which the server has no mesh container."""
    requests: int = 0
    received_bytes: int = 0
    newest: date | None = None
    """Newest day that is in the store now, of those asked for."""
    reason: str | None = None
    """Why the rest is missing; None where nothing is."""
    exit_code: int = 0

    @property
    def missing(self) -> int:
        return self.wanted - self.there - self.fetched - self.empty


def collect_fleet(
    client: Any,
    fleet: Fleet,
    store: ObjectStore,
    days: Sequence[date],
    progress: Progress | None = None,
) -> list[CollectedCluster]:
    """Fetch the days that the store lacks, and say for each cluster what became of it.

    A cluster whose server fails is not asked for further days; the next run asks again.
    """
    sites = {name: Site(store, name, cluster) for name, cluster in fleet.clusters.items()}
    rows = {
        name: CollectedCluster(name, cluster.team, len(days))
        for name, cluster in fleet.clusters.items()
    }
    todo: dict[str, list[date]] = {}

    def days_of(name: str, most: int) -> list[Task]:
        chosen = [todo[name].pop(0) for _ in range(min(most, len(todo[name])))]
        return [Task(name, collect_day, (sites[name], day, fleet.in_flight)) for day in chosen]

    def then(ended: Ended) -> Iterable[Task]:
        name = ended.task.cluster
        if ended.failure is not None:
            todo[name] = []
            reason, code = ended.failure.reason, ended.failure.exit_code
            rows[name] = replace(rows[name], reason=rows[name].reason or reason, exit_code=code)
            return []
        if isinstance(ended.result, DayDone):
            rows[name] = _with_day(rows[name], ended.result)
            return days_of(name, 1)
        todo[name] = ended.result
        kept = set(days) - set(ended.result)
        rows[name] = replace(rows[name], there=len(kept), newest=max(kept, default=None))
        return days_of(name, _DAYS_AT_ONCE)

    first = [Task(name, missing_days, (site, days)) for name, site in sites.items()]
    for done, ended in enumerate(run(client, first, then), start=1):
        if progress is not None:
            progress(done, done + sum(map(len, todo.values())), ended.task.cluster)
    return [_judged(row) for row in rows.values()]


def _with_day(row: CollectedCluster, done: DayDone) -> CollectedCluster:
    if not done.known:
        return replace(row, empty=row.empty + 1)
    return replace(
        row,
        fetched=row.fetched + 1,
        requests=row.requests + done.requests,
        received_bytes=row.received_bytes + done.received_bytes,
        newest=done.day if row.newest is None else max(row.newest, done.day),
    )


def _judged(row: CollectedCluster) -> CollectedCluster:
    if row.reason is None and row.wanted and row.empty == row.wanted:
        reason = "no mesh container on any of these days: check the matchers"
        return replace(row, reason=reason, exit_code=6)
    return row


def age_in_days(newest: str | None, now: datetime) -> float | None:
    """Days since the newest data of an answer."""
    if newest is None:
        return None
    return (now - datetime.fromisoformat(newest)).total_seconds() / 86400
