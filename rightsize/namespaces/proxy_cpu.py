"""CPU of a sidecar against the requests that pass it, fitted on this mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rightsize.errors import NoDataError
from rightsize.istiod.law import NonNegativeQuantileLaw
from rightsize.results import Interval

_LEAST_ROWS = 24


@dataclass(frozen=True)
class ProxyCpuLaw:
    """Median CPU of the sidecars of a workload, in cores, by pods and requests."""

    estimator: NonNegativeQuantileLaw
    workloads: int
    hours: int

    @property
    def idle(self) -> Interval:
        """Cores of one sidecar without requests."""
        return self._coefficient(0)

    @property
    def per_request(self) -> Interval:
        """Cores for one request a second."""
        return self._coefficient(1)

    @property
    def measured(self) -> bool:
        """Whether this mesh determines the price of a request, which is never nothing."""
        return bool(self.estimator.identified_[1]) and self.per_request.mid > 0

    def _coefficient(self, driver: int) -> Interval:
        low, high = (float(value) for value in self.estimator.coef_range_[driver])
        mid = float(self.estimator.coef_[driver])
        return Interval(min(low, mid), mid, max(high, mid))

    @property
    def text(self) -> str:
        price = self.per_request.scaled(1e6)
        return (
            f"{price.mid:,.0f} millicores for 1,000 requests/s ({price.low:,.0f} to "
            f"{price.high:,.0f}), fitted on {self.workloads} workloads over {self.hours} hours"
        )


def fit_proxy_cpu(
    pods: npt.ArrayLike, requests: npt.ArrayLike, cpu: npt.ArrayLike, workload: npt.ArrayLike
) -> ProxyCpuLaw:
    """Fit CPU against pods and requests.

    Parameters
    ----------
    pods, requests, cpu : array-like of shape (n,)
        Sidecars of a workload in an hour, requests a second through all of them, their cores.
    workload : array-like of shape (n,)
        Which workload each row is of.

    Raises
    ------
    NoDataError
        With fewer than 24 hours of any workload.
    """
    series = np.asarray(workload)
    X = np.column_stack([np.asarray(pods, dtype=np.float64), np.asarray(requests, np.float64)])
    y = np.asarray(cpu, dtype=np.float64)
    if len(y) < _LEAST_ROWS or y.max() <= 0:
        raise NoDataError(
            f"{len(y)} hours with CPU and requests of a workload, {_LEAST_ROWS} are needed",
            hint="scrape the proxies' port 15020, or collect more days",
        )
    codes = np.unique(series, return_inverse=True)[1]
    law = NonNegativeQuantileLaw(priors=(0.0, 0.0), max_rows=400).fit(X, y, groups=codes)
    return ProxyCpuLaw(law, int(codes.max()) + 1, len(y))
