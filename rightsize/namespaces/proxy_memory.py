"""Memory of a proxy against the size of its configuration, fitted on this mesh."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from rightsize.errors import NoDataError
from rightsize.istiod.law import NonNegativeQuantileLaw, quick_fit
from rightsize.quantity import MEBIBYTE
from rightsize.results import Interval
from rightsize.snapshot.views import plain_text

Floats = npt.NDArray[np.float64]

BYTES_PER_CLUSTER = 0.117 * MEBIBYTE
"""Used where all proxies of a mesh have the same configuration: slope of the proxies' mean memory
over 100 to 1000 services, one cluster each, in Hitachi/istio-bench (Istio 1.6.2, idle proxies,
output_sample at 41ebc98, Apache-2.0). Old and measured elsewhere: said with every figure that rests
on it."""
STATIC_CLUSTERS = 8.0
"""Clusters every proxy has whatever it may call: xds-grpc, sds-grpc, agent, prometheus_stats,
zipkin or its like, BlackHoleCluster, PassthroughCluster, InboundPassthroughCluster
(istio/istio, tools/packaging/common/envoy_bootstrap.json and pilot/pkg/networking/core)."""
_LEAST_PROXIES = 10


@dataclass(frozen=True)
class ProxyMemoryLaw:
    """Median memory of a proxy, in bytes, by its active clusters."""

    estimator: NonNegativeQuantileLaw
    proxies: int
    smallest: float
    largest: float
    """Fewest and most active clusters seen."""
    error: float
    """Median absolute relative error over proxies left out of the fit (five folds)."""

    @property
    def measured(self) -> bool:
        """The slope comes from this mesh, not from a published benchmark."""
        return bool(self.estimator.identified_[0])

    @property
    def bytes_per_cluster(self) -> Interval:
        low, high = (float(value) for value in self.estimator.coef_range_[0])
        mid = float(self.estimator.coef_[0])
        return Interval(min(low, mid), mid, max(high, mid))

    def saved(self, before: float, after: float) -> Interval:
        """Bytes that one proxy gives back when its clusters go from `before` to `after`.

        The level of the proxy (threads, buffers, statistics) cancels out, so that only the slope's
        uncertainty counts.
        """
        return self.bytes_per_cluster.scaled(max(before - after, 0.0))

    @property
    def text(self) -> str:
        slope = self.bytes_per_cluster
        size = f"{slope.mid / 1024:.0f} KiB ({slope.low / 1024:.0f} to {slope.high / 1024:.0f})"
        if self.measured:
            return (
                f"{size} by active cluster, fitted on {self.proxies} proxies with "
                f"{self.smallest:.0f} to {self.largest:.0f} clusters, error {self.error:.0%}"
            )
        return (
            f"{size} by active cluster: all {self.proxies} proxies have much the same "
            "configuration, so that this mesh cannot show it; the middle is the slope of "
            "Hitachi/istio-bench (Istio 1.6.2), as far as this mesh allows it"
        )


def fit_proxy_memory(clusters: npt.ArrayLike, memory: npt.ArrayLike) -> ProxyMemoryLaw:
    """Fit memory against active clusters.

    Parameters
    ----------
    clusters : array-like of shape (n,)
        Active clusters of each proxy.
    memory : array-like of shape (n,)
        Its memory in bytes.

    Raises
    ------
    NoDataError
        With fewer than ten proxies.
    """
    X = np.asarray(clusters, dtype=np.float64)[:, None]
    y = np.asarray(memory, dtype=np.float64)
    if len(y) < _LEAST_PROXIES:
        raise NoDataError(
            f"{len(y)} proxies report their active clusters, {_LEAST_PROXIES} are needed",
            hint="scrape the proxies' port 15090 (envoy_cluster_manager_active_clusters)",
        )
    law = NonNegativeQuantileLaw(priors=(BYTES_PER_CLUSTER,)).fit(X, y, groups=np.arange(len(y)))
    return ProxyMemoryLaw(
        estimator=law,
        proxies=len(y),
        smallest=float(X.min()),
        largest=float(X.max()),
        error=_left_out_error(X, y),
    )


def scoped_clusters(now: float, hosts: int, services: float) -> float:
    """Clusters left when `hosts` of `services` stay, each with as many clusters as the mean."""
    by_service = max(now - STATIC_CLUSTERS, 0.0) / max(services, 1.0)
    return STATIC_CLUSTERS + by_service * min(float(hosts), services)


def proxies_of(proxies: pd.DataFrame, memory: pd.Series) -> pd.DataFrame:
    """Active clusters and memory of each sidecar: `namespace`, `pod`, `clusters`, `memory`.

    Parameters
    ----------
    proxies : DataFrame
        Table of the snapshot.
    memory : Series
        p95 of each sidecar in bytes, by namespace and pod.
    """
    key = ["namespace", "pod"]
    clusters = plain_text(proxies).groupby(key)["active_clusters"].max().rename("clusters")
    used = memory.rename_axis(key).sort_index().rename("memory")
    return pd.concat([clusters, used], axis=1, join="inner").dropna().reset_index()


def _left_out_error(X: Floats, y: Floats) -> float:
    folds = np.arange(len(y)) % 5
    errors = []
    for fold in range(5):
        kept = folds != fold
        found = quick_fit(X[kept], y[kept])
        errors.append(np.abs(found[0] + X[~kept] @ found[1:] - y[~kept]) / y[~kept])
    return float(np.median(np.concatenate(errors)))
