"""The mesh default for sidecars, its exceptions, and what follows for each workload's row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np

from rightsize.config import PolicySettings
from rightsize.prices.unit_price import unit_price
from rightsize.results import (
    Evidence,
    OverridesCurve,
    Recommendation,
    Resource,
    ResourceAdvice,
    Rule,
    SizeField,
    Sizes,
    Usage,
)
from rightsize.sizing.evidence import days_between
from rightsize.sizing.history import ContainerHistory
from rightsize.sizing.overrides import DefaultPlan, choose_default
from rightsize.snapshot.histogram import Histogram, together

_RESOURCES: tuple[Resource, ...] = ("cpu", "memory")


@dataclass
class Sidecars:
    """Usage of all sidecars, counted to pool the quantiles of those the default covers."""

    counted: dict[tuple[Resource, str, str, str], Histogram] = field(default_factory=dict)

    def add(self, history: ContainerHistory) -> None:
        for resource in _RESOURCES:
            key = resource, history.namespace, history.workload, history.kind
            self.counted[key] = history.daily.of_resource(resource).tally.pooled()

    def pooled(self, resource: Resource, rows: Iterable[Recommendation]) -> Usage:
        """Quantiles over all windows of these workloads, up to 1 % above those of the values."""
        keys = [(resource, str(row.namespace), str(row.workload), str(row.kind)) for row in rows]
        return together(self.counted[key] for key in keys).usage


@dataclass(frozen=True)
class MeshDefault:
    """All rows, the default's first, with what to say about it."""

    recommendations: tuple[Recommendation, ...]
    curve: OverridesCurve | None
    warnings: tuple[str, ...]


def with_mesh_default(
    drafts: Sequence[Recommendation],
    sidecars: Sidecars,
    region: str | None,
    settings: PolicySettings,
    given: Sizes | None = None,
) -> MeshDefault:
    """Put the mesh default before the rows and let it decide for the workloads it covers.

    Users of the default are the running sidecars without annotations with sizes in force that are
    those of the given file, where any runs with them, else the most common ones (by pods);
    whatever else is in force was set for that workload.
    """
    in_force = _default_in_force(drafts, given)
    if in_force is None:
        return MeshDefault(tuple(drafts), None, ())
    users = [d for d in drafts if _uses_default(d, in_force)]
    if not users:
        return MeshDefault(tuple(_own(d, users) for d in drafts), None, ())
    plan, forced, source = _plan(users, in_force, region, settings)
    exceptions = {id(user) for user, own in zip(users, plan.exceptions, strict=True) if own} | {
        id(user) for user in forced
    }
    covered = [user for user in users if id(user) not in exceptions]
    if not covered:
        return MeshDefault(tuple(_own(d, users) for d in drafts), None, ())
    default = _default_row(covered, in_force, sidecars, len(exceptions))
    if exceptions and in_force.unknown:
        default = _not_cut(default)
    rows = [default]
    for draft in drafts:
        if id(draft) in exceptions:
            rows.append(replace(draft, written="annotations"))
        elif any(draft is user for user in covered):
            rows.append(_covered(draft, default))
        else:
            rows.append(_own(draft, users))
    curve = OverridesCurve(
        chosen=len(exceptions),
        usd_per_month=tuple(
            None if not np.isfinite(c) else float(c) for c in plan.curve["usd_per_month"]
        ),
        price_source=source,
    )
    return MeshDefault(tuple(rows), curve, _gateways_to_pin(drafts, default))


def _gateways_to_pin(drafts: Sequence[Recommendation], default: Recommendation) -> tuple[str, ...]:
    """Gateways of the Gateway API take `global.proxy.resources` too, and have no annotations."""
    return tuple(
        f"gateway {draft.key} takes its size from global.proxy.resources too: pin its own size "
        "(spec.infrastructure.parametersRef, Istio 1.26 and later) before the default is lowered"
        for draft in drafts
        if draft.component == "gateway" and draft.written == "mesh default" and default.changes
    )


def _default_in_force(drafts: Sequence[Recommendation], given: Sizes | None) -> Sizes | None:
    counts: Counter[Sizes] = Counter()
    known: dict[Sizes, Sizes] = {}
    for draft in drafts:
        if draft.component == "sidecar" and draft.written == "values" and draft.running:
            counts[draft.current] += max(1, round(draft.replicas))
            known[draft.current] = draft.current
    if not counts:
        return None
    written = [sizes for sizes in counts if given is not None and _agree(sizes, given)]
    return known[max(written or counts, key=lambda sizes: counts[sizes])]


def _agree(running: Sizes, given: Sizes) -> bool:
    """Every size that the file sets is the running one; what it leaves out is the chart's."""
    pairs = [(getattr(running, name), getattr(given, name)) for name in get_args(SizeField)]
    reported = [(one, other) for one, other in pairs if other is not None]
    return bool(reported) and all(one == other for one, other in reported)


def _uses_default(draft: Recommendation, in_force: Sizes) -> bool:
    return (
        draft.component == "sidecar"
        and draft.written == "values"
        and draft.current == in_force
        and draft.running
        and draft.cpu.rule is not Rule.VPA
    )


def _own(draft: Recommendation, users: Sequence[Recommendation]) -> Recommendation:
    """A sidecar outside the default has, or gets, annotations; other components have values."""
    if draft.component != "sidecar" or draft in users:
        return draft
    return replace(draft, written="annotations")


def _plan(
    users: Sequence[Recommendation],
    in_force: Sizes,
    region: str | None,
    settings: PolicySettings,
) -> tuple[DefaultPlan, list[Recommendation], str]:
    """Choose the default's requests; users that need a higher limit are exceptions anyway."""
    most = settings.max_overrides
    forced = [user for user in users if _needs_higher_limit(user, in_force)]
    if len(forced) == len(users) or (most is not None and len(forced) > most):
        forced = []
    free = [user for user in users if all(user is not other for other in forced)]
    price = unit_price(region)
    plan = choose_default(
        np.array([user.cpu.recommended_request or 0.0 for user in free]),
        np.array([user.memory.recommended_request or 0.0 for user in free]),
        np.array([max(user.replicas, 1.0) for user in free]),
        price.price,
        max_overrides=None if most is None else most - len(forced),
        upkeep_usd_per_month=settings.override_usd_per_month,
    )
    chosen = dict(zip(map(id, free), plan.exceptions, strict=True))
    mask = np.array([chosen.get(id(user), False) for user in users])
    source = f"{price.source} prices of {price.region}, {price.as_of}"
    return replace(plan, exceptions=mask), forced, source


def _needs_higher_limit(user: Recommendation, in_force: Sizes) -> bool:
    return (user.cpu.recommended_limit or 0) > (in_force.cpu_limit or np.inf) or (
        user.memory.recommended_limit or 0
    ) > (in_force.memory_limit or np.inf)


def _default_row(
    covered: Sequence[Recommendation], in_force: Sizes, sidecars: Sidecars, exceptions: int
) -> Recommendation:
    evidence = _pooled_evidence(covered, sidecars)
    cpu = _highest("cpu", [row.cpu for row in covered], in_force, evidence)
    memory = _highest("memory", [row.memory for row in covered], in_force, evidence)
    get = "one gets" if exceptions == 1 else f"{exceptions} get"
    extra = f", {get} annotations of their own" if exceptions else ""
    those = "one workload" if len(covered) == 1 else f"{len(covered)} workloads"
    return Recommendation(
        component="sidecar",
        namespace=None,
        workload=None,
        kind=None,
        container="istio-proxy",
        native=False,
        replicas=sum(row.replicas for row in covered),
        cpu=cpu,
        memory=memory,
        evidence=evidence,
        reason=f"largest need of the {those} it covers{extra}",
        written="mesh default",
        needs=Sizes.of_both(cpu.step, memory.step),
        notes=("istio-init and gateways of the Gateway API take this size too",),
    )


def _pooled_evidence(covered: Sequence[Recommendation], sidecars: Sidecars) -> Evidence | None:
    rows = [row for row in covered if row.evidence is not None]
    known = [row.evidence for row in rows if row.evidence is not None]
    if not known:
        return None
    start, end = min(e.start for e in known), max(e.end for e in known)
    shares = [e.throttled_share for e in known if e.throttled_share is not None]
    return Evidence(
        start=start,
        end=end,
        days=days_between(start, end),
        pods=sum(e.pods for e in known),
        windows=sum(e.windows for e in known),
        cpu=sidecars.pooled("cpu", rows),
        memory=sidecars.pooled("memory", rows),
        throttled_share=max(shares) if shares else None,
        oom_kills=_total([e.oom_kills for e in known]),
        restarts=_total([e.restarts for e in known]),
        coverage=min(e.coverage for e in known),
    )


def _total(counts: Sequence[int | None]) -> int | None:
    """The sum of what is known; None where nothing is."""
    reported = [count for count in counts if count is not None]
    return sum(reported) if reported else None


def _highest(
    resource: Resource,
    rows: Sequence[ResourceAdvice],
    in_force: Sizes,
    evidence: Evidence | None,
) -> ResourceAdvice:
    """The default's size: the largest of those it covers, field by field."""
    usage = None
    if evidence is not None:
        usage = evidence.cpu if resource == "cpu" else evidence.memory
    decisive = max(rows, key=lambda row: row.recommended_request or 0.0)
    now = in_force.of(resource)
    return ResourceAdvice(
        request=now.request,
        limit=now.limit,
        recommended_request=_most([row.recommended_request for row in rows]),
        recommended_limit=_most([row.recommended_limit for row in rows]),
        target_request=_most([row.target_request for row in rows]),
        target_limit=_most([row.target_limit for row in rows]),
        usage=usage if usage is not None else decisive.usage,
        rule=decisive.rule,
        basis=decisive.basis,
        unknown=decisive.unknown,
    )


def _not_cut(default: Recommendation) -> Recommendation:
    """Exceptions of unknown sizes cannot be written, and would fall with the default."""
    kept = "a workload that needs more cannot be written while sizes in force are unknown"

    def at_least(size: ResourceAdvice) -> ResourceAdvice:
        request = _most([size.request, size.recommended_request])
        return replace(size, recommended_request=request, rule=Rule.HOLD)

    return replace(
        default,
        cpu=at_least(default.cpu),
        memory=at_least(default.memory),
        notes=(*default.notes, kept),
    )


def _most(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if known else None


def _covered(draft: Recommendation, default: Recommendation) -> Recommendation:
    """What will be in force for a workload under the default; `needs` keeps its own answer."""
    cpu, memory = _under(draft.cpu, default.cpu), _under(draft.memory, default.memory)
    same = all(
        (size.step, size.end) == (own.step, own.end)
        for size, own in ((cpu, draft.cpu), (memory, draft.memory))
    )
    return replace(
        draft,
        cpu=cpu,
        memory=memory,
        written="mesh default",
        reason=draft.reason if same else f"takes the mesh default; by itself: {draft.reason}",
    )


def _under(own: ResourceAdvice, default: ResourceAdvice) -> ResourceAdvice:
    same = own.recommended_request == default.recommended_request
    return replace(
        own,
        recommended_request=default.recommended_request,
        recommended_limit=default.recommended_limit,
        target_request=default.target_request,
        target_limit=default.target_limit,
        rule=own.rule if same else Rule.MESH_DEFAULT,
    )
