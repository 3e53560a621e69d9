"""What recommended requests are worth beside those in force, at the price of a core and a byte."""

from __future__ import annotations

from rightsize.prices.unit_price import UnitPrice
from rightsize.results import Advice


def requests_worth(advice: Advice, price: UnitPrice) -> float:
    """USD per hour that the requests of all running pods rise by; negative where they fall.

    A request that is not set, or not known, counts as it is.
    """
    usd = 0.0
    for row in advice.recommendations:
        if row.workload is None or not row.running:
            continue
        for size, unit in (
            (row.cpu, price.usd_per_core_hour),
            (row.memory, price.usd_per_byte_hour),
        ):
            if size.request is not None and size.recommended_request is not None:
                usd += row.replicas * (size.recommended_request - size.request) * unit
    return usd
