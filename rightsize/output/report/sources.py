"""What is said the same way in every section: the source of a chart, the range of a price."""

from __future__ import annotations

import pandas as pd

from rightsize.results import Interval
from rightsize.review import Review


def source_of(review: Review) -> str:
    """Where a chart's figures come from: cluster, days, region."""
    kind = "simulated demo mesh" if review.simulated else f"cluster {review.cluster}"
    days = review.month.days
    region = review.money.terms.region or "region unknown"
    return f"{kind}, {days[0]} to {days[-1]} UTC; on-demand prices of {region}"


def price_range(review: Review) -> Interval:
    """Machines and their volumes at the ends of their range, as factors of the middle.

    The same that the bill's range is made of, so that causes add up to it at both ends.
    """
    total = review.money.today.machines
    if total is None or total.mid == 0:
        return Interval.exactly(1.0)
    return Interval(total.low / total.mid, 1.0, total.high / total.mid)


def ranged(review: Review, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame's `usd` with `low` and `high` beside it, from the age of prices."""
    factor = price_range(review)
    return frame.assign(low=frame["usd"] * factor.low, high=frame["usd"] * factor.high)


def workload_names(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with `name`, such as `shop/cart`, from `namespace` and `workload`."""
    names = frame["namespace"].astype(str) + "/" + frame["workload"].astype(str)
    return frame.assign(name=names)
