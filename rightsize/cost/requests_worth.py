"""What recommended requests are worth beside those in force, at the price of a core and a byte."""

from __future__ import annotations

from dataclasses import dataclass

from rightsize.prices.unit_price import SourcedUnitPrice, UnitPrice, unit_price
from rightsize.results import Advice


@dataclass(frozen=True, slots=True)
class RequestsWorth:
    """USD per hour that the requests of all running pods rise by; negative where they fall."""

    usd_per_hour: float
    unknown: int
    """Workloads whose requests in force nothing reported: they are not in the sum."""


@dataclass(frozen=True, slots=True)
class MonthlyWorth:
    """The same in USD per month, with the prices behind it."""

    usd: float
    unknown: int
    price: SourcedUnitPrice

    @property
    def basis(self) -> str:
        """Which prices, and what such a figure is not."""
        price = self.price
        return (
            f"{price.source} prices of {price.region}, {price.as_of}; a saving or a cost only where "
            "nodes come or go"
        )


def monthly_worth(advice: Advice, region: str | None, hours_per_month: float) -> MonthlyWorth:
    """What the recommendation's requests are worth a month more; below zero, less."""
    price = unit_price(region)
    worth = requests_worth(advice, price.price)
    return MonthlyWorth(worth.usd_per_hour * hours_per_month, worth.unknown, price)


def requests_worth(advice: Advice, price: UnitPrice) -> RequestsWorth:
    """A request that is not set reserves nothing: setting it adds all of it."""
    usd, unknown = 0.0, set()
    for row in advice.recommendations:
        if row.workload is None or not row.running:
            continue
        for size, unit in (
            (row.cpu, price.usd_per_core_hour),
            (row.memory, price.usd_per_byte_hour),
        ):
            if size.recommended_request is None:
                continue
            if "request" in size.unknown:
                unknown.add(row.key)
            else:
                more = size.recommended_request - (size.request or 0.0)
                usd += row.replicas * more * unit
    return RequestsWorth(usd, len(unknown))
