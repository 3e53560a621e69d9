"""The reason of a recommendation in one line, from the rules that bound."""

from __future__ import annotations

from collections.abc import Sequence

from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Resource, ResourceAdvice
from rightsize.sizing.guards import Situation


def reason_of(situations: Sequence[Situation], advice: Sequence[ResourceAdvice]) -> str:
    """Join the reasons for CPU and memory; one reason for both is said once."""
    thin = situations[0].thin
    parts = [_part(s, a) for s, a in zip(situations, advice, strict=True)]
    if thin is None:
        return "; ".join(parts)
    events = [part for s, part in zip(situations, parts, strict=True) if s.event is not None]
    return "; ".join([f"kept: {thin}", *events])


def _part(case: Situation, advice: ResourceAdvice) -> str:
    name = "CPU" if case.resource == "cpu" else "memory"
    if case.event is not None:
        return f"{name} {_direction(advice)}: {case.event}"
    target = formatted(case.resource, advice.target_request)
    if advice.rule == "hold":
        return f"{name} kept: {case.hold}"
    if advice.rule == "bound":
        step = formatted(case.resource, advice.recommended_request)
        return f"{name} {step}: the bounds given (LimitRange) admit no other size"
    if advice.rule == "keep-thin":
        return f"{name} kept: no usage was measured"
    if advice.rule == "keep-close":
        return f"{name} kept: {target} would be a change too small to roll out"
    basis = f"{name} {_used(case)}, {case.rule}"
    if advice.rule == "floor":
        basis += f", floor {target}"
    if advice.rule == "step":
        step = formatted(case.resource, advice.recommended_request)
        return f"{basis}; this step {step}, in the end {target}"
    return f"{basis} = {target}"


def _direction(advice: ResourceAdvice) -> str:
    raised = (advice.recommended_request or 0) > (advice.request or 0)
    raised = raised or (advice.recommended_limit or 0) > (advice.limit or 0)
    return "raised" if raised else "kept"


def _used(case: Situation) -> str:
    if case.resource == "cpu":
        return f"p95 {formatted('cpu', case.usage.p95)}"
    return f"peak {formatted('memory', case.usage.peak)}"


def formatted(resource: Resource, value: float | None) -> str:
    """A figure as a Kubernetes quantity, `-` where there is none."""
    if value is None:
        return "-"
    return format_cpu(value) if resource == "cpu" else format_memory(value)
