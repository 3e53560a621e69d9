"""The usage of one container as arrays, and policies that size it without frames.

A back-test fits every policy on every window of thousands of workloads; frames would cost more
than the arithmetic. `ArrayPolicy` keeps the estimator's face and works on `History`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from rightsize.results import Resource, Sizes
from rightsize.sizing.policies.base import Floats, SizingPolicy

Ints = npt.NDArray[np.int64]

WINDOW_SECONDS = 300
DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class History:
    """Windows of all pods of one container, ordered by time.

    Attributes
    ----------
    time : int64 array of shape (n,)
        End of the window, in seconds since the epoch (UTC).
    pod : int64 array of shape (n,)
        Code of the pod.
    cpu : float64 array of shape (n,)
        Cores; NaN where unknown.
    memory : float64 array of shape (n,)
        Bytes; NaN where unknown.
    seconds : float64 array of shape (n,), optional
        Time that the CPU of each window covers, its weight; five minutes where it is NaN.
    """

    time: Ints
    pod: Ints
    cpu: Floats
    memory: Floats
    seconds: Floats | None = None

    @classmethod
    def of(cls, usage: pd.DataFrame) -> History:
        """Read a usage frame; without a time column, rows count as successive windows."""
        n = len(usage)
        if "time" in usage:
            stamps = pd.DatetimeIndex(usage["time"]).as_unit("s")
            time = stamps.asi8.astype(np.int64)
        else:
            time = np.arange(n, dtype=np.int64) * WINDOW_SECONDS
        pod = pd.factorize(usage["pod"])[0].astype(np.int64) if "pod" in usage else _zeros(n)
        order = np.argsort(time, kind="stable")
        cpu, memory, seconds = (
            _column(usage, name)[order] for name in ("cpu", "memory", "seconds")
        )
        return cls(time[order], pod[order], cpu, memory, seconds)

    def between(self, start: int, end: int) -> History:
        """Windows that end in (start, end], in epoch seconds."""
        i, j = np.searchsorted(self.time, [start, end], side="right")
        seconds = None if self.seconds is None else self.seconds[i:j]
        return History(self.time[i:j], self.pod[i:j], self.cpu[i:j], self.memory[i:j], seconds)

    def known(self, resource: Resource) -> tuple[Ints, Ints, Floats]:
        """Time, pod and value of the windows in which the resource is known."""
        values = self.cpu if resource == "cpu" else self.memory
        seen = np.isfinite(values)
        if seen.all():
            return self.time, self.pod, values
        return self.time[seen], self.pod[seen], values[seen]


@dataclass(frozen=True, slots=True)
class Sizing:
    """What a policy answers: sizes, the rule behind each, and what it would not predict."""

    sizes: Sizes
    rules: Mapping[Resource, str]
    abstained: Mapping[Resource, str] = field(default_factory=lambda: MappingProxyType({}))


class ArrayPolicy(SizingPolicy):
    """A policy that sizes from arrays; `fit` is the same on a frame."""

    @abstractmethod
    def size(self, history: History) -> Sizing:
        """Return sizes in cores and bytes; None for a resource that was never seen."""

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        return self._fitted(self.size(History.of(X)))

    def _fitted(self, sizing: Sizing) -> Self:
        self.sizes_ = sizing.sizes
        self.rules_ = dict(sizing.rules)
        self.abstained_ = dict(sizing.abstained)
        return self


def _column(usage: pd.DataFrame, name: str) -> Floats:
    if name not in usage:
        return np.full(len(usage), np.nan)
    values: Floats = usage[name].to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _zeros(n: int) -> Ints:
    return np.zeros(n, dtype=np.int64)
