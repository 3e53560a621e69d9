"""The pods that nodes must hold: at an hour of the month, today or with recommended requests."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rightsize.nodes.requests import pod_requests, with_advice
from rightsize.nodes.room import WINDOW, holding_room
from rightsize.nodes.rules import parse_rules
from rightsize.results import Advice

Moment = Literal["busiest", "last", "peak"]
PER_NODE_KINDS = ("DaemonSet", "Node")
"""DaemonSets and static pods (owned by the Node): every node runs its own."""
_TEXTS = ("namespace", "pod", "workload", "workload_kind", "node", "phase")


def pod_days(
    pods: pd.DataFrame, containers: pd.DataFrame, advice: Advice | None = None
) -> pd.DataFrame:
    """Every pod of every day with what it requests; ended pods (Succeeded, Failed) left out.

    Parameters
    ----------
    pods, containers : DataFrame
        Tables `pods` and `containers` of the snapshot, with their `day`.
    advice : Advice, optional
        Recommended requests for mesh containers, instead of those in force.

    Returns
    -------
    DataFrame
        `day`, `namespace`, `workload`, `workload_kind`, `pod`, `cpu` (cores), `memory` (bytes),
        `unset` (containers without a request), `unknown` (whether the snapshot does not know
        what it requests in force), `daemonset`, `scheduling`, `labels`, `node`, `started`,
        `first_seen`, `last_seen`.
    """
    key = ["day", "namespace", "pod"]
    requests = pod_requests(containers)
    if advice is not None:
        # What is unknown today stays so: both sides of a comparison leave the same pods alone.
        unknown = requests[[*key, "unknown"]]
        requests = pod_requests(with_advice(containers, pods, advice)).drop(columns="unknown")
        requests = requests.merge(unknown, on=key, how="left")
    table = holding_room(pods).copy()
    for column in _TEXTS:
        table[column] = table[column].astype("string")
    table = table.merge(requests, on=key, how="left")
    # No row of a container: nobody saw what the pod is made of.
    table["unknown"] = table["unknown"].astype("boolean").fillna(True).astype(bool)
    rules = [
        parse_rules(text)
        for text in table["scheduling"].astype(object).where(table["scheduling"].notna(), None)
    ]
    table["cpu"] = table["cpu"].fillna(0.0) + [rule.overhead_cpu for rule in rules]
    table["memory"] = table["memory"].fillna(0.0) + [rule.overhead_memory for rule in rules]
    table["unset"] = table["unset"].fillna(0).astype(int)
    table["workload"] = table["workload"].fillna(table["pod"])
    table["workload_kind"] = table["workload_kind"].fillna("Pod")
    table["daemonset"] = table["workload_kind"].isin(PER_NODE_KINDS).to_numpy(dtype=bool)
    columns = ["day", "namespace", "workload", "workload_kind", "pod", "cpu", "memory", "unset"]
    columns += [
        "unknown",
        "daemonset",
        "scheduling",
        "labels",
        "node",
        "started",
        "first_seen",
        "last_seen",
    ]
    return table[columns].reset_index(drop=True)


def alive_at(days: pd.DataFrame, time: datetime | pd.Timestamp) -> pd.DataFrame:
    """Rows of `pod_days` that ran at a time; midnight belongs to the day before it."""
    at = pd.Timestamp(time)
    return days[(days["first_seen"] - WINDOW < at) & (at <= days["last_seen"])]


def hours_of(days: pd.DataFrame) -> pd.DatetimeIndex:
    """Ends of the hours that the pods cover."""
    first = (days["first_seen"].min() - WINDOW).floor("h") + pd.Timedelta(hours=1)
    last = days["last_seen"].max().floor("h")
    return pd.date_range(min(first, last), last, freq="h")


def busiest_hour(days: pd.DataFrame) -> pd.Timestamp:
    """The hour at the end of which the pods request most CPU; the latest of equals."""
    requested = requested_by_hour(days)["cpu"].to_numpy(dtype=float).round(6)
    return pd.Timestamp(hours_of(days)[np.flatnonzero(requested == requested.max())[-1]])


def requested_by_hour(days: pd.DataFrame) -> pd.DataFrame:
    """Sum the pods that run at the end of each hour: `pods`, `cpu` (cores), `memory` (bytes).

    Parameters
    ----------
    days : DataFrame
        As of `pod_days`.
    """
    hours = hours_of(days)
    sums = {}
    starts, ends = days["first_seen"] - WINDOW, days["last_seen"]
    for name, amount in (("pods", 1.0), ("cpu", days["cpu"]), ("memory", days["memory"])):
        values = np.broadcast_to(np.asarray(amount, dtype=float), len(days))
        sums[name] = _before(starts, values, hours) - _before(ends, values, hours)
    return pd.DataFrame(sums, index=hours)


def _before(
    times: pd.Series, values: NDArray[np.float64], hours: pd.DatetimeIndex
) -> NDArray[np.float64]:
    """(H,) sum of the values with a time before each hour."""
    stamps = pd.DatetimeIndex(times).as_unit("ns").asi8
    order = np.argsort(stamps, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(values[order])])
    return np.asarray(total[np.searchsorted(stamps[order], hours.as_unit("ns").asi8)])


def scheduled_pods(
    pods: pd.DataFrame,
    containers: pd.DataFrame,
    *,
    at: datetime | Moment = "busiest",
    advice: Advice | None = None,
) -> pd.DataFrame:
    """The pods to be placed, with today's requests or the recommended ones.

    Parameters
    ----------
    pods, containers : DataFrame
        Tables of the snapshot, with their `day`.
    at : datetime or {"busiest", "last", "peak"}
        A time of the snapshot; the hour in which today's requests are highest; its last hour;
        or its last hour with every workload grown to the most pods it had at once in any hour.
        The hour is found with today's requests, so that before and after are the same pods.
    advice : Advice, optional
        Recommended requests for mesh containers.

    Returns
    -------
    DataFrame
        Columns of `pod_days` without `day`, `first_seen`, `last_seen`. Empty for an empty input.
    """
    today = pod_days(pods, containers)
    if today.empty:
        return today.drop(columns=["day", "first_seen", "last_seen"])
    hours = hours_of(today)
    if at == "busiest":
        time = busiest_hour(today)
    elif at in ("last", "peak"):
        time = pd.Timestamp(hours[-1])
    else:
        time = pd.Timestamp(at)
    days = today if advice is None else pod_days(pods, containers, advice)
    chosen = alive_at(days, time).drop(columns=["day", "first_seen", "last_seen"])
    if at == "peak":
        chosen = grown(chosen, peak_replicas(today))
    return chosen.reset_index(drop=True)


def peak_replicas(days: pd.DataFrame) -> pd.Series:
    """Most pods at once in any hour, by (namespace, workload, workload_kind)."""
    owner = ["namespace", "workload", "workload_kind"]
    counts = [
        alive_at(days, hour).groupby(owner, observed=True)["pod"].nunique()
        for hour in hours_of(days)
    ]
    return pd.concat(counts).groupby(level=owner, observed=True).max()


def grown(pods: pd.DataFrame, replicas: pd.Series) -> pd.DataFrame:
    """Clone pods of each workload until it has its `replicas`; per-node pods stay as they are."""
    owner = ["namespace", "workload", "workload_kind"]
    parts = [pods]
    for key, members in pods[~pods["daemonset"]].groupby(owner, observed=True):
        missing = int(replicas.get(key, 0)) - len(members)
        if missing > 0:
            clones = pd.concat([members.tail(1)] * missing)
            names = [f"{members['pod'].iloc[-1]}+{i + 1}" for i in range(missing)]
            parts.append(clones.assign(pod=names, node=None))
    return pd.concat(parts, ignore_index=True)
