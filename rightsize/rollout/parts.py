"""Which phase applies a recommendation, and in which order workloads restart."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from rightsize.results import Advice, Recommendation, ScalePoint
from rightsize.rollout.model import PhaseName

SIZE_PHASES: tuple[PhaseName, ...] = (
    "sidecar-exceptions",
    "mesh-default",
    "gateways",
    "other-proxies",
    "istiod",
)
_BY_COMPONENT: dict[str, PhaseName] = {"gateway": "gateways", "istiod": "istiod"}
RESTARTED = ("Deployment", "StatefulSet", "DaemonSet", "Rollout")
"""Kinds of which a command restarts the pods; pods of Jobs take new sizes when the next one starts."""
_WAVES = (0.1, 0.4, 1.0)
"""Shares of the sidecars restarted by the end of each wave: a few, then some, then the rest."""


def phase_of(row: Recommendation) -> PhaseName:
    """The phase that writes this row."""
    if row.component == "sidecar":
        return "sidecar-exceptions" if row.written == "annotations" else "mesh-default"
    return _BY_COMPONENT.get(row.component, "other-proxies")


def rows_of(advice: Advice, phase: PhaseName) -> tuple[Recommendation, ...]:
    """Rows that the phase writes, workloads that the mesh default covers left out.

    Exceptions that change nothing are written too when the default moves, which would otherwise
    take them along.
    """
    return tuple(row for row in advice.to_write if phase_of(row) == phase)


def only(advice: Advice, phases: Collection[PhaseName]) -> Advice:
    """The advice with every row of other phases as it is in force today."""

    def kept(row: Recommendation) -> Recommendation:
        if phase_of(row) in phases:
            return row
        return replace(
            row,
            cpu=replace(
                row.cpu, recommended_request=row.cpu.request, recommended_limit=row.cpu.limit
            ),
            memory=replace(
                row.memory,
                recommended_request=row.memory.request,
                recommended_limit=row.memory.limit,
            ),
            autoscaling=None,
        )

    return replace(advice, recommendations=tuple(kept(row) for row in advice.recommendations))


def covered(advice: Advice) -> tuple[Recommendation, ...]:
    """Workloads that take the mesh default when they restart."""
    return tuple(
        row
        for row in advice.recommendations
        if row.workload is not None
        and row.component == "sidecar"
        and row.written == "mesh default"
        and row.running
    )


@dataclass(frozen=True, slots=True)
class ScaleStep:
    """A target to move together with a request."""

    point: ScalePoint
    target: int
    """Percent that keeps the scale point."""
    first: bool
    """Before the restart: the request rises, and the old target would let fewer pods stay."""


def scale_steps(advice: Advice, phase: PhaseName) -> tuple[ScaleStep, ...]:
    """Autoscaler targets that the phase's requests move."""
    mine = {
        (row.namespace, row.workload, row.kind)
        for row in advice.recommendations
        if row.workload is not None and phase_of(row) == phase
    }
    return tuple(
        ScaleStep(
            point,
            point.kept_target_utilization,
            point.kept_target_utilization < point.target_utilization,
        )
        for point in advice.scale_points
        if point.kept_target_utilization is not None
        and (point.namespace, point.workload, point.kind) in mine
        and point.kept_target_utilization != point.target_utilization
    )


def waves(rows: Collection[Recommendation]) -> tuple[tuple[Recommendation, ...], ...]:
    """Workloads in the order of their restart: whole namespaces, the smallest first.

    The first wave holds at least one namespace and about a tenth of the pods.
    """
    pods: dict[str, float] = {}
    for row in rows:
        pods[str(row.namespace)] = pods.get(str(row.namespace), 0.0) + row.replicas
    order = sorted(pods, key=lambda name: (pods[name], name))
    total, done, number = sum(pods.values()), 0.0, 0
    found: list[list[str]] = [[] for _ in _WAVES]
    for name in order:
        while found[number] and (done + pods[name]) / max(total, 1e-9) > _WAVES[number] + 1e-9:
            number += 1
        found[number].append(name)
        done += pods[name]
    return tuple(
        tuple(row for name in names for row in rows if row.namespace == name)
        for names in found
        if names
    )
