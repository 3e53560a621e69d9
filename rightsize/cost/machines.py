"""Every machine on every day: hours seen, and what an hour cost on that day.

This is the one table behind the bill, its causes, node groups, months and exports.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd

from rightsize.nodes.room import hours_seen
from rightsize.prices.book import WINDOWS, Price, PriceBook
from rightsize.prices.catalogue import instance_types
from rightsize.prices.node_kinds import NOT_EC2, kinds_of
from rightsize.snapshot import Snapshot

UNKNOWN_TYPE = "unknown"


def machine_days(
    nodes: pd.DataFrame, book: PriceBook, price_drift_per_year: float = 0.0
) -> pd.DataFrame:
    """Return a row for each node and day.

    Parameters
    ----------
    nodes : DataFrame
        Table `nodes`, read with its `day`.
    price_drift_per_year : float
        Widens the range of a price for each year between its date and the day.

    Returns
    -------
    DataFrame
        `day`, `node`, `instance_type` (`unknown` where it is not known; `fargate`, `hybrid`: no EC2
        and so no EC2 price), `purchase_option` (that of
        the node, `windows` for an on-demand one with Windows; a node that does not state one counts as on-demand), `zone`, `node_group`,
        `hours`; `instance_id` (None where the node states none); `usd_low`, `usd_per_hour`, `usd_high` (USD/h on that day, before commitments; NaN
        is unknown), `source`; `root_gib` (NaN is unknown); `capacity_cpu`, `capacity_memory`,
        `allocatable_cpu`, `allocatable_memory`; `gpus` of the type (0 where none).
    """
    text = nodes[["node", "instance_type", "capacity_type", "zone", "node_group"]].astype(object)
    rows = pd.DataFrame(
        {
            "day": nodes["day"],
            "node": text["node"],
            "instance_type": text["instance_type"].fillna(UNKNOWN_TYPE),
            "purchase_option": text["capacity_type"].fillna("on-demand"),
            "zone": text["zone"].where(text["zone"].notna(), None),
            "node_group": text["node_group"].fillna("(no group)"),
            "hours": hours_seen(nodes),
            "instance_id": instance_ids(nodes),
            "root_gib": nodes["root_gib"] if "root_gib" in nodes.columns else np.nan,
        }
    )
    kinds = kinds_of(nodes)
    elsewhere = kinds.isin(NOT_EC2).to_numpy(dtype=bool)
    rows["instance_type"] = rows["instance_type"].mask(elsewhere, kinds)
    # Spot with Windows has a price of its own, which the book does not have.
    windows = {"on-demand": WINDOWS, "spot": f"spot, {WINDOWS}"}
    options = rows["purchase_option"]
    rows["purchase_option"] = options.mask(
        (kinds == "windows").to_numpy(dtype=bool), options.map(windows)
    )
    for name in ("capacity_cpu", "capacity_memory", "allocatable_cpu", "allocatable_memory"):
        rows[name] = pd.to_numeric(nodes[name]).astype(float)
    keys = list(
        zip(
            rows["instance_type"],
            rows["purchase_option"],
            rows["zone"],
            pd.to_datetime(rows["day"]).dt.date,
            strict=True,
        )
    )
    known = {key: _rates(book.price(*key), key[3], price_drift_per_year) for key in set(keys)}
    rates = pd.DataFrame(
        [known[key] for key in keys],
        columns=["usd_low", "usd_per_hour", "usd_high", "source"],
        index=rows.index,
    )
    rates.loc[elsewhere, ["usd_low", "usd_per_hour", "usd_high"]] = 0.0
    gpus = instance_types().set_index("instance_type")["gpu"]
    rows["gpus"] = rows["instance_type"].map(gpus).fillna(0.0).astype(float)
    return rows.join(rates.astype({"usd_low": float, "usd_per_hour": float, "usd_high": float}))


def instance_ids(nodes: pd.DataFrame) -> pd.Series:
    """The EC2 instance at the end of each `provider_id`, such as `i-0abc`; missing where none."""
    if "provider_id" not in nodes.columns:
        return pd.Series(None, nodes.index, dtype=object)
    last = nodes["provider_id"].astype("string").str.rsplit("/", n=1).str[-1]
    return last.where(last.str.startswith("i-").fillna(False)).astype(object)


def bought(machines: pd.DataFrame) -> pd.DataFrame:
    """The rows of `machine_days` that are EC2 instances."""
    return machines[~machines["instance_type"].isin(NOT_EC2)]


def covered_hours(snapshot: Snapshot, nodes: pd.DataFrame) -> float:
    """Hours that the days with node rows cover; a day that was not over counts what it has."""
    seen = set(pd.to_datetime(nodes["day"]).dt.date)
    records = snapshot.manifest.days
    return sum(
        (records[day].end - records[day].start).total_seconds() / 3600
        for day in seen
        if day in records
    )


def billed_nodes(snapshot: Snapshot, *, days: Sequence[date] | None = None) -> pd.DataFrame:
    """Table `nodes` of the days that money is about: those on which what ran on them was seen too.

    Where no day has both, all rows: the bill is known, and nothing of who causes it (`causes_seen`).
    """
    nodes = snapshot.read("nodes", days=days)
    held = _days_with_containers(snapshot, days)
    known = on_days(nodes, held)
    return known if len(known) else nodes


def causes_seen(snapshot: Snapshot, days: Sequence[date] | None = None) -> bool:
    """Whether it is known of any day what ran and what it requested: else who causes a bill is
    unknown, and not nobody."""
    return bool(_days_with_containers(snapshot, days))


def _days_with_containers(snapshot: Snapshot, days: Sequence[date] | None) -> frozenset[date]:
    """Days on which it is known of some pod where it ran, and of some container what it requested of
    CPU and of memory: of a resource that nobody states, none is known, and not none requested."""
    pods = snapshot.read("pods", days=days, columns=["node"]).dropna(subset=["node"])
    requests = ["cpu_request", "memory_request"]
    held = snapshot.read("containers", days=days, columns=[*requests, "requests_known"])
    # Where requests were reported, none set is an answer.
    reported = held["requests_known"].eq(True).fillna(False).to_numpy(dtype=bool)
    stated = [days_of(held[held[name].notna() | reported]) for name in requests]
    return days_of(pods) & stated[0] & stated[1]


def days_of(table: pd.DataFrame) -> frozenset[date]:
    """Days of which a table has rows."""
    return frozenset(pd.to_datetime(pd.Series(table["day"].unique())).dt.date)


def on_days(table: pd.DataFrame, days: frozenset[date]) -> pd.DataFrame:
    """The rows of some days."""
    if table.empty:
        return table
    return table[pd.to_datetime(table["day"]).dt.date.isin(days)]


def _rates(price: Price | None, day: date, drift: float) -> tuple[float, float, float, str | None]:
    if price is None:
        return np.nan, np.nan, np.nan, None
    noon = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=12)
    found = price.at(noon, drift)
    return found.low, found.mid, found.high, str(price)
