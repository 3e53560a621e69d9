"""Cost exports made by the tests: CUR 2.0, the older CUR and FOCUS, of machines that are known."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

CLUSTER = "two-months"
ARN = f"arn:aws:eks:us-east-1:123456789012:cluster/{CLUSTER}"


@dataclass(frozen=True)
class Line:
    """One line of a bill, in the words of CUR."""

    start: datetime
    billed: float
    resource: str | None = None
    kind: str = "Usage"
    product: str = "AmazonEC2"
    usage_type: str = "BoxUsage:m5.xlarge"
    amount: float = 24.0
    effective: float | None = None
    """With upfront fees spread, where that is another amount."""
    currency: str = "USD"
    tags: Mapping[str, str] | None = None
    split: tuple[float, float] | None = None
    parent: str | None = None

    def but(self, **changes: object) -> Line:
        return replace(self, **changes)


def machine_lines(machines: pd.DataFrame) -> list[Line]:
    """A line for each row of `machine_days`: what it costs at its price on demand."""
    return [
        Line(
            pd.Timestamp(row.day).to_pydatetime().replace(tzinfo=UTC),
            float(row.usd_per_hour * row.hours),
            str(row.instance_id),
            amount=float(row.hours),
        )
        for row in machines.itertuples()
    ]


def control_plane(day: datetime, usd: float = 2.4) -> Line:
    kind = "USE1-AmazonEKS-Hours:perCluster"
    return Line(day, usd, ARN, product="AmazonEKS", usage_type=kind)


def pod_line(
    day: datetime, node: str, namespace: str, pod: str, used: float, unused: float
) -> Line:
    arn = f"arn:aws:eks:us-east-1:123456789012:pod/{CLUSTER}/{namespace}/{pod}/uid-1"
    return Line(
        day, 0.0, arn, product="AmazonEKS", usage_type="USE1-EKS-EC2-vCPU-Hours",
        split=(used, unused), parent=node,
    )  # fmt: skip


def _cur(line: Line) -> dict[str, object]:
    costs = {"SavingsPlanCoveredUsage": "savings_plan_savings_plan_effective_cost",
             "DiscountedUsage": "reservation_effective_cost"}  # fmt: skip
    row: dict[str, object] = dict.fromkeys(costs.values())
    row |= {
        "bill_payer_account_id": "123456789012",
        "line_item_usage_start_date": line.start,
        "line_item_usage_end_date": line.start + timedelta(days=1),
        "line_item_line_item_type": line.kind,
        "line_item_product_code": line.product,
        "line_item_usage_type": line.usage_type,
        "line_item_resource_id": line.resource,
        "line_item_usage_amount": line.amount,
        "line_item_unblended_cost": line.billed,
        "line_item_currency_code": line.currency,
        "split_line_item_split_cost": None if line.split is None else line.split[0],
        "split_line_item_unused_cost": None if line.split is None else line.split[1],
        "split_line_item_parent_resource_id": line.parent,
        "savings_plan_used_commitment": None,
        "savings_plan_total_commitment_to_date": None,
    }
    if line.kind in costs:
        row[costs[line.kind]] = line.effective
    return row


def cur2(path: Path, lines: Sequence[Line]) -> Path:
    """CUR 2.0 as Parquet, tags in a map."""
    rows = [_cur(line) for line in lines]
    table = pa.Table.from_pylist(rows)
    tags = [None if line.tags is None else list(line.tags.items()) for line in lines]
    table = table.append_column("resource_tags", pa.array(tags, pa.map_(pa.string(), pa.string())))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


_GROUPS = ("bill", "line_item", "split_line_item", "savings_plan", "reservation", "identity")


def _legacy_name(name: str) -> str:
    """`line_item_usage_type`: `lineItem/UsageType`."""
    group = max((one for one in _GROUPS if name.startswith(f"{one}_")), key=len)
    first, *others = group.split("_")
    rest = name.removeprefix(f"{group}_").split("_")
    return f"{first}{''.join(map(str.title, others))}/{''.join(map(str.title, rest))}"


def legacy(path: Path, lines: Sequence[Line]) -> Path:
    """The older report: CSV under gzip, a column for each tag."""
    rows = [_cur(line) for line in lines]
    for row in rows:
        for end in ("start", "end"):
            name = f"line_item_usage_{end}_date"
            row[name] = f"{row[name]:%Y-%m-%dT%H:%M:%SZ}"
    text = io.StringIO()
    tag = "resourceTags/aws:eks:cluster-name"
    writer = csv.writer(text)
    writer.writerow(["identity/LineItemId", *map(_legacy_name, rows[0]), tag])
    for number, (row, line) in enumerate(zip(rows, lines, strict=True)):
        values = ["" if value is None else value for value in row.values()]
        writer.writerow([f"line{number}", *values, (line.tags or {}).get("aws:eks:cluster-name")])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.getvalue().encode()))
    return path


_CATEGORIES = {"Credit": "Credit", "Tax": "Tax", "Refund": "Adjustment"}
_NAMES = {"AmazonEC2": "Amazon Elastic Compute Cloud",
          "AmazonEKS": "Amazon Elastic Kubernetes Service"}  # fmt: skip


def focus_rows(lines: Sequence[Line]) -> list[dict[str, object]]:
    found = []
    for line in lines:
        covered = line.kind in ("SavingsPlanCoveredUsage", "DiscountedUsage")
        resource = line.resource
        if resource is not None and resource.startswith("i-"):
            resource = f"arn:aws:ec2:us-east-1:123456789012:instance/{resource}"
        found.append(
            {
                "ChargePeriodStart": line.start,
                "ChargePeriodEnd": line.start + timedelta(days=1),
                "ChargeCategory": _CATEGORIES.get(line.kind, "Usage"),
                "ServiceName": _NAMES.get(line.product, line.product),
                "x_ServiceCode": line.product,
                "x_UsageType": line.usage_type,
                "ResourceId": resource,
                "ConsumedQuantity": line.amount,
                "BilledCost": 0.0 if covered else line.billed,
                "EffectiveCost": line.effective if covered else line.billed,
                "ListCost": line.billed,
                "BillingCurrency": line.currency,
                "PricingCategory": "Committed" if covered else "Standard",
                "CommitmentDiscountStatus": "Used" if covered else None,
                "CommitmentDiscountCategory": "Spend" if covered else None,
                "Tags": None if line.tags is None else json.dumps(dict(line.tags)),
            }
        )
    return found


def focus_parquet(path: Path, lines: Sequence[Line]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(focus_rows(lines)), path)
    return path


def focus_text(path: Path, lines: Sequence[Line]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = pd.DataFrame(focus_rows(lines))
    for name in ("ChargePeriodStart", "ChargePeriodEnd"):
        frame[name] = [f"{when:%Y-%m-%dT%H:%M:%SZ}" for when in frame[name]]
    frame.to_csv(path, index=False)
    return path


WRITERS = {
    "cur2.parquet": cur2, "legacy.csv.gz": legacy, "focus.parquet": focus_parquet,
    "focus.csv": focus_text,
}  # fmt: skip
