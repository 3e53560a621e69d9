"""Reads a cost export for one cluster and month, batch by batch, into sums by day and resource.

Three sums come of it: what belongs to the cluster (by instance, by tag, or by the ARN that holds its
name), the costs of its pods where split cost allocation is switched on, and what else the files hold,
by kind of charge. Split rows repeat what their instance costs, so they are in no sum but their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from rightsize.border import printable
from rightsize.collectors.aws.bill import category
from rightsize.collectors.billing.columns import (
    CLUSTER_KEYS,
    CLUSTER_TAGS,
    NUMBERS,
    Layout,
    plain_tag,
)
from rightsize.collectors.billing.files import batches, export_files
from rightsize.errors import InputFileError

if TYPE_CHECKING:
    from rightsize.collectors.aws.session import AwsSession

_KEYS = ["day", "resource", "kind", "charge", "purchase", "currency"]
_SUMS = ["hours", "billed", "effective"]
_POD = ["day", "node", "namespace", "pod", "currency"]
_REST = ["charge", "currency"]
_MOST_SUMS = 2_000_000
"""Rows that are held at once; an honest month has a row for each machine, day and kind."""
_CHARGES = {
    "Usage": "usage", "DiscountedUsage": "usage", "SavingsPlanCoveredUsage": "usage",
    "SavingsPlanNegation": "usage", "SavingsPlanRecurringFee": "commitment",
    "SavingsPlanUpfrontFee": "commitment", "RIFee": "commitment", "Fee": "fee",
    "Credit": "credit", "Refund": "refund", "Tax": "tax",
    "Purchase": "commitment", "Adjustment": "refund",
}  # fmt: skip
"""By `line_item_line_item_type` of CUR and `ChargeCategory` of FOCUS; discounts end in `Discount`."""
_BY_SERVICE = {
    "Amazon Elastic Compute Cloud": "ec2", "Amazon Elastic Block Store": "ebs",
    "Elastic Load Balancing": "load-balancer", "AWS Data Transfer": "data-transfer",
}  # fmt: skip
"""Kinds of rows that state no usage type, as FOCUS demands none."""


@dataclass(frozen=True)
class Bill:
    """A month of a cost export.

    `rows` has `day` (datetime.date), `resource`, `kind` (`rightsize.collectors.aws.bill.category`),
    `charge`, `purchase` (`on-demand`, `spot`, `savings-plan`, `reserved`), `currency`, `hours` (of
    machines), `billed` (as invoiced), `effective` (upfront fees spread); NaN is unknown.
    `pods` has `day`, `node` (instance id), `namespace`, `pod`, `currency`, `used`, `unused`.
    `rest`, of what is not the cluster's: `charge`, `currency`, `billed`, `rows`.
    """

    source: str
    kinds: tuple[str, ...]
    """`CUR`, `FOCUS`."""
    files: int
    rows: pd.DataFrame
    pods: pd.DataFrame
    rest: pd.DataFrame
    twice: int
    """Rows that stand in the files twice, and were counted once."""
    named: bool = True
    """Whether a row of these days states a resource: without one, no machine can be found."""


def read_bill(
    place: str,
    days: Collection[date],
    *,
    cluster: str,
    instances: Collection[str],
    session: Callable[[], AwsSession] | None = None,
) -> Bill:
    """Read what an export says of a cluster on some days of one month.

    Parameters
    ----------
    place : str
        A file, a folder, or `s3://bucket/prefix`.
    days : collection of date
        Rows that start on another day are left out.
    cluster : str
        Its name, by which tags and ARNs are matched.
    instances : collection of str
        Ids of its machines, such as `i-0abc`.
    session : callable, optional
        Makes the AWS session; only a place on S3 needs it.

    Raises
    ------
    InputFileError, NoDataError, UsageError, AwsError
        If the place cannot be read, or a file of it is no export, damaged, or hostile.
    """
    month = f"{min(days):%Y-%m}"
    sums = _Sums(frozenset(days), cluster, frozenset(instances))
    files = export_files(place, month, session)
    kinds = set()
    for file in files:
        with file.opened() as path:
            for layout, batch in batches(path, file.name):
                kinds.add(layout.kind)
                sums.add(_texts(layout, batch, file.name, cluster), layout.kind, file.name)
    if len(kinds) > 1:
        raise InputFileError(
            "holds CUR and FOCUS files, which say the same twice",
            path=place,
            hint="give the folder of one export",
        )
    return Bill(
        place,
        tuple(sorted(kinds)),
        len(files),
        sums.rows(),
        sums.pods(),
        sums.rest(),
        sums.twice,
        sums.named or not sums.any,
    )


def _texts(layout: Layout, batch: pa.RecordBatch, name: str, cluster: str) -> pd.DataFrame:
    """The batch by our names: times, numbers and texts, each checked."""
    columns: dict[str, object] = {}
    for ours, theirs in layout.columns.items():
        values = batch.column(batch.schema.names.index(theirs))
        if ours == "tags":
            columns["tagged"] = _tagged(values, cluster)
        elif ours in NUMBERS:
            columns[ours] = _numbers(values, theirs, name)
        elif ours == "start":
            columns[ours] = _days(values, theirs, name)
        elif pa.types.is_nested(values.type):
            raise InputFileError(f"has {values.type} in {printable(theirs)}, not text", path=name)
        else:
            columns[ours] = values.cast(pa.string()).to_pandas()
    return pd.DataFrame(columns, index=range(batch.num_rows))


def _numbers(values: pa.Array, column: str, name: str) -> pd.Series:
    if not (pa.types.is_string(values.type) or _is_number(values.type)):
        raise InputFileError(f"has {values.type} in {printable(column)}, not numbers", path=name)
    raw = values.to_pandas()
    found: pd.Series = pd.to_numeric(raw, errors="coerce").astype(float)
    wrong = (found.isna() & raw.notna()) | np.isinf(found)
    if wrong.any():
        raise InputFileError(
            f"has {printable(str(raw[wrong].iloc[0])[:40])!r} in {printable(column)}, no amount",
            path=name,
        )
    return found


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        or pa.types.is_null(kind)
    )  # fmt: skip


def _days(values: pa.Array, column: str, name: str) -> pd.Series:
    raw = values.to_pandas()
    if pa.types.is_timestamp(values.type):
        found = pd.to_datetime(raw, utc=True, errors="coerce")
    else:
        found = pd.to_datetime(raw.astype(str), utc=True, errors="coerce", format="ISO8601")
    if found.isna().any():
        first = printable(str(raw[found.isna()].iloc[0])[:40])
        raise InputFileError(f"has {first!r} in {printable(column)}, no time", path=name)
    days: pd.Series = found.dt.date
    return days


def _tagged(values: pa.Array, cluster: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which rows carry the cluster's name in a tag that EKS sets; tags are a map, or JSON."""
    found = np.zeros(len(values), dtype=bool)
    if pa.types.is_map(values.type):
        for key in _spellings():
            named = pc.map_lookup(values, pa.scalar(key, values.type.key_type), "first")
            found |= pc.equal(named, cluster).fill_null(False).to_numpy(zero_copy_only=False)
        return found
    if not pa.types.is_string(values.type):
        return found
    # Parsing is kept for the few rows in which the name stands at all.
    likely = pc.match_substring(values, cluster).fill_null(False)
    for place in np.flatnonzero(likely.to_numpy(zero_copy_only=False)):
        found[place] = _named(values[int(place)].as_py(), cluster)
    return found


def _spellings() -> Iterable[str]:
    for tag in CLUSTER_TAGS:
        for plain in (tag, plain_tag(tag)):
            yield from (plain, f"user:{plain}", f"user_{plain}")


def _named(text: str, cluster: str) -> bool:
    try:
        tags = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(tags, dict) and any(
        value == cluster and plain_tag(str(key)) in CLUSTER_KEYS for key, value in tags.items()
    )


class _Sums:
    """Sums of one export, small however long it is."""

    def __init__(self, days: frozenset[date], cluster: str, instances: frozenset[str]) -> None:
        self._days, self._cluster, self._instances = days, cluster, instances
        self._parts: dict[str, list[pd.DataFrame]] = {"rows": [], "pods": [], "rest": []}
        self._seen: set[str] = set()
        self.twice = 0
        self.any = self.named = False

    def add(self, batch: pd.DataFrame, kind: str, name: str) -> None:
        batch = batch[batch["start"].isin(self._days)]
        if batch.empty:
            return
        rows = _charged(batch.reset_index(drop=True), kind)
        self.any = True
        self.named |= bool(rows["resource"].notna().any())
        tagged = rows["tagged"] | rows["cluster_tag"].eq(self._cluster).fillna(False)
        split = rows["parent"].notna() & rows["split"].notna()
        arn = rows["resource"].str.extract(
            r"^arn:[^:]*:eks:[^:]*:\d*:(?P<what>[a-z]+)/(?P<cluster>[^/]+)"
        )
        by_arn = arn["cluster"].eq(self._cluster).fillna(False)
        instance = rows["resource"].str.extract(r"(?:^|/)(i-[0-9a-f]+)$", expand=False)
        rows["resource"] = instance.fillna(rows["resource"])
        ours = by_arn | rows["resource"].isin(self._instances) | tagged
        ours = ours.astype(bool)
        self._keep("pods", _pods(rows[split & by_arn]), _POD, ["used", "unused"], name)
        kept = self._once(rows[ours & ~split])
        self._keep("rows", kept, _KEYS, _SUMS, name)
        self._keep("rest", rows[~ours & ~split].assign(rows=1), _REST, ["billed", "rows"], name)

    def _once(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows that were not seen before, by the id of their line; one without an id is another."""
        if "id" not in rows.columns or rows["id"].isna().all():
            return rows
        fresh = []
        for key in rows["id"].astype("string").fillna(""):
            fresh.append(not key or key not in self._seen)
            self._seen.add(key)
        self.twice += fresh.count(False)
        return rows[fresh]

    def _keep(
        self, part: str, rows: pd.DataFrame, keys: list[str], sums: list[str], name: str
    ) -> None:
        if rows.empty:
            return
        parts = self._parts[part]
        parts.append(_added(rows, keys, sums))
        if len(parts) > 50:
            parts[:] = [_added(pd.concat(parts), keys, sums)]
        if sum(map(len, parts)) > _MOST_SUMS:
            raise InputFileError(
                "has more resources and days than a month of one cluster can hold", path=name
            )

    def rows(self) -> pd.DataFrame:
        return self._whole("rows", _KEYS, _SUMS)

    def pods(self) -> pd.DataFrame:
        return self._whole("pods", _POD, ["used", "unused"])

    def rest(self) -> pd.DataFrame:
        return self._whole("rest", _REST, ["billed", "rows"])

    def _whole(self, part: str, keys: list[str], sums: list[str]) -> pd.DataFrame:
        if not self._parts[part]:
            return pd.DataFrame(columns=[*keys, *sums])
        return _added(pd.concat(self._parts[part]), keys, sums)


def _added(rows: pd.DataFrame, keys: list[str], sums: list[str]) -> pd.DataFrame:
    """Sums by keys; a sum with an unknown part is unknown."""
    texts = rows[[*keys, *sums]].astype(dict.fromkeys(keys, object))
    groups = texts.groupby(keys, dropna=False, sort=True)
    found = groups[sums].sum(min_count=1)
    unknown = texts[sums].isna().groupby([texts[key] for key in keys], dropna=False).any()
    return found.mask(unknown.reindex(found.index)).reset_index()


def _charged(batch: pd.DataFrame, kind: str) -> pd.DataFrame:
    """What each row charges for, in the words of both kinds of export."""
    rows = batch.assign(day=batch["start"], type=batch["charge"].astype(object).fillna(""))
    rows["currency"] = rows["currency"].fillna("unknown")
    rows["charge"] = rows["type"].map(_charge)
    for name in (
        "resource",
        "usage_type",
        "parent",
        "cluster_tag",
        "pricing",
        "status",
        "commitment",
    ):
        if name not in rows:
            rows[name] = pd.NA
        rows[name] = rows[name].astype("string")
    for name in NUMBERS:
        if name not in rows:
            rows[name] = np.nan
    if "tagged" not in rows:
        rows["tagged"] = False
    pairs = rows["service"].astype("string").fillna("") + "\0" + rows["usage_type"].fillna("")
    kinds = {pair: _kind(*pair.split("\0", 1)) for pair in pairs.unique()}
    rows["kind"] = pairs.map(kinds)
    rows = _of_cur(rows) if kind == "CUR" else _of_focus(rows)
    machine = rows["kind"].eq("ec2") & rows["charge"].eq("usage") & rows.pop("runs")
    return rows.assign(hours=rows["amount"].where(machine, 0.0))


def _charge(name: str) -> str:
    return "discount" if name.endswith("Discount") else _CHARGES.get(name, "other")


def _kind(service: str, usage_type: str) -> str:
    """The kind of a line; exports name services by code or in words."""
    if not usage_type and service in _BY_SERVICE:
        return _BY_SERVICE[service]
    if "Fargate" in usage_type:
        return "other"
    if service in ("AmazonEKS", "Amazon Elastic Kubernetes Service"):
        return "eks"
    return category("Load Balancing" if service == "AWSELB" else service, usage_type)


def _of_cur(rows: pd.DataFrame) -> pd.DataFrame:
    """Cost with upfront fees spread, as the User Guide reckons it for each type of line.

    A line that a Savings Plan covers comes at its price on demand, with a negation beside it.
    """
    kind = rows["type"]
    effective = rows["billed"].copy()
    for name, cost in (
        ("SavingsPlanCoveredUsage", rows["plan_cost"]),
        ("DiscountedUsage", rows["reserved_cost"]),
        ("SavingsPlanNegation", 0.0),
        ("SavingsPlanUpfrontFee", 0.0),
        ("SavingsPlanRecurringFee", rows["plan_total"] - rows["plan_used"]),
        ("RIFee", rows["reserved_fee"] + rows["reserved_upfront"]),
    ):
        effective = effective.mask(kind == name, cost)
    spot = rows["usage_type"].str.contains("SpotUsage", regex=False).fillna(False).astype(bool)
    conditions = [kind == "SavingsPlanCoveredUsage", kind == "DiscountedUsage", spot]
    return rows.assign(
        effective=effective,
        purchase=np.select(conditions, ["savings-plan", "reserved", "spot"], "on-demand"),
        tagged=rows["tagged"],
        runs=kind != "SavingsPlanNegation",
    )


def _of_focus(rows: pd.DataFrame) -> pd.DataFrame:
    unused = rows["status"].eq("Unused").fillna(False).astype(bool)
    conditions = [
        (rows["status"].eq("Used") & rows["commitment"].eq("Spend")).fillna(False).astype(bool),
        rows["status"].eq("Used").fillna(False).astype(bool),
        rows["pricing"].eq("Dynamic").fillna(False).astype(bool),
    ]
    return rows.assign(
        charge=rows["charge"].mask(unused, "commitment"),
        purchase=np.select(conditions, ["savings-plan", "reserved", "spot"], "on-demand"),
        runs=~unused,
    )


def _pods(rows: pd.DataFrame) -> pd.DataFrame:
    """Split rows by pod, from ARNs such as `arn:aws:eks:…:pod/cluster/namespace/name/uid`."""
    parts = rows["resource"].str.split("/", expand=True).reindex(columns=range(4))
    return rows.assign(
        node=rows["parent"],
        namespace=parts[2],
        pod=parts[3],
        used=rows["split"],
        unused=rows["split_unused"].fillna(0.0),
    )
