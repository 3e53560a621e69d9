"""What a million requests cost: by workload, by namespace, and for the mesh."""

from __future__ import annotations

import numpy as np
import pandas as pd

_WORKLOAD = ["namespace", "workload"]


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
        `usd` (the workload's own containers and its sidecar), `usd_per_million`; NaN is unknown.
        Connections of TCP are no requests.
    """
    asked = traffic[traffic["protocol"].astype(str) != "tcp"]
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
    spaces = found.groupby("namespace")[["requests", "usd"]].sum(min_count=1, skipna=False)
    spaces = spaces.reset_index().assign(workload=None)
    mesh = rows[rows["part"] == "mesh"]["usd"]
    whole = pd.DataFrame(
        {
            "namespace": [None],
            "workload": [None],
            "requests": [float(found["requests"].sum())],
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
