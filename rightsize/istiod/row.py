"""istiod's row from its own model, so that `recommend` and `control-plane` say the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from rightsize.config import PolicySettings
from rightsize.errors import NoDataError
from rightsize.istiod.sizing import IstiodAdvice
from rightsize.istiod.source import read_istiod, size_istiod
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
    """Replace the row of the mesh's one istiod by what its model says.

    With several revisions, or without istiod's metrics, rows stay as their usage sized them.
    """
    rows = [row for row in drafts if row.component == "istiod" and row.evidence is not None]
    if len(rows) != 1:
        return list(drafts)
    part = snapshot if days is None else snapshot.only(days)
    try:
        advice = size_istiod(read_istiod(part), part.manifest, settings)
    except NoDataError:
        return list(drafts)
    if advice.model is None:
        return list(drafts)
    return [_modelled(row, advice) if row is rows[0] else row for row in drafts]


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
