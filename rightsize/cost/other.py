"""Prices beside EC2: dated defaults that the user may edit."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rightsize.border import read_file
from rightsize.data_files import data_file
from rightsize.errors import InputFileError

NAMES = (
    "eks_standard",
    "eks_extended",
    "ebs_gp3",
    "ebs_gp2",
    "cross_zone",
    "load_balancer",
    "prometheus_samples",
    "fargate_vcpu",
    "fargate_gib",
    "auto_mode",
    "hybrid_vcpu",
)


@dataclass(frozen=True, slots=True)
class UnitCost:
    """One price: USD for one `unit`."""

    usd: float
    unit: str
    source: str
    as_of: date
    region: str
    verified: bool

    def note(self, region: str | None) -> str:
        """Return what a reader must know of this price, used for `region`."""
        parts = [] if self.verified else ["not held against the live price list"]
        if region is not None and region != self.region:
            parts.append(f"price of {self.region}, not of {region}")
        return "; ".join(parts)


def other_costs(path: Path | None = None) -> Mapping[str, UnitCost]:
    """Read the bundled prices, or the user's own file of the same form; a name may be left out.

    Raises
    ------
    InputFileError
        If the file cannot be read, is not TOML, or holds an unknown name or a price that is not a
        number of at least 0.
    """
    source = path or data_file("other_costs.toml")
    try:
        body = tomllib.loads(read_file(source, 2**22).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise InputFileError(f"cannot be read ({error})", path=source) from error
    region, as_of = body.pop("region", None), body.pop("as_of", None)
    if not isinstance(region, str) or not isinstance(as_of, date):
        raise InputFileError("needs region (text) and as_of (a date)", path=source)
    unknown = set(body) - set(NAMES)
    if unknown:
        raise InputFileError(
            f"unknown price {', '.join(sorted(unknown))}",
            path=source,
            hint=f"known are {', '.join(NAMES)}",
        )
    return {name: _unit_cost(source, name, entry, region, as_of) for name, entry in body.items()}


def _unit_cost(source: Path, name: str, entry: Any, region: str, as_of: date) -> UnitCost:
    usd = entry.get("usd") if isinstance(entry, dict) else None
    if not isinstance(usd, int | float) or isinstance(usd, bool) or not 0 <= usd < 1e6:
        raise InputFileError(f"{name}: usd must be a number of at least 0", path=source)
    return UnitCost(
        float(usd),
        str(entry.get("unit", "")),
        str(entry.get("source", "your file")),
        as_of,
        region,
        bool(entry.get("verified", False)),
    )
