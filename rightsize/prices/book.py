"""Prices of machines by type, purchase option, zone and day. A missing price is None, never 0.

One book answers for plans, the bill, the report and recommendations. Of the prices of one type the
user's own (setting `prices.machines`) come first, then those stored in the snapshot, then the
bundled list, then a size derived from its family. Rows of another region never count. A Spot
machine costs what its zone costs; where the zone is not known, the mean of the region's zones, with
their range.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from typing import Literal

import pandas as pd

from rightsize.prices.catalogue import on_demand_prices
from rightsize.prices.derived import derived_prices, windows_licences
from rightsize.results import Interval
from rightsize.snapshot import Snapshot

Origin = Literal["stated", "stored", "bundled", "derived"]
WINDOWS = "windows"
"""Purchase option of an on-demand machine that runs Windows."""
BUNDLED = "bundled catalogue, from "
_YEAR_DAYS = 365.25
_ON_DEMAND_DOUBT = (1 / 3, 3.0)
_SPOT_DOUBT = (1 / 50, 3.0)
"""A price outside these multiples of the catalogue's on-demand price is no price of the machine:
Spot has been seen at a thirtieth of it, and at more than it."""


@dataclass(frozen=True, slots=True)
class Price:
    """What one instance costs for an hour, in USD, and how old that figure is."""

    usd_per_hour: float
    source: str
    as_of: datetime | None
    """None for a price that the user states: it has no age."""
    lowest: float
    highest: float
    """Range seen: over zones and days for Spot, over the family's sizes for a derived price."""
    origin: Origin = "stored"

    def at(self, when: datetime, drift_per_year: float) -> Interval:
        """Return the price `when` it is used: its range, widened by its age.

        `drift_per_year` is an assumption (setting `prices.price_drift_per_year`): the share by
        which a price may have moved for each year between `as_of` and `when`.
        """
        drift = min(self.age_days(when) / _YEAR_DAYS * drift_per_year, 1.0)
        return Interval(self.lowest * (1 - drift), self.usd_per_hour, self.highest * (1 + drift))

    def age_days(self, when: datetime) -> float:
        """Days between the price and its use, whichever comes first; 0 for a stated price."""
        return 0.0 if self.as_of is None else abs((when - self.as_of).total_seconds()) / 86400

    def __str__(self) -> str:
        return self.source if self.as_of is None else f"{self.source}, {self.as_of:%Y-%m-%d}"


class PriceBook:
    """Looks prices up by type, purchase option, zone and day.

    Parameters
    ----------
    prices : DataFrame
        `instance_type`, `purchase_option` (`on-demand`, `spot`, `savings-plan`), `zone`,
        `usd_per_hour`, `source`, `as_of`, and where known `day`, `region`, `lowest`, `highest`,
        `origin`. Rows without a price above 0 count as absent; of several rows of a day the newest
        counts. Without `day` a row counts from the day of its `as_of`.
    region : str, optional
        Rows of another region are left out; all rows count without it.
    doubted : tuple of str
        Prices left out because they cannot be the machine's.
    """

    def __init__(
        self, prices: pd.DataFrame, *, region: str | None = None, doubted: tuple[str, ...] = ()
    ) -> None:
        self.region = region
        self.doubted = doubted
        self._days: dict[tuple[str, str, str | None], list[tuple[date, Price]]] = {}
        self._zones: dict[str, set[str | None]] = defaultdict(set)
        usable = of_region(prices, region)
        usable = usable[usable["usd_per_hour"] > 0].sort_values("as_of", kind="stable")
        found: dict[tuple[str, str, str | None], dict[date, Price]] = defaultdict(dict)
        for row in usable.to_dict("records"):
            zone = None if pd.isna(row.get("zone")) else str(row["zone"])
            name, option = str(row["instance_type"]), str(row["purchase_option"])
            price = _price(row)
            found[name, option, zone][_day_of(row, price)] = price
            if option == "spot":
                self._zones[name].add(zone)
        for key, by_day in found.items():
            self._days[key] = sorted(by_day.items())

    def price(
        self,
        instance_type: str,
        purchase_option: str,
        zone: str | None = None,
        day: date | None = None,
    ) -> Price | None:
        """Return the price in force on `day`, the newest without one.

        The option `windows` is an on-demand machine with Windows: derived from its Linux price.
        A day between two stored prices has the earlier one, and a range that holds both; a day
        before the first stored price has the first.
        """
        if purchase_option == WINDOWS:
            return _with_licence(self.price(instance_type, "on-demand", None, day), instance_type)
        if purchase_option != "spot":
            return self._in_force((instance_type, purchase_option, None), day)
        if zone is not None:
            return self._in_force((instance_type, "spot", zone), day)
        zones = sorted(self._zones.get(instance_type, ()), key=str)
        found = [self._in_force((instance_type, "spot", one), day) for one in zones]
        known = [price for price in found if price is not None]
        return _mean(known) if known else None

    def _in_force(self, key: tuple[str, str, str | None], day: date | None) -> Price | None:
        days = self._days.get(key)
        if not days:
            return None
        if day is None:
            return days[-1][1]
        place = bisect_right(days, day, key=lambda one: one[0])
        if place == 0:
            return days[0][1]
        since, price = days[place - 1]
        if since == day or place == len(days):
            return price
        other = days[place][1]
        low, high = min(price.lowest, other.lowest), max(price.highest, other.highest)
        return replace(price, lowest=low, highest=high)


def of_region(prices: pd.DataFrame, region: str | None) -> pd.DataFrame:
    """The rows of one region; a row that names no region belongs to any. All rows for None."""
    if region is None or "region" not in prices.columns:
        return prices
    named = prices["region"].astype(object)
    return prices[(named == region) | named.isna()]


def book_for(
    region: str | None,
    prices: pd.DataFrame,
    stated: Mapping[str, Mapping[str, float]] | None = None,
) -> PriceBook:
    """Return the prices of a region: stated, stored, bundled and derived ones, in this order.

    Parameters
    ----------
    region : str or None
        None leaves every price unknown that `prices` does not hold.
    prices : DataFrame
        Table `prices` of the snapshot, maybe empty, maybe of several days.
    stated : mapping of region to type to USD/h, optional
        On-demand prices of the user's own (setting `prices.machines`).
    """
    texts = dict.fromkeys(["instance_type", "purchase_option", "zone", "region", "source"], object)
    stored = of_region(prices.astype({k: v for k, v in texts.items() if k in prices}), region)
    if region is None:
        return PriceBook(stored.assign(origin="stored"))
    catalogue = bundled_prices(region)
    stored, doubted = _believed(stored.assign(origin="stored"), catalogue)
    own = dict((stated or {}).get(region, {}))
    mine = pd.DataFrame(
        {
            "instance_type": list(own),
            "purchase_option": "on-demand",
            "usd_per_hour": list(own.values()),
            "source": "your settings",
            "origin": "stated",
        }
    ).astype({"usd_per_hour": float})
    on_demand = stored["purchase_option"] == "on-demand"
    stored = stored[~(on_demand & stored["instance_type"].isin(own))]
    taken = {*own, *stored.loc[stored["purchase_option"] == "on-demand", "instance_type"]}
    rest = catalogue[~catalogue["instance_type"].isin(taken)]
    parts = [part for part in (rest, stored, mine) if len(part)]
    whole = pd.concat(parts, ignore_index=True) if parts else stored
    return PriceBook(whole, region=region, doubted=doubted)


def snapshot_book(
    snapshot: Snapshot,
    region: str | None,
    stated: Mapping[str, Mapping[str, float]] | None = None,
) -> PriceBook:
    """Return the book of a snapshot: prices of all its days, also of those not looked at.

    Prices are stored on the day on which AWS was asked, which need not be one of the days that a
    bill or a plan is about.
    """
    return book_for(region, snapshot.whole().read("prices"), stated)


@lru_cache(maxsize=4)
def bundled_prices(region: str) -> pd.DataFrame:
    """The bundled on-demand prices of a region with the sizes derived from them, as `prices`."""
    listed = on_demand_prices(region)
    listed = listed.assign(source=BUNDLED + listed["source"].astype(str), origin="bundled")
    whole = pd.concat([listed, derived_prices(listed)], ignore_index=True)
    return whole.assign(
        instance_type=whole["instance_type"].astype(object),
        purchase_option="on-demand",
        zone=None,
        region=region,
    )


def _believed(
    stored: pd.DataFrame, catalogue: pd.DataFrame
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Leave out stored prices that cannot be: far from the catalogue's price of the same type."""
    listed = dict(zip(catalogue["instance_type"], catalogue["usd_per_hour"], strict=True))
    ratio = stored["usd_per_hour"] / stored["instance_type"].map(listed).astype(float)
    spot = (stored["purchase_option"] == "spot").to_numpy(dtype=bool)
    on_demand = (stored["purchase_option"] == "on-demand").to_numpy(dtype=bool)
    bad = spot & ~ratio.isna() & ~ratio.between(*_SPOT_DOUBT)
    bad |= on_demand & ~ratio.isna() & ~ratio.between(*_ON_DEMAND_DOUBT)
    doubted = tuple(
        f"{row['instance_type']} {row['purchase_option']} at ${row['usd_per_hour']:g}, "
        f"listed at ${listed[row['instance_type']]:g}"
        for row in stored[bad].drop_duplicates("instance_type").to_dict("records")
    )
    return stored[~bad], doubted


def _price(row: dict[Hashable, object]) -> Price:
    value = float(str(row["usd_per_hour"]))
    ends = [float(str(row.get(name, value))) for name in ("lowest", "highest")]
    low, high = (value if pd.isna(end) else end for end in ends)
    origin = str(row.get("origin", "stored"))
    return Price(
        value,
        str(row["source"]),
        _time(row.get("as_of")),
        min(low, value),
        max(high, value),
        _ORIGINS.get(origin, "stored"),
    )


_ORIGINS: dict[str, Origin] = {
    "stated": "stated",
    "stored": "stored",
    "bundled": "bundled",
    "derived": "derived",
}


def _day_of(row: dict[Hashable, object], price: Price) -> date:
    day = _time(row.get("day"))
    if day is not None:
        return day.date()
    return date.min if price.as_of is None else price.as_of.date()


def _time(value: object) -> datetime | None:
    if value is None or value is pd.NaT or value != value:
        return None
    time = pd.Timestamp(str(value))
    return (time.tz_localize("UTC") if time.tzinfo is None else time).to_pydatetime()


def _with_licence(price: Price | None, instance_type: str) -> Price | None:
    licence = windows_licences().get(instance_type)
    if price is None or licence is None:
        return None
    return replace(
        price,
        usd_per_hour=price.usd_per_hour + licence,
        lowest=price.lowest + licence,
        highest=price.highest + licence,
        source=f"{price.source}, and {licence:.3f} for Windows, not held against the live price list",
        origin="derived",
    )


def _mean(prices: Iterable[Price]) -> Price:
    found = list(prices)
    dates = [price.as_of for price in found if price.as_of is not None]
    return Price(
        sum(price.usd_per_hour for price in found) / len(found),
        found[0].source,
        min(dates) if dates else None,
        min(price.lowest for price in found),
        max(price.highest for price in found),
        found[0].origin,
    )
