"""What a cluster's own rules make of new sizes: QoS classes, quotas, disruption budgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from rightsize.quantity import parse_quantity
from rightsize.results import Recommendation

_QUOTAS = {
    "requests.cpu": "cpu_request",
    "requests.memory": "memory_request",
    "limits.cpu": "cpu_limit",
    "limits.memory": "memory_limit",
}
_SIZES = list(_QUOTAS.values())


def with_qos_notes(
    rows: Sequence[Recommendation], containers: pd.DataFrame
) -> tuple[Recommendation, ...]:
    """Add a note to each row that moves its pods to another QoS class.

    Parameters
    ----------
    rows : sequence of Recommendation
    containers : DataFrame
        As `rightsize.snapshot.views.newest_containers` gives.
    """
    by_workload: dict[Any, pd.DataFrame] = dict(list(containers.groupby(["namespace", "workload"])))
    return tuple(_with_note(row, by_workload) for row in rows)


def _with_note(row: Recommendation, by_workload: Mapping[Any, pd.DataFrame]) -> Recommendation:
    pod = by_workload.get((row.namespace, row.workload))
    if pod is None or not row.changes:
        return row
    sizes = row.recommended
    after = pod.copy()
    mine = after["container"] == row.container
    after.loc[mine, _SIZES] = [
        sizes.cpu_request, sizes.memory_request, sizes.cpu_limit, sizes.memory_limit,
    ]  # fmt: skip
    classes = qos_class(pod), qos_class(after)
    if classes[0] == classes[1]:
        return row
    note = f"its pods move from QoS class {classes[0]} to {classes[1]}"
    return replace(row, notes=(*row.notes, note))


def qos_class(containers: pd.DataFrame) -> str:
    """QoS class of a pod (kubernetes.io, "Pod Quality of Service Classes").

    Parameters
    ----------
    containers : DataFrame
        All containers of the pod, init containers too: cpu_request, cpu_limit (cores),
        memory_request, memory_limit (bytes), NaN where not set.
    """
    sizes = containers[_SIZES].astype(float)
    if sizes.isna().all(axis=None):
        return "BestEffort"
    limits = sizes[["cpu_limit", "memory_limit"]]
    # A request that is not set takes the limit's value.
    cpu = sizes["cpu_request"].fillna(sizes["cpu_limit"])
    memory = sizes["memory_request"].fillna(sizes["memory_limit"])
    equal = (cpu == sizes["cpu_limit"]).all() and (memory == sizes["memory_limit"]).all()
    return "Guaranteed" if equal and limits.notna().all(axis=None) else "Burstable"


def quota_warnings(
    rows: Sequence[Recommendation],
    containers: pd.DataFrame,
    quotas: Mapping[str, Mapping[str, str]],
) -> Iterator[str]:
    """Namespaces with a quota that would be exceeded by the recommended sizes.

    Parameters
    ----------
    rows : sequence of Recommendation
        Their mean replicas count.
    containers : DataFrame
        As `rightsize.snapshot.views.newest_containers` gives: what else the pods ask for.
    quotas : mapping of namespace to mapping of quota name to quantity
        `requests.cpu`, `requests.memory`, `limits.cpu`, `limits.memory`.

    Raises
    ------
    ValueError
        For a quota's name or quantity that Kubernetes does not know.
    """
    for namespace, hard in quotas.items():
        mine = [row for row in rows if row.namespace == namespace and row.workload]
        for name, quantity in hard.items():
            if name not in _QUOTAS:
                raise ValueError(f"quota {name!r} is none of {', '.join(_QUOTAS)}")
            total = _total(mine, containers, _QUOTAS[name])
            if total > parse_quantity(quantity):
                yield (
                    f"namespace {namespace} would ask for {total:.4g} of {name}, its quota is "
                    f"{quantity}: pods beyond it are not admitted"
                )


def _total(rows: Sequence[Recommendation], containers: pd.DataFrame, column: str) -> float:
    total = 0.0
    for row in rows:
        pod = containers[
            (containers["namespace"] == row.namespace) & (containers["workload"] == row.workload)
        ]
        others = pod[pod["container"] != row.container][column].fillna(0.0).sum()
        own = getattr(row.recommended, column) or 0.0
        total += max(1.0, row.replicas) * (float(others) + own)
    return total


def budget_warnings(rows: Sequence[Recommendation], pdbs: pd.DataFrame) -> Iterator[str]:
    """Disruption budgets that let no pod go: their nodes cannot be drained, nor freed.

    Parameters
    ----------
    rows : sequence of Recommendation
    pdbs : DataFrame
        Table `pdbs` of the last day.
    """
    sized = {(row.namespace, row.workload) for row in rows}
    blocking = pdbs[pdbs["disruptions_allowed"] == 0]
    for budget in blocking.to_dict("records"):
        if (budget["namespace"], budget["workload"]) in sized:
            pods = budget["expected_pods"]
            counted = "" if pd.isna(pods) else f" over {pods:.0f} pods"
            yield (
                f"PodDisruptionBudget {budget['namespace']}/{budget['pdb']}{counted} allows no "
                f"disruption: nodes with {budget['workload']} cannot be drained"
            )
