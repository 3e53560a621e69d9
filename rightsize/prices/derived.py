"""Prices that the bundled list lacks, derived from other sizes of the same family.

On demand, the sizes of an m, c or r family cost in proportion to their vCPUs: of the 1,208 pairs of
region and family in the bundled list all do to within 1 %, but for c4 and m1 (13 % and more).
"""

from __future__ import annotations

from functools import cache

import pandas as pd

from rightsize.prices.catalogue import instance_types

WINDOWS_USD_PER_VCPU_HOUR = 0.046
"""What Windows Server adds to the Linux price of machines that are not burstable: m5.large 0.188 against
0.096, g4dn.xlarge 0.710 against 0.526 (third-party copies of the price list, us-east-1, 2026)."""

_PROPORTIONAL = r"^[mcr]\d"


@cache
def windows_licences() -> dict[str, float]:
    """USD/h that Windows adds to the on-demand price, by type; burstable ones are not in it."""
    types = instance_types()
    plain = ~types["burstable"].astype("boolean").fillna(False).astype(bool)
    known = types[plain & types["vcpu"].gt(0)]
    usd = known["vcpu"].astype(float) * WINDOWS_USD_PER_VCPU_HOUR
    return dict(zip(known["instance_type"].astype(str), usd, strict=True))


def derived_prices(listed: pd.DataFrame) -> pd.DataFrame:
    """Return the missing sizes of the families in `listed`.

    Parameters
    ----------
    listed : DataFrame
        `instance_type`, `usd_per_hour`, `as_of` and `tenancy` of one region.

    Returns
    -------
    DataFrame
        `instance_type`, `usd_per_hour` (the median price of a vCPU of the family times the size's
        vCPUs), `lowest`, `highest` (by the sizes that say least and most), `as_of` (the oldest of
        the prices used), `source`, `tenancy`, `origin` (`derived`). Bare metal is never derived.
    """
    shapes = instance_types()[["instance_type", "family", "vcpu", "bare_metal"]]
    shapes = shapes.astype({"instance_type": object, "family": object})
    plain = ~shapes["bare_metal"].astype("boolean").fillna(False).astype(bool)
    sizes = shapes[plain & shapes["family"].str.match(_PROPORTIONAL) & shapes["vcpu"].gt(0)]
    known = listed[listed["tenancy"] == "shared"].astype({"instance_type": object})
    known = known.merge(sizes, on="instance_type")
    rates = known.assign(rate=known["usd_per_hour"] / known["vcpu"]).groupby("family")
    family = rates.agg(
        low=("rate", "min"),
        mid=("rate", "median"),
        high=("rate", "max"),
        as_of=("as_of", "min"),
        sizes=("rate", "size"),
    )
    wanted = sizes[~sizes["instance_type"].isin(listed["instance_type"])]
    found = wanted.merge(family, left_on="family", right_index=True)
    counted = (
        found["sizes"].astype(str)
        + " listed size"
        + found["sizes"].gt(1).map({True: "s", False: ""})
    )
    return pd.DataFrame(
        {
            "instance_type": found["instance_type"],
            "usd_per_hour": found["mid"] * found["vcpu"],
            "lowest": found["low"] * found["vcpu"],
            "highest": found["high"] * found["vcpu"],
            "as_of": found["as_of"],
            "source": "derived from " + counted + " of " + found["family"],
            "tenancy": "shared",
            "origin": "derived",
        }
    ).reset_index(drop=True)
