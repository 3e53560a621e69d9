"""A month of a snapshot as the facts that `realised_saving` compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from rightsize.cost.allocation import kept_running
from rightsize.cost.machines import (
    billed_nodes,
    causes_seen,
    covered_hours,
    days_of,
    machine_days,
    on_days,
)
from rightsize.cost.unit_cost import requests_of
from rightsize.nodes.room import holding_room, hours_seen
from rightsize.prices.book import PriceBook
from rightsize.snapshot import Snapshot

OWNER = ("namespace", "workload", "container")
_MACHINE = ["instance_type", "purchase_option"]
_AMOUNTS = ("cpu_request", "memory_request")


@dataclass(frozen=True)
class MonthFacts:
    """One month of a cluster: the days on which nodes were seen."""

    machines: pd.DataFrame
    """`instance_type`, `purchase_option`, `node_hours`, `usd_per_hour` (mean over the hours at each
    day's price; NaN is unknown)"""
    requests: pd.DataFrame
    """Every container of the cluster, of the mesh or not: `namespace`, `workload`, `container`,
    `pod_hours`, and per pod the mean in force: `cpu_request` (cores), `memory_request` (bytes)"""
    traffic: float | None = None
    """requests served in the month"""
    hours: float = 0.0
    """Hours covered. 0: avoided growth counts, however little."""
    pods: pd.DataFrame = field(default_factory=pd.DataFrame, compare=False)
    """The same as `requests` for each pod and day, with `day`, `pod` and `hours`; maybe empty"""

    def as_json(self) -> dict[str, Any]:
        """What later months compare with, without the containers: they are summed up."""
        machines = self.machines.astype({"usd_per_hour": object})
        return {
            "machines": machines.where(machines.notna(), None).to_dict("records"),
            "core_hours": held(self.requests, "cpu_request"),
            "byte_hours": held(self.requests, "memory_request"),
            "traffic": self.traffic,
            "hours": self.hours,
        }


def facts_of_json(body: Mapping[str, Any]) -> MonthFacts:
    """Read what `MonthFacts.as_json` wrote.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it is something else.
    """
    machines = pd.DataFrame(body["machines"], columns=[*_MACHINE, "node_hours", "usd_per_hour"])
    whole = {"namespace": "", "workload": "", "container": "", "pod_hours": 1.0}
    whole |= {"cpu_request": float(body["core_hours"]), "memory_request": float(body["byte_hours"])}
    traffic = body["traffic"]
    return MonthFacts(
        machines.astype({"node_hours": float, "usd_per_hour": float}),
        pd.DataFrame([whole]),
        None if traffic is None else float(traffic),
        float(body["hours"]),
    )


def month_facts(
    snapshot: Snapshot, book: PriceBook, *, days: Sequence[date] | None = None
) -> MonthFacts:
    """Read machines, requests in force and traffic of some days.

    Hours are those seen; compare months of equal length, or scale one of them with `scaled`. Days
    that money is not about (`billed_nodes`) are left out of everything.

    Parameters
    ----------
    days : sequence of date, optional
        All days of the snapshot without it.
    """
    nodes = billed_nodes(snapshot, days=days)
    covered = days_of(nodes)
    chosen = [day for day in (snapshot.days if days is None else days) if day in covered]
    traffic = requests_of(snapshot.read("traffic", days=chosen, columns=["protocol", "requests"]))
    containers, pods = (
        on_days(snapshot.read(name, days=days), covered) for name in ("containers", "pods")
    )
    if not causes_seen(snapshot, days):
        containers = containers.iloc[:0]
    in_force = requests_in_force(containers, pods)
    return MonthFacts(
        by_type(machine_days(nodes, book)),
        _means(in_force),
        float(traffic["requests"].sum()) if len(traffic) else None,
        covered_hours(snapshot, nodes),
        in_force,
    )


def scaled(month: MonthFacts, factor: float) -> MonthFacts:
    """Return the month with all its hours and its traffic times `factor`."""
    return MonthFacts(
        month.machines.assign(node_hours=month.machines["node_hours"] * factor),
        month.requests.assign(pod_hours=month.requests["pod_hours"] * factor),
        None if month.traffic is None else month.traffic * factor,
        month.hours * factor,
    )


def by_type(machines: pd.DataFrame) -> pd.DataFrame:
    """Sum rows of `machine_days` by type: `node_hours`, and the mean `usd_per_hour`."""
    usd = machines["hours"] * machines["usd_per_hour"]
    table = machines.assign(usd=usd, unknown=usd.isna())
    sums = table.groupby(_MACHINE)[["hours", "usd", "unknown"]].sum().reset_index()
    rate = (sums["usd"] / sums["hours"]).where(sums["unknown"] == 0, np.nan)
    return sums.rename(columns={"hours": "node_hours"})[[*_MACHINE, "node_hours"]].assign(
        usd_per_hour=rate
    )


def requests_in_force(containers: pd.DataFrame, pods: pd.DataFrame) -> pd.DataFrame:
    """Return `day`, `OWNER`, `pod`, `component`, `since`, `hours` and requests of each container and day.

    A pod counts for as long as it held room; a request that is not set is NaN.
    """
    running = kept_running(containers)
    holding = holding_room(pods).dropna(subset=["node"])
    key = ["day", "namespace", "pod"]
    seen = holding.assign(hours=hours_seen(holding), since=holding["first_seen"])
    seen = seen[[*key, "workload", "since", "hours"]]
    names = {"namespace": object, "pod": object}
    table = running.astype(names).merge(seen.astype(names), on=key)
    columns = ["day", *OWNER, "pod", "component", "since", "hours", *_AMOUNTS]
    return table.astype(dict.fromkeys((*OWNER, "component"), object))[columns]


def held(requests: pd.DataFrame, column: str) -> float:
    """Core-hours or byte-hours that pods requested; a request that is not set holds nothing."""
    return float((requests[column].fillna(0.0) * requests["pod_hours"]).sum())


def _means(in_force: pd.DataFrame) -> pd.DataFrame:
    """Requests in force per pod, as a mean over pod-hours."""
    table = in_force.rename(columns={"hours": "pod_hours"})
    for name in _AMOUNTS:
        table[name] = table[name].fillna(0.0) * table["pod_hours"]
    sums = table.groupby(list(OWNER))[["pod_hours", *_AMOUNTS]].sum()
    for name in _AMOUNTS:
        sums[name] = sums[name] / sums["pod_hours"]
    return sums.reset_index()
