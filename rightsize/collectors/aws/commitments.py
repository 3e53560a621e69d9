"""What the account has committed to: Savings Plans, reserved instances, and their coverage."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from math import inf
from typing import Any

import pandas as pd

from rightsize.collectors.aws.calls import COVERAGE, PLANS, RESERVED
from rightsize.collectors.aws.session import AwsSession
from rightsize.collectors.aws.tables import table_of
from rightsize.errors import AwsError

_PLAN_KINDS = {"Compute": "compute-savings-plan", "EC2Instance": "instance-savings-plan"}


def fetch_savings_plans(session: AwsSession) -> pd.DataFrame:
    """Return the active Savings Plans that can pay for EC2 in the region as `commitments`.

    An empty table says that there is none. A plan that another account of the organization shares
    is not listed: Cost Explorer's coverage shows its effect.

    Raises
    ------
    AwsError
        If the request fails, or a commitment cannot be read or is not in USD.
    """

    def read(page: dict[str, Any]) -> Iterator[dict[str, object]]:
        for item in page["savingsPlans"]:
            kind = item.get("savingsPlanType")
            if kind == "Compute" or (kind in _PLAN_KINDS and item.get("region") == session.region):
                yield _plan(item)

    asked = {"states": ["active"], "maxResults": 1000}
    return table_of("commitments", list(session.rows(PLANS, asked, read)))


def fetch_reserved_instances(session: AwsSession) -> pd.DataFrame:
    """Return the region's active Linux reservations as `commitments`; empty says none.

    `usd_per_hour` is what the reservation costs each hour: its recurring charges and the upfront
    fee spread over the term, for all its instances. Reservations of dedicated tenancy cover no
    machine of the shared one, and are left out.

    Raises
    ------
    AwsError
        If the request fails.
    """
    asked = {"Filters": [{"Name": "state", "Values": ["active"]}]}

    def read(page: dict[str, Any]) -> Iterator[dict[str, object]]:
        for item in page["ReservedInstances"]:
            shared = item.get("InstanceTenancy", "default") == "default"
            if shared and "Linux/UNIX" in item.get("ProductDescription", ""):
                yield _reservation(item)

    return table_of("commitments", list(session.rows(RESERVED, asked, read)))


def fetch_coverage(session: AwsSession, start: date, end: date) -> pd.DataFrame:
    """Return the share of the region's eligible spend that Savings Plans covered in [start, end).

    Fargate and Lambda are in it where the account uses them.

    Raises
    ------
    AwsError
        If the request fails, or Cost Explorer has no such spend for the period.
    """
    asked = {
        "TimePeriod": {"Start": start.isoformat(), "End": end.isoformat()},
        "Granularity": "MONTHLY",
        "Filter": {"Dimensions": {"Key": "REGION", "Values": [session.region]}},
    }

    def read(page: dict[str, Any]) -> Iterator[tuple[float, float]]:
        for item in page.get("SavingsPlansCoverages", []):
            share = item.get("Coverage", {})
            part, whole = share.get("SpendCoveredBySavingsPlans"), share.get("TotalCost")
            yield float(part or 0), float(whole or 0)

    spends = list(session.rows(COVERAGE, asked, read))
    covered, total = (sum(column) for column in zip(*spends, strict=True)) if spends else (0.0, 0.0)
    if not 0 < total < inf or not 0 <= covered < inf:
        raise AwsError(f"{COVERAGE.action} has no eligible spend from {start} to {end}")
    row = {
        "commitment": "coverage",
        "kind": "coverage",
        "covered_share": min(covered / total, 1.0),
        "source": f"Cost Explorer, {start} to {end}",
    }
    return table_of("commitments", [row])


def commitment_of_settings(usd_per_hour: float, discount: float | None) -> pd.DataFrame:
    """Return the commitment that the settings state; 0 USD/h says that there is none."""
    if usd_per_hour == 0:
        return commitment_mark("none", "settings")
    row = {
        "commitment": "settings",
        "kind": "setting",
        "usd_per_hour": usd_per_hour,
        "discount": discount,
        "source": "settings",
    }
    return table_of("commitments", [row])


def commitment_mark(kind: str, source: str) -> pd.DataFrame:
    """Return a row that says `none` (asked, nothing held) or `unknown` (could not be asked)."""
    return table_of(
        "commitments", pd.DataFrame([{"commitment": kind, "kind": kind, "source": source}])
    )


def _plan(item: dict[str, Any]) -> dict[str, object]:
    if item.get("currency", "USD") != "USD":
        raise AwsError(f"Savings Plan {item.get('savingsPlanId')} is in {item['currency']}")
    return {
        "commitment": item["savingsPlanId"],
        "kind": _PLAN_KINDS[item["savingsPlanType"]],
        "family": item.get("ec2InstanceFamily") or None,
        "usd_per_hour": float(item["commitment"]),
        "ends": pd.Timestamp(item["end"]),
        "source": "Savings Plans API",
    }


def _reservation(item: dict[str, Any]) -> dict[str, object]:
    hours = item["Duration"] / 3600
    recurring = sum(charge["Amount"] for charge in item.get("RecurringCharges", []))
    count = float(item["InstanceCount"])
    known = item.get("CurrencyCode", "USD") == "USD"
    return {
        "commitment": item["ReservedInstancesId"],
        "kind": "reserved-instance",
        "family": str(item["InstanceType"]).split(".")[0],
        "instance_type": item["InstanceType"],
        "zone": item.get("AvailabilityZone"),
        "count": count,
        "usd_per_hour": count * (recurring + item.get("FixedPrice", 0.0) / hours)
        if known
        else None,
        "ends": item.get("End"),
        "source": "EC2 reserved instances",
    }
