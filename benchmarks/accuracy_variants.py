"""Ingredients taken out of the calibrated policy, and ingredients that were tried on top of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rightsize.results import Resource
from rightsize.sizing.policies import CalibratedPolicy, History, Sizing
from rightsize.sizing.policies.arrays import DAY_SECONDS, Ints
from rightsize.sizing.policies.base import Floats
from rightsize.sizing.policies.calibrated import Priced, priced_level
from rightsize.sizing.policies.daily import Daily, Measured
from rightsize.snapshot.histogram import Tally


def _level(values: Floats, weights: Floats, price: float, risk: float) -> Priced:
    each = Tally.of("memory", np.arange(values.size), values.size, values)
    return priced_level(each.pooled(weights), price, risk)


class WindowVariant(CalibratedPolicy):
    """A variant that prices single windows, where the policy prices the days' histograms."""

    def size(self, history: History) -> Sizing:
        self._windows = history
        return super().size(history)

    def _priced(self, daily: Daily, measured: Measured, price: float, risk: float) -> Priced:
        resource: Resource = "cpu" if measured is daily.cpu else "memory"
        times, _, values = self._windows.known(resource)
        return self._of_windows(times, values, price, risk)

    def _of_windows(self, times: Ints, values: Floats, price: float, risk: float) -> Priced:
        return self._plain(times, values, price, risk)

    def _plain(self, times: Ints, values: Floats, price: float, risk: float) -> Priced:
        weights = np.exp2((times - times[-1]) / (self.half_life_days * DAY_SECONDS))
        return _level(values, weights, price, risk)


class ConformalMargin(WindowVariant):
    """Scale the level by what its own past errors, fold by fold, would have asked for."""

    def _of_windows(self, times: Ints, values: Floats, price: float, risk: float) -> Priced:
        chosen = self._plain(times, values, price, risk)
        span = times[-1] - times[0]
        ratios = []
        for begin, end in ((0.4, 0.6), (0.6, 0.8), (0.8, 1.0)):
            i, j = np.searchsorted(times, [times[0] + begin * span, times[0] + end * span], "right")
            if i >= 50 and j - i >= 20:
                past = self._plain(times[:i], values[:i], price, risk).level
                if past > 0:
                    ratios.append(values[i:j] / past)
        if not ratios:
            return chosen
        errors = np.concatenate(ratios)
        scale = _level(errors, np.ones(errors.size), price, risk).level
        return Priced(chosen.level * scale, chosen.above)


class ChangePoints(WindowVariant):
    """Windows before the strongest level shift of the half-day means weigh a tenth."""

    def _of_windows(self, times: Ints, values: Floats, price: float, risk: float) -> Priced:
        block = (times[-1] - times) // (DAY_SECONDS // 2)
        edges = np.flatnonzero(np.diff(block)) + 1
        levels = np.log([part.mean() + 1e-4 for part in np.split(values, edges)])
        weights = np.exp2((times - times[-1]) / (self.half_life_days * DAY_SECONDS))
        best, at, n = 0.0, 0, levels.size
        for k in range(2, n - 1):
            old, new = levels[:k], levels[k:]
            spread = np.sqrt((old.var() * k + new.var() * (n - k)) / (n - 2) + 1e-3)
            found = abs(new.mean() - old.mean()) / (spread * np.sqrt(1 / k + 1 / (n - k)))
            if found > best and abs(new.mean() - old.mean()) > 0.4:
                best, at = found, k
        if best > 6:
            weights[: edges[at - 1]] *= 0.1
        return _level(values, weights, price, risk)


class DriftBlur(WindowVariant):
    """Every window counts three times: as it was, and a tenth lower and higher."""

    def _of_windows(self, times: Ints, values: Floats, price: float, risk: float) -> Priced:
        weights = np.exp2((times - times[-1]) / (self.half_life_days * DAY_SECONDS))
        blurred = np.concatenate([values * factor for factor in (0.9, 1.0, 1.1)])
        return _level(blurred, np.tile(weights, 3), price, risk)


class Trend(WindowVariant):
    """Move the history to the level that a line through the daily means expects in half a week."""

    def _of_windows(self, times: Ints, values: Floats, price: float, risk: float) -> Priced:
        days = (times - times[-1]) / DAY_SECONDS
        if days[0] > -6:
            return self._plain(times, values, price, risk)
        slope, level = np.polyfit(days, values, 1)
        expected = np.maximum(level + slope * days, 1e-3 * values.mean() + 1e-12)
        ahead = max(level + slope * 3.5, 1e-3 * values.mean() + 1e-12)
        moved = values * np.clip(ahead / expected, 0.5, 2.0)
        return self._plain(times, moved, price, risk)


class DailyCycle(WindowVariant):
    """The highest level that any of four parts of the day asks for: no part is left short."""

    def _of_windows(self, times: Ints, values: Floats, price: float, risk: float) -> Priced:
        part = (times % DAY_SECONDS) // (DAY_SECONDS // 4)
        each = [
            self._plain(times[part == k], values[part == k], price, risk) for k in np.unique(part)
        ]
        return max(each, key=lambda priced: priced.level)


VARIANTS: Mapping[str, tuple[type[CalibratedPolicy], Mapping[str, float]]] = {
    "as shipped": (CalibratedPolicy, {}),
    "without recency": (CalibratedPolicy, {"half_life_days": 1e6}),
    "half-life 7 days": (CalibratedPolicy, {"half_life_days": 7.0}),
    "half-life 3 days": (CalibratedPolicy, {"half_life_days": 3.0}),
    "half-life 30 days": (CalibratedPolicy, {"half_life_days": 30.0}),
    "with change-points": (ChangePoints, {}),
    "with split-conformal margin": (ConformalMargin, {}),
    "with drift blur": (DriftBlur, {}),
    "with trend": (Trend, {}),
    "with parts of the day": (DailyCycle, {}),
}
"""Name to class and the parameters that differ from the profile `balanced`."""
