"""Cross-zone traffic of the mesh, estimated from where the pods of both ends run.

Istio's metrics name no zone, so the share that crosses is bounded, not measured. With `s` and `d`
the shares of the caller's and the called workload's pods by zone (Fréchet's bounds of a joint
distribution with these margins, from "stay in the zone wherever possible" to the opposite):

- low: `1 - sum(min(s, d))`
- mid: `1 - sum(s * d)`, what round-robin and least-request do: the zone plays no part
- high: `1 - sum(max(s + d - 1, 0))`

Istio's locality load balancing (with outlier detection) keeps a request in its zone wherever the
called workload has a pod there: then `sum(s where d = 0)` crosses, at the price of uneven load.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rightsize.cost.other import UnitCost
from rightsize.cost.plan import CostLine
from rightsize.results import Interval

GIGABYTE = 1e9


@dataclass(frozen=True)
class CrossZone:
    """Bytes a month between zones, and what locality-aware routing would leave."""

    moved: Interval
    """bytes a month that cross zones now"""
    local: float
    """bytes a month that still cross with locality-aware routing"""
    unknown: float
    """bytes a month between ends in unknown zones; in no other figure"""
    pairs: pd.DataFrame
    """By workload pair: `source`, `destination` (`namespace/workload`), `bytes` a month, shares
    `low`, `mid`, `high`, `local`; most moved first."""

    @property
    def nothing_known(self) -> bool:
        """No bytes were reported, or of none of them both zones are known."""
        return self.pairs.empty

    def line(self, price: UnitCost | None, region: str | None = None) -> CostLine:
        """Return the monthly cost now; unknown without a price."""
        name = "cross-zone traffic of the mesh"
        if price is None:
            return CostLine(name, None, "", "no price", "data-transfer")
        if self.pairs.empty and not self.unknown:
            return CostLine(name, None, "", "no traffic was reported", "data-transfer")
        note = "estimated from the zones of both workloads' pods"
        if self.unknown:
            note += f"; {self.unknown / GIGABYTE:,.1f} GB of unknown zones left out"
        note = "; ".join(part for part in (note, price.note(region)) if part)
        usd = None if self.nothing_known else self.moved.scaled(price.usd / GIGABYTE)
        return CostLine(name, usd, f"{price.source}, {price.as_of}", note, "data-transfer")

    def locality_saving(self, price: UnitCost) -> Interval:
        """Return USD a month that locality-aware routing saves; 0 at least."""
        ends = [
            max(end - self.local, 0.0) * price.usd / GIGABYTE
            for end in (self.moved.low, self.moved.mid, self.moved.high)
        ]
        return Interval(*ends)


def cross_zone(
    traffic: pd.DataFrame, pods: pd.DataFrame, nodes: pd.DataFrame, *, hours: float
) -> CrossZone:
    """Estimate what the mesh moves between zones in a month of `hours`.

    Parameters
    ----------
    traffic : DataFrame
        Table `traffic`: `time` (ends of hours), both workloads, `bytes`.
    pods, nodes : DataFrame
        Tables `pods` (`namespace`, `workload`, `node`) and `nodes` (`node`, `zone`); read with
        their `day`, each day of a pod counts once.
    hours : float
        Hours of the month; the traffic's own hours are scaled to them.
    """
    ends = ["source_namespace", "source_workload", "destination_namespace", "destination_workload"]
    traffic = traffic.dropna(subset=["bytes"])
    if traffic.empty:
        columns = ["source", "destination", "bytes", "low", "mid", "high", "local"]
        return CrossZone(Interval.exactly(0.0), 0.0, 0.0, pd.DataFrame(columns=columns))
    scale = hours / traffic["time"].nunique()
    # Summed before names become text: a month has a row for each pair and hour.
    sums = traffic.groupby(ends, observed=True, dropna=False)["bytes"].sum().reset_index()
    sums = sums.astype(dict.fromkeys(ends, object)).fillna(dict.fromkeys(ends, "unknown"))
    shares = zone_shares(pods, nodes)
    zones = shares.columns
    source = _shares_of(shares, sums, "source")
    called = _shares_of(shares, sums, "destination")
    volume = sums["bytes"].to_numpy(dtype=float) * scale
    crossing = pd.DataFrame(
        {
            "source": sums["source_namespace"] + "/" + sums["source_workload"],
            "destination": sums["destination_namespace"] + "/" + sums["destination_workload"],
            "bytes": volume,
            "low": 1 - np.minimum(source, called).sum(axis=1),
            "mid": 1 - (source * called).sum(axis=1),
            "high": 1 - np.maximum(source + called - 1, 0).sum(axis=1),
            "local": np.where(called > 0, 0.0, source).sum(axis=1),
        }
    )
    known = np.isfinite(source).all(axis=1) & np.isfinite(called).all(axis=1) & (len(zones) > 0)
    found = crossing.iloc[np.flatnonzero(known)]
    total = {
        name: float((found["bytes"] * found[name].clip(0, 1)).sum())
        for name in ("low", "mid", "high", "local")
    }
    mid = min(max(total["mid"], total["low"]), total["high"])
    return CrossZone(
        Interval(min(total["low"], mid), mid, max(total["high"], mid)),
        total["local"],
        float(volume[~known].sum()),
        _most_moved(found),
    )


def zone_shares(pods: pd.DataFrame, nodes: pd.DataFrame) -> pd.DataFrame:
    """Return the share of each workload's pods by zone: rows (namespace, workload), columns zones."""
    counts = pods_by_zone(pods, nodes)
    return counts.div(counts.sum(axis=1), axis=0)


def pods_by_zone(pods: pd.DataFrame, nodes: pd.DataFrame) -> pd.DataFrame:
    """Return the number of each workload's pods by zone: rows (namespace, workload), columns zones.

    A pod of unknown node or zone is left out.
    """
    zone_of = nodes.dropna(subset=["zone"]).drop_duplicates("node", keep="last")
    placed = pods.astype({"node": object, "namespace": object, "workload": object}).merge(
        zone_of[["node", "zone"]].astype(object), on="node"
    )
    counts = placed.groupby(["namespace", "workload", "zone"]).size().unstack(fill_value=0)
    return pd.DataFrame(counts)


def _shares_of(
    shares: pd.DataFrame, pairs: pd.DataFrame, end: str
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Zone shares of one end, (pairs, zones); NaN where the workload's pods are not known."""
    keys = pd.MultiIndex.from_arrays([pairs[f"{end}_namespace"], pairs[f"{end}_workload"]])
    found: np.ndarray[tuple[int, int], np.dtype[np.float64]] = shares.reindex(keys).to_numpy(float)
    return found


def _most_moved(pairs: pd.DataFrame) -> pd.DataFrame:
    order = (pairs["bytes"] * pairs["mid"]).sort_values(ascending=False, kind="stable").index
    return pairs.loc[order].reset_index(drop=True)
