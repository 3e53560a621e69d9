"""Bundled EC2 shapes and on-demand prices: what to plan with when AWS cannot be asked.

The tables lie in `data/` as `ec2_instance_types.csv.gz` and `ec2_on_demand_prices.csv.gz`. Their
figures are AWS's, taken from these public tables (Apache-2.0 but for the last, MIT-0):

- shapes: moto 5.2.5 (a recorded DescribeInstanceTypes), karpenter-provider-aws 1d927085d
  (2026-08-21), amazon-vpc-cni-k8s b52188387 (2026-08-20), amazon-eks-ami 81fec2e89 (2026-07-23);
- prices: karpenter-provider-aws, generated from the Price List on 2026-07-20, for us-east-1 and
  both GovCloud regions; apache-libcloud 3.9.1, stamped 2025-03-02 and filtered down to the rows
  that agree with their own family, for 31 regions. That second part is incomplete: a type
  without a row is not "not sold there", its price is unknown.

Prices of the China regions are in CNY and are left out: those regions have no bundled price.
Every price carries its source and date; live prices always win over these.
"""

from __future__ import annotations

from functools import cache

import pandas as pd

from rightsize.data_files import data_file
from rightsize.errors import UsageError
from rightsize.quantity import MEBIBYTE

SHAPES_AS_OF = "2026-08-21"
"""Date of the newest source of the bundled shapes."""

_FLAGS = ("bare_metal", "burstable", "current_generation", "trunking", "spot")
_COUNTS = (
    "vcpu",
    "max_enis",
    "ipv4_per_eni",
    "published_max_pods",
    "gpu",
    "branch_enis",
    "local_storage_gb",
)


def instance_types() -> pd.DataFrame:
    """Return the shape of every known EC2 instance type, one row a type.

    Returns
    -------
    DataFrame
        `instance_type`, `family` (`m5a`), `generation` (5), `size` (`xlarge`), `vcpu`, `memory`
        (bytes), `arch` (`amd64` or `arm64`; Mac machines `amd64-mac`, `arm64-mac`), `max_enis` and
        `ipv4_per_eni` of the default network card, `published_max_pods` (AWS's list),
        `hypervisor` (`nitro`, `xen`, null), `bare_metal`, `gpu` (devices), `accelerator`,
        `burstable`, `current_generation`, `trunking` (security groups for pods), `branch_enis`,
        `local_storage_gb`, `processor`, `spot` (sold as Spot). Null means the sources do not say.
    """
    return _shapes().copy()


def on_demand_prices(region: str) -> pd.DataFrame:
    """Return the bundled Linux on-demand prices of one region; a type without one is absent.

    Returns
    -------
    DataFrame
        `instance_type`, `usd_per_hour`, `source`, `as_of` (UTC midnight), `tenancy` (`shared`;
        `dedicated` for bare metal: its listed price may carry the dedicated surcharge). Empty for
        a region that AWS has and the table has not (the China regions are priced in CNY).

    Raises
    ------
    UsageError
        If `region` does not have the form of a region's name.
    """
    if not region or region.count("-") < 2:
        raise UsageError(
            f"{region!r} is not an AWS region",
            hint="name a region such as us-east-1 (not a zone, not a city)",
        )
    prices = _prices()
    chosen = prices[prices["region"] == region].drop(columns="region")
    return chosen.reset_index(drop=True)


def priced_regions() -> list[str]:
    """Regions with at least one bundled price."""
    return sorted(_prices()["region"].unique())


def priced_types(region: str) -> pd.DataFrame:
    """`instance_types` with the region's bundled prices; an unknown price is NaN, never 0.

    Returns
    -------
    DataFrame
        Columns of `instance_types` and `usd_per_hour`, `source`, `as_of`, `tenancy`.
    """
    return _shapes().merge(on_demand_prices(region), on="instance_type", how="left")


@cache
def _shapes() -> pd.DataFrame:
    table = pd.read_csv(data_file("ec2_instance_types.csv.gz"), dtype="string")
    for name in _COUNTS:
        table[name] = pd.to_numeric(table[name]).astype("Float64").astype("float64")
    for name in _FLAGS:
        table[name] = table[name].map({"true": True, "false": False}).astype("boolean")
    table.insert(3, "memory", pd.to_numeric(table.pop("memory_mib")).astype("Float64") * MEBIBYTE)
    table["memory"] = table["memory"].astype("float64")
    parts = table["instance_type"].str.split(".", n=1, expand=True)
    table.insert(1, "family", parts[0])
    table.insert(2, "generation", generation_of(parts[0]))
    table.insert(3, "size", parts[1])
    return table


def generation_of(families: pd.Series) -> pd.Series:
    """Generation in the names of families: 5 for `m5a`, 7 for `c7g-flex`; NaN without one."""
    digits = families.astype("string").str.extract(r"^[a-z]+(\d+)", expand=False)
    return pd.to_numeric(digits).astype("Float64").astype("float64")


@cache
def _prices() -> pd.DataFrame:
    table = pd.read_csv(
        data_file("ec2_on_demand_prices.csv.gz"),
        dtype={"region": "string", "instance_type": "string", "usd_per_hour": "float64"},
        parse_dates=["as_of"],
    )
    table["as_of"] = table["as_of"].dt.tz_localize("UTC")
    return table
