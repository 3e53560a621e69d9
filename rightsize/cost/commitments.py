"""What commitments pay for anyway, and what is left to save.

Order and arithmetic are AWS's (Savings Plans User Guide, "Understanding how Savings Plans apply to
your usage"): reservations first, then EC2 Instance Savings Plans, then Compute Savings Plans. A
plan of C USD/h at a discount d covers use that would cost C / (1 - d) on demand. It is paid whether
it is used or not, so machines given up under it save nothing.

A regional Linux reservation floats over the sizes of its family; one of a zone, of bare metal, or of
a family without size flexibility covers its own type alone, and a zonal one its zone alone (Amazon
EC2 User Guide, "How Reserved Instances are applied"). Reservations of dedicated tenancy or another
platform never reach the table.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass

import pandas as pd

from rightsize.config import PriceSettings
from rightsize.cost.node_sets import NodeLot, NodeSet
from rightsize.prices.book import PriceBook

_PLAN_TYPES = {"compute-savings-plan": "Compute", "instance-savings-plan": "EC2Instance"}
"""How the source of a rate in the price book begins."""

_NOTABLE_SHARE = 0.01

_FIXED_SIZE = re.compile(r"(g4ad|g4dn|g5|g5g|g6|g6e|gr6|p5|p5e|inf1|inf2|trn1|hpc\w*|u-?\w*)$")
"""Families with reservations that cover their own size alone."""

_ORDER = ("reserved-instance", "instance-savings-plan", "compute-savings-plan", "setting")


@dataclass(frozen=True, slots=True)
class Commitment:
    """One promise to pay. `discount` None means unknown; then rates of the price book serve."""

    kind: str
    usd_per_hour: float
    discount: float | None = None
    family: str | None = None
    instance_type: str | None = None
    count: float = 0.0
    zone: str | None = None
    """Zone of a zonal reservation."""

    @property
    def floats(self) -> bool:
        """Whether a reservation covers other sizes of its family."""
        bare = (self.instance_type or "").rpartition(".")[2].startswith("metal")
        return self.zone is None and not bare and not _FIXED_SIZE.match(self.family or "")


@dataclass(frozen=True, slots=True)
class Commitments:
    """All of an account. `known` False: a part could not be asked, so nothing is realisable."""

    known: bool
    held: tuple[Commitment, ...] = ()
    covered_share: float | None = None
    """Share of the account's compute spend that Savings Plans cover, as Cost Explorer reports."""
    stated: bool = False
    """They come from the settings, not from AWS."""


@dataclass(frozen=True, slots=True)
class Covered:
    """On-demand machines, split by who pays for them; USD per hour."""

    on_demand: float
    """What all of them would cost on demand."""
    covered: float
    """The on-demand value of what commitments cover."""
    commitment: float
    """What the commitments cost, used or not."""
    unused: float = 0.0
    """The part of `commitment` that covers nothing."""

    @property
    def uncovered(self) -> float:
        """What is paid on demand, on top of the commitments."""
        return self.on_demand - self.covered

    @property
    def paid(self) -> float:
        return self.commitment + self.uncovered


def commitments_of(table: pd.DataFrame, discount: float | None = None) -> Commitments:
    """Read the table `commitments`. An empty one says that nobody asked: unknown.

    `discount` (setting `prices.commitment_discount`) goes to Savings Plans that do not state their
    own. Without it the listed one-year rates serve, and a three-year plan, with a discount that is
    higher, covers more than is said.
    """
    kinds = table["kind"].astype(str)
    shares = table.loc[kinds == "coverage", "covered_share"].dropna()
    priced = table[kinds.isin(_ORDER)]
    held = tuple(_commitment(row, discount) for row in priced.to_dict("records"))
    share = None if shares.empty else float(shares.iloc[0])
    asked = (kinds != "coverage").any() and not (kinds == "unknown").any()
    known = bool(asked) and not priced["usd_per_hour"].isna().any()
    if share is not None and share > _NOTABLE_SHARE and not kinds.isin(_PLAN_TYPES).any():
        # Somebody's plans pay, though this account holds none: another account shares them.
        known = False
    return Commitments(known, held, share)


def commitments_in_force(table: pd.DataFrame, settings: PriceSettings) -> Commitments:
    """Take the commitment of the settings where one is stated, else the snapshot's table."""
    stated, discount = settings.commitment_usd_per_hour, settings.commitment_discount
    if stated is None:
        return commitments_of(table, discount)
    held = (Commitment("setting", stated, discount),) if stated else ()
    return Commitments(True, held, stated=True)


def cover(node_set: NodeSet, book: PriceBook, commitments: Commitments) -> Covered | None:
    """Let the commitments pay for a node set's on-demand machines.

    Returns
    -------
    Covered or None
        None if commitments are not known, a machine has no price, or a Savings Plan's discount on
        a type is known neither from the book nor from the commitment.

    Notes
    -----
    All commitments are taken to serve this node set first. Other clusters of the account may use what
    it gives up; that would make more of a saving real than is said here.
    """
    if not commitments.known:
        return None
    # On-demand value of each type and zone that no commitment has covered yet, USD per hour.
    left: dict[tuple[str, str | None], float] = defaultdict(float)
    for lot in node_set:
        # Reservations are Linux's, and what a Savings Plan pays for Windows is in no rate here.
        if lot.purchase_option != "on-demand" or lot.count == 0:
            continue
        usd = _on_demand(lot, book)
        if usd is None:
            return None
        left[lot.instance_type, lot.zone] += lot.count * usd
    total = sum(left.values())
    unused = 0.0
    for one in sorted(commitments.held, key=_first_served):
        spend = _reserve if one.kind == "reserved-instance" else _spend
        rest = spend(one, left, book)
        if rest is None:
            return None
        unused += rest
    paid = sum(one.usd_per_hour for one in commitments.held)
    return Covered(total, total - sum(left.values()), paid, unused)


def _on_demand(lot: NodeLot, book: PriceBook) -> float | None:
    if lot.paid is not None:
        return lot.paid.mid
    price = book.price(lot.instance_type, "on-demand")
    return None if price is None else price.usd_per_hour


def _first_served(one: Commitment) -> tuple[int, bool, bool]:
    """AWS applies zonal reservations first, then those of one size, then those that float."""
    return _ORDER.index(one.kind), one.zone is None, one.floats


def _reserve(
    one: Commitment, left: dict[tuple[str, str | None], float], book: PriceBook
) -> float | None:
    """USD/h of the reservation that covers nothing; None if its type has no price.

    Within a family on-demand prices are proportional to the normalized size by which a reservation
    floats. A zonal one covers no machine of which the zone is not known.
    """
    price = book.price(one.instance_type or "", "on-demand")
    if price is None:
        return None
    worth = whole = one.count * price.usd_per_hour
    for name, zone in sorted(left, key=str):
        if one.zone is not None and zone != one.zone:
            continue
        alike = name.split(".")[0] == one.family if one.floats else name == one.instance_type
        if alike:
            used = min(worth, left[name, zone])
            left[name, zone] -= used
            worth -= used
    return one.usd_per_hour * worth / whole if whole else one.usd_per_hour


def _spend(
    one: Commitment, left: dict[tuple[str, str | None], float], book: PriceBook
) -> float | None:
    """Spend a Savings Plan on the types with the highest discount first; USD/h that are left."""
    discounts: list[tuple[float, str, str | None]] = []
    for name, zone in left:
        if one.family is not None and name.split(".")[0] != one.family:
            continue
        discount = _discount(one, name, book)
        if discount is None:
            return None
        discounts.append((discount, name, zone))
    budget = one.usd_per_hour
    for discount, name, zone in sorted(discounts, key=lambda row: (-row[0], row[1], row[2] or "")):
        used = min(left[name, zone], budget / (1 - discount))
        left[name, zone] -= used
        budget -= used * (1 - discount)
    return max(budget, 0.0)


def _discount(one: Commitment, instance_type: str, book: PriceBook) -> float | None:
    if one.discount is not None:
        return one.discount
    listed = book.price(instance_type, "on-demand")
    rate = book.price(instance_type, "savings-plan")
    if listed is None or rate is None:
        return None
    # The book holds rates of one plan type; for a plan of the other type they would be wrong.
    if not rate.source.startswith(_PLAN_TYPES.get(one.kind, "")):
        return None
    return 1 - rate.usd_per_hour / listed.usd_per_hour


def _commitment(row: dict[Hashable, object], discount: float | None) -> Commitment:
    count, stated = _number(row["count"]), _number(row["discount"])
    return Commitment(
        kind=str(row["kind"]),
        usd_per_hour=_number(row["usd_per_hour"]) or 0.0,
        discount=discount if stated is None else stated,
        family=_text(row["family"]),
        instance_type=_text(row["instance_type"]),
        count=count or 0.0,
        zone=_text(row.get("zone")),
    )


def _number(value: object) -> float | None:
    number = float("nan") if value is None else float(str(value))
    return None if math.isnan(number) else number


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
