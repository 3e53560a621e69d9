"""The main job: from a snapshot to a recommendation for each mesh container of each workload."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date

import pandas as pd
from sklearn.base import clone

from rightsize.config import PolicySettings, Settings
from rightsize.errors import UsageError
from rightsize.istiod.row import with_istiod_model
from rightsize.results import (
    Advice,
    Component,
    Evidence,
    Recommendation,
    Resource,
    ScalePoint,
    Sizes,
    Usage,
    Written,
)
from rightsize.sizing.autoscalers import autoscalers, held_by_autoscaler, scale_points
from rightsize.sizing.evidence import evidence_of
from rightsize.sizing.guards import (
    Situation,
    cpu_events,
    envoy_threads,
    guarded,
    memory_events,
    thin_evidence,
)
from rightsize.sizing.history import ContainerHistory, container_histories
from rightsize.sizing.mesh_default import MeshDefault, Sidecars, with_mesh_default
from rightsize.sizing.pod_rules import (
    budget_warnings,
    quota_warnings,
    with_qos_notes,
)
from rightsize.sizing.policies import SizingPolicy, profile
from rightsize.sizing.reasons import reason_of
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import newest_containers, newest_rows

_MANAGED_GATEWAY = "gateway.networking.k8s.io/gateway-name"
"""Label of the pods that istiod makes for a Gateway of the Gateway API."""

Progress = Callable[[str], None]

_ISTIOD_FLOOR_CPU = 0.1
_ISTIOD_FLOOR_MEMORY = 256 * 2**20
"""An istiod restart reconnects every proxy at once; a quiet window says little about that."""


def recommend(
    snapshot: Snapshot,
    settings: Settings | None = None,
    *,
    policy: SizingPolicy | None = None,
    days: list[date] | None = None,
    progress: Progress | None = None,
) -> Advice:
    """Return what every mesh container should request, with the evidence for it.

    Parameters
    ----------
    snapshot : Snapshot
    settings : Settings, optional
        Profile, guards and bounds; the defaults without.
    policy : SizingPolicy, optional
        Instead of the profile of the settings.
    days : list of date, optional
        Only these days of the snapshot.
    progress : callable, optional
        Called with the name of each workload done.
    """
    rules = (settings or Settings()).policy
    chosen = policy if policy is not None else profile(rules.profile, rules.parameters)
    scalers = autoscalers(snapshot, days)
    drafts: list[Recommendation] = []
    sidecars = Sidecars()
    for history in container_histories(snapshot, days=days):
        held = held_by_autoscaler(scalers, history)
        draft = size_container(history, clone(chosen), rules, held=held)
        if draft.component == "sidecar":
            sidecars.add(history)
        drafts.append(draft)
        if progress is not None:
            progress(draft.key)
    if policy is None:
        drafts = with_istiod_model(drafts, snapshot, rules, days)
    default = with_mesh_default(drafts, sidecars, snapshot.manifest.region, rules)
    name = rules.profile if policy is None else type(policy).__name__
    return _advice(snapshot, default, scalers, rules, chosen, name, days)


def size_container(
    history: ContainerHistory,
    policy: SizingPolicy,
    settings: PolicySettings,
    *,
    held: str | None = None,
) -> Recommendation:
    """Size one container on its own, the mesh default left aside.

    Parameters
    ----------
    history : ContainerHistory
    policy : SizingPolicy
        Unfitted; it is fitted on the history's usage.
    settings : PolicySettings
    held : str, optional
        Why the CPU request must not be cut (an autoscaler counts with it).
    """
    evidence = evidence_of(history)
    thin = thin_evidence(evidence, history.running, settings)
    fitted = policy.fit(history.usage) if evidence is not None else None
    situations = [
        _situation("cpu", history, evidence, fitted, thin, held, settings),
        _situation("memory", history, evidence, fitted, thin, None, settings),
    ]
    cpu, memory = (guarded(situation, settings) for situation in situations)
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
        reason=reason_of(situations, (cpu, memory)),
        written=_written(history),
        needs=Sizes(
            cpu.recommended_request,
            cpu.recommended_limit,
            memory.recommended_request,
            memory.recommended_limit,
        ),
        notes=_thread_notes(history.component, cpu.limit, cpu.recommended_limit),
    )


def _written(history: ContainerHistory) -> Written:
    if history.component == "sidecar":
        return "annotations" if history.annotated else "values"
    managed = history.component == "gateway" and _MANAGED_GATEWAY in (history.labels or "")
    return "mesh default" if managed else "values"


@dataclass(frozen=True)
class _Wanted:
    request: float | None
    limit: float | None
    rule: str
    abstained: str | None


def _wanted(fitted: SizingPolicy | None, resource: Resource) -> _Wanted:
    if fitted is None:
        return _Wanted(None, None, "keep-thin", None)
    sizes = fitted.sizes_
    request, limit = (
        (sizes.cpu_request, sizes.cpu_limit)
        if resource == "cpu"
        else (sizes.memory_request, sizes.memory_limit)
    )
    return _Wanted(request, limit, fitted.rules_[resource], fitted.abstained_.get(resource))


def _situation(
    resource: Resource,
    history: ContainerHistory,
    evidence: Evidence | None,
    fitted: SizingPolicy | None,
    thin: str | None,
    held: str | None,
    settings: PolicySettings,
) -> Situation:
    in_force = history.in_force
    wanted = _wanted(fitted, resource)
    istiod = history.component == "istiod"
    if resource == "cpu":
        request, limit = in_force.cpu_request, in_force.cpu_limit
        usage = evidence.cpu if evidence else Usage()
        floor = _ISTIOD_FLOOR_CPU if istiod else settings.floor_cpu
        need, need_limit, event = cpu_events(evidence, limit, settings)
    else:
        request, limit = in_force.memory_request, in_force.memory_limit
        usage = evidence.memory if evidence else Usage()
        floor = _ISTIOD_FLOOR_MEMORY if istiod else settings.floor_memory
        need, need_limit, event = memory_events(history.out_of_memory, usage, limit)
    return Situation(
        resource=resource,
        request=request,
        limit=limit,
        wanted_request=wanted.request,
        wanted_limit=wanted.limit,
        usage=usage,
        floor=floor,
        rule=wanted.rule,
        thin=thin,
        hold=held or wanted.abstained,
        needed_request=need,
        needed_limit=need_limit,
        event=event,
    )


def _thread_notes(
    component: Component, limit: float | None, recommended: float | None
) -> tuple[str, ...]:
    """Envoy starts a worker thread for each whole core of its CPU limit."""
    if component not in ("sidecar", "gateway", "waypoint") or limit == recommended:
        return ()
    before, after = envoy_threads(limit), envoy_threads(recommended)
    if before == after:
        return (f"the new CPU limit leaves Envoy's worker threads at {after}",)
    return (f"the new CPU limit moves Envoy from {before} to {after} worker threads",)


def _advice(
    snapshot: Snapshot,
    default: MeshDefault,
    scalers: pd.DataFrame,
    rules: PolicySettings,
    policy: SizingPolicy,
    name: str,
    days: list[date] | None,
) -> Advice:
    manifest = snapshot.manifest
    records = [manifest.days[day] for day in (days or snapshot.days)]
    pods = newest_containers(snapshot, days)
    rows = with_qos_notes(default.recommendations, pods)
    points = scale_points(scalers, rows, pods)
    pdbs = newest_rows(snapshot, "pdbs", days)
    return Advice(
        cluster=manifest.cluster,
        simulated=manifest.simulated,
        start=min(record.start for record in records),
        end=max(record.end for record in records),
        policy=name,
        parameters={**policy.get_params(), "max_cut": rules.max_cut, "limits": rules.limits},
        recommendations=tuple(_with_scale_notes(rows, points)),
        scale_points=points,
        overrides=default.curve,
        warnings=(
            *default.warnings,
            *_quota_warnings(rows, pods, rules),
            *budget_warnings(rows, pdbs),
            *(f"{m.what}: {m.costs}" for m in manifest.missing),
        ),
    )


def _quota_warnings(
    rows: tuple[Recommendation, ...], pods: pd.DataFrame, rules: PolicySettings
) -> tuple[str, ...]:
    try:
        return tuple(quota_warnings(rows, pods, rules.quotas))
    except ValueError as error:
        raise UsageError(f"setting policy.quotas: {error}") from error


def _with_scale_notes(
    recommendations: tuple[Recommendation, ...], points: tuple[ScalePoint, ...]
) -> Iterator[Recommendation]:
    notes = {
        (point.namespace, point.workload): (
            f"HPA {point.hpa} targets {point.target_utilization:g} % of the pod's {point.resource} "
            f"requests: set {point.kept_target_utilization} % to keep its scale point"
        )
        for point in points
    }
    for row in recommendations:
        note = notes.get((row.namespace or "", row.workload or ""))
        yield row if note is None else replace(row, notes=(*row.notes, note))
