"""The real bill of a month (Cost Explorer, GetCostAndUsage). Each request costs USD 0.01."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pandas as pd

from rightsize.collectors.aws.calls import COST
from rightsize.collectors.aws.session import AwsSession
from rightsize.collectors.aws.tables import table_of
from rightsize.errors import AwsError, NoDataError

_SERVICES = (
    "Amazon Elastic Compute Cloud - Compute",
    "EC2 - Other",
    "Amazon Elastic Container Service for Kubernetes",
    "Amazon Elastic Load Balancing",
)
_NO_USE = ("Credit", "Refund", "Tax", "Support")
"""Record types that price no use: they would make the bill smaller or larger than what ran."""
CLUSTER_COST_TAG = "aws:eks:cluster-name"
"""Tag that EKS sets by itself; it filters a bill once activated as a cost-allocation tag."""


def fetch_bill(
    session: AwsSession, start: date, end: date, *, cluster: str | None = None
) -> pd.DataFrame:
    """Return the bill of EC2, EBS, data transfer, EKS and load balancers in [start, end).

    Credits, refunds, tax and support are left out.

    Parameters
    ----------
    start, end : date
        First day, and the day after the last.
    cluster : str, optional
        Take only what carries the cluster's cost-allocation tag; the account's region without it.

    Raises
    ------
    NoDataError
        If Cost Explorer has nothing for the period (or the tag is not activated).
    AwsError
        If the request fails or an amount is not in USD.
    """
    parts: list[dict[str, Any]] = [
        {"Dimensions": {"Key": "SERVICE", "Values": list(_SERVICES)}},
        {"Dimensions": {"Key": "REGION", "Values": [session.region]}},
        {"Not": {"Dimensions": {"Key": "RECORD_TYPE", "Values": list(_NO_USE)}}},
    ]
    if cluster is not None:
        parts.append({"Tags": {"Key": CLUSTER_COST_TAG, "Values": [cluster]}})
    asked = {
        "TimePeriod": {"Start": start.isoformat(), "End": end.isoformat()},
        "Granularity": "MONTHLY",
        "Metrics": ["UnblendedCost", "AmortizedCost", "UsageQuantity"],
        "GroupBy": [
            {"Type": "DIMENSION", "Key": "SERVICE"},
            {"Type": "DIMENSION", "Key": "USAGE_TYPE"},
        ],
        "Filter": {"And": parts},
    }
    rows = list(session.rows(COST, asked, _lines))
    if not rows:
        tagged = "" if cluster is None else f" with the tag {CLUSTER_COST_TAG}={cluster}"
        raise NoDataError(
            f"Cost Explorer has no cost from {start} to {end} in {session.region}{tagged}",
            hint="a tag must be activated as a cost-allocation tag; costs appear a day later",
        )
    scope = "account" if cluster is None else f"{CLUSTER_COST_TAG}={cluster}"
    return table_of("bill", pd.DataFrame(rows).assign(scope=scope))


def category(service: str, usage_type: str) -> str:
    """Return what a line of the bill pays for, by the words AWS uses in its usage types."""
    if "Kubernetes" in service:
        return "eks"
    if "Load Balancing" in service or "LoadBalancerUsage" in usage_type:
        return "load-balancer"
    # "USE2-EBS:VolumeUsage.gp3": a region may stand in front of the word.
    if "EBS:" in usage_type:
        return "ebs"
    if "NatGateway" in usage_type:
        return "nat"
    if "DataTransfer" in usage_type or "-Bytes" in usage_type:
        return "data-transfer"
    if any(
        word in usage_type for word in ("BoxUsage", "SpotUsage", "DedicatedUsage", "HeavyUsage")
    ):
        return "ec2"
    return "other"


def _lines(page: dict[str, Any]) -> Iterator[dict[str, object]]:
    for period in page.get("ResultsByTime", []):
        for group in period.get("Groups", []):
            yield _row(period, group)


def _row(period: dict[str, Any], group: dict[str, Any]) -> dict[str, object]:
    service, usage_type = group["Keys"]
    metrics = group["Metrics"]
    usage = metrics.get("UsageQuantity", {})
    return {
        "start": pd.Timestamp(period["TimePeriod"]["Start"], tz="UTC"),
        "end": pd.Timestamp(period["TimePeriod"]["End"], tz="UTC"),
        "service": service,
        "usage_type": usage_type,
        "category": category(service, usage_type),
        "unblended_usd": _usd(metrics.get("UnblendedCost"), usage_type),
        "amortized_usd": _usd(metrics.get("AmortizedCost"), usage_type),
        "usage": float(usage["Amount"]) if "Amount" in usage else None,
        "unit": usage.get("Unit"),
        "estimated": bool(period.get("Estimated")),
    }


def _usd(metric: dict[str, str] | None, usage_type: str) -> float | None:
    if metric is None:
        return None
    if metric.get("Unit") != "USD":
        raise AwsError(f"the bill's {usage_type} is in {metric.get('Unit')}, not in USD")
    return float(metric["Amount"])
