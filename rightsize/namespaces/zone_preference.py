"""What zone preference would do to a service: load by zone, and the traffic between zones it saves.

Istio keeps a call in the caller's zone wherever the called service has a healthy pod there (the mesh's
`localityLbSetting`, enabled by default), once a DestinationRule has outlier detection. Then the pods of
a zone carry what its callers send, however many pods they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from rightsize.border import printable
from rightsize.cost.other import UnitCost
from rightsize.cost.traffic import GIGABYTE, pods_by_zone
from rightsize.results import HOURS_PER_MONTH, Interval

Floats = npt.NDArray[np.float64]

LEAST_PODS = 3
"""Pods of each zone: with fewer an ejection puts too much on the rest of the zone."""
MOST_LOAD = 1.25
"""Load of a pod of the fullest zone over an even share: what an autoscaler's target of 80 % has room
for."""
ENDS = ("source_namespace", "source_workload", "destination_namespace", "destination_workload")
SENT = (*ENDS, "destination_service")
"""Key columns of what `zone_preferences` reads."""


@dataclass(frozen=True, slots=True)
class ZonePreference:
    """One service under zone preference, with the pods of the last day and the calls of all days."""

    pods: tuple[tuple[str, int], ...]
    """Zone to pods, the zone with most load on a pod first."""
    load: float
    """Calls to a pod of the first zone, over those of an even share."""
    fewest_pods: int
    """Of the zones that have pods and callers."""
    usd_per_month: Interval | None
    """Saved on traffic between zones; None without a price."""

    @property
    def safe(self) -> bool:
        """Whether every zone has pods enough for its own callers."""
        return self.fewest_pods >= LEAST_PODS and self.load <= MOST_LOAD

    @property
    def text(self) -> str:
        """The same as a clause."""
        zones = ", ".join(f"{count} in {printable(zone)}" for zone, count in self.pods)
        usd = self.usd_per_month
        saved = "" if usd is None else f", and save {usd.mid:,.0f} USD a month of traffic between " \
            f"zones ({usd.low:,.0f} to {usd.high:,.0f})"  # fmt: skip
        verdict = (
            "every zone has pods enough for its own callers: it may be turned on"
            if self.safe
            else f"not safe: {LEAST_PODS} pods in each zone and at most {MOST_LOAD:g} times are asked"
        )
        return (
            f"it would send a pod of {printable(self.pods[0][0])} {self.load:.1f} times an even share "
            f"of the calls (pods: {zones}){saved}; {verdict}"
        )


def zone_preferences(
    sent: pd.DataFrame,
    pods: pd.DataFrame,
    nodes: pd.DataFrame,
    *,
    hours: float,
    price: UnitCost | None,
) -> Mapping[str, ZonePreference]:
    """Judge zone preference for each called host; hosts without a pod in a known zone are left out.

    Parameters
    ----------
    sent : DataFrame
        Columns `SENT`, `requests` and `bytes`: sums over the snapshot.
    pods : DataFrame
        Pods of one moment (`namespace`, `workload`, `node`).
    nodes : DataFrame
        `node` and `zone`.
    hours : float
        Hours that `sent` sums up.
    price : UnitCost or None
        USD for a GB between zones.
    """
    counts = pods_by_zone(pods, nodes)
    if counts.empty or sent.empty or not hours:
        return {}
    found = {}
    for host, rows in sent.groupby("destination_service", observed=True):
        one = _of_host(rows, counts, HOURS_PER_MONTH / hours, price)
        if one is not None:
            found[str(host)] = one
    return found


def _of_host(
    rows: pd.DataFrame, counts: pd.DataFrame, scale: float, price: UnitCost | None
) -> ZonePreference | None:
    called = _keys(rows, "destination").unique()
    own: Floats = counts.reindex(called).sum().to_numpy(float)
    total = float(rows["requests"].sum())
    if not own.sum() or not total:
        return None
    callers = counts.reindex(_keys(rows, "source")).to_numpy(float)
    source = callers / callers.sum(axis=1, keepdims=True)
    known = np.isfinite(source).all(axis=1)
    requests = rows["requests"].to_numpy(float)
    local = requests[known] @ source[known]
    has = own > 0
    # Calls from a zone without a pod, and from callers of unknown zones, go to all pods alike.
    even = float(local[~has].sum() + requests[~known].sum()) / own.sum()
    load = np.where(has, local, 0.0) / np.maximum(own, 1) + even * has
    order = np.argsort(-load, kind="stable")
    zones = tuple((str(counts.columns[i]), int(own[i])) for i in order if has[i])
    with_callers = own[has & (local > 0)]
    return ZonePreference(
        pods=zones,
        load=float(load.max() / (total / own.sum())),
        fewest_pods=int(with_callers.min()) if with_callers.size else 0,
        usd_per_month=_saved(rows[known], source[known], own, scale, price),
    )


def _saved(
    rows: pd.DataFrame, source: Floats, own: Floats, scale: float, price: UnitCost | None
) -> Interval | None:
    """USD a month, between the bounds of `rightsize.cost.traffic`."""
    if price is None:
        return None
    share = own / own.sum()
    stays = np.where(own > 0, 0.0, source).sum(axis=1)
    crossing = (
        1 - np.minimum(source, share).sum(axis=1),
        1 - (source * share).sum(axis=1),
        1 - np.maximum(source + share - 1, 0).sum(axis=1),
    )
    size = rows["bytes"].fillna(0.0).to_numpy(float) * scale / GIGABYTE * price.usd
    low, mid, high = (float(size @ np.maximum(end - stays, 0.0)) for end in crossing)
    return Interval(min(low, mid), mid, max(mid, high))


def _keys(rows: pd.DataFrame, end: str) -> pd.MultiIndex:
    names = [f"{end}_namespace", f"{end}_workload"]
    return pd.MultiIndex.from_arrays([rows[name].astype(str) for name in names])
