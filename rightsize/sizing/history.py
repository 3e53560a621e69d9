"""From the snapshot's tables to one history for each container of each workload.

Sizing is by workload over all of its pods, past ones too, so that a rollout loses nothing. It reads
the summaries of days; windows are read for charts, back-tests and `explain`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from rightsize.results import Component, SizeField, Sizes
from rightsize.sizing.policies.arrays import Ints
from rightsize.sizing.policies.base import Floats
from rightsize.sizing.policies.daily import Daily
from rightsize.sizing.presence import JOB_KINDS, Presence, presence
from rightsize.sizing.records import Records, read_records
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import (
    CONTAINER,
    WINDOWS_AT_ONCE,
    WINDOWS_PER_DAY,
    WORKLOAD,
    containers_by_day,
    places_of,
    together,
    usage_of_pods,
)

_BATCH_RECORDS = 20_000
"""Containers of a pod and day, of which a summary is a tenth as large as its windows."""
_KEY = ["component", *WORKLOAD, "container"]
_Key = tuple[Component, str, str, str, str]
_SIZES: tuple[SizeField, ...] = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")
_USED = ("cpu", "seconds", "memory")
_THROTTLED = ("periods", "throttled_periods")
_NEWEST = ("native", "annotations", "labels", "same_name")
_ANNOTATIONS = {
    f"sidecar.istio.io/proxy{name}" for name in ("CPU", "CPULimit", "Memory", "MemoryLimit")
}


@dataclass(frozen=True)
class OutOfMemory:
    """OOM kills of one day, with the memory limit in force then (None: no limit)."""

    day: date
    kills: int
    limit: float | None


@dataclass(frozen=True)
class Events:
    """What became of a workload's containers, as far as it was reported."""

    restarts: int | None
    """None where no day reported them."""
    oom_kills: int | None
    unexplained: int
    """Restarts of which nobody knows whether they were OOM kills."""
    unknown: float
    """Share of the days of its pods without a count of OOM kills."""

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Events:
        """Add up `restarts` and `oom_kills` of pods and days; null is unknown."""
        restarts, kills = _column(rows, "restarts"), _column(rows, "oom_kills")
        unknown = np.isnan(kills)
        return cls(
            restarts=None if np.isnan(restarts).all() else int(np.nansum(restarts)),
            oom_kills=None if unknown.all() else int(np.nansum(kills)),
            unexplained=int(np.nansum(restarts[unknown])),
            unknown=float(unknown.mean()) if len(rows) else 1.0,
        )

    def unsafe(self, most_unknown: float) -> str | None:
        """Why memory must not be cut: it may have been too small, and nobody would know."""
        if self.unexplained:
            what = "restart" if self.unexplained == 1 else "restarts"
            return f"{self.unexplained} {what} for an unknown reason, maybe OOM kills"
        if self.oom_kills is None:
            return "no metric reports OOM kills"
        if self.unknown > most_unknown:
            return f"OOM kills are unknown on {self.unknown:.0%} of its days"
        return None


@dataclass(frozen=True, eq=False)
class ContainerHistory:
    """One container of one workload: what it used day by day, and what was in force.

    Attributes
    ----------
    records : Records
        What its pods used, a row for each pod and day.
    pod_cpu_limit : float64 array of shape (rows,)
        The CPU limit that the pod of each row ran with; NaN without one.
    """

    component: Component
    namespace: str
    workload: str
    kind: str
    container: str
    native: bool
    annotated: bool
    """The workload's pods carry proxy resource annotations of their own."""
    presence: Presence
    in_force: Sizes
    events: Events
    out_of_memory: tuple[OutOfMemory, ...]
    labels: Mapping[str, str]
    records: Records
    pod_cpu_limit: Floats
    cpu_burst: float | None = None
    """Highest CPU over two scrapes, in cores."""
    sizes_as_of: date | None = None
    """The day of the sizes in force, where the last days did not report them."""
    same_name: bool = False
    """A workload of another kind has its name in its namespace."""

    @property
    def daily(self) -> Daily:
        return self.records.daily

    @property
    def running(self) -> bool:
        return self.presence.running

    @property
    def is_job(self) -> bool:
        """Its pods end by themselves: their peaks are its samples."""
        return self.kind in JOB_KINDS

    @property
    def replicas(self) -> float:
        """Mean number of pods over the windows in which there was any."""
        return self.records.replicas


@dataclass(frozen=True, eq=False)
class WindowHistory(ContainerHistory):
    """The same with its windows.

    `usage` has one row for each pod and 5-minute window with the columns of
    `rightsize.sizing.policies.base`.
    """

    usage: pd.DataFrame = field(default_factory=pd.DataFrame)


def container_histories(
    snapshot: Snapshot,
    *,
    days: list[date] | None = None,
    namespaces: list[str] | None = None,
) -> Iterator[WindowHistory]:
    """Yield the history of every mesh container, windows and all, in order of the key.

    Memory is bounded: namespaces are read in batches of about 1.5 million windows.

    Parameters
    ----------
    days : list of date, optional
        Only these days; all by default.
    namespaces : list of str, optional
        Only these namespaces; all by default.
    """
    for batch in history_batches(snapshot, days=days, namespaces=namespaces, windows=True):
        yield from batch.with_windows(snapshot)


@dataclass(frozen=True, slots=True, eq=False)
class ContainerWindows:
    """One container of one workload: what was in force, and its windows, but for their throttling."""

    namespace: str
    workload: str
    container: str
    in_force: Sizes
    usage: pd.DataFrame
    """As `WindowHistory` has it."""


def container_windows(
    snapshot: Snapshot,
    *,
    namespaces: Collection[str] | None = None,
    workloads: Collection[tuple[str, str]] | None = None,
) -> Iterator[ContainerWindows]:
    """Yield the windows of every mesh container, of all or some workloads, in order of the key.

    Memory is bounded as that of `container_histories`, of which this is the part that a back-test
    needs.
    """
    for batch in history_batches(
        snapshot, namespaces=namespaces, workloads=workloads, windows=True
    ):
        pods = _Pods.of(batch.inventory)
        windows = pods.windows(_usage(snapshot, batch, _USED))
        for (key, rows), usage in zip(pods.containers(), windows, strict=True):
            _, namespace, workload, _, container = key
            yield ContainerWindows(namespace, workload, container, _in_force(rows)[0], usage)


@dataclass(frozen=True)
class MeshWindows:
    """The windows of all mesh containers day by day, each with the number of its container's key.

    Attributes
    ----------
    keys : tuple of (component, namespace, workload, kind, container)
        In the order of `container_histories`.
    """

    keys: tuple[_Key, ...]
    _pods: _Pods
    _snapshot: Snapshot

    @classmethod
    def of(cls, snapshot: Snapshot) -> MeshWindows:
        pods = _Pods.of(_in_parts(containers_by_day(snapshot, mesh_only=True)))
        return cls(tuple(key for key, _ in pods.containers()), pods, snapshot)

    def days(self, columns: Sequence[str]) -> Iterator[tuple[Ints, dict[str, Floats]]]:
        """Yield each day's numbers, shape (windows,), and values of numeric columns; NaN is unknown."""
        for _, part in self._snapshot.by_day("usage", columns=[*CONTAINER, *columns]):
            row = places_of(part.select(CONTAINER).to_pandas(), self._pods.names)
            mine = np.flatnonzero(row >= 0)
            values = {
                name: part.column(name).cast(pa.float64()).to_numpy()[mine] for name in columns
            }
            yield self._pods.group[row[mine]], values


@dataclass(frozen=True)
class HistoryBatch:
    """Namespaces that are read together, with all else that their histories need."""

    days: list[date]
    namespaces: list[str]
    inventory: pd.DataFrame
    """Their rows of `containers_by_day`."""
    end: pd.Timestamp
    """The last moment at which the snapshot saw anything."""

    def histories(self, snapshot: Snapshot) -> Iterator[ContainerHistory]:
        """Yield the history of every mesh container from the days' summaries, in order of the key."""
        pods = _Pods.of(self.inventory)
        for group in pods.groups(read_records(snapshot, self.days, self.namespaces)):
            yield _history(group, self.end)

    def with_windows(self, snapshot: Snapshot) -> Iterator[WindowHistory]:
        """The same, each with its windows."""
        pods = _Pods.of(self.inventory)
        parts = pods.windows(_usage(snapshot, self, (*_USED, *_THROTTLED)))
        for group, usage in zip(
            pods.groups(read_records(snapshot, self.days, self.namespaces)), parts, strict=True
        ):
            plain = _history(group, self.end)
            yield WindowHistory(
                **{f.name: getattr(plain, f.name) for f in fields(plain)}, usage=usage
            )


def history_batches(
    snapshot: Snapshot,
    *,
    days: list[date] | None = None,
    namespaces: Collection[str] | None = None,
    workloads: Collection[tuple[str, str]] | None = None,
    windows: bool = False,
) -> list[HistoryBatch]:
    """Cut a snapshot's histories into batches that take about 100 MB.

    The parameters are those of `container_histories`, and namespace and name of the only workloads;
    with `windows`, room is left for these. Either way histories come in one order: parts of the mesh
    one after the other, each in order of the key.
    """
    chosen = snapshot.days if days is None else days
    inventory = containers_by_day(snapshot, chosen, mesh_only=True)
    end = inventory["last_seen"].max()
    if namespaces is not None:
        inventory = inventory[inventory["namespace"].isin(list(namespaces))]
    if workloads is not None:
        names = pd.MultiIndex.from_frame(inventory[["namespace", "workload"]])
        inventory = inventory[names.isin(list(workloads))]
    inventory = _in_parts(inventory)
    sizes = inventory.groupby("part").size()
    parts = inventory.groupby("part")["namespace"].unique()
    return [
        HistoryBatch(
            chosen,
            [name for part in numbers for name in sorted(parts[part])],
            inventory[inventory["part"].isin(numbers)],
            end,
        )
        for numbers in together(sizes, 1 if windows else _BATCH_RECORDS)
    ]


def _in_parts(inventory: pd.DataFrame) -> pd.DataFrame:
    """The inventory with the number of the part of the mesh that each namespace is in."""
    rows = inventory.groupby("namespace").size()
    parts = together(rows, WINDOWS_AT_ONCE // WINDOWS_PER_DAY)
    number = {name: n for n, names in enumerate(parts) for name in names}
    return inventory.assign(part=inventory["namespace"].map(number))


def _usage(snapshot: Snapshot, batch: HistoryBatch, columns: Sequence[str]) -> pd.DataFrame:
    wanted = ["time", *CONTAINER, *columns]
    return usage_of_pods(snapshot, batch.inventory, days=batch.days, columns=wanted)


@dataclass(frozen=True, eq=False)
class _Group:
    """One container of one workload: its rows of `containers_by_day`, and what its pods used."""

    key: _Key
    rows: pd.DataFrame
    records: Records
    pod_cpu_limit: Floats


@dataclass(frozen=True, eq=False)
class _Pods:
    """Which group each container of each pod belongs to, with the CPU limit it had last.

    Attributes
    ----------
    order : DataFrame
        The inventory, each group's rows in order of time.
    names : DataFrame
        `namespace`, `pod`, `container` of each, once.
    group, cpu_limit : arrays of shape (names,)
    """

    order: pd.DataFrame
    names: pd.DataFrame
    group: Ints
    cpu_limit: Floats

    @classmethod
    def of(cls, inventory: pd.DataFrame) -> _Pods:
        order = inventory.sort_values(["day", "started", "last_seen"], kind="stable")
        number = order.groupby(["part", *_KEY], sort=True, dropna=False).ngroup()
        last = ~order.duplicated(CONTAINER, keep="last")
        kinds = order.groupby(["namespace", "workload"])["workload_kind"].transform("nunique")
        return cls(
            order.assign(group=number, same_name=kinds > 1),
            order.loc[last, CONTAINER].reset_index(drop=True),
            number[last].to_numpy().astype(np.int64),
            order.loc[last, "cpu_limit"].to_numpy(dtype=float),
        )

    def groups(self, records: Records) -> Iterator[_Group]:
        """Yield what each group used, in order of the key."""
        row = places_of(records.names, self.names)
        mine = np.flatnonzero(row >= 0)
        mine = mine[np.argsort(self.group[row[mine]], kind="stable")]
        records, row = records.take(mine), row[mine]
        edges = np.searchsorted(self.group[row], np.arange(self.group.max(initial=-1) + 2))
        for (key, rows), (first, last) in zip(self.containers(), pairwise(edges), strict=True):
            limits = self.cpu_limit[row[first:last]]
            yield _Group(key, rows, records.between(int(first), int(last)), limits)

    def containers(self) -> Iterator[tuple[_Key, pd.DataFrame]]:
        """Yield the key of each group, in order, and its rows of the inventory."""
        rows = self.order.sort_values("group", kind="stable")
        edges = np.searchsorted(rows["group"], np.arange(self.group.max(initial=-1) + 2))
        for first, last in pairwise(edges):
            part = rows.iloc[first:last]
            yield cast(_Key, tuple(part[_KEY].iloc[0])), part

    def windows(self, usage: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """Yield the windows of each group, in order of the key."""
        row = places_of(usage, self.names)
        mine = np.flatnonzero(row >= 0)
        mine = mine[np.argsort(self.group[row[mine]], kind="stable")]
        edges = np.searchsorted(self.group[row[mine]], np.arange(self.group.max(initial=-1) + 2))
        usage = usage.drop(columns=["namespace", "container"]).take(mine)
        if "periods" in usage:
            periods = usage["periods"].to_numpy(dtype=float)
            with np.errstate(invalid="ignore", divide="ignore"):
                usage["throttled"] = np.where(
                    periods > 0, usage["throttled_periods"].to_numpy(dtype=float) / periods, np.nan
                )
        for first, last in pairwise(edges):
            part = usage.iloc[first:last]
            yield part.sort_values("time", kind="stable", ignore_index=True)


def _history(group: _Group, end: pd.Timestamp) -> ContainerHistory:
    component, namespace, workload, kind, container = group.key
    rows = group.rows
    newest = {name: rows[name].iloc[-1] for name in _NEWEST}
    kills = _column(rows, "oom_kills")
    killed = np.flatnonzero(kills > 0)
    limits, days = _column(rows, "memory_limit"), rows["day"]
    in_force, as_of = _in_force(rows)
    return ContainerHistory(
        component=component,
        namespace=namespace,
        workload=workload,
        kind=kind,
        container=container,
        native=bool(newest["native"]),
        annotated=not _ANNOTATIONS.isdisjoint(_json(newest["annotations"])),
        presence=presence(group.records, rows, end),
        in_force=in_force,
        events=Events.of(rows),
        out_of_memory=tuple(
            OutOfMemory(days.iloc[row].date(), int(kills[row]), _known(limits[row]))
            for row in killed
        ),
        labels=_json(newest["labels"]),
        records=group.records,
        pod_cpu_limit=group.pod_cpu_limit,
        cpu_burst=_known(rows["cpu_burst"].max()),
        sizes_as_of=as_of,
        same_name=bool(newest["same_name"]),
    )


def _in_force(rows: pd.DataFrame) -> tuple[Sizes, date | None]:
    """Sizes of the newest day that knew them, what no day knew, and that day if it is not the last."""
    found: dict[SizeField, float | None] = {}
    unknown: list[SizeField] = []
    days = [rows["day"].iloc[-1]]
    for name in _SIZES:
        kind = "requests_known" if name.endswith("request") else "limits_known"
        # What is reported is known, even where its neighbour is not.
        known = np.flatnonzero(rows[kind].to_numpy(dtype=bool) | rows[name].notna().to_numpy())
        if not known.size:
            unknown.append(name)
            continue
        found[name] = _known(rows[name].iloc[known[-1]])
        days.append(rows["day"].iloc[known[-1]])
    oldest = min(days)
    return (
        Sizes(**found, unknown=frozenset(unknown)),
        None if oldest == days[0] else oldest.date(),
    )


def _column(rows: pd.DataFrame, name: str) -> Floats:
    values: Floats = rows[name].to_numpy(dtype=float, na_value=np.nan)
    return values


def _json(text: Any) -> dict[str, str]:
    return dict(json.loads(text)) if isinstance(text, str) and text else {}


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
