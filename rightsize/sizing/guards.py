"""Never make production worse: what stands between a policy's sizes and a recommendation.

A policy only looks at usage. The guards look at what is in force and at what usage hides:
throttled or OOM-killed usage was demand cut short, thin history proves nothing, and a cut goes
in steps so that a wrong one shows before it hurts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from rightsize.config import PolicySettings
from rightsize.quantity import MEBIBYTE, format_cpu, format_memory, round_up_cpu, round_up_memory
from rightsize.results import Evidence, Resource, ResourceAdvice, Rule, Usage
from rightsize.sizing.history import OutOfMemory

_OOM_FACTOR = 1.2
_OOM_BYTES = 100 * MEBIBYTE
"""VPA's bump after an OOM kill: the larger of 100 MiB and 20 % (kubernetes/autoscaler,
vertical-pod-autoscaler/pkg/recommender/model/container.go)."""
_EXCEEDED = 1.1
"""Usage up to a tenth above its request is left to the policy."""
_DAY_SLACK = 0.25
"""A job that ends in the evening is seen for less than whole days."""


@dataclass(frozen=True)
class Situation:
    """One resource of one container: in force, wanted by the policy, and what usage hides.

    `hold` is a reason not to cut the request, `thin` a reason to cut nothing at all. Where events
    (throttling, OOM kills) prove more necessary, `event` says which, with the smallest sizes.
    """

    resource: Resource
    request: float | None
    limit: float | None
    wanted_request: float | None
    wanted_limit: float | None
    usage: Usage
    floor: float
    basis: str = ""
    """The policy's own words for what it wants."""
    thin: str | None = None
    hold: str | None = None
    needed_request: float | None = None
    needed_limit: float | None = None
    event: str | None = None
    since_fall: float | None = None
    """The request that the level since a fall asks for, while that of before still counts."""
    running: bool = True
    unknown: frozenset[Literal["request", "limit"]] = frozenset()
    """Sizes in force that no source reported: nothing may be written in their place."""


def guarded(case: Situation, settings: PolicySettings) -> ResourceAdvice:
    """Return this step and the end state for one resource, with the rule that bound."""
    if not case.running:
        return _as_it_is(case, Rule.GONE)
    case, rule = _wanted(case)
    target, rule = _target(case, rule)
    step, rule = _step(case, target, rule, settings)
    limit, target_limit = _limits(case, step, target, settings)
    if case.thin is None or case.event is not None or rule is not Rule.THIN:
        bounds = _bounds(case.resource, settings)
        step, limit, rule = _admitted(step, limit, rule, bounds)
        target, target_limit, _ = _admitted(target, target_limit, rule, bounds)
    if "request" in case.unknown:
        step, rule = None, Rule.UNKNOWN
    return ResourceAdvice(
        request=case.request,
        limit=case.limit,
        recommended_request=step,
        recommended_limit=limit,
        target_request=target,
        target_limit=target_limit,
        usage=case.usage,
        rule=rule,
        basis=case.basis,
        unknown=case.unknown,
    )


def _as_it_is(case: Situation, rule: Rule) -> ResourceAdvice:
    return ResourceAdvice(
        case.request, case.limit, case.request, case.limit, case.request, case.limit,
        case.usage, rule, case.basis, case.unknown,
    )  # fmt: skip


def _wanted(case: Situation) -> tuple[Situation, Rule]:
    """What the policy wants; little history may raise a request that usage exceeds, and no more."""
    if case.wanted_request is None:
        return replace(case, wanted_request=case.request, wanted_limit=None), Rule.THIN
    if case.thin is None:
        return case, Rule.POLICY
    if exceeds_request(case) is None:
        return replace(case, wanted_request=case.request, wanted_limit=None, hold=None), Rule.THIN
    return case, Rule.POLICY


def exceeds_request(case: Situation) -> float | None:
    """Usage as a multiple of the request it exceeds: p95 of CPU, the peak of memory.

    What it used before its level fell does not exceed it any more.
    """
    if case.request and case.since_fall is not None and case.since_fall <= case.request:
        return None
    used = case.usage.p95 if case.resource == "cpu" else case.usage.peak
    if not case.request or used is None or used <= case.request * _EXCEEDED:
        return None
    return used / case.request


def _target(case: Situation, rule: Rule) -> tuple[float | None, Rule]:
    """The end state of the request, rounded as a person writes it."""
    target, now = case.wanted_request, case.request
    if target is None:
        return None, rule
    if rule is Rule.POLICY:
        floor = case.floor if now is None else min(case.floor, now)
        if target < floor:
            target, rule = floor, Rule.FLOOR
        target = _rounded(case.resource)(target)
    if case.needed_request is not None and case.needed_request > target:
        target, rule = _rounded(case.resource)(case.needed_request), Rule.EVENT
    if now is not None and target < now:
        if case.event is not None:
            return now, Rule.EVENT
        if case.thin is not None:
            return now, Rule.THIN
        if case.hold is not None:
            return now, Rule.HOLD
    return target, rule


def _step(
    case: Situation, target: float | None, rule: Rule, settings: PolicySettings
) -> tuple[float | None, Rule]:
    """This step: no deeper than `max_cut`, and not worth it below `min_change`."""
    now = case.request
    if target is None or now is None or target >= now:
        return target, rule
    least = _rounded(case.resource)(now * (1 - settings.max_cut))
    step, rule = (least, Rule.STEP) if target < least else (target, rule)
    if now - step < settings.min_change * now:
        return now, Rule.CLOSE
    return step, rule


def _limits(
    case: Situation, step: float | None, target: float | None, settings: PolicySettings
) -> tuple[float | None, float | None]:
    """Limits of this step and of the end state; a limit that is not set stays unset.

    Memory limits may follow the policy down. CPU limits never do: a 5-minute mean does not show the
    bursts of seconds in which Envoy starts or takes a full push, and a limit stops these.
    """
    now = case.limit
    if now is None:
        return None, None
    round_up = _rounded(case.resource)
    highest = max(case.usage.peak or 0.0, case.usage.burst or 0.0)
    seen = round_up(highest * (1 + settings.limit_margin))
    proven = 0.0 if case.needed_limit is None else round_up(case.needed_limit)
    end = step_limit = max(now, seen, proven)
    free = case.thin is None and case.event is None and case.hold is None
    fits = settings.limits == "fit" and free
    if fits and case.wanted_limit is not None and case.resource == "memory":
        end = max(round_up(case.wanted_limit), seen, proven)
        step_limit = max(end, round_up(now * (1 - settings.max_cut)) if end < now else end)
    return max(step_limit, step or 0.0), max(end, target or 0.0)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a LimitRange admits of one resource."""

    least: float
    most: float | None
    ratio: float | None


def _bounds(resource: Resource, settings: PolicySettings) -> Bounds:
    ratio = settings.max_limit_request_ratio
    if resource == "cpu":
        return Bounds(settings.min_cpu, settings.max_cpu, ratio)
    return Bounds(settings.min_memory, settings.max_memory, ratio)


def _admitted(
    request: float | None, limit: float | None, rule: Rule, bounds: Bounds
) -> tuple[float | None, float | None, Rule]:
    """Sizes that a LimitRange admits (kubernetes.io, "Limit Ranges"): min, max and ratio."""
    bounded, top = request, limit
    if bounds.most is not None and top is not None:
        top = min(top, bounds.most)
    if bounded is not None:
        bounded = max(bounded, bounds.least)
        if bounds.ratio is not None and top is not None:
            bounded = max(bounded, top / bounds.ratio)
        if top is not None:
            bounded = min(bounded, top)
    return bounded, top, rule if (bounded, top) == (request, limit) else Rule.BOUND


def thin_evidence(evidence: Evidence | None, settings: PolicySettings) -> str | None:
    """Why the history proves too little to cut anything, or None.

    History, runs, windows and coverage are separate figures, each with its own guard.
    """
    if evidence is None:
        return "no usage was measured"
    if evidence.days < settings.min_days - _DAY_SLACK:
        return f"{evidence.days:.1f} days of history, {settings.min_days:g} are needed"
    if evidence.runs is not None:
        if evidence.runs < settings.min_runs:
            return f"{evidence.runs} runs seen, {settings.min_runs} are needed"
    elif evidence.windows < settings.min_windows:
        return f"{evidence.windows} windows of history, {settings.min_windows} are needed"
    gaps = 1 - evidence.coverage
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
