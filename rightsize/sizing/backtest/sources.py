"""Workloads to back-test, from a snapshot or from a frame of traces."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pandas as pd

from rightsize.results import Sizes
from rightsize.sizing.backtest.run import Workload
from rightsize.sizing.history import container_windows
from rightsize.sizing.policies import History
from rightsize.snapshot import Snapshot


def snapshot_workloads(
    snapshot: Snapshot,
    *,
    namespaces: Collection[str] | None = None,
    workloads: Collection[tuple[str, str]] | None = None,
) -> Iterator[Workload]:
    """Every mesh container of a snapshot's workloads, with what is in force.

    Parameters
    ----------
    snapshot : Snapshot
    namespaces : collection of str, optional
        Only these; all by default.
    workloads : collection of (str, str), optional
        Only these, by namespace and name.
    """
    for history in container_windows(snapshot, namespaces=namespaces, workloads=workloads):
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
