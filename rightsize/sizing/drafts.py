"""A draft of every container's row, sized by itself; of the largest meshes on all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import joblib
import pandas as pd

from rightsize.config import PolicySettings
from rightsize.results import Component, Recommendation, Sizes
from rightsize.sizing.autoscalers import held_by_autoscaler
from rightsize.sizing.container import size_container
from rightsize.sizing.history import ContainerHistory, HistoryBatch, history_batches
from rightsize.sizing.mesh_default import Sidecars
from rightsize.sizing.policies import SizingPolicy
from rightsize.sizing.policies.daily import DailyPolicy
from rightsize.snapshot import Snapshot
from rightsize.snapshot.summaries import write_missing

Progress = Callable[[str], None]
Sized = tuple[list[Recommendation], Sidecars]
_ALONE = 40
"""Batches up to which one process does: others take as much memory each, and have to be started."""


@dataclass(frozen=True)
class Drafting:
    """What every draft follows."""

    policy: SizingPolicy
    settings: PolicySettings
    scalers: pd.DataFrame
    """As `autoscalers` gives."""
    given: Mapping[Component, Sizes] | None
    """What the user's files set."""
    istiod_holds: Mapping[str, str]
    """Why an istiod must not be cut, by workload."""
    free_memory: Mapping[tuple[str, str, str], float]
    """What its nodes have free, by namespace, workload and kind."""

    @property
    def needs_windows(self) -> bool:
        """Few policies are fitted on windows: those of users, and the known recommenders."""
        return not isinstance(self.policy, DailyPolicy)

    def of(self, snapshot: Snapshot, batch: HistoryBatch) -> Sized:
        """Drafts of a batch, and the usage of its sidecars."""
        drafts, sidecars = [], Sidecars()
        found = batch.with_windows(snapshot) if self.needs_windows else batch.histories(snapshot)
        for history in found:
            hold = self._istiod_hold(history)
            draft = size_container(
                history,
                self.policy.fresh(),
                self.settings,
                held=hold or held_by_autoscaler(self.scalers, history, "cpu"),
                memory_held=hold or held_by_autoscaler(self.scalers, history, "memory"),
                free_memory=self.free_memory.get(
                    (history.namespace, history.workload, history.kind)
                ),
                given=None if self.given is None else self.given.get(history.component),
            )
            if draft.component == "sidecar":
                sidecars.add(history)
            drafts.append(draft)
        return drafts, sidecars

    def _istiod_hold(self, history: ContainerHistory) -> str | None:
        return self.istiod_holds.get(history.workload) if history.component == "istiod" else None


def drafts_of(
    snapshot: Snapshot,
    drafting: Drafting,
    *,
    days: list[date] | None = None,
    progress: Progress | None = None,
) -> Sized:
    """Size every mesh container by itself, in order of the key.

    Parameters
    ----------
    days : list of date, optional
        Only these days of the snapshot.
    progress : callable, optional
        Called with the name of each workload done.
    """
    write_missing(snapshot, snapshot.days if days is None else days)
    drafts: list[Recommendation] = []
    sidecars = Sidecars()
    batches = history_batches(snapshot, days=days, windows=drafting.needs_windows)
    for found, counted in _batched(snapshot, drafting, batches):
        drafts += found
        sidecars.counted.update(counted.counted)
        if progress is not None:
            for draft in found:
                progress(draft.key)
    return drafts, sidecars


def _batched(
    snapshot: Snapshot, drafting: Drafting, batches: Sequence[HistoryBatch]
) -> Iterator[Sized]:
    cores = 1 if len(batches) <= _ALONE else min(joblib.cpu_count(), len(batches))
    if cores == 1:
        yield from (drafting.of(snapshot, batch) for batch in batches)
        return
    # In order, and no more batches at once than processes: memory stays flat in pods.
    run: Callable[[Iterator[object]], Iterator[Sized]] = joblib.Parallel(
        n_jobs=cores, return_as="generator", pre_dispatch=cores
    )
    yield from run(joblib.delayed(drafting.of)(snapshot, batch) for batch in batches)
