"""The estimate held against the bill: by line, by machine and day, and by namespace.

For a machine on a day, the difference is split exactly into hours and rate:
`bill - estimate = (bill hours - our hours) * our rate + rest`. Of the two the larger names the
cause; a rate that differs is what was paid for (a commitment, Spot), else a discount or another price.

What is in another currency is in no sum with dollars, unless the settings state a rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import pandas as pd

from rightsize.config import CurrencyRate
from rightsize.cost.answer import MoneyAnswer
from rightsize.cost.machines import bought

Cause = Literal[
    "agrees", "hours", "rate", "savings-plan", "reserved", "spot", "not-billed", "not-seen",
    "no-price", "no-rate-of-currency", "not-estimated", "more-than-root", "all-traffic", "support",
    "unknown-amount",
]  # fmt: skip
_LINES: Mapping[str, str] = {
    "ec2": "EC2 machines",
    "unused-commitment": "commitments, unused",
    "ebs": "EBS volumes",
    "eks": "EKS control plane",
    "load-balancer": "load balancers",
    "data-transfer": "data transfer",
    "nat": "NAT gateways",
    "logs": "access logs",
    "other": "others (Fargate, addresses and so on)",
}
_OF_LINE: Mapping[str, Cause] = {
    "ebs": "more-than-root", "data-transfer": "all-traffic", "eks": "support"
}  # fmt: skip
_COMPARED = ("usage", "discount", "commitment")
_AGREES = 0.01
"""Share of the bill below which a difference is rounding and list-price noise."""
_CENT = 0.01
_DAYS = ["day", "resource"]
_DAY_HOURS = 25.0
"""More on one day is a row of several days; the longest day has 25 hours by the clock."""


@dataclass(frozen=True)
class AgainstBill:
    """USD of the month's days, NaN where unknown; `difference` is the bill less the estimate."""

    source: str
    lines: pd.DataFrame
    """`line`, `estimate`, `low`, `high`, `bill`, `difference`, `cause`."""
    machines: pd.DataFrame
    """`day`, `node`, `instance_id`, `instance_type`, `hours`, `bill_hours`, `estimate`, `bill`,
    `difference`, `hours_usd`, `rate_usd`, `cause`; the largest difference first."""
    namespaces: pd.DataFrame
    """Where the bill splits costs by pod: `namespace`, `estimate`, `used`, `unused`, `bill`,
    `difference`; empty where it does not."""
    apart: pd.DataFrame
    """What no estimate can hold: `charge`, `of` (`cluster` or `others`), `currency`, `amount` in it,
    and `usd` where a rate is known."""
    rates: Mapping[str, CurrencyRate]
    """Rates that were used."""
    unrated: tuple[str, ...]
    """Currencies of the cluster's rows without a rate: in no sum of USD."""
    identified: bool
    """Whether the snapshot's nodes state the ids by which a bill names machines."""
    twice: int = 0
    named: bool = True
    """Whether the export states any resource by which machines could be found."""
    by_month: bool = False
    """The export has rows of more than a day: machines are compared over the month."""

    @property
    def total(self) -> tuple[float, float] | None:
        """Estimate and bill of the lines that both know; None if there is none."""
        both = self.lines.dropna(subset=["estimate", "bill"])
        return (float(both["estimate"].sum()), float(both["bill"].sum())) if len(both) else None


def against_bill(
    money: MoneyAnswer,
    rows: pd.DataFrame,
    pods: pd.DataFrame,
    rest: pd.DataFrame,
    *,
    source: str,
    rates: Mapping[str, CurrencyRate] | None = None,
    twice: int = 0,
    named: bool = True,
) -> AgainstBill:
    """Compare.

    Parameters
    ----------
    money : MoneyAnswer
        The bill of the same days by our prices, for the hours that they cover.
    rows, pods, rest : DataFrame
        As `rightsize.collectors.billing.read.Bill` has them.
    source : str
        Where the bill was read from.
    rates : mapping of currency to rate, optional
        USD for one unit.
    twice : int
        Rows that the files hold twice.
    named : bool
        Whether the export states resources.
    """
    factors = {name: rate.usd for name, rate in (rates or {}).items()} | {"USD": 1.0}
    billed = rows.assign(
        usd=rows["effective"].astype(float) * rows["currency"].map(factors).astype(float)
    )
    compared = billed[billed["charge"].isin(_COMPARED)]
    by_month = bool((_of_instances(compared).groupby(_DAYS)["hours"].sum() > _DAY_HOURS).any())
    machines = _machines(money, compared, factors, by_month=by_month)
    seen = {*rows["currency"], *pods["currency"], *rest["currency"]}
    return AgainstBill(
        source,
        _lines(money, compared, machines, factors),
        machines,
        _namespaces(money, pods, factors),
        _apart(billed, rest, factors),
        {name: rate for name, rate in (rates or {}).items() if name in seen},
        tuple(sorted({*rows["currency"], *pods["currency"]} - set(factors))),
        bool(money.machines["instance_id"].notna().any()),
        twice,
        named,
        by_month,
    )


def _sums(rows: pd.DataFrame, keys: list[str], columns: list[str]) -> pd.DataFrame:
    """Sums by keys; a sum with an unknown part is unknown."""
    rows = rows.astype(dict.fromkeys(columns, float))
    groups = [rows[key] for key in keys]
    unknown = rows[columns].isna().groupby(groups).any()
    return rows.groupby(groups)[columns].sum().mask(unknown)


def _total(values: pd.Series) -> float:
    """The sum; NaN if a part is."""
    return float(values.sum(skipna=False)) if len(values) else float("nan")


def _lines(
    money: MoneyAnswer, billed: pd.DataFrame, machines: pd.DataFrame, factors: Mapping[str, float]
) -> pd.DataFrame:
    commitment = billed["charge"].eq("commitment")
    kinds = billed["kind"].mask(commitment, "unused-commitment")
    found = []
    for kind, name in _LINES.items():
        ours = [line for line in money.today.lines if line.kind == kind]
        known = [line.usd for line in ours if line.usd is not None]
        whole = bool(known) and len(known) == len(ours)
        estimate = [
            sum(getattr(one, end) for one in known) if whole else np.nan
            for end in ("mid", "low", "high")
        ]
        theirs = billed[kinds == kind]
        if not ours and theirs.empty:
            continue
        bill = _total(theirs["usd"])
        foreign = not set(theirs["currency"]) <= set(factors)
        cause = _line_cause(kind, estimate[0], bill, machines, foreign, len(theirs))
        found.append((name, *estimate, bill, bill - estimate[0], cause))
    columns = ["line", "estimate", "low", "high", "bill", "difference", "cause"]
    return pd.DataFrame(found, columns=columns)


def _line_cause(
    kind: str, estimate: float, bill: float, machines: pd.DataFrame, foreign: bool, rows: int
) -> Cause:
    if foreign:
        return "no-rate-of-currency"
    if not rows:
        return "not-billed"
    if np.isnan(bill):
        return "unknown-amount"
    if np.isnan(estimate):
        return "not-estimated"
    if abs(bill - estimate) <= max(_AGREES * abs(bill), _CENT):
        return "agrees"
    if kind == "ec2" and len(machines):
        weight = machines["difference"].abs().groupby(machines["cause"]).sum()
        weight = weight.drop("agrees", errors="ignore")
        if len(weight) and weight.max() > 0:
            return cast("Cause", weight.idxmax())
    return _OF_LINE.get(kind, "rate")


def _of_instances(billed: pd.DataFrame) -> pd.DataFrame:
    """Rows of machines that the bill names one by one."""
    kept = billed["kind"].eq("ec2") & billed["charge"].isin(["usage", "discount"])
    found = billed[kept & billed["resource"].astype(str).str.startswith("i-")]
    return found.astype({"hours": float})


def _machines(
    money: MoneyAnswer, billed: pd.DataFrame, factors: Mapping[str, float], *, by_month: bool
) -> pd.DataFrame:
    ours = bought(money.machines).dropna(subset=["instance_id"])
    ours = ours.assign(
        day=pd.to_datetime(ours["day"]).dt.date, estimate=ours["usd_per_hour"] * ours["hours"]
    )
    ours = ours[
        ["day", "node", "instance_id", "instance_type", "hours", "usd_per_hour", "estimate"]
    ]
    theirs = _of_instances(billed)
    if by_month and len(ours):
        first = min(ours["day"])
        ours, theirs = _one_row_each(ours.assign(day=first)), theirs.assign(day=first)
    sums = _sums(theirs, _DAYS, ["hours", "usd"])
    foreign = (
        (~theirs["currency"].isin(list(factors))).groupby([theirs[key] for key in _DAYS]).any()
    )
    longest = theirs.assign(weight=theirs["hours"].abs()).sort_values("weight", kind="stable")
    paid = longest.groupby(_DAYS)["purchase"].last()
    sums = sums.assign(purchase=paid, foreign=foreign).reset_index()
    sums = sums.rename(columns={"resource": "instance_id", "hours": "bill_hours", "usd": "bill"})
    keys = ["day", "instance_id"]
    both = ours.astype({"instance_id": object}).merge(
        sums.astype({"instance_id": object}), on=keys, how="outer", indicator=True
    )
    both["difference"] = both["bill"] - both["estimate"]
    one_side = both["_merge"] != "both"
    seen, billed_here = both["_merge"] != "right_only", both["_merge"] != "left_only"
    both.loc[one_side, "difference"] = both["bill"].where(billed_here, 0.0) - both[
        "estimate"
    ].where(seen, 0.0)
    both["hours_usd"] = (both["bill_hours"] - both["hours"]) * both["usd_per_hour"]
    both["rate_usd"] = both["difference"] - both["hours_usd"]
    both["cause"] = [_machine_cause(row) for row in both.to_dict("records")]
    order = both["difference"].abs().fillna(np.inf).sort_values(ascending=False, kind="stable")
    columns = [
        "day", "node", "instance_id", "instance_type", "hours", "bill_hours", "estimate", "bill",
        "difference", "hours_usd", "rate_usd", "cause",
    ]  # fmt: skip
    return both.loc[order.index, columns].reset_index(drop=True)


def _one_row_each(ours: pd.DataFrame) -> pd.DataFrame:
    keys = ["day", "node", "instance_id", "instance_type"]
    sums = _sums(ours.astype(dict.fromkeys(keys, object)), keys, ["hours", "estimate"])
    sums = sums.reset_index()
    return sums.assign(usd_per_hour=sums["estimate"] / sums["hours"])


def _machine_cause(row: Mapping[object, object]) -> Cause:
    if row["_merge"] == "left_only":
        return "not-billed"
    if row["_merge"] == "right_only":
        return "not-seen"
    bill, estimate = float(str(row["bill"])), float(str(row["estimate"]))
    if np.isnan(bill):
        return "no-rate-of-currency" if row["foreign"] else "unknown-amount"
    if np.isnan(estimate):
        return "no-price"
    if abs(bill - estimate) <= max(_AGREES * abs(bill), _CENT):
        return "agrees"
    if abs(float(str(row["hours_usd"]))) >= abs(float(str(row["rate_usd"]))):
        return "hours"
    purchases: Mapping[object, Cause] = {
        "savings-plan": "savings-plan", "reserved": "reserved", "spot": "spot"
    }  # fmt: skip
    return purchases.get(row["purchase"], "rate")


def _namespaces(
    money: MoneyAnswer, pods: pd.DataFrame, factors: Mapping[str, float]
) -> pd.DataFrame:
    """Our split by requests beside AWS's split cost allocation (larger of request and use)."""
    columns = ["namespace", "estimate", "used", "unused", "bill", "difference"]
    if pods.empty:
        return pd.DataFrame(columns=columns)
    rate = pods["currency"].map(factors).astype(float)
    theirs = pods.assign(used=pods["used"] * rate, unused=pods["unused"] * rate)
    days = money.allocation.days
    ours = days[days["namespace"].notna()].rename(columns={"usd": "estimate"})
    ours = _sums(ours.astype({"namespace": object}), ["namespace"], ["estimate"])
    table = _sums(theirs, ["namespace"], ["used", "unused"]).join(ours, how="outer")
    table["bill"] = table["used"] + table["unused"]
    table["difference"] = table["bill"] - table["estimate"]
    order = table["bill"].sort_values(ascending=False, kind="stable").index
    return table.loc[order].rename_axis("namespace").reset_index()[columns]


def _apart(billed: pd.DataFrame, rest: pd.DataFrame, factors: Mapping[str, float]) -> pd.DataFrame:
    """Credits, refunds, tax and fees; what is in a currency without a rate; what others were billed."""
    foreign = ~billed["currency"].isin(list(factors))
    ours = billed[~billed["charge"].isin(_COMPARED) | foreign].assign(of="cluster")
    theirs = rest.assign(of="others")
    table = pd.concat([part[_APART] for part in (ours, theirs) if len(part)] or [ours[_APART]])
    sums = _sums(table, ["of", "charge", "currency"], ["billed"])
    found = sums.rename(columns={"billed": "amount"}).reset_index()
    found["usd"] = found["amount"].astype(float) * found["currency"].map(factors).astype(float)
    return found[["charge", "of", "currency", "amount", "usd"]]


_APART = ["of", "charge", "currency", "billed"]
