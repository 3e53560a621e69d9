"""The month's machines: by node group and purchase type, and hour by hour when replayed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rightsize.config import NodeSettings
from rightsize.errors import NoDataError
from rightsize.nodes.answer import MonthAnswer, month_of
from rightsize.nodes.month import AutoscalerKind
from rightsize.prices.book import PriceBook
from rightsize.prices.shapes import priced_catalogue
from rightsize.results import Advice
from rightsize.snapshot import Snapshot

_GROUP = ["node_group", "instance_type", "purchase_option"]


def node_groups(nodes: pd.DataFrame, book: PriceBook) -> pd.DataFrame:
    """Sum up the month's machines by node group, type and purchase type.

    Parameters
    ----------
    nodes : DataFrame
        The snapshot's table `nodes`, with its `day`.
    book : PriceBook
        The month's prices.

    Returns
    -------
    DataFrame
        `node_group`, `instance_type`, `purchase_option`, `nodes` (mean at once over the days),
        `usd_per_hour` (of one node, on-demand equivalent or Spot; NaN is unknown).
    """
    seen = (nodes["last_seen"] - nodes["first_seen"]).dt.total_seconds() / 3600 + 1 / 12
    rows = pd.DataFrame(
        {
            "node_group": nodes["node_group"].astype(object).fillna("(no group)"),
            "instance_type": nodes["instance_type"].astype(object).fillna("unknown"),
            "purchase_option": nodes["capacity_type"].astype(object).fillna("on-demand"),
            "hours": seen.clip(upper=24.0),
        }
    )
    sums = rows.groupby(_GROUP)["hours"].sum().reset_index()
    prices = [
        book.price(name, option)
        for name, option in zip(sums["instance_type"], sums["purchase_option"], strict=True)
    ]
    usd = [np.nan if price is None else price.usd_per_hour for price in prices]
    hours = 24.0 * max(nodes["day"].nunique(), 1)
    return sums.assign(nodes=sums.pop("hours") / hours, usd_per_hour=usd)


def replayed_month(
    snapshot: Snapshot,
    settings: NodeSettings,
    advice: Advice,
    region: str | None,
    autoscaler: AutoscalerKind = "cluster-autoscaler",
) -> MonthAnswer | None:
    """Replay the month's pods with today's and the recommended requests; None without nodes."""
    try:
        catalogue, _ = priced_catalogue(region, snapshot.read("prices"))
        return month_of(snapshot, catalogue, settings, autoscaler, advice)
    except NoDataError:
        return None
