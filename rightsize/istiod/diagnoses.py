"""Where istiod's history does not follow the fitted law, and what it follows instead.

Each diagnosis asks: does one more non-negative term explain the history better, by more than
chance? The terms stand for what the law leaves out: age (a leak), the past of the drivers (a lag:
memory given back late), and a bend (saturation, acceleration).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import gammaincinv

from rightsize.istiod.law import Floats, effective_rows, solve

Kind = Literal["leak", "lag", "saturation", "acceleration"]

_MEANING: dict[Kind, str] = {
    "leak": "it grows with the age of the pod, whatever the load: a leak, or a cache that fills; "
    "sizes hold only for the ages seen",
    "lag": "it follows the load of the hours before: memory is given back late, so that a "
    "short cut in load shows no saving",
    "saturation": "it grows less at high load than at low: a cap (CPU limit, push throttle) or "
    "a law that bends; what is beyond the cap was not measured",
    "acceleration": "it grows faster at high load than at low: a straight line to a larger mesh "
    "promises too little",
}
_GAIN = 0.03
"""Smallest share of the loss that a term must explain."""
_SURE = 0.999
_MAX_ROWS = 400


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A way in which the history departs from the law."""

    kind: Kind
    gain: float
    """Share of the absolute error that the missing term explains."""

    @property
    def text(self) -> str:
        return f"{self.kind}: {_MEANING[self.kind]} ({self.gain:.0%} of the error)"


def diagnose(hours: pd.DataFrame, drivers: Sequence[str], target: str) -> tuple[Diagnosis, ...]:
    """Return what the law leaves out, the strongest first; empty where it fits.

    Parameters
    ----------
    hours : DataFrame
        As `istiod_hours` gives, without unknown values in `drivers`, `target` and `age_hours`.
    drivers : sequence of str
        Columns the law is fitted on.
    target : str
        `cpu` or `memory`.
    """
    if len(hours) < 24:
        return ()
    keep = np.unique(np.linspace(0, len(hours) - 1, _MAX_ROWS).round().astype(int))
    level = hours[target].median()
    response = (hours[target] / level).to_numpy(dtype=float)[keep]
    X = hours[list(drivers)].to_numpy(dtype=float)
    X = X / np.maximum(X.max(axis=0), 1e-12)
    series = hours["pod"].to_numpy()[keep]
    design = np.c_[np.ones(len(X)), X][keep]
    weights = 1 / np.maximum(response, 0.05)
    found = []
    for kind, terms in _terms(hours, X).items():
        gain = _gain(design, terms[keep], response, weights, series)
        if gain is not None:
            found.append(Diagnosis(kind, gain))
    return tuple(sorted(found, key=lambda d: -d.gain))


def _terms(hours: pd.DataFrame, X: Floats) -> dict[Kind, Floats]:
    scaled = pd.DataFrame(X, index=hours.index)
    middle = np.median(X, axis=0)
    past = [
        scaled.groupby(hours["pod"].to_numpy())
        .transform(lambda c, n=n, how=how: getattr(c.rolling(n, min_periods=1), how)())
        .to_numpy()
        for n, how in ((6, "mean"), (24, "mean"), (24, "max"))
    ]
    age = hours["age_hours"].to_numpy(dtype=float)
    return {
        "leak": (age / max(float(age.max()), 1.0))[:, None],
        "lag": np.concatenate(past, axis=1),
        "saturation": np.minimum(X, middle),
        "acceleration": np.maximum(X - middle, 0.0),
    }


def _gain(
    design: Floats,
    terms: Floats,
    response: Floats,
    weights: Floats,
    series: npt.NDArray[np.generic],
) -> float | None:
    """Share of the loss that `terms` explain, or None when chance could."""
    plain = _loss(design, response, weights)[0]
    better, residuals = _loss(np.c_[design, terms], response, weights)
    gain = 1 - better / plain if plain > 0 else 0.0
    if gain < _GAIN:
        return None
    # Twice the log ratio of Laplace likelihoods, brought to Gaussian noise by pi / 2.
    ratio = 2 * effective_rows(residuals, series) * np.log(plain / max(better, 1e-12))
    return gain if ratio / (np.pi / 2) > 2 * gammaincinv(terms.shape[1] / 2, _SURE) else None


def _loss(design: Floats, response: Floats, weights: Floats) -> tuple[float, Floats]:
    residuals = weights * (response - design @ solve(design, response, weights, 0.5))
    return float(np.abs(residuals).mean()), residuals
