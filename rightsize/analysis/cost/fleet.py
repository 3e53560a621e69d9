"""The machines of a cluster or of a plan, as what is bought."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, slots=True)
class NodeLot:
    """Equal machines. `count` is a mean over the period, so fractions count."""

    instance_type: str
    count: float
    purchase_option: str = "on-demand"
    """`on-demand` or `spot`."""
    zone: str | None = None
    root_gib: float | None = None
    """Root volume of each; None is unknown."""


Fleet = tuple[NodeLot, ...]


def fleet_of_nodes(nodes: pd.DataFrame, hours: float = 24.0) -> Fleet:
    """Return the mean fleet of the table `nodes`, read with its `day` column.

    A node counts for the hours in which it was seen. A capacity type that is unknown counts as
    on-demand, an instance type that is unknown keeps the name `unknown` and so has no price.

    Parameters
    ----------
    nodes : DataFrame
        `day`, `node`, `instance_type`, `capacity_type`, `zone`, `first_seen`, `last_seen`.
    hours : float
        Hours of a day.
    """
    if nodes.empty:
        return ()
    seen = (nodes["last_seen"] - nodes["first_seen"]).dt.total_seconds() / 3600 + 1 / 12
    lots = pd.DataFrame(
        {
            "instance_type": nodes["instance_type"].astype(object).fillna("unknown"),
            "purchase_option": nodes["capacity_type"].astype(object).fillna("on-demand"),
            "zone": nodes["zone"].astype(object).fillna(""),
            "hours": seen.clip(upper=hours),
        }
    )
    period = hours * nodes["day"].nunique()
    sums = lots.groupby(["instance_type", "purchase_option", "zone"])["hours"].sum() / period
    return tuple(
        NodeLot(str(name), float(count), str(option), str(zone) or None)
        for (name, option, zone), count in sums.items()
    )


def nodes_in(fleet: Fleet) -> float:
    """Return the number of machines."""
    return sum(lot.count for lot in fleet)
