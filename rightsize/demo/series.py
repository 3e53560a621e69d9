"""One series of samples, and its OpenMetrics lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Series:
    """A metric's name, labels, times (epoch seconds, rising) and values, each of shape (n,)."""

    name: str
    labels: Mapping[str, str]
    times: np.ndarray
    values: np.ndarray

    def by_block(self, length: int) -> Iterator[tuple[int, Series]]:
        """Cut at multiples of `length` seconds since the epoch; a block starts with its border."""
        numbers = self.times // length
        for number in np.unique(numbers):
            part = numbers == number
            yield int(number), Series(self.name, self.labels, self.times[part], self.values[part])

    def lines(self) -> list[str]:
        """One line a sample; `repr` keeps every digit of a value."""
        labels = ",".join(f"{key}={json.dumps(value)}" for key, value in self.labels.items())
        head = f"{self.name}{{{labels}}}"
        pairs = zip(self.values.tolist(), self.times.tolist(), strict=True)
        return [f"{head} {value!r} {time}\n" for value, time in pairs]
