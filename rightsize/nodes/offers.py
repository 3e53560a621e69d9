"""Which nodes may be bought: instance types that the settings allow, by zone and purchase."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rightsize.config import NodeSettings
from rightsize.nodes.allocatable import CNI_MODES, CniMode, allocatable, infer_mode
from rightsize.nodes.inventory import Inventory
from rightsize.prices.shapes import Coverage
from rightsize.results import Rejected

_USUAL = r"^[mcr]\d+[a-z]*$"
"""General, compute and memory families. Suffixes for local disks, networking and flex are left
out by `_SPECIAL`, since they are bought for something else."""
_SPECIAL = r"^[mcr]\d+[a-z]*(?:d|n|b|z|e)[a-z]*$"


@dataclass(frozen=True, eq=False)
class Offers:
    """Nodes that may be bought.

    `table` has one row an offer: the columns of the catalogue, `capacity_type`, `usd_per_hour`
    (NaN: unknown, only for types in use), `cpu` (cores), `memory` (bytes) and `pods` that it
    offers, `in_use`, and `allowed` by the settings. `excluded` says which allowed types are left out and why.
    """

    table: pd.DataFrame
    excluded: tuple[Rejected, ...]
    assumptions: tuple[str, ...]
    coverage: Coverage
    """Of the types that the settings allow."""


def find_offers(catalogue: pd.DataFrame, inventory: Inventory, settings: NodeSettings) -> Offers:
    """Filter the catalogue by the settings, and say what each type offers to pods.

    Parameters
    ----------
    catalogue : DataFrame
        `rightsize.prices.catalogue.priced_types`: shapes with `usd_per_hour` (NaN: unknown), and
        `spot_usd_per_hour` where Spot may be bought.
    inventory : Inventory
        Types in use offer what their nodes report; others what the formulas say.
    """
    mode, said = _mode(catalogue, inventory, settings)
    candidates = _candidates(catalogue, inventory, settings)
    formula = allocatable(
        candidates, mode, overhead=settings.memory_overhead, pods=settings.max_pods
    )
    table = candidates.reset_index(drop=True).assign(
        cpu=formula["cpu"], memory_offered=formula["memory"], pods=formula["pods"]
    )
    table = _as_reported(table, inventory, settings)
    excluded = []
    rows = []
    for capacity, column in _purchases(settings):
        price = table[column] if column in table.columns else pd.Series(np.nan, table.index)
        known = table["cpu"].notna() & table["memory_offered"].notna() & table["pods"].notna()
        for name in table["instance_type"][~known]:
            excluded.append(Rejected(str(name), "its size or interfaces are not known"))
        for name in table["instance_type"][known & price.isna()]:
            excluded.append(Rejected(str(name), f"{capacity} price unknown"))
        # A type in use is planned with even so, in nodes; nothing is said of its cost.
        part = table[known & (price.notna() | table["in_use"])]
        rows.append(part.assign(capacity_type=capacity, usd_per_hour=price[part.index]))
    offers = pd.concat(rows, ignore_index=True)
    offers["memory"] = offers.pop("memory_offered")
    return Offers(offers, tuple(dict.fromkeys(excluded)), said, _coverage(table, settings))


def _coverage(table: pd.DataFrame, settings: NodeSettings) -> Coverage:
    """Allowed types with a price for some way to buy them, among all that are allowed."""
    columns = [column for _, column in _purchases(settings) if column in table.columns]
    allowed = table[table["allowed"]]
    return Coverage(int(allowed[columns].notna().any(axis=1).sum()), len(allowed))


def _mode(
    catalogue: pd.DataFrame, inventory: Inventory, settings: NodeSettings
) -> tuple[CniMode, tuple[str, ...]]:
    for mode in CNI_MODES:
        if settings.cni_mode == mode:
            return mode, (f"pod slots by the VPC CNI in mode {mode}, as set",)
    seen = inventory.offered.rename(columns={"pods": "allocatable_pods"})
    found = infer_mode(seen, catalogue) if len(seen) else None
    if found is None:
        return "default", (
            "pod slots of types not in use by the VPC CNI's default mode (no node showed otherwise)",
        )
    return found, (f"pod slots of types not in use as the nodes report them: mode {found}",)


def _candidates(
    catalogue: pd.DataFrame, inventory: Inventory, settings: NodeSettings
) -> pd.DataFrame:
    table = catalogue
    in_use = table["instance_type"].isin(inventory.types)
    in_use_arches = tuple(table.loc[in_use, "arch"].dropna().unique())
    arches = settings.arch or inventory.arches or in_use_arches or ("amd64",)
    family = table["family"].astype("string")
    if settings.families:
        allowed = family.isin(settings.families)
    else:
        usual = family.str.match(_USUAL) & ~family.str.match(_SPECIAL)
        plain = ~_flag(table["burstable"]) & ~_flag(table["bare_metal"])
        no_device = (table["gpu"].fillna(0) == 0) & table["accelerator"].isna()
        current = table["current_generation"].astype("boolean").fillna(True).astype(bool)
        allowed = usual & plain & no_device & current
        allowed &= table["generation"].fillna(0) >= settings.min_generation
        allowed |= family.isin(set(family[in_use])) & plain
    allowed &= table["size"].isin(settings.sizes)
    if not settings.families:
        allowed |= in_use
    allowed = (allowed & table["arch"].isin(arches)).fillna(False).astype(bool)
    return table.assign(in_use=in_use, allowed=allowed)[allowed | in_use]


def _flag(column: pd.Series) -> pd.Series:
    return column.astype("boolean").fillna(False).astype(bool)


def _as_reported(table: pd.DataFrame, inventory: Inventory, settings: NodeSettings) -> pd.DataFrame:
    """Types in use offer what their nodes report, but for what the settings change."""
    seen = inventory.offered.set_index("instance_type")
    fixed = settings.cni_mode != "observed" or settings.max_pods is not None
    for name, column in (("cpu", "cpu"), ("memory", "memory_offered"), ("pods", "pods")):
        if name == "pods" and fixed:
            continue
        reported = table["instance_type"].map(pd.to_numeric(seen[name])).astype("float64")
        table[column] = reported.where(reported.notna(), table[column])
    return table


def _purchases(settings: NodeSettings) -> list[tuple[str, str]]:
    on_demand, spot = ("on-demand", "usd_per_hour"), ("spot", "spot_usd_per_hour")
    if settings.capacity == "blend":
        return [on_demand, spot]
    return [on_demand if settings.capacity == "on-demand" else spot]
