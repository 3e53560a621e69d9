"""What one core and one byte cost an hour, read off the prices of whole machines.

AWS sells machines, not cores, so this split only ranks alternatives; money that reaches a bill
goes through the node plan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from rightsize.prices.catalogue import instance_types, on_demand_prices
from rightsize.quantity import GIBIBYTE

_FAMILIES = r"^[mcr]\d+[ai]?\.(?:large|xlarge|2xlarge|4xlarge)$"
"""General, compute and memory families on x86 without local disks: they differ in little but
their ratio of memory to cores, which is what separates the two prices."""
FALLBACK_REGION = "us-east-1"


@dataclass(frozen=True)
class UnitPrice:
    """USD an hour for one core and one byte; only their ratio decides which exceptions pay."""

    usd_per_core_hour: float
    usd_per_byte_hour: float


@dataclass(frozen=True)
class SourcedUnitPrice:
    """A unit price with the region, source and date of the machine prices behind it."""

    price: UnitPrice
    region: str
    source: str
    as_of: str


def unit_price(region: str | None) -> SourcedUnitPrice:
    """Fit `price = a * vCPU + b * memory` to a region's on-demand prices (non-negative).

    A region without bundled prices uses us-east-1's ratio, and the result says so.
    """
    prices = on_demand_prices(region) if region else on_demand_prices(FALLBACK_REGION)
    used = region or FALLBACK_REGION
    joined = _machines(prices)
    if len(joined) < 4:
        used, joined = FALLBACK_REGION, _machines(on_demand_prices(FALLBACK_REGION))
    shape = joined[["vcpu", "memory"]].to_numpy(dtype=float)
    price = joined["usd_per_hour"].to_numpy(dtype=float)
    # Relative errors: a machine of 16 cores must not outweigh eight of 2.
    (core, gibibyte), _ = nnls(shape / [1, GIBIBYTE] / price[:, None], np.ones_like(price))
    newest = joined.sort_values("as_of").iloc[-1]
    return SourcedUnitPrice(
        UnitPrice(float(core), float(gibibyte) / GIBIBYTE),
        used,
        str(newest["source"]),
        str(newest["as_of"])[:10],
    )


def _machines(prices: pd.DataFrame) -> pd.DataFrame:
    joined = instance_types().merge(prices, on="instance_type")
    return joined[joined["instance_type"].str.match(_FAMILIES)]
