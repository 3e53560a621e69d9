"""Memory of a sidecar by clusters, threads, connections and samples, fitted on this mesh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from rightsize.errors import NoDataError
from rightsize.istiod.law import NonNegativeQuantileLaw
from rightsize.namespaces.proxy_memory import BYTES_PER_CLUSTER
from rightsize.results import Interval

Driver = Literal["clusters", "threads", "connections", "samples"]
DRIVERS: tuple[Driver, ...] = get_args(Driver)
COLUMNS: dict[Driver, str] = {
    "clusters": "active_clusters",
    "threads": "concurrency",
    "connections": "connections",
    "samples": "samples",
}
"""Columns of the snapshot's table `proxies`."""
_LEAST_PROXIES = 20


@dataclass(frozen=True)
class MemoryLaw:
    """Median memory of a proxy, in bytes, by its drivers."""

    estimator: NonNegativeQuantileLaw
    drivers: tuple[Driver, ...]
    proxies: int

    def price(self, driver: Driver) -> Interval | None:
        """Bytes for one more of a driver; None where this mesh does not determine it."""
        if driver not in self.drivers:
            return None
        place = self.drivers.index(driver)
        if not bool(self.estimator.identified_[place]):
            return None
        low, high = (float(value) for value in self.estimator.coef_range_[place])
        mid = float(self.estimator.coef_[place])
        return Interval(min(low, mid), mid, max(high, mid))


def fit_memory(proxies: pd.DataFrame) -> MemoryLaw:
    """Fit memory against every driver that proxies report and in which they differ.

    Parameters
    ----------
    proxies : DataFrame
        `memory` (bytes) and any of `clusters`, `threads`, `connections`, `samples`, one row a proxy.

    Raises
    ------
    NoDataError
        With fewer than twenty proxies, or where they differ in nothing.
    """
    there = [name for name in DRIVERS if name in proxies and proxies[name].notna().mean() > 0.5]
    known = proxies[["memory", *there]].dropna()
    used = tuple(name for name in there if known[name].nunique() > 1)
    if len(known) < _LEAST_PROXIES or not used:
        raise NoDataError(
            f"{len(known)} proxies report what they hold, and they differ in {len(used)} drivers: "
            f"{_LEAST_PROXIES} proxies that differ are needed",
            hint="scrape the proxies' port 15090 (envoy_server_*, envoy_cluster_manager_*)",
        )
    X = known[list(used)].to_numpy(dtype=float)
    priors = tuple(BYTES_PER_CLUSTER if name == "clusters" else 0.0 for name in used)
    law = NonNegativeQuantileLaw(priors=priors, max_rows=400)
    fitted = law.fit(X, known["memory"].to_numpy(dtype=float), groups=np.arange(len(known)))
    return MemoryLaw(fitted, used, len(known))
