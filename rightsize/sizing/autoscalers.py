"""Which workloads an HPA scales on the utilisation of requests, and how a new size moves that."""

from __future__ import annotations

from collections.abc import Hashable
from datetime import date
from typing import Any

import pandas as pd

from rightsize.results import Recommendation, Resource, ScalePoint
from rightsize.sizing.history import ContainerHistory
from rightsize.sizing.hpa import kept_target
from rightsize.snapshot import Snapshot


def autoscalers(snapshot: Snapshot, days: list[date] | None = None) -> pd.DataFrame:
    """HPAs of the last day that target utilisation of CPU or memory, one row a metric."""
    last = [(days or snapshot.days)[-1]]
    rows = snapshot.read("hpas", days=last)
    rows = rows.astype(dict.fromkeys(("namespace", "workload", "metric", "hpa"), object))
    on_requests = rows["metric"].isin(["cpu", "memory"]) & rows["target_utilization"].notna()
    return rows[on_requests].reset_index(drop=True)


def held_by_autoscaler(scalers: pd.DataFrame, history: ContainerHistory) -> str | None:
    """Why the CPU request of a component with an HPA of its own is not cut.

    Its usage is what the HPA lets it be: a smaller request under the same target lets the HPA
    add replicas at less usage, which then looks like less need again.
    """
    if history.component == "sidecar":
        return None
    mine = scalers[
        (scalers["namespace"] == history.namespace)
        & (scalers["workload"] == history.workload)
        & (scalers["metric"] == "cpu")
    ]
    if mine.empty:
        return None
    target = mine["target_utilization"].iloc[0]
    return f"its HPA holds usage at {target:g} % of the request"


def scale_points(
    scalers: pd.DataFrame,
    snapshot: Snapshot,
    recommendations: tuple[Recommendation, ...],
    days: list[date] | None = None,
) -> tuple[ScalePoint, ...]:
    """The HPAs on whole pods whose scale point the recommendations move."""
    whole_pod = scalers[scalers["metric_type"].astype(object).fillna("Resource") == "Resource"]
    if whole_pod.empty:
        return ()
    last = [(days or snapshot.days)[-1]]
    requests = _pod_requests(snapshot, last)
    points = []
    for row in recommendations:
        if row.autoscaling is not None:
            # Its target is written together with its sizes.
            continue
        mine = whole_pod[
            (whole_pod["namespace"] == row.namespace) & (whole_pod["workload"] == row.workload)
        ]
        for scaler in mine.to_dict("records"):
            point = _scale_point(scaler["metric"], scaler, row, requests)
            if point is not None:
                points.append(point)
    return tuple(points)


def _scale_point(
    resource: Resource, scaler: dict[Hashable, Any], row: Recommendation, requests: pd.DataFrame
) -> ScalePoint | None:
    size = row.cpu if resource == "cpu" else row.memory
    total = requests[f"{resource}_request"].get((row.namespace, row.workload), 0.0)
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
        resource=resource,
        target_utilization=target,
        pod_request=float(total),
        recommended_pod_request=after,
        kept_target_utilization=kept_target(target, float(total), after),
    )


def _pod_requests(snapshot: Snapshot, days: list[date]) -> pd.DataFrame:
    """Requests of one pod of each workload: all containers that keep running, summed."""
    containers = snapshot.read("containers", days=days)
    pods = snapshot.read("pods", days=days, columns=["namespace", "pod", "workload", "started"])
    text = ["namespace", "pod"]
    joined = containers.astype(dict.fromkeys(text, object)).merge(
        pods.astype(dict.fromkeys([*text, "workload"], object)), on=text
    )
    joined = joined[~joined["init"].fillna(False) | joined["native"].fillna(False)]
    by_pod = joined.groupby(["namespace", "workload", "started", "pod"], dropna=False)[
        ["cpu_request", "memory_request"]
    ].sum()
    return by_pod.groupby(level=["namespace", "workload"]).last()
