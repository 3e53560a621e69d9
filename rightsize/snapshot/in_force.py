"""What is known of a day from other days.

kube-state-metrics misses a day, or a workload of it: what a pod is, what it requests and where it
runs does not change by that. Rows of such a day get the newest value that another day knows, of the
same pod, else of the same workload. Where a day has no inventory at all, what ran on the nearest day
before (else after) stands for it.

Usage is never filled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from rightsize.snapshot.manifest import Manifest

_POD = ["namespace", "pod"]
_WORKLOAD = ["workload", "workload_kind"]
_OF_POD = [
    "node",
    "qos_class",
    "started",
    "host_network",
    "privileged",
    "scheduling",
    "labels",
    "annotations",
]
_SIZES = {
    "requests_known": ["cpu_request", "memory_request"],
    "limits_known": ["cpu_limit", "memory_limit"],
}
_ROLE = ["component", "init", "native"]
_CARRIED = {
    "nodes": "kube_node_info",
    "hpas": "kube_horizontalpodautoscaler_info",
    "pdbs": "kube_poddisruptionbudget_status_expected_pods",
}
"""Tables of which a whole day is taken over, and the metric that is absent then."""
UNDESCRIBED, UNSIZED = "undescribed_pods", "unsized_containers"
"""Counts among a day's statistics: pods that only their usage shows, and containers of the mesh of
which no request or limit is known."""

Read = Callable[[str, Sequence[date]], pd.DataFrame]
"""Rows of a table as they were written, with the column `day`."""


@dataclass(frozen=True)
class InForce:
    """A snapshot's tables of a day's grain, filled from its other days."""

    read: Read
    manifest: Manifest

    def rows(self, table: str, days: Sequence[date]) -> pd.DataFrame | None:
        """Rows of a table on `days`, with the column `day`; None where they know all themselves."""
        stats = [self.manifest.days[day].stats for day in days]
        if table in _CARRIED:
            lacks = any(self._lacks(day, _CARRIED[table]) for day in days)
            return self._carried(table, days) if lacks else None
        lacks = any(self._lacks(day, "kube_pod_info") for day in days)
        if table == "pods" and (lacks or any(one.get(UNDESCRIBED) for one in stats)):
            return self._pods(days)
        if table == "containers" and (lacks or any(one.get(UNSIZED) for one in stats)):
            return self._containers(days, self._pods(days))
        return None

    def is_whole(self, table: str, day: date) -> bool:
        """Whether nothing of the table on a day is taken from others."""
        metric = _CARRIED.get(table, "kube_pod_info" if table in ("pods", "containers") else None)
        return metric is None or not self._lacks(day, metric)

    def _lacks(self, day: date, metric: str) -> bool:
        return metric in (self.manifest.days[day].absent or ())

    def _nearest(self, day: date, metric: str) -> date | None:
        """The newest day before, else the first one after, that has the metric."""
        known = [one for one in sorted(self.manifest.days) if not self._lacks(one, metric)]
        before = [one for one in known if one < day]
        after = [one for one in known if one > day]
        return before[-1] if before else after[0] if after else None

    def _carried(self, table: str, days: Sequence[date]) -> pd.DataFrame:
        metric, parts = _CARRIED[table], [self.read(table, days)]
        for day in days:
            source = self._nearest(day, metric) if self._lacks(day, metric) else None
            if source is not None and not (parts[0]["day"].dt.date == day).any():
                parts.append(self._moved(self.read(table, [source]), day))
        return _joined(parts)

    def _moved(self, rows: pd.DataFrame, day: date) -> pd.DataFrame:
        """The rows as those of another day, present for all of it."""
        record = self.manifest.days[day]
        moved = rows.assign(day=pd.Timestamp(day, tz="UTC").as_unit("ms"))
        if "last_seen" in moved:
            first = pd.Timestamp(record.start).as_unit("ms") + pd.Timedelta(5, "min")
            moved = moved.assign(first_seen=first, last_seen=pd.Timestamp(record.end).as_unit("ms"))
        return moved

    def _pods(self, days: Sequence[date]) -> pd.DataFrame:
        rows = self.read("pods", days)
        unknown = rows["described"].eq(False)
        lacking = [day for day in days if self._lacks(day, "kube_pod_info")]
        known = self.read("pods", sorted(self.manifest.days))
        known = known[~known["described"].eq(False)]
        rows = _filled(rows, known, unknown, _POD, [*_WORKLOAD, *_OF_POD], keep=["node"])
        # A kind that is known of this name is not replaced by that of its namesake.
        named = pd.MultiIndex.from_frame(rows[["namespace", *_WORKLOAD]])
        unnamed = unknown & ~named.isin(pd.MultiIndex.from_frame(known[["namespace", *_WORKLOAD]]))
        rows = _filled(rows, known, unnamed, ["namespace", "workload"], ["workload_kind"])
        parts = [rows]
        for day in lacking:
            source = self._nearest(day, "kube_pod_info")
            if source is not None:
                parts.append(self._moved(self._beside_mesh(source), day))
        return _joined(parts)

    def _beside_mesh(self, day: date) -> pd.DataFrame:
        """Pods without a mesh container that ran at the end of a day: nothing else shows them."""
        pods, containers = self.read("pods", [day]), self.read("containers", [day])
        mesh = pd.MultiIndex.from_frame(containers.loc[containers["component"].notna(), _POD])
        alive = pods["last_seen"] >= pods["last_seen"].max() - pd.Timedelta(10, "min")
        beside: pd.DataFrame = pods[alive & ~pd.MultiIndex.from_frame(pods[_POD]).isin(mesh)]
        return beside

    def _containers(self, days: Sequence[date], pods: pd.DataFrame) -> pd.DataFrame:
        rows = self.read("containers", days)
        unknown = {name: rows[name].eq(False) for name in _SIZES}
        everything = sorted(self.manifest.days)
        names = self._pods(everything)[["day", *_POD, *_WORKLOAD]]
        names = names.astype(dict.fromkeys(_WORKLOAD, object))
        rows = rows.merge(names, on=["day", *_POD], how="left")
        known = self.read("containers", everything).merge(names, on=["day", *_POD], how="left")
        same = [[*_POD, "container"], ["namespace", *_WORKLOAD, "container"]]
        for key in same:
            described = known[known["requests_known"].ne(False)]
            role = unknown["requests_known"] & rows["container"].isin(described["container"])
            rows = _filled(rows, described, role, key, _ROLE)
            for flag, sizes in _SIZES.items():
                usable = known[known[flag].ne(False)]
                unsized = rows[flag].eq(False)
                rows = _filled(rows, usable, unsized, key, [*sizes, flag], keep=sizes)
        return _joined([rows.drop(columns=_WORKLOAD), *self._other_containers(days, pods, rows)])

    def _other_containers(
        self, days: Sequence[date], pods: pd.DataFrame, rows: pd.DataFrame
    ) -> list[pd.DataFrame]:
        """Of days without inventory, the containers that the pods had on the nearest day."""
        parts = []
        for day in days:
            source = self._nearest(day, "kube_pod_info")
            if source is None or not self._lacks(day, "kube_pod_info"):
                continue
            there = pd.MultiIndex.from_frame(pods.loc[pods["day"].dt.date == day, _POD])
            mine = rows.loc[rows["day"].dt.date == day, [*_POD, "container"]]
            before = self.read("containers", [source])
            carried = pd.MultiIndex.from_frame(before[_POD]).isin(there)
            carried &= ~pd.MultiIndex.from_frame(before[[*_POD, "container"]]).isin(
                pd.MultiIndex.from_frame(mine)
            )
            parts.append(self._moved(before[carried], day).assign(restarts=None, oom_kills=None))
        return parts


def _filled(
    rows: pd.DataFrame,
    known: pd.DataFrame,
    unknown: pd.Series,
    key: Sequence[str],
    columns: Sequence[str],
    keep: Sequence[str] = (),
) -> pd.DataFrame:
    """Fill `columns` of the `unknown` rows from the newest known row of the same key.

    `keep` columns that have a value already stay.
    """
    newest = known.dropna(subset=list(key)).sort_values("day", kind="stable")
    newest = newest.drop_duplicates(list(key), keep="last").set_index(list(key))
    if newest.empty:
        return rows
    place = newest.index.get_indexer(pd.MultiIndex.from_frame(rows[list(key)]))
    found = unknown.to_numpy(dtype=bool) & (place >= 0)
    filled = rows.copy()
    for column in columns:
        values = newest[column].astype(object).to_numpy()[place]
        own = rows[column].astype(object).to_numpy()
        here = found & pd.isna(own) if column in keep else found
        own = own.copy()
        own[here] = values[here]
        filled[column] = pd.Series(own, index=rows.index)
    return filled


def _joined(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Rows in one frame; those without any are left out, as their types say nothing."""
    filled = [part.astype(object) for part in parts if len(part)]
    if not filled:
        return parts[0]
    joined = pd.concat(filled, ignore_index=True)
    return joined.assign(day=joined["day"].astype(parts[0]["day"].dtype))
