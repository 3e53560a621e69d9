"""Burstable machines (T families): how much of their CPU lasts, and what a reader must know of them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from functools import cache

from rightsize.data_files import data_file
from rightsize.prices.catalogue import instance_types


@cache
def _baselines() -> dict[str, float]:
    with data_file("burstable_baselines.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return {
        f"{row['family']}.{size}": float(share)
        for row in rows
        for size, share in row.items()
        if size != "family"
    }


@cache
def _burstable() -> dict[str, float]:
    """vCPUs of every burstable type."""
    types = instance_types()
    chosen = types[types["burstable"].astype("boolean").fillna(False).astype(bool)]
    return dict(zip(chosen["instance_type"].astype(str), chosen["vcpu"].astype(float), strict=True))


def is_burstable(instance_type: str) -> bool:
    """Whether a type earns and spends CPU credits."""
    return instance_type in _burstable()


def baseline_share(instance_type: str) -> float | None:
    """Share of each vCPU that lasts; None for a type that is not burstable, or is not in the table."""
    return _baselines().get(instance_type) if is_burstable(instance_type) else None


def burstable_notes(types: Iterable[str]) -> list[str]:
    """A sentence for each burstable type: its baseline, and what happens above it."""
    said = []
    for name in sorted({one for one in types if is_burstable(one)}):
        share, vcpus = baseline_share(name), _burstable()[name]
        lasts = (
            "its baseline is unknown"
            if share is None
            else f"{share:.0%} of each vCPU lasts, {share * vcpus:g} of {vcpus:g} cores a node"
        )
        said.append(
            f"{name} is burstable: {lasts}; requests are placed on all of it, and use above the "
            "baseline spends credits, of which the surplus is charged and in no figure here"
        )
    return said
