"""The month's machines: by node group and purchase type, and hour by hour when replayed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rightsize.config import NodeSettings
from rightsize.errors import NoDataError
from rightsize.nodes.answer import MonthAnswer, month_of
from rightsize.nodes.autoscaler import AutoscalerKind, autoscaler_in_use
from rightsize.prices.book import PriceBook
from rightsize.prices.shapes import catalogue_of
from rightsize.results import Advice
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import newest_rows

_GROUP = ["node_group", "instance_type", "purchase_option"]


def node_groups(machines: pd.DataFrame) -> pd.DataFrame:
    """Sum up the month's machines by node group, type and purchase type.

    Parameters
    ----------
    machines : DataFrame
        As `rightsize.cost.machines.machine_days` gives it.

    Returns
    -------
    DataFrame
        `node_group`, `instance_type`, `purchase_option`, `node_hours`, `usd` (list price of each
        day; NaN is unknown), `usd_per_hour` (mean of one node).
    """
    usd = machines["hours"] * machines["usd_per_hour"]
    table = machines.assign(usd=usd, unknown=usd.isna())
    sums = table.groupby(_GROUP)[["hours", "usd", "unknown"]].sum().reset_index()
    total = sums["usd"].where(sums["unknown"] == 0, np.nan)
    return sums[_GROUP].assign(
        node_hours=sums["hours"], usd=total, usd_per_hour=total / sums["hours"]
    )


def replayed_month(
    snapshot: Snapshot,
    settings: NodeSettings,
    advice: Advice,
    book: PriceBook,
    autoscaler: AutoscalerKind | None = None,
) -> MonthAnswer | None:
    """Replay the month's pods with today's and the recommended requests; None without nodes.

    Under the autoscaler in use where none is given.
    """
    try:
        autoscaler = autoscaler or autoscaler_in_use(newest_rows(snapshot, "nodes"))
        catalogue, _ = catalogue_of(book)
        return month_of(snapshot, catalogue, settings, autoscaler, advice)
    except NoDataError:
        return None
