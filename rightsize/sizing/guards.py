"""Never make production worse: what stands between a policy's sizes and a recommendation.

A policy only looks at usage. The guards look at what is in force and at what usage hides:
throttled or OOM-killed usage was demand cut short, thin history proves nothing, and a cut goes
in steps so that a wrong one shows before it hurts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from rightsize.config import PolicySettings
from rightsize.quantity import MEBIBYTE, format_cpu, format_memory, round_up_cpu, round_up_memory
from rightsize.results import Evidence, Resource, ResourceAdvice, Usage
from rightsize.sizing.evidence import gap_share
from rightsize.sizing.history import OutOfMemory

_OOM_FACTOR = 1.2
_OOM_BYTES = 100 * MEBIBYTE
"""VPA's bump after an OOM kill: the larger of 100 MiB and 20 % (kubernetes/autoscaler,
vertical-pod-autoscaler/pkg/recommender/model/container.go)."""


@dataclass(frozen=True)
class Situation:
    """One resource of one container: in force, wanted by the policy, and what usage hides.

    `evidence_of_more` is the smallest limit that events prove necessary (None: no event), and
    `event` says which. `hold` is a reason not to cut the request, `thin` a reason to keep all.
    """

    resource: Resource
    request: float | None
    limit: float | None
    wanted_request: float | None
    wanted_limit: float | None
    usage: Usage
    floor: float
    rule: str = "policy"
    thin: str | None = None
    hold: str | None = None
    needed_request: float | None = None
    needed_limit: float | None = None
    event: str | None = None


def guarded(case: Situation, settings: PolicySettings) -> ResourceAdvice:
    """Return this step and the end state for one resource, with the rule that bound."""
    if case.thin is not None or case.wanted_request is None:
        case = replace(case, wanted_request=case.request, wanted_limit=case.limit, hold=None)
        rule = "keep-thin"
    else:
        rule = case.rule
    target, rule = _target(case, rule)
    step, rule = _step(case, target, rule, settings)
    limit, target_limit = _limits(case, step, target, settings)
    least, most, ratio = _bounds(case.resource, settings)
    if case.thin is None:
        step, limit, rule = _admitted(step, limit, rule, least, most, ratio)
        target, target_limit, _ = _admitted(target, target_limit, rule, least, most, ratio)
    return ResourceAdvice(
        request=case.request,
        limit=case.limit,
        recommended_request=step,
        recommended_limit=limit,
        target_request=target,
        target_limit=target_limit,
        usage=case.usage,
        rule=rule,
    )


def _target(case: Situation, rule: str) -> tuple[float | None, str]:
    """The end state of the request, rounded as a person writes it."""
    target, now = case.wanted_request, case.request
    if target is None:
        return None, rule
    if case.thin is None:
        floor = case.floor if now is None else min(case.floor, now)
        if target < floor:
            target, rule = floor, "floor"
        target = _rounded(case.resource)(target)
    if case.needed_request is not None and case.needed_request > target:
        target, rule = _rounded(case.resource)(case.needed_request), "event"
    if now is not None and target < now:
        if case.event is not None:
            return now, "event"
        if case.hold is not None:
            return now, "hold"
    return target, rule


def _step(
    case: Situation, target: float | None, rule: str, settings: PolicySettings
) -> tuple[float | None, str]:
    """This step: no deeper than `max_cut`, and not worth it below `min_change`."""
    now = case.request
    if target is None or now is None or target >= now:
        return target, rule
    least = _rounded(case.resource)(now * (1 - settings.max_cut))
    step, rule = (least, "step") if target < least else (target, rule)
    if now - step < settings.min_change * now:
        return now, "keep-close"
    return step, rule


def _limits(
    case: Situation, step: float | None, target: float | None, settings: PolicySettings
) -> tuple[float | None, float | None]:
    """Limits of this step and of the end state; a limit that is not set stays unset."""
    now = case.limit
    if now is None:
        return None, None
    round_up = _rounded(case.resource)
    seen = round_up((case.usage.peak or 0.0) * (1 + settings.limit_margin))
    proven = 0.0 if case.needed_limit is None else round_up(case.needed_limit)
    end = step_limit = max(now, seen, proven)
    fits = settings.limits == "fit" and case.thin is None and case.event is None
    if fits and case.wanted_limit is not None:
        end = max(round_up(case.wanted_limit), seen, proven)
        step_limit = max(end, round_up(now * (1 - settings.max_cut)) if end < now else end)
    return max(step_limit, step or 0.0), max(end, target or 0.0)


def _bounds(
    resource: Resource, settings: PolicySettings
) -> tuple[float, float | None, float | None]:
    ratio = settings.max_limit_request_ratio
    if resource == "cpu":
        return settings.min_cpu, settings.max_cpu, ratio
    return settings.min_memory, settings.max_memory, ratio


def _admitted(
    request: float | None,
    limit: float | None,
    rule: str,
    least: float,
    most: float | None,
    ratio: float | None,
) -> tuple[float | None, float | None, str]:
    """Sizes that a LimitRange admits (kubernetes.io, "Limit Ranges"): min, max and ratio."""
    bounded, top = request, limit
    if most is not None and top is not None:
        top = min(top, most)
    if bounded is not None:
        bounded = max(bounded, least)
        if ratio is not None and top is not None:
            bounded = max(bounded, top / ratio)
        if top is not None:
            bounded = min(bounded, top)
    return bounded, top, rule if (bounded, top) == (request, limit) else "bound"


def thin_evidence(evidence: Evidence | None, running: bool, settings: PolicySettings) -> str | None:
    """Why the history proves too little to cut anything, or None."""
    if evidence is None:
        return "no usage was measured"
    if not running:
        return f"not running at the end of the window (last seen {evidence.end:%Y-%m-%d})"
    if evidence.days < settings.min_days:
        return f"{evidence.days:.1f} days of history, {settings.min_days:g} are needed"
    if evidence.windows < settings.min_windows:
        return f"{evidence.windows} windows of history, {settings.min_windows} are needed"
    gaps = gap_share(evidence)
    if gaps > settings.max_gap_share:
        return f"{gaps:.0%} of the windows are missing, {settings.max_gap_share:.0%} may be"
    return None


def cpu_events(
    evidence: Evidence | None, limit: float | None, settings: PolicySettings
) -> tuple[float | None, float | None, str | None]:
    """Smallest CPU request and limit that throttling proves necessary, and the words for it.

    A container throttled in a share `s` of its periods wanted at least the limit in these: its
    request must cover p99 / (1 - s), and its limit must grow by half, or double beyond 25 %.
    """
    share = None if evidence is None else evidence.throttled_share
    if evidence is None or limit is None or share is None or share <= settings.max_throttled_share:
        return None, None, None
    request = (evidence.cpu.p99 or 0.0) / (1 - min(share, 0.5))
    factor = 2.0 if share > 0.25 else 1.5
    words = f"throttled in {share:.1%} of CFS periods at limit {format_cpu(limit)}"
    return request, limit * factor, words


def memory_events(
    kills: tuple[OutOfMemory, ...], usage: Usage, limit_now: float | None
) -> tuple[float | None, float | None, str | None]:
    """Smallest memory request and limit that OOM kills prove necessary, and the words for it.

    What was needed is unknown, only that it was more than the limit then in force. Without a
    limit the node ran out of memory: the request must cover the peak with the same margin. A
    limit raised beyond the need since then ends the matter.
    """
    if not kills:
        return None, None, None
    count = sum(day.kills for day in kills)
    highest = max((day.limit or 0.0) for day in kills)
    base = max(highest, usage.peak or 0.0)
    limit = max(base * _OOM_FACTOR, base + _OOM_BYTES)
    if highest and limit_now is not None and limit_now >= limit:
        return None, None, None
    at = f" at limit {format_memory(highest)}" if highest else " without a limit"
    request = (usage.peak or 0.0) * _OOM_FACTOR if highest else limit
    return request, limit, f"{count} OOM kill{'s' if count > 1 else ''}{at}"


def envoy_threads(cpu_limit: float | None) -> int | None:
    """Worker threads Envoy starts for a CPU limit in cores; None: as many as the node has CPUs.

    ISTIO_CPU_LIMIT is the limit rounded up to whole cores (istio/istio,
    pilot/cmd/pilot-agent/config/config.go), unless `concurrency` is set.
    """
    return None if cpu_limit is None else max(1, math.ceil(cpu_limit))


def _rounded(resource: Resource) -> Callable[[float], float]:
    return round_up_cpu if resource == "cpu" else round_up_memory
