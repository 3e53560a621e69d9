"""Spot prices by zone (DescribeSpotPriceHistory)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd

from rightsize.collectors.aws.calls import SPOT_HISTORY
from rightsize.collectors.aws.prices import dollars_per
from rightsize.collectors.aws.session import AwsSession, reading
from rightsize.collectors.aws.tables import table_of
from rightsize.errors import AwsError

_PAGE = 1000
_PRODUCTS = ("Linux/UNIX", "Linux/UNIX (Amazon VPC)")

LOWEST_CREDIBLE = 0.0002
"""USD/h below which a Spot price is not believed: a quarter of what the smallest machine
(t4g.nano) goes for on Spot. A stand-in server that answers 0.00001 is caught by it."""

HISTORY_DAYS = 90
"""AWS keeps this many days of Spot prices, so an older one is not a current price."""


def fetch_spot_prices(
    session: AwsSession,
    *,
    days: float = 0,
    instance_types: Sequence[str] = (),
    usd_per_cny: float | None = None,
) -> pd.DataFrame:
    """Return the current Spot price of each type and zone as the table `prices`.

    Parameters
    ----------
    days : float
        Days of history for the lowest and highest price; 0 asks for now alone.
    instance_types : sequence of str
        Types to ask for; all without it.
    usd_per_cny : float, optional
        Exchange rate for the China regions, which answer in CNY without saying so.

    Raises
    ------
    AwsError
        If the request fails, no credible price is among the answers, or the rate is missing.
    """
    rate = dollars_per("CNY" if session.partition == "aws-cn" else "USD", usd_per_cny)
    now = datetime.now(UTC)
    asked: dict[str, object] = {
        "ProductDescriptions": list(_PRODUCTS),
        "StartTime": now - timedelta(days=days),
        "MaxResults": _PAGE,
    }
    if instance_types:
        asked["InstanceTypes"] = list(instance_types)

    def read(page: dict[str, Any]) -> Iterator[tuple[object, ...]]:
        for item in page.get("SpotPriceHistory", []):
            price = float(Decimal(item["SpotPrice"]) * rate)
            yield item["InstanceType"], item["AvailabilityZone"], price, item["Timestamp"]

    rows = list(session.rows(SPOT_HISTORY, asked, read))
    history = pd.DataFrame(rows, columns=["instance_type", "zone", "usd_per_hour", "set_at"])
    with reading(SPOT_HISTORY.action):
        history["set_at"] = pd.to_datetime(history["set_at"], utc=True)
    return spot_table(history, session.region, now)


def spot_table(history: pd.DataFrame, region: str, now: datetime) -> pd.DataFrame:
    """Return the newest credible price of each type and zone, with the range of the history.

    `history` has `instance_type`, `zone`, `usd_per_hour` and `set_at` (when AWS set the price).

    Raises
    ------
    AwsError
        If no price is left after those that cannot be true.
    """
    fresh = history["set_at"] >= pd.Timestamp(now) - pd.Timedelta(days=HISTORY_DAYS)
    good = history[fresh & (history["usd_per_hour"] >= LOWEST_CREDIBLE)]
    if good.empty:
        refused = "" if history.empty else f" ({len(history)} answers are too old or near 0)"
        raise AwsError(f"{SPOT_HISTORY.action} gives no credible Spot price{refused}")
    groups = good.sort_values("set_at", kind="stable").groupby(["instance_type", "zone"])
    table = groups["usd_per_hour"].agg(usd_per_hour="last", lowest="min", highest="max")
    return table_of(
        "prices",
        table.reset_index().assign(
            region=region,
            purchase_option="spot",
            source="EC2 Spot price history",
            as_of=pd.Timestamp(now),
        ),
    )
