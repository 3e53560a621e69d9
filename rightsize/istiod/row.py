"""istiod's row from its own model, so that `recommend` and `control-plane` say the same."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from rightsize.config import PolicySettings
from rightsize.errors import NoDataError
from rightsize.istiod.sizing import IstiodAdvice
from rightsize.istiod.source import istiod_revisions, size_istiod
from rightsize.quantity import round_up_cpu, round_up_memory
from rightsize.results import Autoscaling, Recommendation, ResourceAdvice, Rule
from rightsize.snapshot import Snapshot

_IN_ONE_LINE = 2
"""Memory and CPU; what else the model says goes into the notes."""


def istiod_advices(
    snapshot: Snapshot, settings: PolicySettings, days: list[date] | None = None
) -> dict[str, IstiodAdvice]:
    """What its model says of each istiod of the snapshot, by workload; absent without metrics."""
    part = snapshot if days is None else snapshot.only(days)
    found = {}
    for workload in istiod_revisions(part):
        with contextlib.suppress(NoDataError):
            found[workload] = size_istiod(part, settings, workload)
    return found


def propagation_holds(advices: Mapping[str, IstiodAdvice]) -> dict[str, str]:
    """Why a cut could slow down propagation, by workload: it holds whoever sizes istiod."""
    return {
        workload: advice.propagation.hold
        for workload, advice in advices.items()
        if advice.propagation.hold is not None
    }


def with_istiod_model(
    drafts: Sequence[Recommendation],
    advices: Mapping[str, IstiodAdvice],
    settings: PolicySettings,
) -> list[Recommendation]:
    """Replace the row of each istiod by what its model says.

    Without istiod's metrics, or where a raise answers an event, rows stay as their usage sized them.
    """
    return [_with_model(row, advices, settings) for row in drafts]


def _with_model(
    row: Recommendation, advices: Mapping[str, IstiodAdvice], settings: PolicySettings
) -> Recommendation:
    advice = advices.get(row.workload or "")
    if row.component != "istiod" or row.evidence is None or advice is None:
        return row
    if advice.model is None or Rule.EVENT in (row.cpu.rule, row.memory.rule):
        return row
    return _modelled(row, advice, settings)


def _modelled(
    row: Recommendation, advice: IstiodAdvice, settings: PolicySettings
) -> Recommendation:
    """The row's own evidence with the model's sizes."""
    cpu = _from_today(advice.cpu, row.cpu, settings, round_up_cpu)
    memory = _from_today(advice.memory, row.memory, settings, round_up_memory)
    return replace(
        row,
        cpu=cpu,
        memory=memory,
        reason="; ".join(advice.reasons[:_IN_ONE_LINE]),
        notes=(*row.notes, *advice.reasons[_IN_ONE_LINE:], *advice.warnings),
        rejected=advice.rejected,
        needs=advice.recommended,
        autoscaling=None
        if row.unknown
        else Autoscaling(advice.autoscale_min, advice.autoscale_max, advice.target_utilization),
    )


def _from_today(
    modelled: ResourceAdvice,
    today: ResourceAdvice,
    settings: PolicySettings,
    rounded: Callable[[float], float],
) -> ResourceAdvice:
    """The model's size as a step from what is in force; nothing where that is unknown."""
    size = replace(modelled, usage=today.usage, unknown=today.unknown)
    if "request" in today.unknown:
        return replace(size, recommended_request=None, recommended_limit=None, rule=Rule.UNKNOWN)
    now, wanted = today.request, modelled.recommended_request
    if modelled.request is not None or now is None or wanted is None or wanted >= now:
        return size
    # No metric reports it, the given file does: the model did not see what it cuts.
    least = rounded(now * (1 - settings.max_cut))
    limit = today.limit if modelled.limit is None else modelled.recommended_limit
    return replace(
        size,
        request=now,
        limit=today.limit,
        recommended_request=max(wanted, least),
        recommended_limit=limit,
        rule=Rule.STEP if wanted < least else size.rule,
    )
