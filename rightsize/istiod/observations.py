"""istiod's history as one table: what each pod had to do in each hour, and what it used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypedDict

import numpy as np
import pandas as pd

from rightsize.snapshot.schema import frame

COLUMNS = (
    "time",
    "pod",
    "proxies",
    "services",
    "endpoints",
    "pushes",
    "pushed_mib",
    "cpu",
    "cpu_burst",
    "memory",
    "age_hours",
)
"""See `istiod_hours`."""


@dataclass(frozen=True)
class IstiodTables:
    """One istiod's part of a snapshot: `control_plane`, `usage` and `containers` hold its pods only.

    Attributes
    ----------
    revision : str
        Its workload (`istiod-1-24`); empty where the snapshot knows no owners.
    earlier : DataFrame or None
        `istiod_hours` of revisions before this one, up to its first hour.
    carried : tuple of str
        These revisions.
    side_by_side : tuple of str
        Revisions that run beside this one.
    """

    control_plane: pd.DataFrame
    usage: pd.DataFrame
    containers: pd.DataFrame
    pods: pd.DataFrame = field(default_factory=lambda: frame("pods"))
    hpas: pd.DataFrame = field(default_factory=lambda: frame("hpas"))
    nodes: pd.DataFrame = field(default_factory=lambda: frame("nodes"))
    revision: str = ""
    earlier: pd.DataFrame | None = None
    carried: tuple[str, ...] = ()
    side_by_side: tuple[str, ...] = ()

    @cached_property
    def own_hours(self) -> pd.DataFrame:
        """See `istiod_hours`."""
        return istiod_hours(
            self.control_plane, pods=self.pods, usage=self.usage, containers=self.containers
        )

    @property
    def hours(self) -> pd.DataFrame:
        """The same, with those carried over from earlier revisions before them."""
        if self.earlier is None or self.earlier.empty:
            return self.own_hours
        return pd.concat([self.earlier, self.own_hours], ignore_index=True)


class Carried(TypedDict):
    """History of earlier revisions, as `IstiodTables` holds it."""

    earlier: pd.DataFrame | None
    carried: tuple[str, ...]


def before(own: pd.DataFrame, others: Mapping[str, pd.DataFrame]) -> Carried:
    """Hours of other revisions from before the first hour of this one.

    Parameters
    ----------
    own : DataFrame
        `istiod_hours` of this revision.
    others : mapping of str to DataFrame
        The same by revision.
    """
    first = own["time"].min()
    parts = {name: hours[hours["time"] < first] for name, hours in others.items()}
    parts = {name: hours for name, hours in parts.items() if len(hours)}
    if own.empty or not parts:
        return Carried(earlier=None, carried=())
    joined = pd.concat(parts.values()).sort_values(["time", "pod"], ignore_index=True)
    return Carried(earlier=joined, carried=tuple(sorted(parts)))


def istiod_hours(
    control_plane: pd.DataFrame,
    *,
    pods: pd.DataFrame | None = None,
    usage: pd.DataFrame | None = None,
    containers: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Join istiod's metrics with its containers' usage.

    Parameters
    ----------
    control_plane, pods, usage, containers : DataFrame
        Tables of the snapshot. Without `usage` and `containers`, what the process says of itself
        (`process_resident_memory_bytes`, `process_cpu_seconds_total`) stands in.

    Returns
    -------
    DataFrame
        One row for each hour and istiod pod, in order of time; unknown values are NaN.

        ===========  ==========  ==============================================================
        column       unit        meaning
        ===========  ==========  ==============================================================
        time         UTC         end of the hour
        pod                      istiod pod
        proxies      proxies     connected to this pod (`pilot_xds`)
        services     services    known to this pod (`pilot_services`)
        endpoints    pods        mean number of pods of the cluster that day, host network aside
        pushes       1/s         `pilot_xds_pushes`, all types
        pushed_mib   MiB/s       configuration sent, where `pilot_xds_config_size_bytes_sum` is
        cpu          cores       mean over the hour
        cpu_burst    cores       busiest 5 minutes of the hour
        memory       bytes       highest in the hour
        age_hours    hours       since the pod started
        ===========  ==========  ==============================================================
    """
    metrics = _plain(control_plane)
    hours = pd.DataFrame(
        {
            "proxies": _per_pod(metrics, "pilot_xds", "sum"),
            "services": _per_pod(metrics, "pilot_services", "max"),
            "pushes": _per_pod(metrics, "pilot_xds_pushes", "sum") / 3600,
            "pushed_mib": _per_pod(metrics, "pilot_xds_config_size_bytes_sum", "sum")
            / (3600 * 2**20),
            "resident": _per_pod(metrics, "process_resident_memory_bytes", "max"),
            "cpu_seconds": _per_pod(metrics, "process_cpu_seconds_total", "sum") / 3600,
        }
    )
    used = _used(usage, containers)
    if used is not None:
        hours = hours.join(used, how="outer")
    hours = hours.reset_index(names=["time", "pod"]) if len(hours) else _no_hours()
    for column, stand_in in (("memory", "resident"), ("cpu", "cpu_seconds")):
        hours[column] = _one_source(hours, column, stand_in)
    hours["cpu_burst"] = hours.get("cpu_burst", np.nan)
    hours["services"] = hours["services"].fillna(hours.groupby("time")["services"].transform("max"))
    hours["endpoints"] = _endpoints(hours["time"], pods)
    hours["age_hours"] = _age(hours, pods)
    return hours[list(COLUMNS)].sort_values(["time", "pod"], kind="stable", ignore_index=True)


def known_drivers(hours: pd.DataFrame, wanted: Sequence[str]) -> list[str]:
    """Those of `wanted` that are known in at least half of the rows."""
    return [name for name in wanted if len(hours) and hours[name].notna().mean() >= 0.5]


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    text = [c for c in frame.columns if isinstance(frame[c].dtype, pd.CategoricalDtype)]
    return frame.astype(dict.fromkeys(text, object))


def _per_pod(metrics: pd.DataFrame, metric: str, how: str) -> pd.Series:
    rows = metrics[metrics["metric"] == metric]
    return rows.groupby(["time", "pod"])["value"].agg(how)


def _no_hours() -> pd.DataFrame:
    names = ["time", "pod", "proxies", "services", "pushes", "pushed_mib", "resident"]
    empty = pd.DataFrame({name: pd.Series(dtype=float) for name in [*names, "cpu_seconds"]})
    return empty.assign(time=pd.Series(dtype="datetime64[ms, UTC]"), pod=pd.Series(dtype=object))


def _used(usage: pd.DataFrame | None, containers: pd.DataFrame | None) -> pd.DataFrame | None:
    """Hourly CPU and memory of istiod's containers, from the 5-minute windows."""
    if usage is None or containers is None or usage.empty or containers.empty:
        return None
    ours = containers[containers["component"] == "istiod"]
    keys = ours[["namespace", "pod", "container"]].astype(str).drop_duplicates()
    rows = _plain(usage[usage["pod"].isin(keys["pod"])])
    rows = rows.merge(keys, on=["namespace", "pod", "container"])
    if rows.empty:
        return None
    rows["time"] = rows["time"].dt.ceil("h")
    hourly = rows.groupby(["time", "pod"]).agg(
        cpu=("cpu", "mean"), cpu_burst=("cpu", "max"), memory=("memory", "max")
    )
    return hourly if len(hourly) else None


def _one_source(hours: pd.DataFrame, column: str, stand_in: str) -> pd.Series:
    """The container's figure where it covers half of the hours, else the process's own.

    The two differ (page cache, shared memory), so they are never mixed in one series.
    """
    if column in hours and len(hours) and hours[column].notna().mean() >= 0.5:
        return hours[column]
    return hours[stand_in]


def _endpoints(times: pd.Series, pods: pd.DataFrame | None) -> pd.Series:
    if pods is None or pods.empty or "day" not in pods or times.empty:
        return pd.Series(np.nan, index=times.index)
    own = pods[~pods["host_network"].astype("boolean").fillna(False).astype(bool)]
    seen = (own["last_seen"] - own["first_seen"]).dt.total_seconds() / 86400 + 300 / 86400
    daily = seen.groupby(own["day"].dt.date).sum(min_count=1)
    return (times - pd.Timedelta(1, "s")).dt.date.map(daily).astype(float)


def _age(hours: pd.DataFrame, pods: pd.DataFrame | None) -> pd.Series:
    first = hours.groupby("pod")["time"].transform("min") - pd.Timedelta(1, "h")
    if pods is not None and not pods.empty:
        known = pods[pods["pod"].isin(hours["pod"].unique())]
        started = known.groupby(known["pod"].astype(str))["started"].min()
        if len(started):
            first = hours["pod"].map(started).fillna(first)
    age = (hours["time"] - first).dt.total_seconds() / 3600
    return age.clip(lower=0.0)
