"""What analysis reads of a snapshot: pods with their workloads, containers in force, usage.

Owner, component and sizes of a day that missed them are filled as the tables are read; here they are
joined, and each workload's sizes in force are those of the newest day that knew them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rightsize.snapshot.schema import USAGE
from rightsize.snapshot.store import Snapshot

Ints = npt.NDArray[np.int64]

WINDOWS_AT_ONCE = 1_500_000
"""Rows of `usage` that are in memory together, some 100 MB."""
WINDOWS_PER_DAY = 288
POD = ["namespace", "pod"]
CONTAINER = [*POD, "container"]
WORKLOAD = ["namespace", "workload", "workload_kind"]
"""What a workload is known by: two kinds may share a name."""
SIZES = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")
_GUESSED = ("Deployment", "CronJob", "StatefulSet", "DaemonSet")
"""Kinds that a pod's name gives where no metric names its owner."""
_OF_POD = [
    "workload",
    "workload_kind",
    "node",
    "phase",
    "started",
    "ended",
    "first_seen",
    "last_seen",
]
_OF_POD += ["labels", "annotations"]


def plain_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Dictionary columns as plain strings: merging categories of different days is slower."""
    text = [c for c in frame.columns if isinstance(frame[c].dtype, pd.CategoricalDtype)]
    return frame.astype(dict.fromkeys(text, object))


def pods_with_workloads(snapshot: Snapshot, days: Sequence[date] | None = None) -> pd.DataFrame:
    """Every pod of every day with its workload.

    Parameters
    ----------
    days : sequence of date, optional
        Only these days; all by default.

    Returns
    -------
    DataFrame
        The columns of table `pods` and `day`. A pod that nothing owns is its own workload, of kind
        Pod. Kinds of one name are two workloads where a day had both, else one of the newest kind.
    """
    rows = plain_text(snapshot.read("pods", days=days))
    rows["workload"] = rows["workload"].fillna(rows["pod"])
    rows["workload_kind"] = rows["workload_kind"].fillna("Pod")
    return _with_settled_kinds(rows)


def _with_settled_kinds(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows whose kind is the newest of their workload, unless several kinds were there at once.

    A pod's owner never changes: where one pod has two kinds, the one among `_GUESSED` was read from its
    name on days without the metric.
    """
    name = ["namespace", "workload"]
    seen = rows[["day", *WORKLOAD]].drop_duplicates().sort_values("day", kind="stable")
    if len(seen.drop_duplicates(WORKLOAD)) == len(seen.drop_duplicates(name)):
        return rows
    kinds = rows[[*POD, *WORKLOAD[1:]]].drop_duplicates()
    twice = kinds[kinds.duplicated([*POD, "workload"], keep=False)]
    known = twice.loc[~twice["workload_kind"].isin(_GUESSED), WORKLOAD].drop_duplicates(name)
    last = pd.concat([seen[WORKLOAD], known]).drop_duplicates(name, keep="last")
    newest = last.set_index(name)["workload_kind"]
    together = seen[seen.duplicated(["day", *name], keep=False)].drop_duplicates(name)
    names = pd.MultiIndex.from_frame(rows[name])
    settled = ~names.isin(pd.MultiIndex.from_frame(together[name]))
    settled_kind = np.where(settled, newest.reindex(names).to_numpy(), rows["workload_kind"])
    return rows.assign(workload_kind=settled_kind)


def containers_by_day(
    snapshot: Snapshot, days: Sequence[date] | None = None, *, mesh_only: bool = False
) -> pd.DataFrame:
    """Every container of every day with its workload: one row for each day, pod and container.

    Parameters
    ----------
    days : sequence of date, optional
        Only these days; all by default.
    mesh_only : bool
        Leave out containers that are no part of the mesh.

    Returns
    -------
    DataFrame
        The columns of table `containers`, and of the pod `workload`, `workload_kind`, `node`,
        `phase`, `started`, `ended`, `first_seen`, `last_seen`, `labels`, `annotations`;
        `requests_known` and `limits_known` are true or false: where true, null says "not set",
        where false, null says nothing.
    """
    rows = plain_text(snapshot.read("containers", days=days))
    pods = pods_with_workloads(snapshot, days)
    rows = rows.merge(pods[["day", *POD, *_OF_POD]], on=["day", *POD], how="left")
    rows["workload"] = rows["workload"].fillna(rows["pod"])
    rows["workload_kind"] = rows["workload_kind"].fillna("Pod")
    for kind in ("request", "limit"):
        reported = rows[f"{kind}s_known"]
        rows[f"{kind}s_known"] = np.where(
            reported.isna(), _day_knows(rows, kind), reported.eq(True)
        )
    return rows[rows["component"].notna()] if mesh_only else rows


def newest_containers(snapshot: Snapshot, days: Sequence[date] | None = None) -> pd.DataFrame:
    """Containers of the newest pod of each workload, as last reported in the window.

    Parameters
    ----------
    days : sequence of date, optional
        Only these days; all by default.

    Returns
    -------
    DataFrame
        The columns of `containers_by_day`; sizes are those of the newest day that knew them, and
        `sizes_as_of` is the oldest such day of the row's sizes (NaT where none is known).
        `there` says whether a pod of the workload was seen on the last day.
    """
    rows = containers_by_day(snapshot, days)
    last = rows.groupby(WORKLOAD, sort=False)["day"].transform("max")
    rows["there"] = last == rows["day"].max()
    rows = rows.sort_values(["day", "started", "last_seen"], kind="stable")
    newest = rows.drop_duplicates(WORKLOAD, keep="last")[["day", *WORKLOAD, "pod"]]
    chosen = rows.merge(newest, on=["day", *WORKLOAD, "pod"]).reset_index(drop=True)
    return _with_known_sizes(chosen, rows)


def newest_rows(snapshot: Snapshot, table: str, days: Sequence[date] | None = None) -> pd.DataFrame:
    """Rows of the newest day that has any, of a table with one set of rows a day."""
    for day in sorted(snapshot.days if days is None else days, reverse=True):
        if snapshot.is_empty(table, day):
            continue
        rows = snapshot.read(table, days=[day])
        if len(rows):
            return plain_text(rows)
    return plain_text(snapshot.read(table, days=[]))


def usage_by_workload(
    snapshot: Snapshot,
    days: Sequence[date] | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Usage of the mesh's containers with `workload` and `component`, in 5-minute windows.

    Parameters
    ----------
    days : sequence of date, optional
        Only these days; all by default.
    columns : sequence of str, optional
        Columns of table `usage` beside its key; all by default.
    """
    wanted = None if columns is None else ["time", *CONTAINER, *columns]
    usage = plain_text(snapshot.read("usage", days=days, columns=wanted))
    owners = containers_by_day(snapshot, days, mesh_only=True)
    owners = owners.drop_duplicates(CONTAINER, keep="last")[[*CONTAINER, "component", "workload"]]
    return usage.merge(owners, on=CONTAINER, how="inner")


def usage_of_pods(
    snapshot: Snapshot,
    pods: pd.DataFrame,
    *,
    days: Sequence[date] | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Rows of `usage` of these pods (`namespace`, `pod`), filtered day by day.

    `columns` are those of table `usage`, its pod among them; all by default.
    """
    wanted = pa.array(pd.unique(pods["pod"].astype(str)), type=pa.string())
    places = sorted(set(pods["namespace"].astype(str)))
    parts = [USAGE.schema.empty_table().select(columns or USAGE.schema.names)]
    for _, part in snapshot.by_day("usage", days=days, columns=columns, namespaces=places):
        pod = part.column("pod").unify_dictionaries().combine_chunks()
        parts.append(part.filter(pc.is_in(pod.dictionary, value_set=wanted).take(pod.indices)))
    return pd.DataFrame(pa.concat_tables(parts).unify_dictionaries().to_pandas())


def windows_of_containers(
    snapshot: Snapshot,
    containers: pd.DataFrame,
    *,
    days: Sequence[date],
    columns: Sequence[str],
) -> Iterator[tuple[Ints, pd.DataFrame]]:
    """Yield rows of `usage` of these containers, each with the container's place in `containers`.

    Rows of some namespaces come together, so that about `WINDOWS_AT_ONCE` are in memory.

    Parameters
    ----------
    snapshot : Snapshot
    containers : DataFrame
        `CONTAINER`, each row once.
    days : sequence of date
    columns : sequence of str
        Columns of table `usage` beside these.
    """
    counts = containers.groupby("namespace", observed=True).size()
    for names in together(counts, WINDOWS_AT_ONCE // (WINDOWS_PER_DAY * max(len(days), 1))):
        some = containers[containers["namespace"].isin(names)]
        rows = usage_of_pods(snapshot, some, days=days, columns=[*CONTAINER, *columns])
        place = places_of(rows, containers)
        yield place[place >= 0], rows.loc[place >= 0, list(columns)]


def together(rows: pd.Series, most: int) -> Iterator[list[Any]]:
    """Labels of neighbouring entries that add up to `most`, or are alone above it."""
    batch: list[Any] = []
    total = 0
    for label, count in rows.items():
        if batch and total + count > most:
            yield batch
            batch, total = [], 0
        batch.append(label)
        total += int(count)
    if batch:
        yield batch


def places_of(rows: pd.DataFrame, names: pd.DataFrame) -> Ints:
    """The place in `names` of each row's `namespace`, `pod`, `container`; -1 where it has none.

    Joined on the dictionary codes: millions of windows name a few hundred pods.
    """
    if names.empty:
        return np.full(len(rows), -1, dtype=np.int64)
    codes = np.zeros(len(rows), dtype=np.int64)
    wanted = np.zeros(len(names), dtype=np.int64)
    for name in CONTAINER:
        column = rows[name].astype("category").cat
        categories = column.categories
        known = categories.get_indexer(pd.Index(names[name]))
        codes = codes * (len(categories) + 1) + column.codes.to_numpy()
        wanted = np.where((wanted < 0) | (known < 0), -1, wanted * (len(categories) + 1) + known)
    # A pod's rows stand together: look each such run up once.
    heads = np.flatnonzero(np.diff(codes, prepend=-1))
    order = np.argsort(wanted, kind="stable")
    place = np.minimum(np.searchsorted(wanted[order], codes[heads]), len(order) - 1)
    found = order[place]
    found = np.where(wanted[found] == codes[heads], found, -1)
    return np.repeat(found, np.diff(np.append(heads, len(codes)))).astype(np.int64)


def _day_knows(rows: pd.DataFrame, kind: str) -> pd.Series:
    """Whether a day of an earlier release's snapshot had the metric of requests or limits.

    Prometheus holds no series for what is not set, so a metric that no container of the day has,
    init containers apart, is taken to be missing.
    """
    some = rows[[f"cpu_{kind}", f"memory_{kind}"]].notna().any(axis=1)
    return some.groupby([rows["day"], rows["init"].eq(True)]).transform("any")


def _with_known_sizes(chosen: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    key = [*WORKLOAD, "container"]
    keys = pd.MultiIndex.from_frame(chosen[key])
    as_of = pd.Series(pd.NaT, index=chosen.index, dtype=chosen["day"].dtype)
    for kind in ("request", "limit"):
        flag = f"{kind}s_known"
        known = rows[rows[flag]].drop_duplicates(key, keep="last").set_index(key)
        found = known.reindex(keys)
        chosen[flag] = found[flag].eq(True).to_numpy(dtype=bool)
        for name in (f"cpu_{kind}", f"memory_{kind}"):
            # Where its CPU alone is unknown, a container's memory is known.
            own = chosen[name].to_numpy(dtype=float)
            chosen[name] = np.where(chosen[flag], found[name].to_numpy(dtype=float), own)
        days = pd.Series(found["day"].array, index=chosen.index)
        as_of = days.where(as_of.isna() | (days < as_of), as_of)
    return chosen.assign(sizes_as_of=as_of)
