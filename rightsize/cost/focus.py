"""The bill by day, machine and workload as rows of FOCUS 1.2 (FinOps Open Cost and Usage Specification).

A machine's charge of a day is split over those who request it, as `rightsize.cost.allocation` does;
the split rows add up to the machine's charge, and all rows to the known lines of the bill. FOCUS has
no columns for split charges before 1.3, so cause and range are columns of its `x_` namespace.

Costs may not be null in FOCUS, and an unknown cost is not zero: what is requested on a machine
without a price has no row, and every row says so in `x_Complete`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd

from rightsize.cost.answer import MoneyAnswer
from rightsize.cost.logs import GIGABYTE
from rightsize.cost.plan import CostLine, LineKind
from rightsize.results import Interval

_EC2, _EKS = "Amazon Elastic Compute Cloud", "Amazon Elastic Kubernetes Service"
_COMPUTE = (_EC2, "Compute", "Virtual Machines")
_SERVICES: Mapping[LineKind, tuple[str, str, str]] = {
    "ec2": _COMPUTE,
    "ebs": ("Amazon Elastic Block Store", "Storage", "Block Storage"),
    "unused-commitment": _COMPUTE,
    "eks": (_EKS, "Compute", "Containers"),
    "load-balancer": ("Elastic Load Balancing", "Networking", "Network Routing"),
    "data-transfer": ("AWS Data Transfer", "Networking", "Other (Networking)"),
    "logs": ("Amazon CloudWatch", "Management and Governance", "Observability"),
    "other": (_EKS, "Compute", "Containers"),
}
"""By the kind of a line: ServiceName, ServiceCategory and ServiceSubcategory."""
_KEYS = ["day", "node"]
_CAUSE = ["part", "component", "namespace", "workload"]

COLUMNS = (
    "BillingAccountId", "BillingAccountName", "SubAccountId", "SubAccountName",
    "BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd",
    "BillingCurrency", "BilledCost", "EffectiveCost", "ContractedCost", "ListCost",
    "ListUnitPrice", "ContractedUnitPrice", "PricingQuantity", "PricingUnit", "PricingCategory",
    "ConsumedQuantity", "ConsumedUnit", "ChargeCategory", "ChargeClass", "ChargeDescription",
    "ChargeFrequency", "InvoiceId", "CommitmentDiscountCategory", "CommitmentDiscountId",
    "CommitmentDiscountName", "CommitmentDiscountQuantity", "CommitmentDiscountStatus",
    "CommitmentDiscountType", "CommitmentDiscountUnit", "ServiceName", "ServiceCategory", "ServiceSubcategory", "ProviderName",
    "PublisherName", "InvoiceIssuerName", "RegionId", "RegionName", "AvailabilityZone",
    "ResourceId", "ResourceName", "ResourceType", "Tags",
    "x_Cluster", "x_Namespace", "x_Workload", "x_Component", "x_Team", "x_Cause",
    "x_CoreHours", "x_ByteHours", "x_Low", "x_High", "x_Estimate", "x_Complete", "x_Simulated",
)  # fmt: skip
NUMBERS = (
    "BilledCost", "EffectiveCost", "ContractedCost", "ListCost", "ListUnitPrice",
    "ContractedUnitPrice", "PricingQuantity", "ConsumedQuantity", "CommitmentDiscountQuantity",
    "x_CoreHours", "x_ByteHours", "x_Low", "x_High",
)  # fmt: skip
FLAGS = ("x_Estimate", "x_Complete", "x_Simulated")


@dataclass(frozen=True)
class Payer:
    """Who is billed. FOCUS admits no row without `account`."""

    account: str
    name: str | None = None
    """Display name; made of the number without it."""
    sub_account: str | None = None
    """The account that runs the cluster, where another one pays."""


def focus_rows(
    money: MoneyAnswer, first: date, payer: Payer, teams: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Return one month's bill as FOCUS rows, in `COLUMNS`.

    Parameters
    ----------
    money : MoneyAnswer
        Of the month's days, priced for the hours that they cover (`money.terms.hours`).
    first : date
        First day of the billing period, a calendar month.
    teams : DataFrame, optional
        `namespace`, `workload`, `team`; see `rightsize.cost.showback.teams_of`.
    """
    lines = [line for line in money.today.lines if line.usd is not None]
    parts = [_of_machines(money, lines), *(_apart(money, line) for line in lines)]
    rows = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    rows = _with_teams(rows, teams)
    starts = pd.to_datetime(rows["day"], utc=True).dt.normalize()
    begin = pd.Timestamp(first.replace(day=1), tz="UTC")
    costs = rows["usd"].map(_decimal)
    known = {
        "BillingAccountId": payer.account,
        "BillingAccountName": payer.name or f"AWS account {payer.account}",
        "SubAccountId": payer.sub_account,
        "SubAccountName": payer.sub_account,
        "BillingPeriodStart": _time(begin),
        "BillingPeriodEnd": _time(begin + pd.DateOffset(months=1)),
        "ChargePeriodStart": starts.map(_time),
        "ChargePeriodEnd": (starts + pd.Timedelta(days=1)).map(_time),
        "BillingCurrency": "USD",
        "BilledCost": costs,
        "EffectiveCost": costs,
        "ContractedCost": rows["list_usd"].map(_decimal),
        "ListCost": rows["list_usd"].map(_decimal),
        "ListUnitPrice": rows["unit_usd"].map(_decimal),
        "ContractedUnitPrice": rows["unit_usd"].map(_decimal),
        "PricingQuantity": rows["quantity"].map(_decimal),
        "PricingUnit": rows["unit"],
        "PricingCategory": rows["purchase"],
        "ConsumedQuantity": rows["quantity"].map(_decimal),
        "ConsumedUnit": rows["unit"],
        "ChargeCategory": "Usage",
        "ChargeClass": None,
        "ChargeDescription": _descriptions(rows),
        "ChargeFrequency": "Usage-Based",
        "ProviderName": "AWS",
        "PublisherName": "AWS",
        "InvoiceIssuerName": "AWS",
        "RegionId": money.region,
        "RegionName": money.region,
        "AvailabilityZone": rows["zone"],
        "ResourceId": rows["resource"],
        "ResourceName": rows["node"],
        "ResourceType": rows["type"],
        "Tags": _tags(rows, money.cluster),
        "x_Cluster": money.cluster,
        "x_Namespace": rows["namespace"],
        "x_Workload": rows["workload"],
        "x_Component": rows["component"],
        "x_Team": rows["team"],
        "x_Cause": rows["part"],
        "x_CoreHours": rows["core_hours"].map(_decimal),
        "x_ByteHours": rows["byte_hours"].map(_decimal),
        "x_Low": rows["low"].map(_decimal),
        "x_High": rows["high"].map(_decimal),
        "x_Estimate": True,
        "x_Complete": money.allocation.complete and not money.today.unknown,
        "x_Simulated": money.simulated,
    }
    services = [_SERVICES[kind] for kind in rows["kind"]]
    for place, name in enumerate(("ServiceName", "ServiceCategory", "ServiceSubcategory")):
        known[name] = [service[place] for service in services]
    return pd.DataFrame(known, index=rows.index).reindex(columns=list(COLUMNS))


def _of_machines(money: MoneyAnswer, lines: list[CostLine]) -> pd.DataFrame:
    """Rows of the machines and of their root volumes, split over who requests them."""
    days = money.allocation.days
    split = days[days["known_usd"] > 0].reset_index(drop=True)
    whole = float(split["known_usd"].sum())
    about = money.machines.drop_duplicates(_KEYS).set_index(_KEYS)
    about = about.reindex(pd.MultiIndex.from_frame(split[_KEYS])).reset_index(drop=True)
    machine = split.groupby(_KEYS)["known_usd"].transform("sum")
    share = split["known_usd"] / machine
    spot = about["purchase_option"].eq("spot")
    base = split[[*_KEYS, *_CAUSE, "core_hours", "byte_hours"]].assign(
        zone=about["zone"],
        resource=about["instance_id"].fillna(split["node"]),
        type=about["instance_type"],
        quantity=share * about["hours"],
        unit="Hours",
        purchase=np.where(spot, "Dynamic", "Standard"),
    )
    if money.today.machines is None or not whole:
        # Some machine has no price: those that have one cost what they are listed at.
        factor = about["usd_low"] / about["usd_per_hour"], about["usd_high"] / about["usd_per_hour"]
        usd = split["known_usd"]
        return base.assign(
            kind="ec2", usd=usd, unit_usd=about["usd_per_hour"], list_usd=usd,
            low=usd * factor[0], high=usd * factor[1],
        )  # fmt: skip
    found = []
    kinds: tuple[LineKind, ...] = ("ec2", "ebs")
    for kind in kinds:
        total = _sum([line.usd for line in lines if line.kind == kind and line.usd is not None])
        if total is None:
            continue
        part = split["known_usd"] / whole
        priced = (
            _listed(base, about["usd_per_hour"])
            if kind == "ec2"
            else _volumes(base, part * total.mid, money)
        )
        found.append(
            priced.assign(
                kind=kind, usd=part * total.mid, low=part * total.low, high=part * total.high
            )
        )
    return pd.concat(found, ignore_index=True) if found else base.iloc[:0].assign(**_NO_MONEY)


def _listed(base: pd.DataFrame, usd_per_hour: pd.Series) -> pd.DataFrame:
    return base.assign(unit_usd=usd_per_hour, list_usd=usd_per_hour * base["quantity"])


def _volumes(base: pd.DataFrame, usd: pd.Series, money: MoneyAnswer) -> pd.DataFrame:
    """EBS has no discount, and charges gigabytes of a month."""
    price = money.terms.other[f"ebs_{money.terms.root_type}"].usd
    return base.assign(
        unit_usd=price, list_usd=usd, quantity=usd / price, unit="GB-Months", purchase="Standard"
    )


_NO_MONEY = dict.fromkeys(("kind", "usd", "low", "high", "unit_usd", "list_usd"))


def _apart(money: MoneyAnswer, line: CostLine) -> pd.DataFrame:
    """Rows of a line that belongs to no machine: a row for each day, by the day's hours."""
    if line.of_machines or line.usd is None or not money.covered_hours or not line.usd.high:
        return pd.DataFrame()
    hours = _hours_by_day(money)
    part = hours / hours.sum()
    quantity, unit = hours, "Hours"
    if line.kind in ("data-transfer", "logs"):
        amount = money.traffic.moved.mid if line.kind == "data-transfer" else money.logs.bytes
        quantity, unit = part * amount / GIGABYTE, "GB"
    usd = part * line.usd.mid
    unused = line.kind == "unused-commitment"
    return pd.DataFrame(
        {
            "day": part.index, "node": None, "part": "unused" if unused else "shared",
            "component": None, "namespace": None, "workload": line.name,
            "core_hours": np.nan, "byte_hours": np.nan, "zone": None, "resource": None,
            "type": None, "quantity": quantity, "unit": unit,
            "purchase": "Committed" if unused else "Standard", "kind": line.kind, "usd": usd,
            "low": part * line.usd.low, "high": part * line.usd.high,
            "unit_usd": (usd / quantity).where(quantity > 0, 0.0), "list_usd": usd,
        }
    )  # fmt: skip


def _hours_by_day(money: MoneyAnswer) -> pd.Series:
    """Hours of each day with machines: the longest that one of them was seen."""
    return money.machines.groupby("day")["hours"].max()


def _sum(parts: list[Interval]) -> Interval | None:
    if not parts:
        return None
    return Interval(*(sum(getattr(one, end) for one in parts) for end in ("low", "mid", "high")))


def _with_teams(rows: pd.DataFrame, teams: pd.DataFrame | None) -> pd.DataFrame:
    texts = dict.fromkeys(("namespace", "workload", "component", "node"), object)
    rows = rows.astype(texts)
    if teams is None:
        return rows.assign(team=None)
    return rows.merge(teams.astype(object), on=["namespace", "workload"], how="left")


def _descriptions(rows: pd.DataFrame) -> list[str]:
    """What each row charges for, in words: `Estimate: m5.xlarge, sidecar of shop/web`."""
    said = []
    columns = ["kind", "type", "part", "component", "namespace", "workload"]
    for kind, name, part, component, namespace, workload in rows[columns].itertuples(index=False):
        what = f"{name}" if kind == "ec2" else f"root volume of {name}"
        cause = str(workload)
        if _known(namespace):
            owner = workload if _known(workload) else "a pod of unknown owner"
            cause = f"{component if _known(component) else part} of {namespace}/{owner}"
        said.append(f"Estimate: {what}, {cause}" if _known(name) else f"Estimate: {cause}")
    return said


def _tags(rows: pd.DataFrame, cluster: str) -> list[str]:
    names = ("namespace", "workload", "component", "team")
    return [
        json.dumps(
            {"cluster": cluster}
            | {n: str(v) for n, v in zip(names, values, strict=True) if _known(v)},
            ensure_ascii=False,
        )
        for values in rows[list(names)].itertuples(index=False)
    ]


def _known(value: object) -> bool:
    return isinstance(value, str)


def _time(when: pd.Timestamp) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _decimal(value: float) -> Decimal | None:
    """A number as FOCUS writes it: no exponent, twelve digits after the point at most."""
    return None if math.isnan(value) else Decimal(f"{value:.12f}".rstrip("0").rstrip("."))
