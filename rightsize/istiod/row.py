"""istiod's row from its own model, so that `recommend` and `control-plane` say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from rightsize.config import PolicySettings
from rightsize.errors import NoDataError
from rightsize.istiod.sizing import IstiodAdvice
from rightsize.istiod.source import istiod_revisions, read_istiod, size_istiod
from rightsize.results import Autoscaling, Recommendation
from rightsize.snapshot import Snapshot

_IN_ONE_LINE = 2
"""Memory and CPU; what else the model says goes into the notes."""


def with_istiod_model(
    drafts: Sequence[Recommendation],
    snapshot: Snapshot,
    settings: PolicySettings,
    days: list[date] | None = None,
) -> list[Recommendation]:
    """Replace the row of each istiod by what its model says.

    Without istiod's metrics, rows stay as their usage sized them.
    """
    part = snapshot if days is None else snapshot.only(days)
    return [_with_model(row, part, settings) for row in drafts]


def _with_model(row: Recommendation, part: Snapshot, settings: PolicySettings) -> Recommendation:
    if row.component != "istiod" or row.evidence is None:
        return row
    if row.workload not in istiod_revisions(part):
        return row
    try:
        advice = size_istiod(read_istiod(part, row.workload), part.manifest, settings)
    except NoDataError:
        return row
    return row if advice.model is None else _modelled(row, advice)


def _modelled(row: Recommendation, advice: IstiodAdvice) -> Recommendation:
    """The row's own evidence with the model's sizes; a raise that kills ask for is kept."""
    if "event" in (row.cpu.rule, row.memory.rule):
        return row
    return replace(
        row,
        cpu=replace(advice.cpu, usage=row.cpu.usage),
        memory=replace(advice.memory, usage=row.memory.usage),
        reason="; ".join(advice.reasons[:_IN_ONE_LINE]),
        notes=(*row.notes, *advice.reasons[_IN_ONE_LINE:], *advice.warnings),
        rejected=advice.rejected,
        needs=advice.recommended,
        autoscaling=Autoscaling(
            advice.autoscale_min, advice.autoscale_max, advice.target_utilization
        ),
    )
