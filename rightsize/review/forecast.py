"""What the next months will cost if the bill goes on as it did."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from rightsize.results import Interval

LEAST_DAYS = 21
"""Days of history below which a trend is an accident of the week."""
CONFIDENCE = 0.8
_MONTHS = 3


@dataclass(frozen=True)
class Forecast:
    """The next quarter's bill by month, USD, at prices of today; the interval holds 80 %, as far as
    the bill itself is known."""

    months: tuple[tuple[str, Interval], ...]
    days: int
    """Days that the trend rests on."""
    usd_per_day_per_month: float
    """How much a day's bill grows by, each month."""


def forecast(daily: pd.Series, bill: Interval | None = None) -> Forecast | None:
    """Carry the trend of a daily bill over the three months after it.

    A straight line by least squares, with the interval of a sum of predicted days (Montgomery,
    Peck and Vining, *Introduction to Linear Regression Analysis*, 2012, ch. 2.5). Days that follow each
    other are alike: the residuals' first autocorrelation widens it.

    Parameters
    ----------
    daily : Series
        USD by day (datetime.date), days without a known bill left out.
    bill : Interval, optional
        A bill with its own range, USD: what is not known of the days is not known of the months.

    Returns
    -------
    Forecast or None
        None below `LEAST_DAYS` days.
    """
    known = daily.dropna().sort_index()
    if len(known) < LEAST_DAYS:
        return None
    first = min(known.index)
    x = np.array([(day - first).days for day in known.index], dtype=float)
    y = known.to_numpy(dtype=float)
    design = np.column_stack([np.ones_like(x), x])
    inverse = np.linalg.inv(design.T @ design)
    line = inverse @ design.T @ y
    left = y - design @ line
    free = len(y) - 2
    variance = float(left @ left) / free
    widened = variance * _inflation(left)
    quantile = float(stdtrit(free, 0.5 + CONFIDENCE / 2))
    less, more = (bill.low / bill.mid, bill.high / bill.mid) if bill and bill.mid > 0 else (1, 1)
    months = []
    start = max(known.index).replace(day=1)
    for _ in range(_MONTHS):
        start = (start + timedelta(days=32)).replace(day=1)
        ahead = _days_of(start, first)
        mid = float((ahead @ line).sum())
        total = ahead.sum(axis=0)
        spread = quantile * float(np.sqrt(widened * (total @ inverse @ total + len(ahead))))
        low = max(mid - spread, 0.0) * less
        months.append((f"{start:%Y-%m}", Interval(min(low, mid), mid, (mid + spread) * more)))
    return Forecast(tuple(months), len(known), float(line[1]) * 365 / 12)


def _days_of(start: date, first: date) -> NDArray[np.float64]:
    length = calendar.monthrange(start.year, start.month)[1]
    days = np.arange(length, dtype=float) + (start - first).days
    return np.column_stack([np.ones(length), days])


def _inflation(left: NDArray[np.float64]) -> float:
    """How much wider dependent days make the spread of their sum: (1 + r) / (1 - r)."""
    power = float(left @ left)
    if power <= 1e-12:
        return 1.0
    r = float(left[1:] @ left[:-1]) / power
    r = min(max(r, 0.0), 0.95)
    return (1 + r) / (1 - r)
