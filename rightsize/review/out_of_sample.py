"""The policies on history they had not seen, for the month's review: a sample where it is large."""

from __future__ import annotations

from rightsize.errors import NoDataError
from rightsize.sizing.backtest import (
    Backtest,
    Walk,
    backtest_workloads,
    snapshot_workloads,
)
from rightsize.sizing.profiles import compared, policy_named
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import containers_by_day

MOST_WORKLOADS = 30
"""A back-test takes about 0.1 s a workload; a report is to be made in under a minute."""
_KEY = ["namespace", "workload"]


def review_backtest(snapshot: Snapshot, most: int = MOST_WORKLOADS) -> Backtest | None:
    """Back-test the profiles and the known recommenders, 14 days then 7.

    Parameters
    ----------
    snapshot : Snapshot
        All days up to the month's end.
    most : int
        Workloads of a larger mesh are sampled evenly, in the order of their names, so that the
        same snapshot gives the same sample.

    Returns
    -------
    Backtest or None
        None where no workload has history enough for one fold (21 days).
    """
    workloads = snapshot_workloads(snapshot, workloads=_sample(snapshot, most))
    policies = {name: policy_named(name) for name in compared()}
    try:
        return backtest_workloads(workloads, policies, split=Walk())
    except NoDataError:
        return None


def mesh_workloads(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Namespace and name of every workload with a mesh container, in order."""
    rows = containers_by_day(snapshot, mesh_only=True)[_KEY].astype(str).drop_duplicates()
    return sorted(rows.itertuples(index=False, name=None))


def _sample(snapshot: Snapshot, most: int) -> set[tuple[str, str]]:
    every = mesh_workloads(snapshot)
    if len(every) <= most:
        return set(every)
    return {every[i * len(every) // most] for i in range(most)}
