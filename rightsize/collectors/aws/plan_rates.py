"""What an instance costs under a Savings Plan (DescribeSavingsPlansOfferingRates)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import pandas as pd

from rightsize.collectors.aws.calls import PLAN_RATES
from rightsize.collectors.aws.session import AwsSession
from rightsize.collectors.aws.tables import table_of
from rightsize.errors import AmbiguousPriceError, AwsError

_PAGE = 1000
_YEAR_SECONDS = 365 * 86400
_PAYMENT = "No Upfront"


def fetch_plan_rates(session: AwsSession, *, plan: str = "Compute") -> pd.DataFrame:
    """Return one-year, no-upfront Savings Plans rates as the table `prices`.

    Parameters
    ----------
    plan : str
        `Compute` or `EC2Instance`.

    Raises
    ------
    AmbiguousPriceError
        If one type has two rates.
    AwsError
        If the request fails, or gives no rate above 0 in USD.
    """
    asked = {
        "savingsPlanTypes": [plan],
        "savingsPlanPaymentOptions": [_PAYMENT],
        "products": ["EC2"],
        "serviceCodes": ["AmazonEC2"],
        "filters": [
            {"name": "region", "values": [session.region]},
            {"name": "tenancy", "values": ["shared"]},
            {"name": "productDescription", "values": ["Linux/UNIX"]},
        ],
        "maxResults": _PAGE,
    }
    rates: dict[str, Decimal] = {}
    for name, rate in session.rows(PLAN_RATES, asked, _rates):
        if rates.setdefault(name, rate) != rate:
            raise AmbiguousPriceError(
                f"{plan} Savings Plans have two rates for {name} in {session.region}: "
                f"{rates[name]} and {rate} USD/h"
            )
    if not rates:
        raise AwsError(f"{PLAN_RATES.action} gives no one-year rate for {session.region}")
    table = pd.DataFrame({"instance_type": list(rates), "usd_per_hour": map(float, rates.values())})
    return table_of(
        "prices",
        table.assign(
            region=session.region,
            purchase_option="savings-plan",
            source=f"{plan} Savings Plan, 1 year, no upfront",
            as_of=pd.Timestamp(datetime.now(UTC)),
        ),
    )


def _rates(page: dict[str, Any]) -> Iterator[tuple[str, Decimal]]:
    return filter(None, map(_rate, page.get("searchResults", [])))


def _rate(item: dict[str, Any]) -> tuple[str, Decimal] | None:
    offering = item.get("savingsPlanOffering", {})
    if offering.get("durationSeconds") != _YEAR_SECONDS or item.get("unit") != "Hrs":
        return None
    if offering.get("currency") != "USD" or "BoxUsage" not in item.get("usageType", ""):
        return None
    properties = {entry["name"]: entry["value"] for entry in item.get("properties", [])}
    name = properties.get("instanceType")
    try:
        rate = Decimal(item["rate"])
    except (KeyError, InvalidOperation) as error:
        raise AwsError(f"a Savings Plans rate of {name} cannot be read") from error
    return (str(name), rate) if name and rate.is_finite() and rate > 0 else None
