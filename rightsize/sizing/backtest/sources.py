"""Workloads to back-test, from a snapshot or from a frame of traces."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from rightsize.results import Sizes
from rightsize.sizing.backtest.run import Workload
from rightsize.sizing.history import container_histories
from rightsize.sizing.policies import History
from rightsize.snapshot import Snapshot


def snapshot_workloads(
    snapshot: Snapshot, *, namespaces: list[str] | None = None
) -> Iterator[Workload]:
    """Every mesh container of every workload of a snapshot, with what is in force."""
    for history in container_histories(snapshot, namespaces=namespaces):
        known = None if history.in_force == Sizes() else history.in_force
        yield Workload(
            history.namespace,
            history.workload,
            history.container,
            History.of(history.usage),
            known,
        )


def trace_workloads(traces: pd.DataFrame) -> Iterator[Workload]:
    """Every series of a trace (`series_id`, `time`, `cpu`, `memory`) as a workload of one pod."""
    for series, part in traces.groupby("series_id", sort=False, observed=True):
        yield Workload("", str(series), "", History.of(part))
