"""One container of one workload, sized on its own: the mesh default is left aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from rightsize.config import PolicySettings
from rightsize.results import (
    Amounts,
    Component,
    Evidence,
    Recommendation,
    Resource,
    SizeField,
    Sizes,
    Usage,
    Written,
)
from rightsize.sizing.evidence import evidence_of
from rightsize.sizing.guards import (
    Situation,
    cpu_events,
    envoy_threads,
    exceeds_request,
    guarded,
    memory_events,
    thin_evidence,
)
from rightsize.sizing.history import ContainerHistory, WindowHistory
from rightsize.sizing.policies import SizingPolicy
from rightsize.sizing.policies.arrays import DAY_SECONDS
from rightsize.sizing.policies.daily import Daily, DailyPolicy
from rightsize.sizing.presence import run_peaks
from rightsize.sizing.reasons import reason_of, with_shapes
from rightsize.sizing.shapes import Shapes, shapes_of

_MANAGED_GATEWAY = "gateway.networking.k8s.io/gateway-name"
"""Label of the pods that istiod makes for a Gateway of the Gateway API."""
_ISTIOD_FLOOR_CPU = 0.1
_ISTIOD_FLOOR_MEMORY = 256 * 2**20
"""An istiod restart reconnects every proxy at once; a quiet window says little about that."""
_LEAST_RUNS = 50
"""Below, a job's requests cover every peak: no risk of a few per cent can be known."""
_LEAK_DAYS = 7.0
"""Days for which a request of growing memory is to last."""
_FIELDS: Mapping[Resource, Mapping[Literal["request", "limit"], SizeField]] = {
    "cpu": {"request": "cpu_request", "limit": "cpu_limit"},
    "memory": {"request": "memory_request", "limit": "memory_limit"},
}


def size_container(
    history: ContainerHistory,
    policy: SizingPolicy,
    settings: PolicySettings,
    *,
    held: str | None = None,
    memory_held: str | None = None,
    free_memory: float | None = None,
    given: Sizes | None = None,
) -> Recommendation:
    """Size one container on its own, the mesh default left aside.

    Parameters
    ----------
    policy : SizingPolicy
        Unfitted; it is fitted on the history's usage.
    held : str, optional
        Why the CPU request must not be cut (an autoscaler counts with it).
    memory_held : str, optional
        Why the memory request must not be cut.
    free_memory : float, optional
        Bytes that no pod requests on a node of its pods.
    given : Sizes, optional
        What the given file says: in force where no metric reports it.
    """
    history = replace(history, in_force=with_given(history.in_force, given))
    evidence = evidence_of(history)
    thin = thin_evidence(evidence, settings)
    shapes = shapes_of(history, free_memory)
    wanted = _wanted(history, policy, shapes, settings)
    unsafe = history.events.unsafe(settings.max_gap_share)
    situations = [
        _situation("cpu", history, evidence, wanted["cpu"], thin, held, settings),
        _situation(
            "memory", history, evidence, wanted["memory"], thin, unsafe or memory_held, settings
        ),
    ]
    cpu, memory = (guarded(situation, settings) for situation in situations)
    reason = reason_of(situations, (cpu, memory), evidence, settings)
    # A peak that is left to the limit is no shortage of the request.
    exceeded = [
        exceeds_request(case) or 0.0
        for case, size in zip(situations, (cpu, memory), strict=True)
        if size.recommended_request is None or size.recommended_request >= (case.request or 0.0)
    ]
    return Recommendation(
        component=history.component,
        namespace=history.namespace,
        workload=history.workload,
        kind=history.kind,
        container=history.container,
        native=history.native,
        replicas=history.replicas,
        cpu=cpu,
        memory=memory,
        evidence=evidence,
        reason=with_shapes(reason, shapes.found),
        written=_written(history),
        needs=Sizes.of_both(cpu.step, memory.step),
        notes=(
            *_thread_notes(history.component, cpu.now, cpu.step),
            *_notes_of_age(history),
        ),
        running=history.running,
        same_name=history.same_name,
        shapes=shapes.found,
        under_provisioned=max(exceeded) if any(exceeded) and history.running else None,
    )


def with_given(in_force: Sizes, given: Sizes | None) -> Sizes:
    """Sizes in force, with what the given file says where no metric reports it."""
    if given is None or not in_force.unknown:
        return in_force
    reported: dict[SizeField, float] = {
        name: value for name in in_force.unknown if (value := getattr(given, name)) is not None
    }
    return replace(in_force, **reported, unknown=in_force.unknown - set(reported))


def _written(history: ContainerHistory) -> Written:
    if history.component == "sidecar":
        return "annotations" if history.annotated else "values"
    managed = history.component == "gateway" and _MANAGED_GATEWAY in history.labels
    return "mesh default" if managed else "values"


@dataclass(frozen=True)
class _Wanted:
    """What the policy asks for; `abstained` says why the past does not predict."""

    amounts: Amounts
    basis: str
    abstained: str | None = None
    since_fall: float | None = None
    """The request that the level since a fall asks for, while that of before still counts."""


def _wanted(
    history: ContainerHistory, policy: SizingPolicy, shapes: Shapes, settings: PolicySettings
) -> Mapping[Resource, _Wanted]:
    daily = history.daily
    if not daily.rows:
        return {"cpu": _Wanted(Amounts(), ""), "memory": _Wanted(Amounts(), "")}
    if history.is_job and history.presence.runs < _LEAST_RUNS:
        return _highest_run(daily)
    fitted = _fitted(history, policy)
    since = {level.since: _fitted(history, policy, level.since) for level in shapes.levels.values()}
    found: dict[Resource, _Wanted] = {}
    resources: tuple[Resource, ...] = ("cpu", "memory")
    for resource in resources:
        amounts, since_fall = fitted.sizes_.of(resource), None
        level = shapes.levels.get(resource)
        if level is not None:
            newer = since[level.since].sizes_.of(resource)
            days = (daily.last.max() - level.since * DAY_SECONDS) / DAY_SECONDS
            # A higher level counts at once, a lower one after the days that any history needs.
            if level.rises:
                amounts = _larger(amounts, newer)
            elif days >= settings.min_days:
                amounts = newer
            else:
                since_fall = newer.request
        if resource == "memory" and shapes.growth:
            peak = float(daily.memory.tally.highest.max())
            amounts = _larger(amounts, Amounts(peak + _LEAK_DAYS * shapes.growth, None))
        if resource == "memory" and settings.start_up == "raise":
            amounts = _larger(amounts, Amounts(shapes.start_request, None))
        abstained = fitted.abstained_.get(resource)
        found[resource] = _Wanted(amounts, fitted.rules_[resource], abstained, since_fall)
    return found


def _fitted(
    history: ContainerHistory, policy: SizingPolicy, since: int | None = None
) -> SizingPolicy:
    """The policy fitted on days, from `since` on: on the peaks of a job's runs, and on windows where
    it cannot do with summaries."""
    fresh = policy.fresh()
    if history.is_job:
        return fresh.fit(run_peaks(history.daily, history.presence))
    if isinstance(fresh, DailyPolicy):
        return fresh.fit_daily(history.daily if since is None else history.daily.since(since))
    if not isinstance(history, WindowHistory):
        raise TypeError(f"{type(policy).__name__} is fitted on windows")
    if since is None:
        return fresh.fit(history.usage)
    midnight = pd.Timestamp(since * DAY_SECONDS, unit="s", tz="UTC")
    return fresh.fit(history.usage[history.usage["time"] > midnight])


def _highest_run(daily: Daily) -> Mapping[Resource, _Wanted]:
    """Too few runs for a policy: what the highest of them used."""
    found: dict[Resource, _Wanted] = {}
    resources: tuple[Resource, ...] = ("cpu", "memory")
    for resource in resources:
        seen = daily.of_resource(resource).tally.highest
        highest = float(seen.max()) if seen.size else None
        found[resource] = _Wanted(Amounts(highest, highest), "the highest of its runs")
    return found


def _larger(one: Amounts, other: Amounts) -> Amounts:
    def most(a: float | None, b: float | None) -> float | None:
        return max((v for v in (a, b) if v is not None), default=None)

    return Amounts(most(one.request, other.request), most(one.limit, other.limit))


def _situation(
    resource: Resource,
    history: ContainerHistory,
    evidence: Evidence | None,
    wanted: _Wanted,
    thin: str | None,
    held: str | None,
    settings: PolicySettings,
) -> Situation:
    now = history.in_force.of(resource)
    istiod = history.component == "istiod"
    if resource == "cpu":
        usage = evidence.cpu if evidence else Usage()
        floor = _ISTIOD_FLOOR_CPU if istiod else settings.floor_cpu
        need, need_limit, event = cpu_events(evidence, now.limit, settings)
    else:
        usage = evidence.memory if evidence else Usage()
        floor = _ISTIOD_FLOOR_MEMORY if istiod else settings.floor_memory
        need, need_limit, event = memory_events(history.out_of_memory, usage, now.limit)
    unknown = history.in_force.unknown
    return Situation(
        resource=resource,
        request=now.request,
        limit=now.limit,
        wanted_request=wanted.amounts.request,
        wanted_limit=wanted.amounts.limit,
        usage=usage,
        floor=floor,
        basis=wanted.basis,
        thin=thin,
        hold=held or wanted.abstained,
        since_fall=wanted.since_fall,
        needed_request=need,
        needed_limit=need_limit,
        event=event,
        running=history.running,
        unknown=frozenset(kind for kind, name in _FIELDS[resource].items() if name in unknown),
    )


def _thread_notes(component: Component, now: Amounts, step: Amounts) -> tuple[str, ...]:
    """Envoy starts a worker thread for each whole core of its CPU limit."""
    if component not in ("sidecar", "gateway", "waypoint") or now.limit == step.limit:
        return ()
    before, after = envoy_threads(now.limit), envoy_threads(step.limit)
    if before == after:
        return (f"the new CPU limit leaves Envoy's worker threads at {after}",)
    return (f"the new CPU limit moves Envoy from {before} to {after} worker threads",)


def _notes_of_age(history: ContainerHistory) -> tuple[str, ...]:
    if history.sizes_as_of is None:
        return ()
    return (f"sizes in force as of {history.sizes_as_of}: later days do not report them",)
