"""A month of a snapshot as the facts that `realised_saving` compares."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from rightsize.cost.allocation import kept_running
from rightsize.cost.realised import MonthFacts
from rightsize.prices.book import PriceBook
from rightsize.snapshot import Snapshot

_WINDOW_HOURS = 1 / 12


def month_facts(
    snapshot: Snapshot, book: PriceBook, *, days: Sequence[date] | None = None
) -> MonthFacts:
    """Read machines, requests in force and traffic of some days.

    Hours are those seen; compare months of equal length, or scale one of them with `scaled`.

    Parameters
    ----------
    snapshot : Snapshot
    book : PriceBook
        Prices of that month.
    days : sequence of date, optional
        All days of the snapshot without it.
    """
    traffic = snapshot.read("traffic", days=days, columns=["requests"])
    nodes = snapshot.read("nodes", days=days)
    return MonthFacts(
        _machines(nodes, book),
        _requests(snapshot.read("containers", days=days), snapshot.read("pods", days=days)),
        float(traffic["requests"].sum()) if len(traffic) else None,
        24.0 * nodes["day"].nunique(),
    )


def scaled(month: MonthFacts, factor: float) -> MonthFacts:
    """Return the month with all its hours and its traffic times `factor`."""
    return MonthFacts(
        month.machines.assign(node_hours=month.machines["node_hours"] * factor),
        month.requests.assign(pod_hours=month.requests["pod_hours"] * factor),
        None if month.traffic is None else month.traffic * factor,
        month.hours * factor,
    )


def _machines(nodes: pd.DataFrame, book: PriceBook) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "instance_type": nodes["instance_type"].astype(object).fillna("unknown"),
            "purchase_option": nodes["capacity_type"].astype(object).fillna("on-demand"),
            "node_hours": _hours(nodes),
        }
    )
    sums = table.groupby(["instance_type", "purchase_option"])["node_hours"].sum().reset_index()
    prices = [
        book.price(str(name), str(option))
        for name, option in zip(sums["instance_type"], sums["purchase_option"], strict=True)
    ]
    usd = [np.nan if price is None else price.usd_per_hour for price in prices]
    return sums.assign(usd_per_hour=np.array(usd, dtype=float))


def _requests(containers: pd.DataFrame, pods: pd.DataFrame) -> pd.DataFrame:
    """Requests in force per pod, as a mean over pod-hours."""
    running = kept_running(containers)
    key = ["day", "namespace", "pod"]
    seen = pods.assign(pod_hours=_hours(pods))[[*key, "workload", "pod_hours"]]
    names = {"namespace": object, "pod": object}
    table = running.astype(names).merge(seen.astype(names), on=key)
    owner = ["namespace", "workload", "container"]
    table = table.astype(dict.fromkeys(owner, object))
    for name in ("cpu_request", "memory_request"):
        table[name] = table[name].fillna(0.0) * table["pod_hours"]
    sums = table.groupby(owner)[["pod_hours", "cpu_request", "memory_request"]].sum()
    for name in ("cpu_request", "memory_request"):
        sums[name] = sums[name] / sums["pod_hours"]
    return sums.reset_index()


def _hours(seen: pd.DataFrame) -> pd.Series:
    lived = (seen["last_seen"] - seen["first_seen"]).dt.total_seconds() / 3600 + _WINDOW_HOURS
    return lived.clip(upper=24.0)
