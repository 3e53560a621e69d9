"""What was really saved between two months, apart from traffic and prices.

A fleet's cost is compared at the later month's prices, so a price change is no saving. Of the rest,
only that part counts for the tool that lowered requests can explain and the fleet really shows:

- explained: the fleet would be larger by `removed / (in force + removed)` had the applied requests
  stayed as they were, with the pods that ran (so a fall in replicas explains nothing);
- shown: what the earlier fleet would cost for those requests, less what was paid.

The saving is the smaller of both, at least 0. Nothing applied removes nothing, so it saves nothing,
whatever the traffic did; a fleet that stayed as large saved nothing, whatever was applied.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from rightsize.results import Interval

ContainerKey = tuple[str, str, str]
"""namespace, workload, container"""


@dataclass(frozen=True)
class MonthFacts:
    """One month of a cluster."""

    machines: pd.DataFrame
    """`instance_type`, `purchase_option`, `node_hours`, `usd_per_hour` (NaN is unknown)"""
    requests: pd.DataFrame
    """Every container of the cluster, of the mesh or not: `namespace`, `workload`, `container`,
    `pod_hours`, and per pod the mean in force: `cpu_request` (cores), `memory_request` (bytes)"""
    traffic: float | None = None
    """requests served in the month"""


@dataclass(frozen=True, slots=True)
class Realised:
    """Where the difference between two months' machine cost comes from; USD per month.

    `fall = by_tool.mid + by_other - by_price`, exactly.
    """

    fall: float
    """cost before less cost after"""
    by_tool: Interval
    by_price: float
    """rise of prices, at the earlier month's hours"""
    by_other: float
    """traffic, replicas, other teams' changes, packing"""
    traffic_change: float | None
    """share by which traffic grew"""


def realised_saving(
    before: MonthFacts,
    after: MonthFacts,
    applied: Collection[ContainerKey],
    *,
    binding: Literal["cpu", "memory"] | None = None,
) -> Realised | None:
    """Return what the applied recommendations saved between two months of equal length.

    Parameters
    ----------
    before, after : MonthFacts
        The month before the change, and the month to be judged.
    applied : collection of (namespace, workload, container)
        Containers whose recommended requests are in force in the later month.
    binding : {"cpu", "memory"}, optional
        What filled the machines; both count half without it.

    Returns
    -------
    Realised or None
        None if a machine of either month has no price. `by_tool` runs from the resource that
        explains least to the one that explains most.
    """
    if before.machines["usd_per_hour"].isna().any() or after.machines["usd_per_hour"].isna().any():
        return None
    spent_before, spent_after = _cost(before.machines), _cost(after.machines)
    at_new_prices = _cost(_repriced(before.machines, after.machines))
    by_price = at_new_prices - spent_before
    saved = {
        resource: _saved(before, after, applied, f"{resource}_request", at_new_prices, spent_after)
        for resource in ("cpu", "memory")
    }
    low, high = min(saved.values()), max(saved.values())
    mid = saved[binding] if binding else (low + high) / 2
    fall = spent_before - spent_after
    change = None
    if before.traffic and after.traffic is not None:
        change = after.traffic / before.traffic - 1
    return Realised(fall, Interval(low, mid, high), by_price, fall + by_price - mid, change)


def removed_requests(
    before: pd.DataFrame, after: pd.DataFrame, applied: Collection[ContainerKey], column: str
) -> float:
    """Return request-hours that the applied changes took away, for the pods that ran after."""
    keys = ["namespace", "workload", "container"]
    both = after.astype(dict.fromkeys(keys, object)).merge(
        before[[*keys, column]].astype(dict.fromkeys(keys, object)),
        on=keys,
        suffixes=("", "_before"),
    )
    names = pd.MultiIndex.from_frame(both[keys])
    chosen = both[names.isin(list(applied))] if applied else both.iloc[:0]
    fall = chosen[f"{column}_before"].fillna(0.0) - chosen[column].fillna(0.0)
    return float((fall * chosen["pod_hours"]).sum())


def _saved(
    before: MonthFacts,
    after: MonthFacts,
    applied: Collection[ContainerKey],
    column: str,
    cost_before: float,
    cost_after: float,
) -> float:
    """USD a month that one resource explains; both costs at the later month's prices."""
    held_before, held_after = _held(before.requests, column), _held(after.requests, column)
    removed = removed_requests(before.requests, after.requests, applied, column)
    otherwise = held_after + removed
    if removed == 0 or held_before <= 0 or held_after <= 0 or otherwise <= 0:
        return 0.0
    explained = cost_after * removed / held_after
    shown = cost_before * otherwise / held_before - cost_after
    if removed < 0:
        return min(max(shown, explained), 0.0)
    return max(min(shown, explained), 0.0)


def _held(requests: pd.DataFrame, column: str) -> float:
    return float((requests[column].fillna(0.0) * requests["pod_hours"]).sum())


def _cost(machines: pd.DataFrame) -> float:
    return float((machines["node_hours"] * machines["usd_per_hour"]).sum())


def _repriced(machines: pd.DataFrame, prices: pd.DataFrame) -> pd.DataFrame:
    """The same hours at the other month's prices; a machine that it lacks keeps its own."""
    keys = ["instance_type", "purchase_option"]
    other = prices.drop_duplicates(keys)[[*keys, "usd_per_hour"]]
    merged = machines.merge(other, on=keys, how="left", suffixes=("", "_other"))
    price = merged["usd_per_hour_other"].fillna(merged["usd_per_hour"])
    return merged.assign(usd_per_hour=price)
