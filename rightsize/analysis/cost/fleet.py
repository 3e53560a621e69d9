"""The machines of a cluster or of a plan, as what is bought."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

Level = Literal["low", "mid", "high"]
LEVELS: tuple[Level, ...] = ("low", "mid", "high")


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
    rows = sums.reset_index()
    return tuple(
        NodeLot(str(name), float(count), str(option), str(zone) or None)
        for name, option, zone, count in zip(
            rows["instance_type"],
            rows["purchase_option"],
            rows["zone"],
            rows["hours"],
            strict=True,
        )
    )


def nodes_in(fleet: Fleet) -> float:
    """Return the number of machines."""
    return sum(lot.count for lot in fleet)


@dataclass(frozen=True, slots=True)
class PlannedFleet:
    """A fleet and how sure it is.

    `fewest` and `most` are fleets for low and high demand. `gap` is the share by which a cheaper
    fleet is not ruled out, (cost - bound) / bound of the planner.
    """

    name: str
    mid: Fleet
    fewest: Fleet | None = None
    most: Fleet | None = None
    gap: float = 0.0

    def at(self, demand: Level) -> Fleet:
        """Return the fleet for low, middle or high demand; `mid` where no other is given."""
        chosen = {"low": self.fewest, "mid": self.mid, "high": self.most}[demand]
        return self.mid if chosen is None else chosen

    def only(self, *, spot: bool) -> PlannedFleet:
        """Return the Spot machines alone, or the others alone."""

        def kept(fleet: Fleet | None) -> Fleet | None:
            if fleet is None:
                return None
            return tuple(lot for lot in fleet if (lot.purchase_option == "spot") is spot)

        return replace(
            self, mid=kept(self.mid) or (), fewest=kept(self.fewest), most=kept(self.most)
        )
