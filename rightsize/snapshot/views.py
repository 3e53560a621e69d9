"""What analysis reads of a snapshot: pods with their workloads, containers in force, usage.

Facts hold over the window, not for a day. Owner, kind, labels, component and sizes of a pod come
from the newest day that knew them, so that a day without kube-state-metrics changes none of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from rightsize.snapshot.store import Snapshot

POD = ["namespace", "pod"]
CONTAINER = [*POD, "container"]
WORKLOAD = ["namespace", "workload"]
SIZES = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")
_FACTS = ["workload", "workload_kind", "node", "labels", "annotations", "started"]
_UNKNOWN = "_unknown"


def plain_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Dictionary columns as plain strings: merging categories of different days is slower."""
    text = [c for c in frame.columns if isinstance(frame[c].dtype, pd.CategoricalDtype)]
    return frame.astype(dict.fromkeys(text, object))


def pods_with_workloads(snapshot: Snapshot, days: Sequence[date] | None = None) -> pd.DataFrame:
    """Every pod of every day with its workload.

    Parameters
    ----------
    snapshot : Snapshot
    days : sequence of date, optional
        Only these days; all by default.

    Returns
    -------
    DataFrame
        The columns of table `pods` and `day`; `reported`, whether the cluster's state metrics spoke
        of the pod on that day. Where they did not, owner, kind, node, labels, annotations and
        start are those of the pod's newest day that was reported, else the owner of its siblings,
        else what its name says. A pod that nothing owns is its own workload, of kind Pod.
    """
    rows = plain_text(snapshot.read("pods", days=days))
    rows["reported"] = (rows["phase"].notna() | rows["started"].notna()).to_numpy(dtype=bool)
    if not rows["reported"].all():
        rows = _with_owner_of_siblings(_with_newest_facts(rows))
    rows["workload"] = rows["workload"].fillna(rows["pod"])
    rows["workload_kind"] = rows["workload_kind"].fillna("Pod")
    return rows


def containers_by_day(
    snapshot: Snapshot, days: Sequence[date] | None = None, *, mesh_only: bool = False
) -> pd.DataFrame:
    """Every container of every day with its workload: one row for each day, pod and container.

    Parameters
    ----------
    snapshot : Snapshot
    days : sequence of date, optional
        Only these days; all by default.
    mesh_only : bool
        Leave out containers that are no part of the mesh.

    Returns
    -------
    DataFrame
        The columns of table `containers`, and of the pod `workload`, `workload_kind`, `node`,
        `phase`, `started`, `first_seen`, `last_seen`, `labels`, `annotations`, `reported`;
        `requests_known` and `limits_known`, whether that day knew the container's requests and
        limits: where it did, null says "not set", where it did not, null says nothing.
    """
    rows = plain_text(snapshot.read("containers", days=days))
    pods = pods_with_workloads(snapshot, days)
    columns = [*_FACTS, "phase", "first_seen", "last_seen", "reported"]
    rows = rows.merge(pods[["day", *POD, *columns]], on=["day", *POD], how="left")
    rows["workload"] = rows["workload"].fillna(rows["pod"])
    rows["workload_kind"] = rows["workload_kind"].fillna("Pod")
    rows["reported"] = rows["reported"].eq(True).to_numpy(dtype=bool)
    for kind in ("request", "limit"):
        own = rows[[f"cpu_{kind}", f"memory_{kind}"]].notna().any(axis=1)
        rows[f"{kind}s_known"] = own | (rows["reported"] & _day_knows(rows, kind))
    if not rows["reported"].all():
        rows = _with_newest_component(rows)
    return rows[rows["component"].notna()] if mesh_only else rows


def newest_containers(snapshot: Snapshot, days: Sequence[date] | None = None) -> pd.DataFrame:
    """Containers of the newest pod of each workload, as last reported in the window.

    Parameters
    ----------
    snapshot : Snapshot
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
    order = [c for c in ("day", "started", "last_seen") if c in rows.columns]
    rows = rows.sort_values(order, kind="stable")
    # Reported days alone tell a pod's containers; without any, what was seen has to do.
    told = rows.groupby(WORKLOAD, sort=False)["reported"].transform("any")
    rows = rows[rows["reported"] | ~told]
    newest = rows.drop_duplicates(WORKLOAD, keep="last")[["day", *WORKLOAD, "pod"]]
    chosen = rows.merge(newest, on=["day", *WORKLOAD, "pod"]).reset_index(drop=True)
    return _with_known_sizes(chosen, rows)


def newest_rows(snapshot: Snapshot, table: str, days: Sequence[date] | None = None) -> pd.DataFrame:
    """Rows of the newest day that has any, of a table with one set of rows a day."""
    for day in sorted(snapshot.days if days is None else days, reverse=True):
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
    snapshot : Snapshot
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


def _with_newest_facts(rows: pd.DataFrame) -> pd.DataFrame:
    """Give unreported days of a pod the facts of its newest reported day."""
    known = rows[rows["reported"]].sort_values("day", kind="stable")
    known = known.drop_duplicates(POD, keep="last").set_index(POD)[_FACTS]
    keys = pd.MultiIndex.from_frame(rows[POD])
    there = ~rows["reported"].to_numpy() & keys.isin(known.index)
    facts = known.reindex(keys[there])
    for name in _FACTS:
        column = facts[name].to_numpy()
        rows.loc[there, name] = pd.Series(column, index=rows.index[there]).where(
            pd.notna(column), rows.loc[there, name]
        )
    rows[_UNKNOWN] = ~rows["reported"].to_numpy() & ~there
    return rows


def _with_owner_of_siblings(rows: pd.DataFrame) -> pd.DataFrame:
    """Give pods that were never reported the owner of pods that share their generated name."""
    unknown = rows[_UNKNOWN].to_numpy()
    known = rows[rows["reported"]]
    for parts in (1, 2):
        prefix = rows["pod"].str.rsplit("-", n=parts).str[0]
        names = ["namespace", "prefix"]
        owners = known.assign(prefix=prefix[known.index])[[*names, "workload", "workload_kind"]]
        owners = owners.drop_duplicates()
        owners = owners[~owners.duplicated(names, keep=False)].set_index(names)
        keys = pd.MultiIndex.from_arrays([rows["namespace"], prefix])
        there = unknown & keys.isin(owners.index)
        for name in ("workload", "workload_kind"):
            rows.loc[there, name] = owners[name].reindex(keys[there]).to_numpy()
        unknown = unknown & ~there
    return rows.drop(columns=_UNKNOWN)


def _with_newest_component(rows: pd.DataFrame) -> pd.DataFrame:
    """What a container is, from the reported days of its workload: alone it looks like another."""
    key = [*WORKLOAD, "container"]
    columns = ["component", "init", "native"]
    known = rows[rows["reported"]].sort_values("day", kind="stable")
    known = known.drop_duplicates(key, keep="last").set_index(key)[columns]
    keys = pd.MultiIndex.from_frame(rows[key])
    there = ~rows["reported"].to_numpy() & keys.isin(known.index)
    facts = known.reindex(keys[there])
    for name in columns:
        rows.loc[there, name] = facts[name].to_numpy()
    return rows


def _day_knows(rows: pd.DataFrame, kind: str) -> np.ndarray:
    """Whether the day's metrics of requests or limits were there for a row's sort of container.

    Prometheus holds no series for what is not set, so a metric that no container of the day has,
    init containers apart, is taken to be missing.
    """
    names = [f"cpu_{kind}", f"memory_{kind}"]
    some = rows[names].notna().any(axis=1)
    init = rows["init"].eq(True)
    known: np.ndarray = some.groupby([rows["day"], init]).transform("any").to_numpy(dtype=bool)
    return known


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
            chosen[name] = found[name].to_numpy(dtype=float)
        days = pd.Series(found["day"].to_numpy(), index=chosen.index)
        days = days.dt.tz_localize("UTC") if days.dt.tz is None else days
        as_of = days.where(as_of.isna() | (days < as_of), as_of)
    return chosen.assign(sizes_as_of=as_of)
