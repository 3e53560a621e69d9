"""Prices as one row a type, for people and for JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pandas as pd

from rightsize.quantity import GIBIBYTE

COLUMNS = (
    "instance_type",
    "vcpu",
    "memory_gib",
    "arch",
    "on_demand",
    "savings_plan",
    "spot_lowest_zone",
    "spot_highest_zone",
    "source",
    "as_of",
)
"""Prices in USD/h of one instance; empty is unknown. Source and date are the on-demand price's."""


def rows_by_type(
    prices: pd.DataFrame, shapes: pd.DataFrame, types: Sequence[str] = ()
) -> pd.DataFrame:
    """Return one row for each type that has a price, with `COLUMNS`.

    Parameters
    ----------
    prices, shapes : DataFrame
        Tables `prices` and `instance_types` of a snapshot.
    types : sequence of str
        Types to show, in this order, priced or not; every priced type without it.
    """
    by_option = prices.assign(
        purchase_option=prices["purchase_option"].astype(str),
        instance_type=prices["instance_type"].astype(str),
    )
    listed = by_option[by_option["purchase_option"] == "on-demand"].set_index("instance_type")
    plans = by_option[by_option["purchase_option"] == "savings-plan"].set_index("instance_type")
    spot = by_option[by_option["purchase_option"] == "spot"].groupby("instance_type")[
        "usd_per_hour"
    ]
    names = list(types) or sorted(by_option["instance_type"].unique())
    known = shapes.assign(instance_type=shapes["instance_type"].astype(str)).set_index(
        "instance_type"
    )
    table = pd.DataFrame(index=pd.Index(names, name="instance_type"))
    table["vcpu"] = known["vcpu"].reindex(names)
    table["memory_gib"] = known["memory"].reindex(names) / GIBIBYTE
    table["arch"] = known["arch"].astype(object).reindex(names)
    table["on_demand"] = listed["usd_per_hour"].reindex(names)
    table["savings_plan"] = plans["usd_per_hour"].reindex(names)
    table["spot_lowest_zone"] = spot.min().reindex(names)
    table["spot_highest_zone"] = spot.max().reindex(names)
    table["source"] = listed["source"].astype(object).reindex(names)
    table["as_of"] = listed["as_of"].reindex(names)
    return table.reset_index()[list(COLUMNS)]


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as plain values for JSON: times as ISO text, unknown as null."""
    text = table.to_json(orient="records", date_format="iso", date_unit="s")
    parsed: list[dict[str, Any]] = json.loads(text or "[]")
    return parsed
