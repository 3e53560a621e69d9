"""From a live server to a snapshot on disk, day by day."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa

from rightsize.collectors.objects import Objects, read_objects
from rightsize.collectors.prometheus.assemble import Assembled, assemble
from rightsize.collectors.prometheus.client import Permit
from rightsize.collectors.prometheus.clusters import (
    cluster_label,
    matched_nothing,
    pods_running_twice,
)
from rightsize.collectors.prometheus.days import DAY_SECONDS, Day
from rightsize.collectors.prometheus.facts import (
    absent_metrics,
    missing_metrics,
    scrape_interval,
)
from rightsize.collectors.prometheus.identity import (
    cluster_of,
    folder_name,
    mesh_identity,
    refuse_other_machines,
)
from rightsize.collectors.prometheus.schedule import answers_by_day
from rightsize.collectors.prometheus.source import Source, open_source
from rightsize.config import PrometheusSettings
from rightsize.errors import NoDataError, OutputError, UsageError
from rightsize.snapshot import DayRecord, Manifest, Missing, SnapshotWriter
from rightsize.snapshot.check import is_whole
from rightsize.snapshot.schema import TABLES, WINDOW_SECONDS

# Scrapes arrive late by their own time-out; a window that ended just now may still grow.
_SETTLING_SECONDS = 120
Progress = Callable[[int, int, date | None], None]
"""Called with days done, days in all, and the day just finished."""


@dataclass(frozen=True)
class Collected:
    """What one collect did."""

    path: Path
    manifest: Manifest
    fetched: tuple[date, ...]
    kept: int
    """Days that were complete already."""
    requests: int
    received_bytes: int
    gone: tuple[date, ...] = ()
    """Days to fetch again of which the server has nothing any more: left as they are."""


def collect(
    settings: PrometheusSettings,
    *,
    out: Path | None = None,
    days: int = 30,
    start: datetime | None = None,
    end: datetime | None = None,
    cluster: str | None = None,
    objects: Sequence[Path] | Objects = (),
    progress: Progress | None = None,
    permits: Sequence[Permit] = (),
) -> Collected:
    """Take a snapshot of a live mesh, or go on with one.

    Days that the folder already holds whole are not asked for again.

    Parameters
    ----------
    out : Path, optional
        The snapshot's folder; by default `./snapshots/` with the cluster's label, else the
        matchers' values, else the name of its context, else `cluster`.
    days : int
        Days before `end`, where no `start` is given.
    start, end : datetime, optional
        Times in UTC; `start` counts from its day's midnight, `end` is now by default.
    cluster : str, optional
        Name of the cluster; by default as the folder.
    objects : sequence of Path, or Objects
        Files of `kubectl get … -o json`, or what was read of the cluster.
    permits : sequence of callable, optional
        For each address of `settings`: makes what is held while a request to it is in flight.

    Raises
    ------
    MetricsServerError
        If the server fails; finished days are kept.
    NoDataError
        If the server has no mesh container in that time.
    OutputError, SnapshotError
        If the folder cannot be written, or is somebody else's.
    """
    known = objects if isinstance(objects, Objects) else read_objects(objects)
    with _arrow_frees_memory(), open_source(settings, permits) as source:
        now = int(source.now())
        wanted = _days(now, days, start, end)
        found = folder_name(cluster_label(source, wanted[-1].end), settings, known.cluster)
        name = cluster or cluster_of(out, found)
        folder = out or Path("snapshots") / name
        manifest = Manifest(
            cluster=name,
            source=source.product.name,
            simulated=False,
            facts=_facts(source, settings, known),
            identity=mesh_identity(source, wanted[-1].end),
        )
        with _writable(folder), SnapshotWriter(folder, manifest) as writer:
            refuse_other_machines(folder, writer.manifest, source)
            kept = [day for day in wanted if _is_kept(writer, day)]
            todo = _damaged_before(writer, wanted[0])
            todo += [day for day in wanted if day not in kept]
            report = progress or (lambda done, total, day: None)
            before = set(writer.manifest.days)
            fetched = _fetch_days(source, writer, todo, known, settings, report)
            if not any(record.rows.get("usage") for record in writer.manifest.days.values()):
                raise _no_mesh(source, wanted, settings)
            return Collected(
                folder,
                writer.manifest,
                tuple(fetched),
                len(kept),
                sum(e.server.traffic.requests for e in source.endpoints),
                sum(e.server.traffic.received_bytes for e in source.endpoints),
                tuple(day for day in _labels(todo) if day in before and day not in fetched),
            )


def _fetch_days(
    source: Source,
    writer: SnapshotWriter,
    todo: Sequence[Day],
    objects: Objects,
    settings: PrometheusSettings,
    report: Progress,
) -> list[date]:
    """Fetch and write days, oldest first, asking for the next while one is put together."""
    fetched: list[date] = []
    report(0, len(todo), None)
    for number, (day, answers) in enumerate(answers_by_day(source, todo), start=1):
        assembled = assemble(answers, day, objects, settings.gateways, source)
        absent = absent_metrics(answers)
        # Or this day's arrays would stay while the next day's come in.
        del answers
        written = day.label.date()
        there = writer.manifest.days.get(written)
        if there is not None and there.rows.get("usage") and not assembled.usage.keys:
            # What is there, part of a day or damaged, is more than the server still has.
            pass
        elif assembled.pods or writer.manifest.days:
            # Before the first day with data lies only the server's retention.
            record = _record(day, assembled, absent)
            writer.manifest = _described(writer.manifest, source, record, assembled, objects)
            writer.write_day(written, _tables(assembled), record)
            fetched.append(written)
        report(number, len(todo), written)
    return fetched


def _no_mesh(source: Source, wanted: Sequence[Day], settings: PrometheusSettings) -> NoDataError:
    server = source.endpoints[0].server.connection.name
    return NoDataError(
        f"{server}: no mesh container between {wanted[0].label:%Y-%m-%d} and "
        f"{wanted[-1].label:%Y-%m-%d}",
        hint=matched_nothing(settings)
        or "rightsize doctor says which metrics and labels are there, and how old the newest is",
    )


def _days(now: int, days: int, start: datetime | None, end: datetime | None) -> list[Day]:
    latest = (now - _SETTLING_SECONDS) // WINDOW_SECONDS * WINDOW_SECONDS
    last = min(int(_utc(end).timestamp()), latest) if end is not None else latest
    last = last // WINDOW_SECONDS * WINDOW_SECONDS
    if start is not None:
        first = int(_utc(start).timestamp())
    elif days > 0:
        first = last - days * DAY_SECONDS
    else:
        raise UsageError("--days must be 1 or more")
    first = first // DAY_SECONDS * DAY_SECONDS
    if first >= last:
        raise UsageError("the time to collect is empty: it starts at or after its end")
    midnights = range(first, last, DAY_SECONDS)
    return [Day(midnight, min(midnight + DAY_SECONDS, last)) for midnight in midnights]


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _damaged_before(writer: SnapshotWriter, first: Day) -> list[Day]:
    """Earlier days of the snapshot with files that are not what was written."""
    return [
        Day(int(record.start.timestamp()), int(record.end.timestamp()))
        for day, record in sorted(writer.manifest.days.items())
        if day < first.label.date() and not is_whole(writer.path, day, record)
    ]


def _labels(days: Iterable[Day]) -> list[date]:
    return [day.label.date() for day in days]


def _is_kept(writer: SnapshotWriter, day: Day) -> bool:
    """Whether a day is there, over, and undamaged."""
    label = day.label.date()
    record = writer.manifest.days.get(label)
    return record is not None and record.complete and is_whole(writer.path, label, record)


def _described(
    manifest: Manifest,
    source: Source,
    record: DayRecord,
    assembled: Assembled,
    objects: Objects,
) -> Manifest:
    """The manifest with what this day taught about the mesh."""
    interval = manifest.scrape_interval_seconds
    days = {**manifest.days, record.start.date(): record}
    partial = [*_mixed(source, int(record.end.timestamp()))] if not manifest.days else []
    partial += [
        Missing(f"parts of answers: {note}", "figures may be too low")
        for note in sorted(source.partial)
    ]
    regions = [region for region in assembled.regions if region]
    return replace(
        manifest,
        region=regions[0] if regions else manifest.region,
        istio_version=assembled.istio_version or manifest.istio_version,
        scrape_interval_seconds=interval or scrape_interval(source, int(record.end.timestamp())),
        missing=(
            *partial,
            *objects.missing,
            *missing_metrics(days, assembled.inferred_types),
        ),
    )


def _mixed(source: Source, at: int) -> Iterator[Missing]:
    """Signs of two clusters that no label distinguishes."""
    for endpoint in source.endpoints:
        if twice := pods_running_twice(source, at, endpoint):
            yield Missing(
                f"a matcher: {len(twice)} pods have two uids or nodes at once ({twice[0]}, …)",
                "figures of two clusters may be mixed; choose one with --matcher",
            )


def _record(day: Day, assembled: Assembled, absent: tuple[str, ...]) -> DayRecord:
    return DayRecord(
        start=day.label,
        end=datetime.fromtimestamp(day.end, UTC),
        complete=day.complete,
        rows={},
        stats=assembled.stats,
        absent=absent,
    )


def _tables(assembled: Assembled) -> dict[str, pd.DataFrame | Iterable[pd.DataFrame]]:
    # A column without any value says nothing; the writer fills it with nulls of its type.
    small = {
        name: rows.dropna(axis="columns", how="all") if len(rows) else TABLES[name].empty()
        for name, rows in assembled.tables.items()
    }
    return {**small, "usage": assembled.usage.frames()}


def _facts(source: Source, settings: PrometheusSettings, objects: Objects) -> dict[str, str]:
    """Where the figures come from, without anything secret."""
    facts = {
        "servers": ", ".join(e.server.connection.name for e in source.endpoints),
        "product": f"{source.product.name} {source.product.version}",
    }
    if settings.matchers:
        facts["matchers"] = ", ".join(settings.matchers)
    if objects.read_from:
        facts["objects"] = ", ".join(objects.read_from)
    return facts


@contextlib.contextmanager
def _arrow_frees_memory() -> Iterator[None]:
    """Let Arrow take memory where everybody does: its own pool keeps what a day's files took."""
    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """A disk that fills up outside of writing a day is no bug either."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror})",
            hint="free some room or give another folder with --out; finished days are kept",
        ) from error
