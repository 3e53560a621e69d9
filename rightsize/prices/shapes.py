"""Shapes with prices: those of the snapshot first, the bundled ones where it has none."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rightsize.prices.catalogue import priced_types


def priced_catalogue(
    region: str | None, prices: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the catalogue with `usd_per_hour` and `spot_usd_per_hour`, and where they are from.

    Parameters
    ----------
    region : str or None
        AWS region; None leaves every price that the snapshot does not hold unknown.
    prices : DataFrame, optional
        The snapshot's table `prices`. The newest price of a type wins; of Spot's zones the dearest,
        since a plan may not count on the cheapest zone alone.

    Returns
    -------
    catalogue : DataFrame
        Columns of `rightsize.prices.catalogue.priced_types` and `spot_usd_per_hour`. NaN is unknown.
    said : tuple of str
        Source and date of the prices, a sentence each.
    """
    catalogue = priced_types(region or "us-east-1")
    said: list[str] = []
    if region is None:
        catalogue["usd_per_hour"] = np.nan
        said.append("the region is not known, so no bundled price applies (--region)")
    elif catalogue["usd_per_hour"].isna().all():
        said.append(f"there are no bundled prices of {region}")
    else:
        used = catalogue.dropna(subset=["usd_per_hour"])
        dates = sorted(used["as_of"].dt.strftime("%Y-%m-%d").unique())
        sources = ", ".join(sorted(used["source"].unique()))
        said.append(f"bundled on-demand prices of {region}: {sources}, {' and '.join(dates)}")
    catalogue["spot_usd_per_hour"] = np.nan
    if prices is None or prices.empty:
        return catalogue, tuple(said)
    table = prices.assign(
        instance_type=prices["instance_type"].astype("string"),
        purchase_option=prices["purchase_option"].astype("string"),
    )
    table = table[table["usd_per_hour"] > 0].sort_values("as_of")
    if region is not None:
        table = table[table["region"].astype("string") == region]
    for option, column in (("on-demand", "usd_per_hour"), ("spot", "spot_usd_per_hour")):
        found = _newest(table[table["purchase_option"] == option])
        if found.empty:
            continue
        live = catalogue["instance_type"].map(found["usd_per_hour"]).astype("float64")
        catalogue[column] = live.where(live.notna(), catalogue[column])
        newest = pd.Timestamp(found["as_of"].max())
        said.append(
            f"{option} prices of {len(found)} types from the snapshot, of {newest:%Y-%m-%d}; "
            "they win over bundled ones"
        )
    return catalogue, tuple(said)


def _newest(prices: pd.DataFrame) -> pd.DataFrame:
    """Newest price of each type; for Spot the dearest zone's."""
    zone = prices["zone"].astype("string").fillna("")
    newest = prices.assign(zone=zone).drop_duplicates(["instance_type", "zone"], keep="last")
    return (
        newest.sort_values("usd_per_hour")
        .drop_duplicates("instance_type", keep="last")
        .set_index("instance_type")[["usd_per_hour", "as_of"]]
    )
