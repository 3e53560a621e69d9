"""A store that holds three clusters, as Thanos or Mimir would."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from rightsize.fleet.dask_run import dask_client
from tests.collectors.prometheus.mesh import HOUR, Pod, node
from tests.servers.prometheus import Series, filled_prometheus

CLUSTERS = ("east", "north", "west")
DAYS = 2
"""Whole days, and the part of today."""


@pytest.fixture(scope="session")
def fleet_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a Prometheus with the clusters of `CLUSTERS` up to now, two pods each."""
    now = time.time() // 60 * 60
    first = now // 86400 * 86400 - DAYS * 86400 - 2 * HOUR
    series: list[Series] = []
    for cluster in CLUSTERS:
        own = [
            Pod(f"{name}-6d4cf56db6-bcdfg", owner=("ReplicaSet", f"{name}-6d4cf56db6"),
                node=f"ip-10-0-0-1.{cluster}", uid=f"{cluster}-{name}", started=first, end=now,
                step=150)
            for name in ("web", "api")
        ]  # fmt: skip
        found = [s for pod in own for s in (*pod.described(), *pod.used())]
        found += [
            replace(s, samples=[(t, v) for t, v in _every_150(first, now, s.samples[0][1])])
            for s in node(f"ip-10-0-0-1.{cluster}", end=now)
        ]
        series += [replace(s, labels={**s.labels, "cluster": cluster}) for s in found]
    with filled_prometheus(tmp_path_factory.mktemp("fleet"), series) as address:
        yield address


def _every_150(first: float, last: float, value: float) -> list[tuple[float, float]]:
    return [(first + 150 * i, value) for i in range(int((last - first) // 150) + 1)]


@pytest.fixture(scope="session")
def client() -> Iterator[Any]:
    """A local Dask cluster of two processes."""
    with dask_client(workers=2) as found:
        yield found
