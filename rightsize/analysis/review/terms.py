"""The prices a month is reckoned with: those of the snapshot first, bundled ones for the rest."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from rightsize.analysis.cost.book import PriceBook
from rightsize.analysis.cost.commitments import Commitment, Commitments, commitments_of
from rightsize.analysis.cost.other import other_costs
from rightsize.analysis.cost.plan import Terms
from rightsize.catalogue import on_demand_prices
from rightsize.config import PriceSettings
from rightsize.snapshot import Snapshot


def terms_of(snapshot: Snapshot, settings: PriceSettings, *, at: datetime, hours: float) -> Terms:
    """Return the terms of a bill.

    Parameters
    ----------
    snapshot : Snapshot
        Its prices and commitments count; its region decides on the bundled prices.
    settings : PriceSettings
    at : datetime
        When the prices are used.
    hours : float
        Hours of the bill.
    """
    region = snapshot.manifest.region
    return Terms(
        book=PriceBook(price_rows(snapshot)),
        commitments=_commitments(snapshot, settings),
        other=other_costs(settings.other_costs_file),
        at=at,
        region=region,
        hours=hours,
        price_drift_per_year=settings.price_drift_per_year,
        root_gib=settings.root_volume_gib,
    )


def price_rows(snapshot: Snapshot) -> pd.DataFrame:
    """Rows of the price book: bundled on-demand prices of the region, then the snapshot's own.

    The newest of several rows counts, and a price that AWS told outranks a bundled one.
    """
    region = snapshot.manifest.region
    told = snapshot.read("prices")
    told = told[told["usd_per_hour"] > 0].astype(
        {"instance_type": object, "purchase_option": object}
    )
    if region is None:
        return told
    bundled = on_demand_prices(region).assign(purchase_option="on-demand", zone=None)
    mine = set(zip(told["instance_type"], told["purchase_option"], strict=True))
    keys = zip(bundled["instance_type"], bundled["purchase_option"], strict=True)
    bundled = bundled[[key not in mine for key in keys]]
    columns = ["instance_type", "purchase_option", "zone", "usd_per_hour", "source", "as_of"]
    parts = [part[columns].astype({"zone": object}) for part in (bundled, told) if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else bundled[columns]


def _commitments(snapshot: Snapshot, settings: PriceSettings) -> Commitments:
    if settings.commitment_usd_per_hour is not None:
        usd, discount = settings.commitment_usd_per_hour, settings.commitment_discount
        held = (Commitment("setting", usd, discount),) if usd else ()
        return Commitments(known=True, held=held)
    return commitments_of(snapshot.read("commitments"), settings.commitment_discount)
