"""How history is cut: fit on the past, score on what came next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rightsize.errors import UsageError
from rightsize.sizing.policies.arrays import DAY_SECONDS, WINDOW_SECONDS, History

_LEAST_TRAIN = 50
_LEAST_TEST = 20


@dataclass(frozen=True, slots=True)
class Walk:
    """Fit on `train_days`, score on the next `test_days`, move on by `test_days`.

    Raises
    ------
    UsageError
        If a length is not positive.
    """

    train_days: float = 14.0
    test_days: float = 7.0

    def __post_init__(self) -> None:
        if not (self.train_days > 0 and self.test_days > 0):
            raise UsageError(
                f"days to train and to test must be positive, not {self.train_days:g} and "
                f"{self.test_days:g}"
            )

    def folds(self, history: History) -> Iterator[tuple[History, History]]:
        """Pairs of past and future; a fold with too few windows in either is left out."""
        if not history.time.size:
            return
        begin, last = int(history.time[0]) - WINDOW_SECONDS, int(history.time[-1])
        train, test = (int(d * DAY_SECONDS) for d in (self.train_days, self.test_days))
        # Two windows may be missing at the end: a series of whole days counts them all.
        while begin + train + test <= last + 2 * WINDOW_SECONDS:
            past = history.between(begin, begin + train)
            future = history.between(begin + train, begin + train + test)
            if past.time.size >= _LEAST_TRAIN and future.time.size >= _LEAST_TEST:
                yield past, future
            begin += test

    def __str__(self) -> str:
        return f"{self.train_days:g} days, then {self.test_days:g}"


@dataclass(frozen=True, slots=True)
class HalfSplit:
    """Fit on the first half of the windows, score on the second."""

    def folds(self, history: History) -> Iterator[tuple[History, History]]:
        middle = history.time.size // 2
        if middle < _LEAST_TEST:
            return
        cut, last = int(history.time[middle - 1]), int(history.time[-1])
        yield history.between(int(history.time[0]) - 1, cut), history.between(cut, last)

    def __str__(self) -> str:
        return "first half, then second"


Split = Walk | HalfSplit
