"""Which workloads an HPA scales on the utilisation of requests, and how a new size moves that."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from datetime import date
from typing import Any

import pandas as pd

from rightsize.results import MOST_TARGET, Recommendation, Resource, ScalePoint
from rightsize.sizing.history import ContainerHistory
from rightsize.sizing.hpa import kept_target
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import WORKLOAD, newest_rows

_Owner = tuple[str | None, str | None, str | None]
"""Namespace, workload and its kind."""


def autoscalers(snapshot: Snapshot, days: list[date] | None = None) -> pd.DataFrame:
    """HPAs, as last reported, that target utilisation of CPU or memory, one row a metric."""
    rows = newest_rows(snapshot, "hpas", days)
    on_requests = rows["metric"].isin(["cpu", "memory"]) & rows["target_utilization"].notna()
    return rows[on_requests].reset_index(drop=True)


def held_by_autoscaler(
    scalers: pd.DataFrame, history: ContainerHistory, resource: Resource
) -> str | None:
    """Why a request of a component with an HPA of its own is not cut.

    Its CPU usage is what the HPA lets it be: a smaller request under the same target lets the HPA
    add replicas at less usage, which then looks like less need again. Memory does not fall with
    more replicas, so that an HPA on it climbs to its maximum.
    """
    if resource == "memory" and history.component == "sidecar":
        # Of a whole pod's memory the scale point is kept by another target.
        return None
    here = scalers["workload"].to_numpy() == history.workload
    if not here.any():
        return None
    mine = _of_kind(scalers[here], history.kind if history.same_name else None)
    mine = mine[(mine["namespace"] == history.namespace) & (mine["metric"] == resource)]
    alone = mine[mine["container"] == history.container]
    if history.component != "sidecar":
        alone = mine[mine["container"].isna() | (mine["container"] == history.container)]
    if alone.empty:
        return None
    target = alone["target_utilization"].iloc[0]
    what = "usage" if resource == "cpu" else "memory"
    return f"its HPA holds {what} at {target:g} % of the request"


def scale_points(
    scalers: pd.DataFrame, recommendations: Sequence[Recommendation], containers: pd.DataFrame
) -> tuple[ScalePoint, ...]:
    """The HPAs on whole pods, or on a sized container, with a scale point that the recommendations move.

    Parameters
    ----------
    scalers : DataFrame
        As `autoscalers` gives.
    containers : DataFrame
        As `rightsize.snapshot.views.newest_containers` gives.
    """
    if scalers.empty:
        return ()
    requests = _pod_requests(containers)
    scaled = scalers.groupby(["namespace", "workload"]).indices
    points = []
    for row in recommendations:
        if row.autoscaling is not None:
            # Its target is written together with its sizes.
            continue
        places = scaled.get((row.namespace, row.workload))
        if places is None:
            continue
        mine = _of_kind(scalers.iloc[places], row.identity[2])
        mine = mine[mine["container"].isna() | (mine["container"] == row.container)]
        for scaler in mine.to_dict("records"):
            point = _scale_point(scaler["metric"], scaler, row, requests)
            if point is not None:
                points.append(point)
    return tuple(points)


def _of_kind(scalers: pd.DataFrame, kind: str | None) -> pd.DataFrame:
    """Those of one kind of two that share a name, or of a kind that nothing reported; None: all."""
    if kind is None:
        return scalers
    return scalers[scalers["workload_kind"].isna() | (scalers["workload_kind"] == kind)]


def _scale_point(
    resource: Resource,
    scaler: dict[Hashable, Any],
    row: Recommendation,
    requests: Mapping[str, Mapping[_Owner, float]],
) -> ScalePoint | None:
    size = row.cpu if resource == "cpu" else row.memory
    alone = isinstance(scaler["container"], str)
    total = requests[f"{resource}_request"].get((row.namespace, row.workload, row.kind), 0.0)
    total = (size.request or 0.0) if alone else total
    if size.request is None or size.recommended_request is None or not total:
        return None
    after = float(total) - size.request + size.recommended_request
    if size.request == size.recommended_request or after <= 0:
        return None
    target = float(scaler["target_utilization"])
    return ScalePoint(
        namespace=str(row.namespace),
        hpa=str(scaler["hpa"]),
        workload=str(row.workload),
        kind=row.kind,
        resource=resource,
        target_utilization=target,
        pod_request=float(total),
        recommended_pod_request=after,
        kept_target_utilization=_sensible(kept_target(target, float(total), after), target),
        container=scaler["container"] if alone else None,
    )


def _sensible(kept: int, target: float) -> int | None:
    """The target, unless it is above what leaves room to scale (a higher one set today may stay)."""
    return kept if kept <= max(MOST_TARGET, target) else None


def _pod_requests(
    containers: pd.DataFrame,
) -> Mapping[str, Mapping[_Owner, float]]:
    """Requests of one pod of each workload: all containers that keep running, summed."""
    kept = ~containers["init"].eq(True) | containers["native"].eq(True)
    by_workload = containers[kept].groupby(WORKLOAD)
    sums = by_workload[["cpu_request", "memory_request"]].sum()
    found: dict[str, dict[_Owner, float]] = {}
    for name in ("cpu_request", "memory_request"):
        names = zip(*(sums.index.get_level_values(level) for level in WORKLOAD), strict=True)
        found[name] = dict(zip(names, sums[name].tolist(), strict=True))
    return found
