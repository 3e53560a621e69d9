"""A law that is fitted, not assumed: a level plus a non-negative price for each driver.

More proxies, services or pushes never need *less* memory or CPU, so coefficients are bounded
below by zero. The fit is quantile regression (Koenker and Bassett, Econometrica 46, 1978), solved
exactly as a linear programme, so that a few restarts and full pushes do not pull it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self, get_args

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import linprog
from scipy.special import gammaincinv

from rightsize.estimator import Regressor

Floats = npt.NDArray[np.float64]
End = Literal["low", "mid", "high"]
ENDS: tuple[End, ...] = get_args(End)
"""Columns of an interval."""

_FLOOR = 1e-3
"""Smallest mean residual, as a share of the level: exact data must not make a bound infinitely
sharp."""
_GAUSSIAN = np.pi / 2
"""Variance of a median to that of a mean under Gaussian noise: the likelihood ratio of absolute
errors runs high by this factor."""
_LOOSE = 0.5
"""A coefficient is identified when its interval is narrower than this share of its upper end."""


class NonNegativeQuantileLaw(Regressor):
    """Linear quantile regression with non-negative level and coefficients, and honest intervals.

    Parameters
    ----------
    quantile : float
        Quantile of the response that `predict` gives.
    coverage : float
        Share of new observations that `predict_interval` promises to hold.
    priors : tuple of float, optional
        One published coefficient for each driver, in units of `y` by unit of the driver. Where
        the history cannot determine a coefficient, the prior is used, cut to the range that the history
        allows; without priors the middle of that range.
    max_rows : int
        Rows kept for the fit, evenly spread over the given ones.

    Attributes
    ----------
    coef_ : ndarray of shape (n_drivers,)
    intercept_ : float
    coef_range_ : ndarray of shape (n_drivers, 2)
        Range of each coefficient that the history allows at `coverage`.
    identified_ : ndarray of bool, shape (n_drivers,)
        False where the history has too little spread to determine the coefficient.
    effective_rows_ : float
        Rows, discounted for the autocorrelation of the residuals.
    noise_ : ndarray of shape (2,)
        Lower and upper relative residual that hold `coverage` of the rows.

    Examples
    --------
    >>> X = np.array([[100.0], [200.0], [300.0], [400.0]])
    >>> law = NonNegativeQuantileLaw().fit(X, 50 + 2 * X[:, 0])
    >>> round(float(law.coef_[0]), 6), round(float(law.intercept_), 6)
    (2.0, 50.0)
    """

    coef_: Floats
    intercept_: float
    coef_range_: Floats
    identified_: npt.NDArray[np.bool_]
    effective_rows_: float
    noise_: Floats

    def __init__(
        self,
        quantile: float = 0.5,
        coverage: float = 0.9,
        priors: tuple[float, ...] | None = None,
        max_rows: int = 200,
    ) -> None:
        self.quantile = quantile
        self.coverage = coverage
        self.priors = priors
        self.max_rows = max_rows

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> Self:
        """Learn from drivers `X`, shape (n, k), non-negative, and response `y`, shape (n,).

        Rows are in order of time; `groups`, shape (n,), names the series (pod) of each row,
        within which residuals may be correlated. Raises ValueError for fewer than three rows, for
        negative or missing drivers, and for a response without a positive value.
        """
        drivers, response = _checked(X, y)
        keep = np.unique(np.linspace(0, len(response) - 1, self.max_rows).round().astype(int))
        self._level = float(np.median(response)) or float(response.max())
        largest = drivers.max(axis=0)
        self._scale = np.where(largest > 0, largest, 1.0)
        self._never_seen = largest <= 0
        design = np.c_[np.ones(len(drivers)), drivers / self._scale]
        scaled = response / self._level
        # Twice: the second time residuals count relative to the level that the first fit predicts.
        first = solve(design[keep], scaled[keep], np.ones(keep.size), self.quantile)
        weights = 1 / np.maximum(design @ first, 0.05)
        self._design, self._response, self._weights = design[keep], scaled[keep], weights[keep]
        found = solve(self._design, self._response, self._weights, self.quantile)
        series = np.zeros(len(scaled)) if groups is None else np.asarray(groups)
        self._summarise_noise(design, scaled, found, series)
        self._identify(found)
        self.n_features_in_ = drivers.shape[1]
        return self

    def predict(self, X: npt.ArrayLike) -> Floats:
        """Return the law's value at each row of `X`, shape (m, k), in the unit of `y`."""
        drivers = np.atleast_2d(np.asarray(X, dtype=np.float64))
        value: Floats = self.intercept_ + drivers @ self.coef_
        return value

    def predict_interval(self, X: npt.ArrayLike, known: tuple[int, ...] = ()) -> Floats:
        """Return low, mid and high of a new observation at each row of `X`: shape (m, 3).

        Coefficients of the drivers in `known` (numbers) are taken for certain. The ends are the lowest and highest value over all laws that the history cannot distinguish from
        the fitted one (profile of the quantile loss), widened by the noise that was seen: relative
        to the prediction or absolute, whichever is wider.
        """
        drivers = np.atleast_2d(np.asarray(X, dtype=np.float64))
        ends = np.array([self._range_of(np.r_[1.0, row / self._scale], known) for row in drivers])
        return self._interval(self.predict(drivers), ends[:, 0], ends[:, 1])

    def predict_end(self, X: npt.ArrayLike, end: End) -> Floats:
        """Return one column of `predict_interval`, shape (m,), for less work where that is enough.

        The fitted law is one of those that the history cannot distinguish, so that its value is
        within the range whatever the range is: the middle needs none of its ends, an end not the other.
        """
        drivers = np.atleast_2d(np.asarray(X, dtype=np.float64))
        column = ENDS.index(end)
        if not self._within or (drivers[:, self._never_seen] > 0).any():
            return self.predict_interval(drivers)[:, column]
        mid = self.predict(drivers)
        if end == "mid":
            return mid
        sign = 1.0 if end == "low" else -1.0
        found = np.array(
            [
                self._extreme(sign, np.r_[1.0, row / self._scale], self._budget(), {}) * self._level
                for row in drivers
            ]
        )
        return self._interval(mid, np.minimum(found, mid), np.maximum(found, mid))[:, column]

    def _interval(self, predicted: Floats, lowest: Floats, highest: Floats) -> Floats:
        mid = np.clip(predicted, lowest, highest)
        low = lowest + self.noise_[0] * np.maximum(mid, self._level)
        high = highest + self.noise_[1] * np.maximum(mid, self._level)
        found: Floats = np.c_[np.minimum(np.maximum(low, 0.0), mid), mid, np.maximum(high, mid)]
        return found

    def _summarise_noise(
        self, design: Floats, response: Floats, found: Floats, series: npt.NDArray[np.generic]
    ) -> None:
        predicted = np.maximum(design @ found, 0.05)
        relative = (response - predicted) / predicted
        rows = effective_rows(relative, series)
        self.effective_rows_ = max(3.0, min(rows, float(self._response.size)))
        tail = (1 - self.coverage) / 2
        # One row more at each end, as in split conformal prediction: few rows, wide interval.
        rank = min(1.0, (1 - tail) * (1 + 1 / self.effective_rows_))
        self.noise_ = np.array(
            [min(0.0, np.quantile(relative, 1 - rank)), max(0.0, np.quantile(relative, rank))]
        )

    def _budget(self) -> float:
        """Largest total loss of a law that the history cannot distinguish from the best one."""
        best = max(self._loss(self._best), _FLOOR * self.quantile * self._response.size)
        excess = _GAUSSIAN * 2 * gammaincinv(0.5, self.coverage) / (2 * self.effective_rows_)
        return float(best * np.exp(excess))

    def _loss(self, law: Floats) -> float:
        residuals = self._response - self._design @ law
        return float(np.sum(self._weights * _check(residuals, self.quantile)))

    def _identify(self, found: Floats) -> None:
        self._best = found
        budget = self._budget()
        count = self._design.shape[1] - 1
        scale = self._level / self._scale
        axes = np.eye(count + 1)[1:]
        ranges = np.array([self._extremes(axis, budget) for axis in axes]).reshape(count, 2)
        width = ranges[:, 1] - ranges[:, 0]
        self.identified_ = (width <= _LOOSE * np.maximum(ranges[:, 1], 1e-12)) | (
            # Undetermined: at most a twentieth of the level, whatever the coefficient.
            (ranges[:, 1] <= 0.05) & ~self._never_seen
        )
        self.identified_ &= ~self._never_seen
        self.coef_range_ = ranges * scale[:, None]
        fixed: dict[int, float] = {}
        for driver in np.flatnonzero(~self.identified_):
            low, high = self._extremes(axes[driver], budget, fixed)
            prior = (low + high) / 2
            if self.priors is not None:
                prior = self.priors[driver] / scale[driver]
            if self._never_seen[driver]:
                fixed[int(driver)] = prior if self.priors is not None else 0.0
            else:
                fixed[int(driver)] = float(np.clip(prior, low, high))
        chosen = solve(self._design, self._response, self._weights, self.quantile, fixed)
        self._within = self._loss(chosen) <= budget
        self.intercept_ = float(chosen[0] * self._level)
        self.coef_ = chosen[1:] * scale

    def _range_of(self, row: Floats, known: tuple[int, ...]) -> tuple[float, float]:
        unseen = self._never_seen & (row[1:] > 0)
        held = {d: float(self.coef_[d] * self._scale[d] / self._level) for d in known}
        low, high = self._extremes(
            np.r_[row[0], np.where(unseen, 0.0, row[1:])], self._budget(), held
        )
        unseen[list(known)] = False
        # A driver that was always zero says nothing: published figure, give or take all of it.
        extra = float(np.sum(np.where(unseen, row[1:] * self.coef_ * self._scale, 0.0)))
        return low * self._level, high * self._level + 2 * extra

    def _extremes(
        self, direction: Floats, budget: float, fixed: dict[int, float] | None = None
    ) -> tuple[float, float]:
        """Smallest and largest `direction @ b` over laws `b` within the loss budget."""
        ends = [self._extreme(sign, direction, budget, fixed or {}) for sign in (1.0, -1.0)]
        return min(ends), max(ends)

    def _extreme(
        self, sign: float, direction: Floats, budget: float, fixed: Mapping[int, float]
    ) -> float:
        """The smallest of them for a sign of 1, the largest for -1."""
        found = _programme(
            self._design,
            self._response,
            self._weights,
            self.quantile,
            objective=sign * direction,
            budget=budget,
            fixed=fixed,
        )
        return sign * found


def solve(
    design: Floats,
    response: Floats,
    weights: Floats,
    quantile: float,
    fixed: Mapping[int, float] | None = None,
) -> Floats:
    """Non-negative coefficients, shape (k,), that minimise the weighted quantile loss.

    Solved through the dual, which has one row a coefficient. Coefficients in `fixed` (driver
    number, the level not counted) are held.
    """
    held = fixed or {}
    columns = [c for c in range(design.shape[1]) if c - 1 not in held]
    answer = np.zeros(design.shape[1])
    for driver, value in held.items():
        answer[driver + 1] = value
    left = response - design @ answer
    bounds = np.c_[-(1 - quantile) * weights, quantile * weights]
    found = linprog(
        -left, A_ub=design[:, columns].T, b_ub=np.zeros(len(columns)), bounds=bounds, method="highs"
    )
    answer[columns] = np.maximum(-found.ineqlin.marginals, 0.0)
    return answer


def quick_fit(X: npt.ArrayLike, y: npt.ArrayLike, *, max_rows: int = 200) -> Floats:
    """Level and coefficients of the median law alone, shape (k + 1,): for cross-validation.

    Units are those of `y` and `X`; arguments and errors are those of `NonNegativeQuantileLaw.fit`.
    """
    drivers, response = _checked(X, y)
    keep = np.unique(np.linspace(0, len(response) - 1, max_rows).round().astype(int))
    largest = drivers.max(axis=0)
    scale = np.where(largest > 0, largest, 1.0)
    level = float(np.median(response)) or float(response.max())
    design = np.c_[np.ones(keep.size), drivers[keep] / scale]
    found = solve(design, response[keep] / level, np.ones(keep.size), 0.5)
    coefficients: Floats = found * level / np.r_[1.0, scale]
    return coefficients


def _programme(
    design: Floats,
    response: Floats,
    weights: Floats,
    quantile: float,
    *,
    objective: Floats,
    budget: float,
    fixed: Mapping[int, float],
) -> float:
    rows, count = design.shape
    identity = sparse.eye_array(rows)
    equations = sparse.hstack([sparse.csr_array(design), identity, -identity]).tocsc()
    loss = np.r_[np.zeros(count), weights * quantile, weights * (1 - quantile)]
    bounds = [(fixed.get(c - 1, 0.0), fixed.get(c - 1)) for c in range(count)]
    found = linprog(
        np.r_[objective, np.zeros(2 * rows)],
        A_ub=sparse.csr_array(loss[None, :]),
        b_ub=[budget],
        A_eq=equations,
        b_eq=response,
        bounds=bounds + [(0.0, None)] * (2 * rows),
        method="highs",
    )
    if found.status == 3:
        # Nothing in the history bounds it from this side.
        return -np.inf
    if found.status != 0:
        # Held coefficients just outside the budget by rounding: the range is the point.
        held = solve(design, response, weights, quantile, fixed)
        return float(objective @ held)
    return float(found.fun)


def _checked(X: npt.ArrayLike, y: npt.ArrayLike) -> tuple[Floats, Floats]:
    drivers = np.asarray(X, dtype=np.float64)
    response = np.asarray(y, dtype=np.float64)
    if drivers.ndim != 2 or len(drivers) != len(response):
        raise ValueError(f"drivers {drivers.shape} do not fit responses {response.shape}")
    if len(response) < 3:
        raise ValueError(f"{len(response)} rows, a law needs three")
    if not np.isfinite(drivers).all() or not np.isfinite(response).all() or (drivers < 0).any():
        raise ValueError("drivers and responses must be known, drivers not negative")
    if not (response > 0).any():
        raise ValueError("the response is never positive")
    return drivers, response


def _check(residuals: Floats, quantile: float) -> Floats:
    loss: Floats = np.where(residuals >= 0, quantile * residuals, (quantile - 1) * residuals)
    return loss


def effective_rows(residuals: Floats, series: npt.NDArray[np.generic]) -> float:
    """Rows that count, when each series' residuals follow a first-order autoregression.

    `n (1 - r) / (1 + r)` with the lag-one autocorrelation `r` within series (Bartlett, 1946).
    """
    order = np.argsort(series, kind="stable")
    centred = np.clip(residuals, *np.quantile(residuals, [0.02, 0.98]))[order]
    centred = centred - centred.mean()
    neighbours = series[order][1:] == series[order][:-1]
    power = float(centred @ centred)
    rho = float((centred[1:] * centred[:-1])[neighbours].sum()) / power if power > 0 else 0.0
    rho = float(np.clip(rho, 0.0, 0.98))
    return len(residuals) * (1 - rho) / (1 + rho)
