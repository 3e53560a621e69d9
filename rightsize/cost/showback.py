"""The bill by team: what its workloads asked for, and its part of what no team asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from rightsize.cost.allocation import whole_cents

Spread = Literal["even", "requests", "none"]
NO_TEAM = "(no team)"
COMMON = "(common)"
"""What belongs to no team where it is not spread."""
TEAM_RULE = re.compile(r"(label|namespace-label):\S+|namespace")
_WORKLOAD = ["namespace", "workload"]


def teams_of(pods: pd.DataFrame, namespaces: pd.DataFrame, rules: Sequence[str]) -> pd.DataFrame:
    """Return the team of each workload: `namespace`, `workload`, `team`.

    Parameters
    ----------
    pods, namespaces : DataFrame
        The snapshot's tables; of a workload the newest pod with known labels counts.
    rules : sequence of str
        Tried in turn: `label:NAME` is the pods' label, else their namespace's,
        `namespace-label:NAME` their namespace's alone, `namespace` the namespace itself.
    """
    ordered = pods.sort_values("day", kind="stable") if "day" in pods else pods
    known = ordered.assign(known=ordered["labels"].notna()).sort_values("known", kind="stable")
    last = known.astype({"namespace": object, "workload": object}).drop_duplicates(
        _WORKLOAD, keep="last"
    )
    newest = namespaces.sort_values("day", kind="stable") if "day" in namespaces else namespaces
    of_namespace = {
        str(row.namespace): _labels(row.labels) for row in newest.itertuples() if row.labels
    }
    teams = [
        _team(rules, str(row.namespace), _labels(row.labels), of_namespace.get(str(row.namespace)))
        for row in last.itertuples()
    ]
    return last[_WORKLOAD].assign(team=teams).reset_index(drop=True)


def _labels(text: object) -> dict[str, str]:
    return json.loads(text) if isinstance(text, str) else {}


def _team(
    rules: Sequence[str], namespace: str, own: dict[str, str], around: dict[str, str] | None
) -> str:
    for rule in rules:
        kind, _, name = rule.partition(":")
        if kind == "namespace":
            return namespace
        found = own.get(name) if kind == "label" else None
        found = found or (around or {}).get(name)
        if found:
            return str(found)
    return NO_TEAM


def showback(rows: pd.DataFrame, teams: pd.DataFrame, spread: Spread) -> pd.DataFrame:
    """Return the bill by team; it adds up to the bill's known lines to the cent.

    Parameters
    ----------
    rows : DataFrame
        `Allocation.rows`.
    teams : DataFrame
        As `teams_of` gives.
    spread : {"even", "requests", "none"}
        How costs of no team (idle, system, control plane, gateways, traffic) are given to teams:
        evenly, by what each asked for, or not at all: then they are a row of their own.

    Returns
    -------
    DataFrame
        `team`, `application_usd`, `sidecar_usd`, `spread_usd`, `usd` and `share` (0 to 1) of the bill; NaN
        where a part is unknown. The dearest team comes first.
    """
    own = rows["part"].eq("application") | rows["component"].eq("sidecar")
    named = rows[own].astype({"namespace": object, "workload": object})
    named = named.merge(teams, on=_WORKLOAD, how="left").fillna({"team": NO_TEAM})
    named = named.assign(
        column=np.where(named["part"] == "application", "application_usd", "sidecar_usd"),
        unknown=named["usd"].isna(),
    )
    table = named.pivot_table(
        index="team", columns="column", values="known_usd", aggfunc="sum", observed=True
    ).reindex(columns=["application_usd", "sidecar_usd"])
    table = table.fillna(0.0)
    dark_cells = named.groupby(["team", "column"])["unknown"].any().unstack(fill_value=False)
    unknown = named.groupby("team")["unknown"].any().reindex(table.index, fill_value=False)
    common = rows[~own]
    left, dark = float(common["known_usd"].sum()), bool(common["usd"].isna().any())
    direct = table.sum(axis=1)
    if spread == "none" or table.empty:
        table["spread_usd"] = 0.0
        table.loc[COMMON] = [0.0, 0.0, left]
        unknown.loc[COMMON] = dark
    else:
        weights = pd.Series(1.0, index=table.index) if spread == "even" else direct
        total = float(weights.sum())
        parts = weights / total if total else pd.Series(1.0 / len(table), index=table.index)
        shared = np.asarray(parts * left, dtype=np.float64)
        # Their own parts are whole cents, so these are dealt out as such, and every row adds up.
        table["spread_usd"] = whole_cents(shared) / 100
        # By requests, one unknown team makes every team's part unknown.
        unknown |= dark or (spread == "requests" and bool(unknown.any()))
    cents = whole_cents(table.sum(axis=1).to_numpy(dtype=float))
    table["usd"] = cents / 100
    complete = not unknown.any()
    table["share"] = cents / cents.sum() if complete and cents.sum() else np.nan
    # What is known of an unknown amount is not that amount.
    for column in dark_cells.columns:
        hidden = dark_cells[column].reindex(table.index, fill_value=False).astype(bool)
        table.loc[hidden, column] = np.nan
    table.loc[unknown, ["spread_usd", "usd"]] = np.nan
    order = pd.Series(cents, index=table.index).sort_values(ascending=False, kind="stable").index
    return table.loc[order].rename_axis("team").reset_index()
