"""What a pod requests, counted as the scheduler counts it.

The rule is KEP-753 (sidecar containers), in Kubernetes from 1.28 on:

    request = max( sum of containers + sum of native sidecars,
                   largest over plain init containers i of
                       (i + native sidecars started before i) ) + overhead

A container without a request counts as nothing. Where the order of init containers is not
known, a plain init container is taken to start after all native sidecars (the cautious side),
but for Istio's own `istio-init` and `istio-validation`, which come before the proxy.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rightsize.results import Advice, Recommendation

ISTIO_INIT = ("istio-init", "istio-validation")
_KEY = ["namespace", "pod"]


def pod_requests(containers: pd.DataFrame) -> pd.DataFrame:
    """Sum containers to pods.

    Parameters
    ----------
    containers : DataFrame
        `namespace`, `pod`, `container`, `init`, `native`, `cpu_request` (cores),
        `memory_request` (bytes); a column `position` (start order of init containers) is used
        where it is there, and `day` is kept apart like `namespace`.

    Returns
    -------
    DataFrame
        The key, `cpu` (cores), `memory` (bytes), `unset` (containers without a CPU or memory
        request, plain init containers left out), `unknown` (whether nobody knows what a container
        requests, which counts as nothing here). Overhead is not in it.
    """
    key = [column for column in ("day", *_KEY) if column in containers.columns]
    table = containers[[*key, "container"]].copy()
    for column in key[-2:]:
        table[column] = table[column].astype("string")
    init = containers["init"].astype("boolean").fillna(False).to_numpy(dtype=bool)
    native = containers["native"].astype("boolean").fillna(False).to_numpy(dtype=bool)
    plain = init & ~native
    table["order"] = _start_order(containers, native)
    keep = ~plain
    table["unset"] = keep & (
        containers["cpu_request"].isna() | containers["memory_request"].isna()
    ).to_numpy(dtype=bool)
    table["unknown"] = ~requests_known(containers)
    for name, column in (("cpu", "cpu_request"), ("memory", "memory_request")):
        value = pd.to_numeric(containers[column]).fillna(0.0).to_numpy(dtype=float)
        table[name] = value * keep
        table[f"{name}_native"] = value * native
        table[f"{name}_plain"] = value * plain
    table = table.sort_values([*key, "order"], kind="stable")
    groups = table.groupby(key, observed=True, sort=False)
    for name in ("cpu", "memory"):
        before = groups[f"{name}_native"].cumsum()
        waiting = table[f"{name}_plain"] > 0
        table[f"{name}_start"] = (table[f"{name}_plain"] + before).where(waiting, 0.0)
    total = table.groupby(key, observed=True, sort=True).agg(
        cpu=("cpu", "sum"),
        memory=("memory", "sum"),
        cpu_start=("cpu_start", "max"),
        memory_start=("memory_start", "max"),
        unset=("unset", "sum"),
        unknown=("unknown", "any"),
    )
    return pd.DataFrame(
        {
            "cpu": total[["cpu", "cpu_start"]].max(axis=1),
            "memory": total[["memory", "memory_start"]].max(axis=1),
            "unset": total["unset"].astype(int),
            "unknown": total["unknown"].astype(bool),
        }
    ).reset_index()


def requests_known(containers: pd.DataFrame) -> NDArray[np.bool_]:
    """(N,) whether a missing request of a row of `containers` says "not set", and not "nobody knows".

    True of every row where the table has no column `requests_known`.
    """
    if "requests_known" not in containers.columns:
        return np.ones(len(containers), dtype=bool)
    found = containers[["cpu_request", "memory_request"]].notna().any(axis=1)
    said = containers["requests_known"].eq(True).fillna(False)
    return np.asarray(found | said, dtype=bool)


def _start_order(containers: pd.DataFrame, native: NDArray[np.bool_]) -> pd.Series:
    if "position" in containers.columns:
        return pd.to_numeric(containers["position"])
    order = pd.Series(2, index=containers.index)
    order[native] = 1
    order[containers["container"].astype("string").isin(ISTIO_INIT)] = 0
    return order


def with_advice(containers: pd.DataFrame, pods: pd.DataFrame, advice: Advice) -> pd.DataFrame:
    """Give mesh containers their recommended requests; everything else stays as it is.

    A recommendation of a workload's own wins over the mesh default, which applies to sidecars
    without one. A request that the advice leaves open (None) stays.

    Parameters
    ----------
    containers : DataFrame
        As for `pod_requests`, with `component`.
    pods : DataFrame
        `namespace`, `pod`, `workload`, `workload_kind` where known (and `day`, if `containers` has it).
    """
    key = [column for column in ("day", *_KEY) if column in containers.columns]
    owners = pods.reindex(columns=[*key, "workload", "workload_kind"])
    table = containers.copy()
    for frame in (owners, table):
        for column in _KEY:
            frame[column] = frame[column].astype("string")
    for column in ("workload", "workload_kind"):
        owners[column] = owners[column].astype("string")
    table = table.merge(owners.drop_duplicates(key), on=key, how="left")
    own = {(*r.identity, r.container): r for r in advice.recommendations if r.workload}
    default = advice.mesh_default
    columns = ("namespace", "workload", "workload_kind", "container", "component")
    chosen: list[Recommendation | None] = []
    for namespace, workload, kind, container, component in zip(
        *(table[column] for column in columns), strict=True
    ):
        found = own.get((namespace, workload, None, container))
        found = own.get((namespace, workload, kind, container)) if found is None else found
        if found is None and component == "sidecar":
            found = default
        chosen.append(found if pd.notna(component) else None)
    for column, resource in (("cpu_request", "cpu"), ("memory_request", "memory")):
        new = [None if r is None else getattr(r, resource).recommended_request for r in chosen]
        values = pd.Series(new, index=table.index, dtype="float64")
        table[column] = values.where(values.notna(), pd.to_numeric(table[column]))
    return table.drop(columns=["workload", "workload_kind"])
