"""What each recommendation is worth: the node set of the same type, with and without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from rightsize.config import NodeSettings, PriceSettings
from rightsize.cost.marginal import NodeSetValue, marginal_savings
from rightsize.nodes.demand import scheduled_pods
from rightsize.nodes.plans import plan_same_type
from rightsize.prices.book import snapshot_book
from rightsize.prices.shapes import catalogue_of
from rightsize.results import Advice, Recommendation
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import WORKLOAD, newest_rows

MESH_DEFAULT = "mesh default"


@dataclass(frozen=True, slots=True)
class ValuedChange:
    """One change that can be made by itself: the mesh default, or one workload's own size."""

    name: str
    workloads: int
    alone_usd: float | None
    """USD a month saved by it alone; None if a machine has no price."""
    share_usd: float | None
    """Its part of what all changes save together; the parts add up to the whole."""
    frees: Literal["alone", "with others", "nothing"]
    realisable: bool | None
    """It frees a machine and no commitment is in the way; None if commitments are unknown."""


def value_changes(
    snapshot: Snapshot,
    advice: Advice,
    settings: NodeSettings | None = None,
    *,
    region: str | None = None,
    hours: float = 730.0,
    committed: bool | None = None,
    orders: int = 2,
    prices: PriceSettings | None = None,
) -> tuple[ValuedChange, ...]:
    """Value every change of `advice` by planning nodes of the types in use without and with it.

    Parameters
    ----------
    settings : NodeSettings, optional
        For the planner; each plan gets at most a second.
    region : str, optional
        Region of the prices.
    hours : float
        Hours of the month.
    committed : bool, optional
        Whether the saving lies under a commitment; None if commitments are unknown.
    orders : int
        Orders over which a change's share is averaged.
    prices : PriceSettings, optional
        For prices of the user's own.
    """
    chosen = (settings or NodeSettings()).model_copy(update={"time_limit": 1.0})
    pods, containers = snapshot.read("pods"), snapshot.read("containers")
    nodes = newest_rows(snapshot, "nodes")
    stated = (prices or PriceSettings()).machines
    catalogue, _ = catalogue_of(snapshot_book(snapshot, region or snapshot.manifest.region, stated))
    now = scheduled_pods(pods, containers, at=chosen.demand)
    then = scheduled_pods(pods, containers, at=chosen.demand, advice=advice)
    units = changes_of(advice)
    member = _membership(now, units)

    def node_set_for(made: Sequence[int]) -> NodeSetValue:
        changed = np.isin(member, made)
        pods_then = now.assign(
            cpu=np.where(changed, then["cpu"], now["cpu"]),
            memory=np.where(changed, then["memory"], now["memory"]),
        )
        plan = plan_same_type(pods_then, catalogue, chosen, nodes)
        node_set = plan.promised
        if node_set is None or node_set.usd_per_hour is None:
            return NodeSetValue(float("nan"), float("nan"))
        return NodeSetValue(node_set.nodes, node_set.usd_per_hour)

    if now.empty or not units or np.isnan(node_set_for(()).usd_per_hour):
        return ()
    found = marginal_savings(len(units), node_set_for, orders=orders, seed=chosen.seed)
    valued = [
        ValuedChange(
            name,
            len(rows),
            one.alone * hours,
            one.share * hours,
            one.frees,
            None if committed is None else one.frees != "nothing" and not committed,
        )
        for (name, rows), one in zip(units, found, strict=True)
    ]
    return tuple(sorted(valued, key=lambda one: (-(one.share_usd or 0.0), one.name)))


def changes_of(advice: Advice) -> list[tuple[str, list[Recommendation]]]:
    """Group what changes by what is applied together: the mesh default is one change."""
    default = [
        row
        for row in advice.recommendations
        if row.workload is not None and row.written == MESH_DEFAULT and row.changes
    ]
    own = [
        (f"{row.component} {row.key}", [row])
        for row in advice.recommendations
        if row.workload is not None and row.written != MESH_DEFAULT and row.changes
    ]
    return ([(MESH_DEFAULT, default)] if default else []) + own


def _membership(
    pods: pd.DataFrame, units: list[tuple[str, list[Recommendation]]]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Index of the change that each pod belongs to, -1 for none. (P,)"""
    unit_of = {row.identity: index for index, (_, rows) in enumerate(units) for row in rows}
    return np.array(
        [
            unit_of.get((*name[:2], None), unit_of.get(name, -1))
            for name in zip(*(pods[column].astype(str) for column in WORKLOAD), strict=True)
        ],
        dtype=np.int64,
    )
