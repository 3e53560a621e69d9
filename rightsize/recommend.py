"""The main job: from a snapshot to a recommendation for each mesh container of each workload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date

import pandas as pd
from pydantic import TypeAdapter

from rightsize.answers import answered
from rightsize.config import PolicySettings, Settings
from rightsize.errors import UsageError
from rightsize.istiod.row import istiod_advices, propagation_holds, with_istiod_model
from rightsize.results import (
    Advice,
    Component,
    Recommendation,
    ScalePoint,
    Sizes,
)
from rightsize.sizing.autoscalers import autoscalers, scale_points
from rightsize.sizing.cluster_rules import (
    ClusterRules,
    cluster_rules,
    not_admitted,
    within_rules,
)
from rightsize.sizing.drafts import Drafting, Progress, drafts_of
from rightsize.sizing.mesh_default import MeshDefault, with_mesh_default
from rightsize.sizing.node_bound import free_memory, largest_node, within_nodes
from rightsize.sizing.pod_rules import (
    budget_warnings,
    quota_warnings,
    with_qos_notes,
)
from rightsize.sizing.policies import SizingPolicy
from rightsize.sizing.profiles import profile_policy
from rightsize.snapshot import Snapshot
from rightsize.snapshot.manifest import missing_lines
from rightsize.snapshot.views import newest_containers, newest_rows


def recommend(
    snapshot: Snapshot,
    settings: Settings | None = None,
    *,
    policy: SizingPolicy | None = None,
    days: list[date] | None = None,
    given: Mapping[Component, Sizes] | None = None,
    progress: Progress | None = None,
) -> Advice:
    """Return what every mesh container should request, with the evidence for it.

    Parameters
    ----------
    settings : Settings, optional
        Profile, guards and bounds; the defaults without.
    policy : SizingPolicy, optional
        Instead of the profile of the settings.
    days : list of date, optional
        Only these days of the snapshot.
    given : mapping of Component to Sizes, optional
        What the user's files set: the mesh default in force is not guessed where they say it, and
        what no metric reports is what they say.
    progress : callable, optional
        Called with the name of each workload done.
    """
    rules = (settings or Settings()).policy
    chosen = policy if policy is not None else profile_policy(rules.profile, rules.parameters)
    name = rules.profile if policy is None else type(policy).__name__
    asked = _Question(rules, chosen, name, days, given, with_model=policy is None)
    # Another's policy may change while the program's files do not.
    if not type(chosen).__module__.startswith("rightsize."):
        return _computed(snapshot, asked, progress)
    terms = {
        "rules": rules.model_dump(),
        "policy": [type(chosen).__qualname__, chosen.get_params()],
        "with_model": asked.with_model,
        "days": days,
        "given": _plain(given),
    }
    advice = answered(
        snapshot,
        "recommend",
        terms,
        TypeAdapter(Advice),
        lambda: _computed(snapshot, asked, progress),
    )
    return _with_utc(advice)


@dataclass(frozen=True)
class _Question:
    """What a recommendation follows from besides the snapshot."""

    rules: PolicySettings
    policy: SizingPolicy
    name: str
    days: list[date] | None
    given: Mapping[Component, Sizes] | None
    with_model: bool
    """istiod is sized by its model."""


def _plain(given: Mapping[Component, Sizes] | None) -> object:
    """What the user's files set, in an order of its own."""
    if given is None:
        return None
    return {
        name: asdict(sizes) | {"unknown": sorted(sizes.unknown)} for name, sizes in given.items()
    }


def _with_utc(advice: Advice) -> Advice:
    """The same with the standard library's UTC in all of its times."""
    rows = tuple(
        row
        if row.evidence is None
        else replace(
            row,
            evidence=replace(
                row.evidence,
                start=row.evidence.start.astimezone(UTC),
                end=row.evidence.end.astimezone(UTC),
            ),
        )
        for row in advice.recommendations
    )
    start, end = advice.start.astimezone(UTC), advice.end.astimezone(UTC)
    return replace(advice, start=start, end=end, recommendations=rows)


def _computed(snapshot: Snapshot, asked: _Question, progress: Progress | None) -> Advice:
    rules, days, given = asked.rules, asked.days, asked.given
    scalers = autoscalers(snapshot, days)
    advices = istiod_advices(snapshot, rules, days) if asked.with_model else {}
    holds, free = propagation_holds(advices), free_memory(snapshot, days)
    drafting = Drafting(asked.policy, rules, scalers, given, holds, free)
    drafts, sidecars = drafts_of(snapshot, drafting, days=days, progress=progress)
    drafts = with_istiod_model(drafts, advices, rules)
    cluster = cluster_rules(snapshot, days)
    drafts = within_rules(drafts, cluster)
    sidecar_in_file = None if given is None else given.get("sidecar")
    most = largest_node(snapshot, days)
    drafts = within_nodes(drafts, most)
    default = with_mesh_default(drafts, sidecars, snapshot.manifest.region, rules, sidecar_in_file)
    default = replace(default, recommendations=tuple(within_nodes(default.recommendations, most)))
    return _advice(snapshot, default, scalers, cluster, asked)


def _advice(
    snapshot: Snapshot,
    default: MeshDefault,
    scalers: pd.DataFrame,
    cluster: ClusterRules,
    asked: _Question,
) -> Advice:
    rules, days = asked.rules, asked.days
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
        policy=asked.name,
        # By name: the order of scikit-learn's differs between its releases.
        parameters={
            **dict(sorted(asked.policy.get_params().items())),
            "max_cut": rules.max_cut,
            "limits": rules.limits,
        },
        recommendations=tuple(_with_scale_notes(rows, points)),
        scale_points=points,
        overrides=default.curve,
        warnings=(
            *default.warnings,
            *not_admitted(rows, cluster),
            *_quota_warnings(rows, pods, cluster.quotas(rules.quotas)),
            *budget_warnings(rows, pdbs),
        ),
        missing=missing_lines(manifest.missing),
    )


def _quota_warnings(
    rows: tuple[Recommendation, ...],
    pods: pd.DataFrame,
    quotas: Mapping[str, Mapping[str, str]],
) -> tuple[str, ...]:
    try:
        return tuple(quota_warnings(rows, pods, quotas))
    except ValueError as error:
        raise UsageError(f"setting policy.quotas: {error}") from error


def _with_scale_notes(
    recommendations: tuple[Recommendation, ...], points: tuple[ScalePoint, ...]
) -> Iterator[Recommendation]:
    notes = {
        (point.namespace, point.workload, point.kind): f"HPA {point.hpa}: {point.advice}"
        for point in points
    }
    for row in recommendations:
        note = notes.get((row.namespace or "", row.workload or "", row.kind))
        yield row if note is None else replace(row, notes=(*row.notes, note))
