"""From the snapshot's tables to one history for each container of each workload.

Sizing is by workload over all of its pods, past ones too, so that a rollout loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa

from rightsize.results import Component, SizeField, Sizes
from rightsize.sizing.presence import JOB_KINDS, Presence, presence, run_peaks
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import containers_by_day

WINDOWS_PER_DAY = 288
_BATCH_ROWS = 1_500_000
_KEY = ["component", "namespace", "workload", "container"]
_Key = tuple[Component, str, str, str]
_SIZES: tuple[SizeField, ...] = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")
_USAGE = ["time", "pod", "cpu", "memory", "periods", "throttled_periods"]
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
        restarts, kills = (rows[name].astype(float) for name in ("restarts", "oom_kills"))
        return cls(
            restarts=None if restarts.isna().all() else int(restarts.sum()),
            oom_kills=None if kills.isna().all() else int(kills.sum()),
            unexplained=int(restarts[kills.isna()].sum()),
            unknown=float(kills.isna().mean()) if len(rows) else 1.0,
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


@dataclass(frozen=True)
class ContainerHistory:
    """One container of one workload: what it used, and what was in force.

    `usage` has one row for each pod and 5-minute window with the columns of
    `rightsize.sizing.policies.base`, and `pod_cpu_limit`, the CPU limit the pod ran with.
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
    replicas: float
    in_force: Sizes
    events: Events
    out_of_memory: tuple[OutOfMemory, ...]
    labels: Mapping[str, str]
    usage: pd.DataFrame
    sizes_as_of: date | None = None
    """The day of the sizes in force, where the last days did not report them."""

    @property
    def running(self) -> bool:
        return self.presence.running

    @property
    def is_job(self) -> bool:
        """Its pods end by themselves: their peaks are its samples."""
        return self.kind in JOB_KINDS

    @property
    def samples(self) -> pd.DataFrame:
        """What a policy is fitted on: windows, or the peaks of a job's runs."""
        return run_peaks(self.usage, self.presence.run) if self.is_job else self.usage


def container_histories(
    snapshot: Snapshot,
    *,
    days: list[date] | None = None,
    namespaces: list[str] | None = None,
) -> Iterator[ContainerHistory]:
    """Yield the history of every mesh container, grouped by workload, in order of the key.

    Memory is bounded: namespaces are read in batches of about 1.5 million windows.

    Parameters
    ----------
    snapshot : Snapshot
    days : list of date, optional
        Only these days; all by default.
    namespaces : list of str, optional
        Only these namespaces; all by default.
    """
    for batch in history_batches(snapshot, days=days, namespaces=namespaces):
        yield from batch.histories(snapshot)


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
        """Yield the history of every mesh container, in order of the key."""
        yield from _split(self.inventory, _usage(snapshot, self.days, self.namespaces), self.end)


def history_batches(
    snapshot: Snapshot,
    *,
    days: list[date] | None = None,
    namespaces: list[str] | None = None,
) -> list[HistoryBatch]:
    """Cut a snapshot's histories into batches of about 1.5 million windows, in order of the key.

    The parameters are those of `container_histories`.
    """
    chosen = snapshot.days if days is None else days
    inventory = containers_by_day(snapshot, chosen, mesh_only=True)
    end = inventory["last_seen"].max()
    if namespaces is not None:
        inventory = inventory[inventory["namespace"].isin(namespaces)]
    return [
        HistoryBatch(chosen, names, inventory[inventory["namespace"].isin(names)], end)
        for names in _batches(inventory)
    ]


def _batches(inventory: pd.DataFrame) -> Iterator[list[str]]:
    rows = inventory.groupby("namespace").size() * WINDOWS_PER_DAY
    batch: list[str] = []
    total = 0
    for namespace, count in rows.items():
        if batch and total + count > _BATCH_ROWS:
            yield batch
            batch, total = [], 0
        batch.append(str(namespace))
        total += int(count)
    if batch:
        yield batch


def _usage(snapshot: Snapshot, days: list[date], namespaces: list[str]) -> pd.DataFrame:
    parts = [part for _, part in snapshot.by_day("usage", days=days, namespaces=namespaces)]
    if not parts:
        return snapshot.read("usage", days=[])
    return pd.DataFrame(pa.concat_tables(parts).unify_dictionaries().to_pandas())


def _split(
    inventory: pd.DataFrame, usage: pd.DataFrame, end: pd.Timestamp
) -> Iterator[ContainerHistory]:
    """Cut `usage` into one contiguous frame for each group of `inventory`."""
    last = inventory.sort_values(["day", "started", "last_seen"], kind="stable")
    groups = last.groupby(_KEY, sort=True, dropna=False)
    pods = last.drop_duplicates(["namespace", "pod", "container"], keep="last").copy()
    pods["group"] = groups.ngroup().loc[pods.index]
    usage = _grouped(usage, pods)
    periods = usage["periods"].to_numpy(dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        usage["throttled"] = np.where(
            periods > 0, usage["throttled_periods"].to_numpy(dtype=float) / periods, np.nan
        )
    edges = np.searchsorted(usage["group"].to_numpy(), np.arange(groups.ngroups + 1))
    for number, (key, rows) in enumerate(groups):
        part = usage.iloc[edges[number] : edges[number + 1]].drop(columns="group")
        part = part.sort_values("time", kind="stable", ignore_index=True)
        yield _history(cast(_Key, key), rows, part, end)


def _grouped(usage: pd.DataFrame, pods: pd.DataFrame) -> pd.DataFrame:
    """Give each window its `group` and its pod's `pod_cpu_limit`; groups stand together.

    Joined on the dictionary codes: millions of windows name a few hundred pods.
    """
    names = ["namespace", "pod", "container"]
    codes = np.zeros(len(usage), dtype=np.int64)
    wanted = np.zeros(len(pods), dtype=np.int64)
    for name in names:
        column = usage[name].astype("category").cat
        categories = column.categories
        known = categories.get_indexer(pd.Index(pods[name]))
        codes = codes * (len(categories) + 1) + column.codes.to_numpy()
        wanted = np.where((wanted < 0) | (known < 0), -1, wanted * (len(categories) + 1) + known)
    # A pod's windows of one day stand together: look each such run up once.
    heads = np.flatnonzero(np.diff(codes, prepend=-1))
    order = np.argsort(wanted, kind="stable")
    place = np.minimum(np.searchsorted(wanted[order], codes[heads]), len(order) - 1)
    row = order[place]
    found = wanted[row] == codes[heads]
    lengths = np.diff(np.append(heads, len(codes)))
    row, heads, lengths = row[found], heads[found], lengths[found]
    runs = np.argsort(pods["group"].to_numpy()[row], kind="stable")
    row, heads, lengths = row[runs], heads[runs], lengths[runs]
    offsets = np.repeat(heads - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
    sorting = offsets + np.arange(len(offsets))
    return (
        usage[_USAGE]
        .take(sorting)
        .assign(
            group=np.repeat(pods["group"].to_numpy()[row], lengths),
            pod_cpu_limit=np.repeat(pods["cpu_limit"].to_numpy(dtype=float)[row], lengths),
        )
    )


def _history(
    key: _Key, rows: pd.DataFrame, usage: pd.DataFrame, end: pd.Timestamp
) -> ContainerHistory:
    component, namespace, workload, container = key
    newest = rows.iloc[-1]
    killed = rows[rows["oom_kills"].gt(0).fillna(False).astype(bool)]
    times = usage["time"].nunique()
    in_force, as_of = _in_force(rows)
    return ContainerHistory(
        component=component,
        namespace=namespace,
        workload=workload,
        kind=str(newest["workload_kind"]),
        container=container,
        native=bool(newest["native"]),
        annotated=not _ANNOTATIONS.isdisjoint(_json(newest["annotations"])),
        presence=presence(usage, rows, end),
        replicas=len(usage) / times if times else 0.0,
        in_force=in_force,
        events=Events.of(rows),
        out_of_memory=tuple(
            OutOfMemory(row["day"].date(), int(row["oom_kills"]), _known(row["memory_limit"]))
            for row in killed.to_dict("records")
        ),
        labels=_json(newest["labels"]),
        usage=usage,
        sizes_as_of=as_of,
    )


def _in_force(rows: pd.DataFrame) -> tuple[Sizes, date | None]:
    """Sizes of the newest day that knew them, what no day knew, and that day if it is not the last."""
    found: dict[SizeField, float | None] = {}
    unknown: list[SizeField] = []
    days = [rows["day"].iloc[-1]]
    for name in _SIZES:
        kind = "requests_known" if name.endswith("request") else "limits_known"
        known = rows[rows[kind].to_numpy(dtype=bool)]
        if known.empty:
            unknown.append(name)
            continue
        found[name] = _known(known[name].iloc[-1])
        days.append(known["day"].iloc[-1])
    oldest = min(days)
    return (
        Sizes(**found, unknown=frozenset(unknown)),
        None if oldest == days[0] else oldest.date(),
    )


def _json(text: Any) -> dict[str, str]:
    return dict(json.loads(text)) if isinstance(text, str) and text else {}


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
