"""istiod's row from its own model, so that `recommend` and `control-plane` say the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date

from rightsize.config import PolicySettings
from rightsize.errors import NoDataError
from rightsize.istiod.sizing import IstiodAdvice
from rightsize.istiod.source import istiod_revisions, read_istiod, size_istiod
from rightsize.quantity import round_up_cpu, round_up_memory
from rightsize.results import Autoscaling, Recommendation, ResourceAdvice, Rule
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
    if advice.model is None or Rule.EVENT in (row.cpu.rule, row.memory.rule):
        # A raise that kills ask for is kept; a cut must not slow down propagation, whoever sized it.
        return row if advice.propagation.hold is None else _not_cut(row, advice.propagation.hold)
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


def _not_cut(row: Recommendation, hold: str) -> Recommendation:
    """The row without any cut; what is not set stays so."""
    cpu, memory = _kept_at_least(row.cpu), _kept_at_least(row.memory)
    if (cpu, memory) == (row.cpu, row.memory):
        return row
    return replace(row, cpu=cpu, memory=memory, reason=f"{row.reason}; nothing is cut: {hold}")


def _kept_at_least(size: ResourceAdvice) -> ResourceAdvice:
    request = _larger(size.request, size.recommended_request)
    return replace(
        size,
        recommended_request=request,
        recommended_limit=_larger(size.limit, size.recommended_limit),
        target_request=_larger(request, size.target_request),
        rule=size.rule if request == size.recommended_request else Rule.HOLD,
    )


def _larger(now: float | None, then: float | None) -> float | None:
    return then if now is None or then is None else max(now, then)
