"""Prices of machines by type, purchase option and zone. What nobody gave is None, never 0."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from rightsize.prices.catalogue import on_demand_prices
from rightsize.results import Interval

_YEAR_DAYS = 365.25


@dataclass(frozen=True, slots=True)
class Price:
    """What one instance costs for an hour, in USD, and how old that figure is."""

    usd_per_hour: float
    source: str
    as_of: datetime
    lowest: float
    highest: float
    """Range seen: over zones and days for Spot, the price itself otherwise."""

    def at(self, when: datetime, drift_per_year: float) -> Interval:
        """Return the price `when` it is used: its range, widened by its age.

        `drift_per_year` is an assumption (setting `prices.price_drift_per_year`): the share by
        which a price may have moved for each year since `as_of`.
        """
        years = max((when - self.as_of).total_seconds() / 86400 / _YEAR_DAYS, 0.0)
        drift = min(years * drift_per_year, 1.0)
        return Interval(self.lowest * (1 - drift), self.usd_per_hour, self.highest * (1 + drift))


class PriceBook:
    """Looks prices up in the table `prices` of a snapshot, or of `rightsize prices`.

    Parameters
    ----------
    prices : DataFrame
        `instance_type`, `purchase_option` (`on-demand`, `spot`, `savings-plan`), `zone`,
        `usd_per_hour`, `source`, `as_of`, and where known `lowest` and `highest`. Rows without a
        price above 0 count as absent; of several rows the newest counts.
    """

    def __init__(self, prices: pd.DataFrame) -> None:
        self._prices: dict[tuple[str, str, str | None], Price] = {}
        usable = prices[prices["usd_per_hour"] > 0].sort_values("as_of", kind="stable")
        for row in usable.to_dict("records"):
            zone = None if pd.isna(row.get("zone")) else str(row["zone"])
            key = (str(row["instance_type"]), str(row["purchase_option"]), zone)
            self._prices[key] = _price(row)

    def price(
        self, instance_type: str, purchase_option: str, zone: str | None = None
    ) -> Price | None:
        """Return the price; Spot without a zone is the mean of its zones, with their range."""
        if purchase_option != "spot":
            return self._prices.get((instance_type, purchase_option, None))
        if zone is not None:
            return self._prices.get((instance_type, "spot", zone))
        found = [
            price
            for (name, option, _), price in self._prices.items()
            if name == instance_type and option == "spot"
        ]
        return _mean(found) if found else None


def book_for(region: str | None, prices: pd.DataFrame) -> PriceBook:
    """Return the snapshot's prices, with the bundled on-demand ones of the region for the rest.

    Parameters
    ----------
    region : str or None
        None leaves every price unknown that `prices` does not hold.
    prices : DataFrame
        Table `prices` of the snapshot, maybe empty.
    """
    given = prices.assign(
        instance_type=prices["instance_type"].astype(object),
        purchase_option=prices["purchase_option"].astype(object),
        zone=prices["zone"].astype(object),
        source=prices["source"].astype(object),
    )
    if region is None:
        return PriceBook(given)
    bundled = on_demand_prices(region)
    live = given.loc[given["purchase_option"] == "on-demand", "instance_type"]
    rest = bundled[~bundled["instance_type"].isin(live)].assign(
        purchase_option="on-demand",
        zone=None,
        source="bundled catalogue, from " + bundled["source"].astype(str),
    )
    return PriceBook(pd.concat([rest, given], ignore_index=True))


def _price(row: dict[Hashable, object]) -> Price:
    value = float(str(row["usd_per_hour"]))
    ends = [float(str(row.get(name, value))) for name in ("lowest", "highest")]
    low, high = (value if pd.isna(end) else end for end in ends)
    as_of = pd.Timestamp(str(row["as_of"]))
    if as_of.tzinfo is None:
        as_of = as_of.tz_localize("UTC")
    return Price(
        value, str(row["source"]), as_of.to_pydatetime(), min(low, value), max(high, value)
    )


def _mean(prices: list[Price]) -> Price:
    return Price(
        sum(price.usd_per_hour for price in prices) / len(prices),
        prices[0].source,
        min(price.as_of for price in prices),
        min(price.lowest for price in prices),
        max(price.highest for price in prices),
    )
