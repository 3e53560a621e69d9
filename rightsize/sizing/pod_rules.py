"""What a cluster's own rules make of new sizes: QoS classes, quotas, disruption budgets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from rightsize.quantity import parse_quantity
from rightsize.results import Recommendation, SizeField
from rightsize.sizing.policies.base import Floats
from rightsize.snapshot.views import WORKLOAD

_QUOTAS: dict[str, SizeField] = {
    "requests.cpu": "cpu_request",
    "requests.memory": "memory_request",
    "limits.cpu": "cpu_limit",
    "limits.memory": "memory_limit",
}
_SIZES = list(_QUOTAS.values())
"""Requests, then limits, CPU before memory."""
Strings = npt.NDArray[np.object_]


def with_qos_notes(
    rows: Sequence[Recommendation], containers: pd.DataFrame
) -> tuple[Recommendation, ...]:
    """Add a note to each row that moves its pods to another QoS class.

    Parameters
    ----------
    containers : DataFrame
        As `rightsize.snapshot.views.newest_containers` gives.
    """
    pods = _Pods(containers)
    return tuple(_with_note(row, pods) for row in rows)


class _Pods:
    """Sizes of the newest pod of each workload, found without a search."""

    def __init__(self, containers: pd.DataFrame) -> None:
        self._rows = containers.groupby(WORKLOAD, observed=True).indices
        self._names = containers["container"].astype(object).to_numpy()
        self._sizes = containers[_SIZES].to_numpy(dtype=float)
        self._known = containers[["requests_known", "limits_known"]].to_numpy(dtype=bool)

    def of(self, row: Recommendation) -> tuple[Strings, Floats]:
        """Names of the containers of the row's pod, and their sizes as `qos_class` takes them.

        Nothing where a size that no metric reported may be set.
        """
        found = self._rows.get((row.namespace, row.workload, row.kind), ())
        mine = np.asarray(found, dtype=np.int64)
        if not self._known[mine].all():
            mine = mine[:0]
        return self._names[mine], self._sizes[mine]


def _with_note(row: Recommendation, pods: _Pods) -> Recommendation:
    names, before = pods.of(row)
    if not len(names) or not row.changes:
        return row
    after = before.copy()
    after[names == row.container] = [
        np.nan if size is None else size for size in (getattr(row.recommended, s) for s in _SIZES)
    ]
    classes = qos_class(before), qos_class(after)
    if classes[0] == classes[1]:
        return row
    note = f"its pods move from QoS class {classes[0]} to {classes[1]}"
    return replace(row, notes=(*row.notes, note))


def qos_class(sizes: Floats) -> str:
    """QoS class of a pod (kubernetes.io, "Pod Quality of Service Classes").

    Parameters
    ----------
    sizes : float64 array of shape (containers, 4)
        All containers of the pod, init containers too: CPU and memory requests, then limits, in
        cores and bytes, NaN where not set.
    """
    if np.isnan(sizes).all():
        return "BestEffort"
    limits = sizes[:, 2:]
    # A request that is not set takes the limit's value.
    requests = np.where(np.isnan(sizes[:, :2]), limits, sizes[:, :2])
    return "Guaranteed" if (requests == limits).all() else "Burstable"


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
    pods = _Pods(containers)
    for namespace, hard in quotas.items():
        mine = [row for row in rows if row.namespace == namespace and row.workload]
        for name, quantity in hard.items():
            if name not in _QUOTAS:
                raise ValueError(f"quota {name!r} is none of {', '.join(_QUOTAS)}")
            total = _total(mine, pods, _QUOTAS[name])
            if total > parse_quantity(quantity):
                yield (
                    f"namespace {namespace} would ask for {total:.4g} of {name}, its quota is "
                    f"{quantity}: pods beyond it are not admitted"
                )


def _total(rows: Sequence[Recommendation], pods: _Pods, column: SizeField) -> float:
    total = 0.0
    for row in rows:
        names, sizes = pods.of(row)
        others = np.nansum(sizes[names != row.container, _SIZES.index(column)])
        own = getattr(row.recommended, column) or 0.0
        total += max(1.0, row.replicas) * (float(others) + own)
    return total


def budget_warnings(rows: Sequence[Recommendation], pdbs: pd.DataFrame) -> Iterator[str]:
    """Disruption budgets that let no pod go: their nodes cannot be drained, nor freed.

    Parameters
    ----------
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
