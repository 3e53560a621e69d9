"""Which columns of a cost export hold what: one table for each kind of export.

Names are compared in one form, so that `lineItem/UsageStartDate` of the older report's CSV,
`line_item_usage_start_date` of its Parquet and of CUR 2.0 are one column. AWS Data Exports User Guide,
table dictionaries of CUR 2.0 and of FOCUS 1.0 and 1.2; FOCUS specification 1.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[^A-Za-z0-9]+")

CUR = {
    "start": ("line_item_usage_start_date",),
    "charge": ("line_item_line_item_type",),
    "service": ("line_item_product_code",),
    "usage_type": ("line_item_usage_type",),
    "resource": ("line_item_resource_id",),
    "amount": ("line_item_usage_amount",),
    "billed": ("line_item_unblended_cost",),
    "currency": ("line_item_currency_code",),
    "list": ("pricing_public_on_demand_cost",),
    "plan_cost": ("savings_plan_savings_plan_effective_cost",),
    "plan_used": ("savings_plan_used_commitment",),
    "plan_total": ("savings_plan_total_commitment_to_date",),
    "reserved_cost": ("reservation_effective_cost",),
    "reserved_fee": ("reservation_unused_recurring_fee",),
    "reserved_upfront": ("reservation_unused_amortized_upfront_fee_for_billing_period",),
    "tags": ("resource_tags",),
    "cluster_tag": ("resource_tags_aws_eks_cluster_name", "resource_tags_eks_cluster_name"),
    "split": ("split_line_item_split_cost",),
    "split_unused": ("split_line_item_unused_cost",),
    "parent": ("split_line_item_parent_resource_id",),
    "id": ("identity_line_item_id",),
}
FOCUS = {
    "start": ("charge_period_start",),
    "charge": ("charge_category",),
    "class": ("charge_class",),
    "service": ("x_service_code", "service_name"),
    "usage_type": ("x_usage_type", "sku_meter"),
    "resource": ("resource_id",),
    "amount": ("consumed_quantity", "pricing_quantity"),
    "billed": ("billed_cost",),
    "effective": ("effective_cost",),
    "currency": ("billing_currency",),
    "list": ("list_cost",),
    "pricing": ("pricing_category",),
    "status": ("commitment_discount_status",),
    "commitment": ("commitment_discount_category",),
    "tags": ("tags",),
}
_NEEDED = {
    "CUR": ("start", "charge", "service", "usage_type", "billed", "currency"),
    "FOCUS": ("start", "charge", "service", "billed", "effective", "currency"),
}
NUMBERS = frozenset(
    ("amount", "billed", "effective", "list", "plan_cost", "plan_used", "plan_total",
     "reserved_cost", "reserved_fee", "reserved_upfront", "split", "split_unused")
)  # fmt: skip
CLUSTER_TAGS = ("aws:eks:cluster-name", "eks:cluster-name")
"""Tags that EKS sets by itself on what belongs to a cluster."""
CLUSTER_KEYS = frozenset("_".join(re.split(r"[^a-z]+", name)) for name in CLUSTER_TAGS)


@dataclass(frozen=True)
class Layout:
    """Where an export holds what: our name to the column's own."""

    kind: str
    """`CUR` or `FOCUS`."""
    columns: Mapping[str, str]

    @property
    def missing(self) -> tuple[str, ...]:
        """Columns without which nothing can be compared, by the names their export gives them."""
        table = CUR if self.kind == "CUR" else FOCUS
        return tuple(table[name][0] for name in _NEEDED[self.kind] if name not in self.columns)


def plain_name(column: str) -> str:
    """`lineItem/UsageStartDate`, `LineItemUsageStartDate`: `line_item_usage_start_date`."""
    return "_".join(part for part in _WORD.split(column) if part).lower()


def plain_tag(key: str) -> str:
    """`user:aws:eks:cluster-name`, `aws_eks_cluster_name`: `aws_eks_cluster_name`."""
    found = "_".join(part for part in re.split(r"[^a-z0-9]+", key.lower()) if part)
    return found.removeprefix("resource_tags_").removeprefix("user_")


def layout_of(columns: Iterable[str]) -> Layout | None:
    """Recognise an export by its columns; None if it is none."""
    names: dict[str, str] = {}
    for column in columns:
        names.setdefault(plain_name(column), column)
    for kind, table, mark in (
        ("CUR", CUR, "line_item_line_item_type"),
        ("FOCUS", FOCUS, "charge_category"),
    ):
        if mark in names:
            found = {
                ours: names[theirs]
                for ours, several in table.items()
                for theirs in reversed(several)
                if theirs in names
            }
            return Layout(kind, found)
    return None
