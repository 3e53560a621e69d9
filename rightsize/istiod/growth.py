"""How the mesh grows, from its days so far, with a band that holds nine in ten.

The band of a straight line adds up what may be wrong with it: the slope (least squares, with days
discounted for the autocorrelation of the residuals), a level that wanders (long-run variance of
the daily changes, Newey and West, Econometrica 55, 1987), and the noise of a day. A second line
on logarithms stands for growth by a constant share; the band covers both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import stdtrit

from rightsize.errors import NoDataError
from rightsize.results import Interval

Floats = npt.NDArray[np.float64]

LEAST_DAYS = 14
HORIZON_DAYS = 730
_LAGS = 7


@dataclass(frozen=True)
class _Line:
    """A line through the days with what is needed for its band."""

    level: float
    slope: float
    days: int
    slope_error: float
    wander: float
    noise: float

    def at(self, ahead: Floats, coverage: float) -> Floats:
        """Low, mid and high, shape (m, 3), `ahead` days after the last day."""
        mid = self.level + self.slope * ahead
        lever = (self.slope_error * (ahead + self.days / 2)) ** 2
        spread = np.sqrt(lever + self.wander * ahead + self.noise**2)
        half = stdtrit(max(self.days - 2, 2), (1 + coverage) / 2) * spread
        found: Floats = np.c_[mid - half, mid, mid + half]
        return found


@dataclass(frozen=True)
class Growth:
    """Growth of one quantity: `at` projects it, `per_30_days` says it in a word."""

    what: str
    last_day: date
    days: int
    now: float
    shape: Literal["straight", "by a constant share"]
    coverage: float
    straight: _Line
    share: _Line

    def at(self, ahead: npt.ArrayLike) -> Floats:
        """Low, mid and high, shape (m, 3), `ahead` days after the last day."""
        when = np.atleast_1d(np.asarray(ahead, dtype=np.float64))
        straight = np.maximum(self.straight.at(when, self.coverage), 0.0)
        share = np.exp(np.minimum(self.share.at(when, self.coverage), 50.0))
        mid = straight[:, 1] if self.shape == "straight" else share[:, 1]
        low = np.minimum(straight[:, 0], share[:, 0])
        high = np.maximum(straight[:, 2], share[:, 2])
        found: Floats = np.c_[np.minimum(low, mid), mid, np.maximum(high, mid)]
        return found

    @property
    def per_30_days(self) -> Interval:
        """Change over the next 30 days, in the quantity's unit."""
        low, mid, high = self.at(30.0)[0] - self.at(0.0)[0, 1]
        return Interval(float(low), float(mid), float(high))


def fit_growth(what: str, by_day: pd.Series, *, coverage: float = 0.9) -> Growth:
    """Fit the growth of one quantity.

    Parameters
    ----------
    what : str
        Its name: `services`, `proxies`, `endpoints`.
    by_day : Series
        Value of each day, indexed by day; days without a value are left out.
    coverage : float
        Share of later days that the band holds.

    Raises
    ------
    NoDataError
        With fewer than 14 days.
    """
    known = by_day.dropna().sort_index()
    if len(known) < LEAST_DAYS:
        raise NoDataError(
            f"{len(known)} days of {what}: growth needs {LEAST_DAYS}",
            hint="collect a longer window with rightsize collect --days",
        )
    index = pd.DatetimeIndex(known.index)
    days = ((index - index[0]) / pd.Timedelta(1, "D")).to_numpy(dtype=float)
    values = known.to_numpy(dtype=float)
    logs = np.log(np.maximum(values, 1.0))
    return Growth(
        what=what,
        last_day=index[-1].date(),
        days=len(known),
        now=float(values[-1]),
        shape=_shape(days, values, logs),
        coverage=coverage,
        straight=_line(days, values),
        share=_line(days, logs),
    )


def _shape(
    days: Floats, values: Floats, logs: Floats
) -> Literal["straight", "by a constant share"]:
    """Which of the two foretells the last third from the first two; a tie goes to the line."""
    cut = len(days) * 2 // 3
    straight = np.polyval(np.polyfit(days[:cut], values[:cut], 1), days[cut:])
    share = np.exp(np.polyval(np.polyfit(days[:cut], logs[:cut], 1), days[cut:]))
    errors = [float(np.abs(found - values[cut:]).mean()) for found in (straight, share)]
    return "by a constant share" if errors[1] < 0.9 * errors[0] else "straight"


def _line(days: Floats, values: Floats) -> _Line:
    slope, level = np.polyfit(days, values, 1)
    residuals = values - (level + slope * days)
    n = len(days)
    noise = float(np.sqrt(residuals @ residuals / max(n - 2, 1)))
    power = float(residuals @ residuals)
    rho = float(residuals[1:] @ residuals[:-1]) / power if power > 0 else 0.0
    # Kendall's correction: a short series understates its autocorrelation.
    rho = float(np.clip(rho + (1 + 4 * rho) / n, 0.0, 0.97))
    centred = days - days.mean()
    error = noise * np.sqrt((1 + rho) / (1 - rho) / float(centred @ centred))
    # Residuals that forget their past within days come from a level that stays on its line.
    wander = _long_run_variance(np.diff(values) - slope) * max(rho, 0.0) ** 2
    return _Line(
        level=float(level + slope * days[-1]),
        slope=float(slope),
        days=int(days[-1]) + 1,
        # The slope of a line through a random walk errs by 6/5 of its variance a day, over n
        # (Durlauf and Phillips, Econometrica 56, 1988).
        slope_error=float(max(error, np.sqrt(1.2 * wander / n))),
        wander=wander,
        noise=noise,
    )


def _long_run_variance(changes: Floats) -> float:
    """Newey-West variance of a sum of daily changes, by day."""
    total = float(changes @ changes)
    for lag in range(1, min(_LAGS, len(changes) - 1) + 1):
        total += 2 * (1 - lag / (_LAGS + 1)) * float(changes[lag:] @ changes[:-lag])
    return max(total, 0.0) / len(changes)
