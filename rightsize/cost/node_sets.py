"""The machines of a cluster or of a plan, as what is bought."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from rightsize.results import Interval

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
    paid: Interval | None = None
    """USD/h of each as a mean over the days it ran, at each day's price; None: the price of now."""


NodeSet = tuple[NodeLot, ...]


def node_set_of(machines: pd.DataFrame, hours: float) -> NodeSet:
    """Return the mean node set over `hours` of the rows of `machine_days`, at each day's price.

    A lot of which one day has no price is not priced at all.
    """
    if machines.empty or hours <= 0:
        return ()
    rates = ("usd_low", "usd_per_hour", "usd_high")
    weighted = machines.assign(
        zone=machines["zone"].fillna(""),
        **{name: machines[name] * machines["hours"] for name in rates},
    )
    groups = weighted.groupby(["instance_type", "purchase_option", "zone"], sort=True)
    lots = []
    for key, rows in groups:
        assert isinstance(key, tuple)
        name, option, zone = (str(part) for part in key)
        seen = float(rows["hours"].sum())
        paid = None
        if not rows["usd_per_hour"].isna().any() and seen > 0:
            paid = Interval(*(float(rows[rate].sum()) / seen for rate in rates))
        # A lot in which some root volume is unknown takes the mean of the known ones.
        root = rows["root_gib"].mean()
        lots.append(
            NodeLot(name, seen / hours, option, zone or None, None if pd.isna(root) else root, paid)
        )
    return tuple(lots)


def at_list_price(node_set: NodeSet) -> NodeSet:
    """The same machines at the prices of now, for comparison with a plan."""
    return tuple(replace(lot, paid=None) for lot in node_set)


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


def mean_root(node_set: NodeSet, otherwise: float) -> float:
    """Return the mean root volume of the machines that state one, in GiB."""
    stated = [(lot.count, lot.root_gib) for lot in node_set if lot.root_gib is not None]
    machines = sum(count for count, _ in stated)
    return sum(count * root for count, root in stated) / machines if machines else otherwise


def nodes_in(node_set: NodeSet) -> float:
    """Return the number of machines."""
    return sum(lot.count for lot in node_set)


@dataclass(frozen=True, slots=True)
class PlannedNodeSet:
    """A node set and how sure it is.

    `fewest` and `most` are node sets for low and high demand. `gap` is the share by which a cheaper
    node set is not ruled out, (cost - bound) / bound of the planner.
    """

    name: str
    mid: NodeSet
    fewest: NodeSet | None = None
    most: NodeSet | None = None
    gap: float = 0.0

    def at(self, demand: Level) -> NodeSet:
        """Return the node set for low, middle or high demand; `mid` where no other is given."""
        chosen = {"low": self.fewest, "mid": self.mid, "high": self.most}[demand]
        return self.mid if chosen is None else chosen

    def only(self, *, spot: bool) -> PlannedNodeSet:
        """Return the Spot machines alone, or the others alone."""

        def kept(node_set: NodeSet | None) -> NodeSet | None:
            if node_set is None:
                return None
            return tuple(lot for lot in node_set if (lot.purchase_option == "spot") is spot)

        return replace(
            self, mid=kept(self.mid) or (), fewest=kept(self.fewest), most=kept(self.most)
        )

    @property
    def listed(self) -> PlannedNodeSet:
        """The same node set at the prices of now."""
        fewest = None if self.fewest is None else at_list_price(self.fewest)
        most = None if self.most is None else at_list_price(self.most)
        return replace(self, mid=at_list_price(self.mid), fewest=fewest, most=most)
