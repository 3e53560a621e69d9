"""What a month's machines, requests and traffic were, as `realised_saving` compares them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from rightsize.analysis.cost.book import PriceBook
from rightsize.analysis.cost.realised import MonthFacts
from rightsize.snapshot import Snapshot

_KEYS = ["namespace", "workload", "container"]


def month_facts(snapshot: Snapshot, book: PriceBook) -> MonthFacts:
    """Sum up the days of `snapshot` (one month of it).

    Parameters
    ----------
    snapshot : Snapshot
        Only the month's days.
    book : PriceBook
        The month's prices.
    """
    traffic = snapshot.read("traffic", columns=["requests"])
    return MonthFacts(
        machines=_machines(snapshot.read("nodes"), book),
        requests=_requests(snapshot),
        traffic=float(traffic["requests"].sum()) if len(traffic) else None,
    )


def _machines(nodes: pd.DataFrame, book: PriceBook) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "instance_type": nodes["instance_type"].astype(object).fillna("unknown"),
            "purchase_option": nodes["capacity_type"].astype(object).fillna("on-demand"),
            "node_hours": _hours(nodes),
        }
    )
    sums = rows.groupby(["instance_type", "purchase_option"])["node_hours"].sum().reset_index()
    prices = [
        book.price(name, option)
        for name, option in zip(sums["instance_type"], sums["purchase_option"], strict=True)
    ]
    return sums.assign(usd_per_hour=[np.nan if p is None else p.usd_per_hour for p in prices])


def _requests(snapshot: Snapshot) -> pd.DataFrame:
    """Pod-hours and mean requests in force of every container of every workload."""
    pods = snapshot.read("pods")
    pods = pods.assign(pod_hours=_hours(pods))
    text = ["namespace", "pod"]
    joined = (
        snapshot.read("containers")
        .astype(dict.fromkeys([*text, "container"], object))
        .merge(
            pods[["day", *text, "workload", "pod_hours"]].astype(
                dict.fromkeys([*text, "workload"], object)
            ),
            on=["day", *text],
        )
    )
    ended = joined["init"].fillna(False) & ~joined["native"].fillna(False)
    joined = joined[~ended]
    for column in ("cpu_request", "memory_request"):
        joined[column] = joined[column].fillna(0.0) * joined["pod_hours"]
    sums = joined.groupby(_KEYS)[["pod_hours", "cpu_request", "memory_request"]].sum()
    means = sums[["cpu_request", "memory_request"]].div(sums["pod_hours"], axis=0)
    return means.assign(pod_hours=sums["pod_hours"]).reset_index()


def _hours(seen: pd.DataFrame) -> pd.Series:
    """Hours of the day between first and last sight; the first window counts whole."""
    spans = (seen["last_seen"] - seen["first_seen"]).dt.total_seconds() / 3600 + 1 / 12
    return spans.clip(upper=24.0)
