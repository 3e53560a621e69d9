"""Shapes with the prices of the book, for those who choose among types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from rightsize.prices.book import BUNDLED, Price, PriceBook, book_for
from rightsize.prices.catalogue import instance_types

_CURRENT = r"^[mcr]\d+[ai]?$"
_YEAR = 365.25
_HALF, _NEARLY_ALL = 0.5, 0.95


def priced_catalogue(
    region: str | None,
    prices: pd.DataFrame | None = None,
    stated: Mapping[str, Mapping[str, float]] | None = None,
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the catalogue with the newest prices of the region's book, and where they are from.

    Parameters
    ----------
    region : str or None
        AWS region; None leaves every price that the snapshot does not hold unknown.
    prices : DataFrame, optional
        The snapshot's table `prices`.
    stated : mapping of region to type to USD/h, optional
        Setting `prices.machines`.

    Returns
    -------
    catalogue : DataFrame
        Columns of `rightsize.prices.catalogue.instance_types`, `usd_per_hour` (on demand),
        `spot_usd_per_hour`, `price_origin`. NaN is unknown.
    said : tuple of str
        Source, date and coverage of the prices, a sentence each.
    """
    table = pd.DataFrame(columns=_COLUMNS) if prices is None or prices.empty else prices
    return catalogue_of(book_for(region, table, stated))


_COLUMNS = ("instance_type", "purchase_option", "zone", "region", "usd_per_hour", "source", "as_of")


def catalogue_of(book: PriceBook) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the catalogue with the newest prices of a book; see `priced_catalogue`."""
    catalogue = instance_types()
    names = catalogue["instance_type"].astype(str).tolist()
    found = {
        option: [book.price(name, option) for name in names] for option in ("on-demand", "spot")
    }
    catalogue["usd_per_hour"] = _usd(found["on-demand"])
    catalogue["spot_usd_per_hour"] = _usd(found["spot"])
    catalogue["price_origin"] = [None if one is None else one.origin for one in found["on-demand"]]
    said = [
        *_sources(found["on-demand"], "on-demand", book.region),
        *_sources(found["spot"], "Spot", book.region),
    ]
    if book.region is None:
        said.insert(0, "the region is not known, so no bundled price applies (--region)")
    elif not any(found["on-demand"]):
        said.insert(0, f"there are no bundled prices of {book.region}")
    else:
        said += _coverage(catalogue, book.region)
    said += [f"a stored price that cannot be was left out: {one}" for one in book.doubted]
    return catalogue, tuple(said)


def age_note(prices: list[Price], when: datetime) -> str | None:
    """What is to be said first of prices older than a year; None if all are newer."""
    oldest = max((price.age_days(when) for price in prices), default=0.0)
    if oldest <= _YEAR:
        return None
    dates = [price.as_of for price in prices if price.as_of is not None]
    return f"prices are up to {oldest / _YEAR:.1f} years old (of {min(dates):%Y-%m-%d})"


def _usd(prices: list[Price | None]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([np.nan if one is None else one.usd_per_hour for one in prices], dtype=float)


def _sources(prices: list[Price | None], option: str, region: str | None) -> list[str]:
    """A sentence for each origin: the source, how many types, and of when."""
    where = "" if region is None else f" of {region}"
    said = []
    for origin, text in (
        ("stated", f"{option} prices{where} from your settings"),
        ("stored", f"{option} prices{where} from the snapshot; they win over bundled ones"),
        ("bundled", f"bundled {option} prices{where}"),
        ("derived", f"{option} prices{where} derived from other sizes of the family"),
    ):
        these = [one for one in prices if one is not None and one.origin == origin]
        if not these:
            continue
        dates = sorted({f"{one.as_of:%Y-%m-%d}" for one in these if one.as_of is not None})
        when = " to ".join(dict.fromkeys((*dates[:1], *dates[-1:])))
        source = f"{len(these)} types"
        if origin == "bundled":
            source = ", ".join(sorted({one.source.removeprefix(BUNDLED) for one in these}))
        said.append(f"{text}: {', '.join(part for part in (source, when) if part)}")
    return said


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many of some types, from which a plan chooses, have a price."""

    priced: int
    candidates: int

    @property
    def nearly_all(self) -> bool:
        return self.priced >= _NEARLY_ALL * self.candidates


def coverage_of(catalogue: pd.DataFrame) -> Coverage:
    """Coverage of the current m, c and r types by a catalogue's prices."""
    family = catalogue["family"].astype("string")
    metal = catalogue["bare_metal"].astype("boolean").fillna(False).astype(bool)
    current = catalogue["current_generation"].astype("boolean").fillna(True).astype(bool)
    usual = catalogue[family.str.match(_CURRENT).fillna(False).astype(bool) & ~metal & current]
    return Coverage(int(usual["usd_per_hour"].notna().sum()), len(usual))


def _coverage(catalogue: pd.DataFrame, region: str) -> list[str]:
    """How many of the types that a plan may choose have a price; nothing where nearly all do."""
    found = coverage_of(catalogue)
    if found.nearly_all:
        return []
    text = f"{found.priced} of {found.candidates} current m, c and r types have a price in {region}"
    if found.priced < _HALF * found.candidates:
        text += ": less than half, so AWS may sell a cheaper one than “cheapest” says"
    return [text]
