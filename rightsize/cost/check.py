"""Figures held against something real: the bill, and a claim."""

from __future__ import annotations

import pandas as pd

from rightsize.cost.plan import LineKind, PlanCost
from rightsize.results import HOURS_PER_MONTH

_BILLED: tuple[LineKind, ...] = ("ec2", "ebs", "eks", "load-balancer", "data-transfer")
"""Kinds of lines that the table `bill` has as categories of the same name."""


def against_bill(plan: PlanCost, bill: pd.DataFrame) -> pd.DataFrame:
    """Return estimate and bill by category, with the difference.

    The bill may hold more than the cluster (see its `scope`), other volumes than root volumes, and
    other traffic than the mesh's; commitments paid upfront are in its amortized cost.

    Parameters
    ----------
    plan : PlanCost
        Today's node set, priced.
    bill : DataFrame
        Table `bill`.

    Returns
    -------
    DataFrame
        `category`, `estimated` and `billed` (USD, NaN is unknown), `difference` (billed less
        estimated).
    """
    cost = bill["amortized_usd"].fillna(bill["unblended_usd"])
    billed = cost.groupby(bill["category"].astype(str)).sum()
    estimated: dict[str, float] = {}
    for line in plan.lines:
        category = "ec2" if line.kind == "unused-commitment" else line.kind
        if category in _BILLED:
            mid = float("nan") if line.usd is None else line.usd.mid
            estimated[category] = estimated.get(category, 0.0) + mid
    names = sorted({*billed.index, *estimated})
    table = pd.DataFrame({"category": names})
    table["estimated"] = table["category"].map(estimated)
    table["billed"] = table["category"].map(billed)
    table["difference"] = table["billed"] - table["estimated"]
    return table


def implied_node_hour(usd_per_month: float, nodes: float, hours: float = HOURS_PER_MONTH) -> float:
    """Return the USD per node-hour that a claimed monthly saving implies."""
    return usd_per_month / (nodes * hours)
