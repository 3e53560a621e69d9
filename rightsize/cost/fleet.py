"""The machines of a cluster or of a plan, as what is bought."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
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
            "root_gib": nodes["root_gib"] if "root_gib" in nodes.columns else np.nan,
        }
    )
    period = hours * nodes["day"].nunique()
    groups = lots.groupby(["instance_type", "purchase_option", "zone"])
    # A group in which some root volume is unknown takes the mean of the known ones.
    sums = groups.agg(hours=("hours", "sum"), root_gib=("root_gib", "mean")).reset_index()
    return tuple(
        NodeLot(
            str(name),
            float(count) / period,
            str(option),
            str(zone) or None,
            None if np.isnan(root) else float(root),
        )
        for name, option, zone, count, root in zip(
            sums["instance_type"],
            sums["purchase_option"],
            sums["zone"],
            sums["hours"],
            sums["root_gib"],
            strict=True,
        )
    )


def with_instances(nodes: pd.DataFrame, instances: pd.DataFrame) -> pd.DataFrame:
    """Return `nodes` with what EC2 says of their machines: purchase type and `root_gib`.

    A node is matched by the instance id at the end of its `provider_id`, else by its name. EC2's
    word on the purchase type wins over a label; a node that EC2 does not list keeps its own.

    Parameters
    ----------
    nodes, instances : DataFrame
        Tables of the snapshot.
    """
    ids = nodes["provider_id"].astype("string").str.rsplit("/", n=1).str[-1]
    names = nodes["node"].astype("string")
    found = {}
    for column in ("purchase_option", "root_gib"):
        value = instances[column].astype(object)
        by_id = dict(zip(instances["instance_id"].astype(str), value, strict=True))
        by_name = dict(zip(instances["node"].astype(str), value, strict=True))
        found[column] = ids.map(by_id).astype(object).fillna(names.map(by_name).astype(object))
    option = found["purchase_option"].fillna(nodes["capacity_type"].astype(object))
    root = pd.to_numeric(found["root_gib"]).astype("float64")
    return nodes.assign(capacity_type=option, root_gib=root)


def mean_root(fleet: Fleet, otherwise: float) -> float:
    """Return the mean root volume of the machines that state one, in GiB."""
    stated = [(lot.count, lot.root_gib) for lot in fleet if lot.root_gib is not None]
    machines = sum(count for count, _ in stated)
    return sum(count * root for count, root in stated) / machines if machines else otherwise


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
