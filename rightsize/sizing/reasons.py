"""The reason of a recommendation: one sentence for CPU, one for memory, for a colleague to repeat.

Each says what was seen, which rule decided, and what would change the answer. The policy's own
words (`ResourceAdvice.basis`) are for `rightsize explain`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from rightsize.config import PolicySettings
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Evidence, Resource, ResourceAdvice, Rule, Shape
from rightsize.sizing.guards import Situation, exceeds_request

_Formatter = Callable[[float | None], str]


def reason_of(
    situations: Sequence[Situation],
    advice: Sequence[ResourceAdvice],
    evidence: Evidence | None,
    settings: PolicySettings,
) -> str:
    """Join the sentences for CPU and memory; what holds for both is said once, first."""
    if not situations[0].running:
        seen = "" if evidence is None else f" (last seen {evidence.end:%Y-%m-%d %H:%M} UTC)"
        return f"gone: not running at the end of the window{seen}"
    if evidence is None:
        return "kept: no usage was measured"
    thin = situations[0].thin
    parts = [
        sentence(case, size, settings)
        for case, size in zip(situations, advice, strict=True)
        if thin is None or size.rule is not Rule.THIN or size.unknown
    ]
    if thin is not None:
        kept = "kept" if all(size.rule is Rule.THIN for size in advice) else "nothing is cut"
        # What lacks something comes first.
        return "; ".join([*parts, f"{kept}: {thin}"])
    return "; ".join(parts)


def sentence(case: Situation, size: ResourceAdvice, settings: PolicySettings) -> str:
    """What is said of one resource."""
    name = "CPU" if case.resource == "cpu" else "memory"
    show = _formatter(case.resource)
    seen = f"{name} {_used(case)}"
    if size.rule is Rule.UNKNOWN:
        return (
            f"{seen}, its request is unknown: {show(size.target_request)} would do, nothing is "
            "written (give the file with -f)"
        )
    if size.rule is Rule.BOUND:
        return f"{_held(case, size, name)}"
    if case.event is not None:
        return f"{name} {_direction(size)}: {case.event}{_limit(size, show)}"
    if size.rule is Rule.HOLD:
        return f"{name} request kept at {show(size.request)}: {case.hold}"
    if size.rule is Rule.CLOSE:
        return (
            f"{seen}, request {show(size.request)} kept: {show(size.target_request)} would be less "
            f"than {settings.min_change:.0%} lower"
        )
    times = exceeds_request(case)
    if _short_peak(case, size):
        seen = (
            f"memory p99 {show(case.usage.p99)}, its peak of {show(case.usage.peak)} is the limit's"
        )
    elif times is not None:
        seen += f", {times:.1f} times its request"
    request = _request(case, size, show, settings) + _of_old_level(case, size, show, settings)
    return f"{seen}: request {request}{_limit(size, show)}"


def _of_old_level(
    case: Situation, size: ResourceAdvice, show: _Formatter, settings: PolicySettings
) -> str:
    """Why more is requested than the level since a fall needs."""
    target, newer = size.target_request, case.since_fall
    if newer is None or target is None or newer >= target:
        return ""
    return (
        f" for the level before it fell ({show(newer)} would do since, and is followed after "
        f"{settings.min_days:g} days of it)"
    )


def _short_peak(case: Situation, size: ResourceAdvice) -> bool:
    """Whether memory peaks so shortly that the request need not hold it; the limit does."""
    peak, p99, request = case.usage.peak, case.usage.p99, size.recommended_request
    if case.resource != "memory" or peak is None or p99 is None or request is None:
        return False
    return peak > request >= p99


def _request(
    case: Situation, size: ResourceAdvice, show: _Formatter, settings: PolicySettings
) -> str:
    step, end = show(size.recommended_request), show(size.target_request)
    if size.recommended_request == size.request:
        return f"stays {step}"
    if size.request is None:
        return step
    if size.rule is Rule.STEP:
        return f"{show(size.request)} to {step} now (at most {settings.max_cut:.0%} a step), {end} in the end"
    floor = ", the least allowed" if size.rule is Rule.FLOOR else ""
    return f"{show(size.request)} to {step}{floor}"


def _limit(size: ResourceAdvice, show: _Formatter) -> str:
    if "limit" in size.unknown:
        return ", its limit is unknown"
    if size.recommended_limit == size.limit:
        return ""
    return f", limit {show(size.limit)} to {show(size.recommended_limit)}"


def _held(case: Situation, size: ResourceAdvice, name: str) -> str:
    show = _formatter(case.resource)
    wanted = case.needed_limit or case.wanted_limit
    held = size.recommended_limit is not None and (
        wanted is not None and wanted > size.recommended_limit
    )
    if held:
        more = "" if case.event is None else f", and it goes on ({case.event})"
        return f"{name} limit held at {show(size.recommended_limit)} by max_{case.resource}{more}"
    return (
        f"{name} request {show(size.recommended_request)}: the bounds given (LimitRange) admit no "
        "other size"
    )


def _direction(size: ResourceAdvice) -> str:
    raised = (size.recommended_request or 0) > (size.request or 0)
    raised = raised or (size.recommended_limit or 0) > (size.limit or 0)
    return "raised" if raised else "kept"


def _used(case: Situation) -> str:
    if case.usage.peak is None:
        return "was not measured"
    if case.resource == "cpu":
        return f"p95 {formatted('cpu', case.usage.p95)}"
    return f"peak {formatted('memory', case.usage.peak)}"


def with_shapes(reason: str, shapes: Sequence[Shape]) -> str:
    """The reason, with the shapes that a reader has to know."""
    return "; ".join([*(shape.text for shape in shapes), reason])


def _formatter(resource: Resource) -> _Formatter:
    return partial(formatted, resource)


def formatted(resource: Resource, value: float | None) -> str:
    """A figure as a Kubernetes quantity, `-` where there is none."""
    if value is None:
        return "-"
    return format_cpu(value) if resource == "cpu" else format_memory(value)
