"""What changed most since the month before, and of that what price, pods and sizes made.

What a namespace costs a day is `pods * size * rate`: containers that ran on the mean, what each
requests (cores and bytes at the region's unit prices), and what a unit of that cost on the machines
they were on. A change is split by the logarithmic mean (Ang, *Decomposition analysis for
policymaking in energy*, Energy Policy 32, 2004), which leaves no rest and favours neither month:
`part of x = (c1 - c0) / ln(c1 / c0) * ln(x1 / x0)`. What came or went altogether is pods.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rightsize.cost.answer import MoneyAnswer
from rightsize.prices.unit_price import unit_price

COLUMNS = ["part", "namespace", "before", "now", "change", "price", "pods", "size", "other"]
_KEYS = ["part", "namespace"]
_REQUESTED = ("application", "mesh", "system")


def changes_of(money: MoneyAnswer, before: MoneyAnswer | None) -> pd.DataFrame:
    """Return `COLUMNS`: USD a day of each cause and namespace, the largest change first.

    `price`, `pods`, `size` and `other` add up to `change`. What nobody requests (idle room, the
    control plane, traffic) has its machines' price, and the rest in `other`. NaN is unknown.
    """
    if before is None or not (money.covered_hours and before.covered_hours):
        return pd.DataFrame(columns=COLUMNS)
    sides = [_side(one) for one in (before, money)]
    lines = [_unknown_lines(one) for one in (before, money)]
    for side, open_here, open_there in zip(sides, lines, lines[::-1], strict=True):
        if open_here - open_there:
            # The lines that are known here alone would look like a change of them all.
            side.loc[("shared", "–"), "usd"] = np.nan
    index = sides[0].index.union(sides[1].index)
    old, new = (side.reindex(index) for side in sides)
    # What was not there cost nothing; what is unknown stays so, and where causes are not known so
    # does what would be there.
    usd = [
        side["usd"].where(index.isin(one.index), np.nan if made.allocation.dark else 0.0)
        for side, one, made in zip((old, new), sides, (before, money), strict=True)
    ]
    table = pd.DataFrame({"before": usd[0], "now": usd[1]}, index=index)
    table["change"] = table["now"] - table["before"]
    weight = _logarithmic_mean(usd[0].to_numpy(float), usd[1].to_numpy(float))
    for name, factor in (("price", "rate"), ("pods", "pods"), ("size", "size")):
        ratio = (new[factor] / old[factor]).where(lambda r: r > 0).map(np.log)
        table[name] = (weight * ratio).where(ratio.notna(), 0.0)
    came = ((usd[0] == 0) | (usd[1] == 0)) & index.get_level_values("part").isin(_REQUESTED)
    table.loc[came, "pods"] = table["change"]
    parts = ["price", "pods", "size"]
    table["other"] = (table["change"] - table[parts].sum(axis=1)).where(lambda o: o.abs() > 1e-9, 0)
    table.loc[table["change"].isna(), [*parts, "other"]] = np.nan
    order = table["change"].abs().fillna(np.inf).sort_values(ascending=False, kind="stable").index
    return table.loc[order].reset_index()[COLUMNS]


def _side(money: MoneyAnswer) -> pd.DataFrame:
    """By cause and namespace: `usd` a day, `rate`, and mean `pods` with the `size` of each."""
    rows = money.allocation.rows.assign(namespace=lambda t: t["namespace"].fillna("–"))
    days = money.covered_hours / 24
    table = rows.groupby(_KEYS)["usd"].sum(min_count=1, skipna=False).to_frame() / days
    unit = unit_price(money.terms.region).price
    core, byte = unit.usd_per_core_hour, unit.usd_per_byte_hour
    split = money.allocation.days.assign(namespace=lambda t: t["namespace"].fillna("–"))
    split["worth"] = split["core_hours"] * core + split["byte_hours"] * byte
    sums = split.groupby(_KEYS)[["known_usd", "worth", "container_hours"]].sum(min_count=1)
    machines = money.machines
    capacity = machines["capacity_cpu"] * core + machines["capacity_memory"] * byte
    whole = float((capacity * machines["hours"]).sum())
    mean = float(split["known_usd"].sum()) / whole if whole else np.nan
    table = table.join(sums)
    requested = table["worth"] > 0
    table["rate"] = (table["known_usd"] / table["worth"]).where(requested, mean)
    on_machines = table["known_usd"].notna()
    table["rate"] = table["rate"].where(on_machines)
    table["pods"] = (table["container_hours"] / money.covered_hours).where(requested)
    table["size"] = (table["worth"] / table["container_hours"]).where(requested)
    return table


def _unknown_lines(money: MoneyAnswer) -> frozenset[str]:
    return frozenset(
        line.name for line in money.today.lines if line.usd is None and not line.of_machines
    )


def _logarithmic_mean(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(b - a) / ln(b / a)`, which is `a` where both are equal; 0 where one of them is not positive."""
    both = (one > 0) & (other > 0)
    a, b = np.where(both, one, 1.0), np.where(both, other, 1.0)
    apart = ~np.isclose(a, b, rtol=1e-12, atol=0.0)
    ratio = np.log(np.where(apart, b / a, 2.0))
    return np.where(both, np.where(apart, (b - a) / ratio, a), 0.0)
