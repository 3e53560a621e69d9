"""On-demand prices (Price List, GetProducts).

The filters are Karpenter's (`pkg/providers/pricing/pricing.go`). Each entry of `PriceList` is the
text of a JSON document, and its terms lie under codes that change, so values are walked and codes
are never named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
import pandas as pd

from rightsize.collectors.aws.calls import PRODUCTS
from rightsize.collectors.aws.session import AwsSession
from rightsize.collectors.aws.tables import table_of
from rightsize.errors import AmbiguousPriceError, AwsError

_PAGE = 100
_WANTED = {
    "tenancy": "Shared",
    "operatingSystem": "Linux",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """One SKU's hourly price, as the Price List states it."""

    instance_type: str
    sku: str
    price: Decimal
    currency: str
    published: str


def fetch_on_demand_prices(
    session: AwsSession, *, usd_per_cny: float | None = None
) -> pd.DataFrame:
    """Return the Linux on-demand prices of the region's shared machines as the table `prices`.

    Bare metal is not asked for: the Price List files it under other terms.

    Raises
    ------
    AmbiguousPriceError
        If two SKUs, or two prices of one SKU, remain for one type.
    AwsError
        If the request fails, an answer cannot be read, no price remains, the partition has no
        Price List endpoint, or prices are in CNY and no exchange rate is set.
    """
    if session.price_list_region() is None:
        raise AwsError(
            f"partition {session.partition} has no Price List endpoint",
            hint="the bundled catalogue has prices of both GovCloud regions",
        )
    offers: dict[str, Offer] = {}
    for offer in _offers(session):
        other = offers.setdefault(offer.instance_type, offer)
        if (other.sku, other.price) != (offer.sku, offer.price):
            raise AmbiguousPriceError(
                f"the Price List has two on-demand prices for {offer.instance_type} in "
                f"{session.region}: {other.price} (SKU {other.sku}) and {offer.price} "
                f"(SKU {offer.sku}) {offer.currency}/h",
                hint="neither is taken; report both SKUs to the project",
            )
    if not offers:
        raise AwsError(f"{PRODUCTS.action} gives no price above 0 for {session.region}")
    now = datetime.now(UTC)
    rows = [
        {
            "instance_type": offer.instance_type,
            "region": session.region,
            "purchase_option": "on-demand",
            "usd_per_hour": float(offer.price * dollars_per(offer.currency, usd_per_cny)),
            "source": f"AWS Price List, published {offer.published or 'unknown'}",
            "as_of": now,
        }
        for offer in offers.values()
    ]
    return table_of("prices", rows)


def read_offer(text: str, region: str) -> Offer | None:
    """Return the hourly price in one `PriceList` entry; None if it is not one to plan with.

    An attribute that is absent counts as a match: older documents lack `regionCode` and
    `marketoption`. A price of 0 belongs to a capacity reservation and is dropped.

    Raises
    ------
    AwsError
        If the text is no price document.
    AmbiguousPriceError
        If the document itself holds two hourly prices.
    """
    try:
        body = orjson.loads(text)
        product = body["product"]
        attributes, sku = product["attributes"], str(product["sku"])
        if any(attributes.get(name, want) != want for name, want in _WANTED.items()):
            return None
        if attributes.get("regionCode", region) != region:
            return None
        found = set(_hourly(body.get("terms", {}).get("OnDemand", {})))
        # A document that names dollars beside another currency is taken by its dollars.
        found = {one for one in found if one[1] == "USD"} or found
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise AwsError(f"the Price List gave a document that cannot be read ({error})") from error
    if not found:
        return None
    if len(found) > 1:
        amounts = ", ".join(sorted(str(price) for price, _ in found))
        raise AmbiguousPriceError(f"SKU {sku} of the Price List has several prices: {amounts}")
    price, currency = found.pop()
    published = str(body.get("publicationDate", ""))[:10]
    return Offer(str(attributes["instanceType"]), sku, price, currency, published)


def _offers(session: AwsSession) -> Iterator[Offer]:
    wanted = _WANTED | {
        "regionCode": session.region,
        "serviceCode": "AmazonEC2",
        "productFamily": "Compute Instance",
    }
    filters = [
        {"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in wanted.items()
    ]
    asked = {"ServiceCode": "AmazonEC2", "Filters": filters, "MaxResults": _PAGE}

    def read(page: dict[str, Any]) -> Iterator[Offer]:
        for text in page.get("PriceList", []):
            offer = read_offer(text, session.region)
            if offer is not None:
                yield offer

    return session.rows(PRODUCTS, asked, read)


def _hourly(terms: dict[str, Any]) -> Iterator[tuple[Decimal, str]]:
    for term in terms.values():
        for dimension in term["priceDimensions"].values():
            if dimension["unit"] != "Hrs":
                continue
            for currency, amount in dimension["pricePerUnit"].items():
                price = Decimal(amount)
                if price.is_finite() and price > 0:
                    yield price, currency


def dollars_per(currency: str, usd_per_cny: float | None) -> Decimal:
    """Return what one unit of AWS's currency is worth in USD.

    Raises
    ------
    AwsError
        For CNY without an exchange rate, and for any other currency.
    """
    if currency == "USD":
        return Decimal(1)
    if currency == "CNY" and usd_per_cny is not None:
        return Decimal(str(usd_per_cny))
    raise AwsError(
        f"AWS gives prices in {currency}, not in USD",
        hint="set prices.usd_per_cny in the settings to an exchange rate of your choice",
    )
