"""What commitments pay for anyway, and what is left to save.

Order and arithmetic are AWS's (Savings Plans User Guide, "Understanding how Savings Plans apply to
your usage"): reservations first, then EC2 Instance Savings Plans, then Compute Savings Plans. A
plan of C USD/h at a discount d covers use that would cost C / (1 - d) on demand. It is paid whether
it is used or not, so machines given up under it save nothing.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass

import pandas as pd

from rightsize.config import PriceSettings
from rightsize.cost.fleet import Fleet
from rightsize.prices.book import PriceBook

_PLAN_TYPES = {"compute-savings-plan": "Compute", "instance-savings-plan": "EC2Instance"}
"""How the source of a rate in the price book begins."""

_NOTABLE_SHARE = 0.01

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


@dataclass(frozen=True, slots=True)
class Commitments:
    """All of an account. `known` False: a part could not be asked, so nothing is realisable."""

    known: bool
    held: tuple[Commitment, ...] = ()
    covered_share: float | None = None
    """Share of the account's compute spend that Savings Plans cover, as Cost Explorer tells."""
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
    own. Without it the listed one-year rates serve, and a three-year plan, whose discount is
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


def cover(fleet: Fleet, book: PriceBook, commitments: Commitments) -> Covered | None:
    """Let the commitments pay for a fleet's on-demand machines.

    Returns
    -------
    Covered or None
        None if commitments are not known, a machine has no price, or a Savings Plan's discount on
        a type is known neither from the book nor from the commitment.

    Notes
    -----
    All commitments are taken to serve this fleet first. Other clusters of the account may use what
    it gives up; that would make more of a saving real than is said here.
    """
    if not commitments.known:
        return None
    # On-demand value of each type that no commitment has covered yet, USD per hour.
    left: dict[str, float] = defaultdict(float)
    for lot in fleet:
        if lot.purchase_option == "spot" or lot.count == 0:
            continue
        price = book.price(lot.instance_type, "on-demand")
        if price is None:
            return None
        left[lot.instance_type] += lot.count * price.usd_per_hour
    total = sum(left.values())
    for one in sorted(commitments.held, key=lambda c: _ORDER.index(c.kind)):
        if one.kind == "reserved-instance":
            done = _reserve(one, left, book)
        else:
            done = _spend(one, left, book)
        if not done:
            return None
    paid = sum(one.usd_per_hour for one in commitments.held)
    return Covered(total, total - sum(left.values()), paid)


def _reserve(one: Commitment, left: dict[str, float], book: PriceBook) -> bool:
    """A regional Linux reservation floats over the sizes of its family, by normalized size, which
    on-demand prices within a family are proportional to."""
    price = book.price(one.instance_type or "", "on-demand")
    if price is None:
        return False
    worth = one.count * price.usd_per_hour
    for name in sorted(left):
        if name.split(".")[0] == one.family:
            used = min(worth, left[name])
            left[name] -= used
            worth -= used
    return True


def _spend(one: Commitment, left: dict[str, float], book: PriceBook) -> bool:
    """Spend a Savings Plan on the types with the highest discount first."""
    discounts: list[tuple[float, str]] = []
    for name in left:
        if one.family is not None and name.split(".")[0] != one.family:
            continue
        discount = _discount(one, name, book)
        if discount is None:
            return False
        discounts.append((discount, name))
    budget = one.usd_per_hour
    for discount, name in sorted(discounts, key=lambda pair: (-pair[0], pair[1])):
        used = min(left[name], budget / (1 - discount))
        left[name] -= used
        budget -= used * (1 - discount)
    return True


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
    )


def _number(value: object) -> float | None:
    number = float("nan") if value is None else float(str(value))
    return None if math.isnan(number) else number


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
