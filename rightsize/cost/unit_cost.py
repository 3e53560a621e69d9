"""What a million requests cost: by workload, by namespace, and for the mesh."""

from __future__ import annotations

import numpy as np
import pandas as pd

_WORKLOAD = ["namespace", "workload"]


def requests_of(traffic: pd.DataFrame) -> pd.DataFrame:
    """The rows of table `traffic` that count requests: those of TCP count connections."""
    return traffic[traffic["protocol"].astype(str) != "tcp"]


def unit_costs(rows: pd.DataFrame, traffic: pd.DataFrame) -> pd.DataFrame:
    """Return dollars for a million requests served, of each workload that served any.

    Parameters
    ----------
    rows : DataFrame
        `Allocation.rows` of a stretch of time.
    traffic : DataFrame
        Table `traffic` of the same stretch.

    Returns
    -------
    DataFrame
        `namespace`, `workload` (None: the whole namespace; both None: the mesh), `requests`,
        `usd` (the containers and sidecars of the workload, or of all workloads of the namespace;
        for the mesh all that is its), `usd_per_million`; NaN is unknown.
    """
    asked = requests_of(traffic)
    served = asked.astype({"destination_namespace": object, "destination_workload": object})
    by_workload = served.groupby(["destination_namespace", "destination_workload"])[
        "requests"
    ].sum()
    served = by_workload.rename_axis(_WORKLOAD).reset_index()
    served = served[(served["requests"] > 0) & (served["workload"] != "unknown")]
    own = rows[rows["part"].eq("application") | rows["component"].eq("sidecar")]
    own = own.astype({"namespace": object, "workload": object})
    usd = own.groupby(_WORKLOAD)["usd"].sum(min_count=1, skipna=False).reset_index()
    found = served.merge(usd, on=_WORKLOAD, how="left")
    # A namespace pays for its workloads that serve nothing, too.
    whole_usd = own.groupby("namespace")["usd"].sum(min_count=1, skipna=False).reset_index()
    spaces = found.groupby("namespace")[["requests"]].sum().reset_index().assign(workload=None)
    spaces = spaces.merge(whole_usd, on="namespace", how="left")
    mesh = rows[rows["part"] == "mesh"]["usd"]
    whole = pd.DataFrame(
        {
            "namespace": [None],
            "workload": [None],
            "requests": [float(asked["requests"].sum()) if len(traffic) else np.nan],
            "usd": [float(mesh.sum(skipna=False)) if len(mesh) else np.nan],
        }
    )
    parts = [part for part in (whole, spaces, found) if len(part)]
    table = pd.concat([part.astype(object) for part in parts], ignore_index=True)
    table = table.astype({"requests": float, "usd": float})
    table["usd_per_million"] = table["usd"] / table["requests"].where(table["requests"] > 0) * 1e6
    return table


def with_trend(now: pd.DataFrame, before: pd.DataFrame | None) -> pd.DataFrame:
    """Add `before` (dollars for a million requests) and `change` (share); NaN where unknown."""
    if before is None:
        return now.assign(before=np.nan, change=np.nan)
    keys = {"namespace": object, "workload": object}
    old = before.astype(keys).set_index(_WORKLOAD)["usd_per_million"]
    found = old.reindex(pd.MultiIndex.from_frame(now.astype(keys)[_WORKLOAD])).to_numpy(dtype=float)
    return now.assign(before=found, change=now["usd_per_million"] / found - 1)
