"""What recommended requests are worth beside those in force, at the price of a core and a byte."""

from __future__ import annotations

from dataclasses import dataclass

from rightsize.prices.unit_price import UnitPrice
from rightsize.results import Advice


@dataclass(frozen=True, slots=True)
class RequestsWorth:
    """USD per hour that the requests of all running pods rise by; negative where they fall."""

    usd_per_hour: float
    unknown: int
    """Workloads whose requests in force nothing reported: they are not in the sum."""


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
