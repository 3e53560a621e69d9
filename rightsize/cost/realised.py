"""What was really saved between two months, apart from traffic and prices.

A node set's cost is compared at the later month's prices, so a price change is no saving. Of the rest,
only that part counts for the tool that lowered requests can explain and the node set really shows:

- explained: the node set would be larger by `removed / (in force + removed)` had the applied requests
  stayed as they were, with the pods that ran (so a fall in replicas explains nothing);
- shown: what the earlier node set would cost for those requests, less what was paid.

The saving is the smaller of both, at least 0. Nothing applied removes nothing, so it saves nothing,
whatever the traffic did; a node set that stayed as large saved nothing, whatever was applied. A node set
takes up some growth without a node more, so growth that was avoided counts from one node on, run for
the month; less is only the upper bound.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from rightsize.cost.months import OWNER, MonthFacts, held
from rightsize.results import Interval

ContainerKey = tuple[str, str, str]
"""namespace, workload, container"""
_KEYS = list(OWNER)


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
    by_change: pd.DataFrame = field(compare=False)
    """`by_tool.mid` shared among the applied changes, by the request-hours each took away:
    `namespace`, `workload`, `container`, `usd`"""
    machines: pd.DataFrame = field(compare=False)
    """`instance_type`, `purchase_option`, and of both months `node_hours` and `usd`, the earlier
    one's with `_before`"""


def realised_saving(
    before: MonthFacts,
    after: MonthFacts,
    applied: Collection[ContainerKey],
    *,
    binding: Literal["cpu", "memory"] | None = None,
    removed: pd.DataFrame | None = None,
) -> Realised | None:
    """Return what the applied recommendations saved between two months of equal length.

    Parameters
    ----------
    before, after : MonthFacts
        The month before the change, and the month to be judged.
    applied : collection of (namespace, workload, container)
        Containers with their recommended requests in force in the later month.
    binding : {"cpu", "memory"}, optional
        What filled the machines; both count half without it.
    removed : DataFrame, optional
        `namespace`, `workload`, `container`, `cpu_request` (core-hours) and `memory_request`
        (byte-hours) that each change took away in the later month, where that is known better than
        from the two months' means: a change may be in force for part of the month. Instead of
        `applied`.

    Returns
    -------
    Realised or None
        None if a machine of either month has no price. `by_tool` runs from the resource that
        explains least to the one that explains most, growth avoided by less than a node counted in
        the latter only.
    """
    if before.machines["usd_per_hour"].isna().any() or after.machines["usd_per_hour"].isna().any():
        return None
    spent_before, spent_after = _cost(before.machines), _cost(after.machines)
    at_new_prices = _cost(_repriced(before.machines, after.machines))
    by_price = at_new_prices - spent_before
    if removed is None:
        removed = _removed(before.requests, after.requests, applied)
    saved = {
        resource: _saved(before, after, removed, f"{resource}_request", at_new_prices, spent_after)
        for resource in ("cpu", "memory")
    }
    fall = spent_before - spent_after
    seen = max(fall + by_price, 0.0)
    counted = {
        resource: min(usd, seen) if usd < _node_month(after) else usd
        for resource, usd in saved.items()
    }
    weights = {name: float(name == binding) if binding else 0.5 for name in saved}
    mid = sum(counted[name] * weight for name, weight in weights.items())
    change = None
    if before.traffic and after.traffic is not None:
        change = after.traffic / before.traffic - 1
    return Realised(
        fall,
        Interval(min(counted.values()), mid, max(saved.values())),
        by_price,
        fall + by_price - mid,
        change,
        _by_change(removed, counted, weights),
        _machines(before.machines, after.machines),
    )


def _removed(
    before: pd.DataFrame, after: pd.DataFrame, applied: Collection[ContainerKey]
) -> pd.DataFrame:
    """Request-hours that each applied change took away, for the pods that ran after."""
    text: dict[str, type] = dict.fromkeys(_KEYS, object)
    both = after.astype(text).merge(before.astype(text), on=_KEYS, suffixes=("", "_before"))
    names = pd.MultiIndex.from_frame(both[_KEYS])
    chosen = both[names.isin(list(applied))] if applied else both.iloc[:0]
    found = chosen[_KEYS].copy()
    for column in ("cpu_request", "memory_request"):
        fall = chosen[f"{column}_before"].fillna(0.0) - chosen[column].fillna(0.0)
        found[column] = fall * chosen["pod_hours"]
    return found.reset_index(drop=True)


def _saved(
    before: MonthFacts,
    after: MonthFacts,
    changes: pd.DataFrame,
    column: str,
    cost_before: float,
    cost_after: float,
) -> float:
    """USD a month that one resource explains; both costs at the later month's prices."""
    held_before, held_after = held(before.requests, column), held(after.requests, column)
    removed = float(changes[column].sum())
    otherwise = held_after + removed
    if removed == 0 or held_before <= 0 or held_after <= 0 or otherwise <= 0:
        return 0.0
    explained = cost_after * removed / held_after
    shown = cost_before * otherwise / held_before - cost_after
    if removed < 0:
        return min(max(shown, explained), 0.0)
    return max(min(shown, explained), 0.0)


def _by_change(
    removed: pd.DataFrame, saved: Mapping[str, float], weights: Mapping[str, float]
) -> pd.DataFrame:
    usd = pd.Series(0.0, index=removed.index)
    for resource, amount in saved.items():
        hours = removed[f"{resource}_request"]
        if amount:
            usd = usd + weights[resource] * amount * hours / hours.sum()
    return removed[_KEYS].assign(usd=usd)


def _machines(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    keys = ["instance_type", "purchase_option"]
    months = [
        month.assign(usd=month["node_hours"] * month["usd_per_hour"])[[*keys, "node_hours", "usd"]]
        for month in (before, after)
    ]
    both = months[0].merge(months[1], on=keys, how="outer", suffixes=("_before", ""))
    return both.fillna(dict.fromkeys(both.columns.difference(keys), 0.0))


def _node_month(month: MonthFacts) -> float:
    """USD of one node of the mean price, run for the whole month."""
    node_hours = float(month.machines["node_hours"].sum())
    return _cost(month.machines) / node_hours * month.hours if node_hours else 0.0


def _cost(machines: pd.DataFrame) -> float:
    return float((machines["node_hours"] * machines["usd_per_hour"]).sum())


def _repriced(machines: pd.DataFrame, prices: pd.DataFrame) -> pd.DataFrame:
    """The same hours at the other month's prices; a machine that it lacks keeps its own."""
    keys = ["instance_type", "purchase_option"]
    other = prices.drop_duplicates(keys)[[*keys, "usd_per_hour"]]
    merged = machines.merge(other, on=keys, how="left", suffixes=("", "_other"))
    price = merged["usd_per_hour_other"].fillna(merged["usd_per_hour"])
    return merged.assign(usd_per_hour=price)
