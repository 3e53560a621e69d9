"""What the reader of a bill must know beside its lines."""

from __future__ import annotations

import pandas as pd

from rightsize.cost.allocation import kept_running
from rightsize.cost.plan import PlanCost, Terms
from rightsize.cost.traffic import CrossZone
from rightsize.nodes.requests import requests_known
from rightsize.nodes.room import holding_room
from rightsize.prices.burstable import burstable_notes
from rightsize.prices.shapes import age_note

_NAME = ["namespace", "pod"]
_POD = ["day", *_NAME]


def region_notes(nodes: pd.DataFrame, priced: str | None) -> list[str]:
    """Where machines run in another region than the prices are of, which are then not what they cost."""
    named = sorted(set(nodes["region"].dropna().astype(str)) - {priced})
    if not named:
        return []
    found = f"nodes run in {', '.join(named)}"
    if priced is None:
        return [f"{found}: of several regions none is priced; name one (--region)"]
    return [
        f"{found}, and the prices are those of {priced}: amounts are not what these nodes cost; "
        f"rightsize cost --region {named[0]} prices them, and so does all else once collected with "
        f"--aws-region {named[0]}"
    ]


def gap_notes(missing: int, covered: float, terms: Terms, *, blind: bool) -> list[str]:
    """What the reader must know first: days without machines or requests, how it is scaled."""
    said = []
    if blind and covered:
        said.append(
            "of no day it is known what ran on the machines, and what that requested of CPU and "
            "memory: what they cost is known, and who causes it is not"
        )
    elif missing:
        rest = f"every amount and share is taken from the other {covered / 24:g} days"
        said.append(
            f"{missing} days lack a node, what ran on it, or what that requested: "
            + (rest if covered else "what machines cost is not known of any day")
        )
    if covered and abs(covered - terms.hours) <= 0.5:
        said.append(f"amounts are for the {covered:g} h that were seen")
    else:
        seen = f"{covered:g} h were seen; amounts are scaled to " if covered else ""
        said.append(f"{seen}a month of {terms.hours:g} h")
    return said


def part_notes(pods: pd.DataFrame, containers: pd.DataFrame) -> list[str]:
    """Where the parts of the bill rest on some of the pods alone: the others of whom too little is known.

    Parameters
    ----------
    pods, containers : DataFrame
        Tables of the snapshot, with their `day`.
    """
    held = holding_room(pods)
    waiting = held["phase"].astype(object).eq("Pending")
    placed = held["node"].notna()
    running = kept_running(containers)
    blank = running.loc[~requests_known(running), _POD].drop_duplicates().astype(object)
    here = held.loc[placed, _POD].astype(object).merge(blank, on=_POD)
    causes = (
        (len(held[~placed & ~waiting][_NAME].drop_duplicates()), "ran on nodes that are not known"),
        (len(here[_NAME].drop_duplicates()), "request amounts that are not known"),
    )
    return [
        f"{count} of {len(held[_NAME].drop_duplicates())} pods {why}: they have no part of the bill, "
        "so those of mesh and applications are lower than they were, and idle is higher"
        for count, why in causes
        if count
    ]


def bill_notes(today: PlanCost, terms: Terms, moved: CrossZone) -> tuple[str, ...]:
    notes: list[str] = []
    used = [
        terms.book.price(lot.instance_type, lot.purchase_option, lot.zone)
        for lot in today.node_set.mid
    ]
    old = age_note([price for price in used if price is not None], terms.at)
    if old is not None:
        notes.insert(0, old)
    derived = sorted({lot.instance_type for lot, price in zip(today.node_set.mid, used, strict=True)
                      if price is not None and price.origin == "derived"})  # fmt: skip
    if derived:
        notes.append(f"the price of {', '.join(derived)} is derived from other sizes of its family")
    notes += burstable_notes(lot.instance_type for lot in today.node_set.mid if lot.count)
    notes += [f"a stored price that cannot be was left out: {one}" for one in terms.book.doubted]
    price = terms.other.get("cross_zone")
    if price is not None and moved.moved.high > 0 and not moved.nothing_known:
        less = moved.locality_saving(price)
        notes.append(
            f"locality-aware routing would save {less.mid:,.0f} ({less.low:,.0f} to "
            f"{less.high:,.0f}) USD of the cross-zone traffic, at the price of uneven load"
        )
    if today.unpriced:
        notes.append(f"no price for {', '.join(today.unpriced)}: EC2 and totals are unknown")
    if not terms.commitments.known:
        notes.append(
            "commitments are unknown, so savings are on-demand equivalent and not promised "
            "(rightsize prices with credentials, or prices.commitment_usd_per_hour; 0 says none)"
        )
    elif today.covered is None and not today.unpriced:
        notes.append(
            "what the commitments cover is unknown, so they change nothing here: state their "
            "discount (--discount, prices.commitment_discount) or collect Savings Plans rates"
        )
    elif not terms.commitments.stated and terms.commitments.covered_share is None:
        notes.append(
            "Savings Plans that another account of the organization shares are not seen "
            "(rightsize prices --bill asks for the coverage they give)"
        )
    if today.unknown:
        notes.append(f"not in the totals: {', '.join(today.unknown)}")
    return tuple(notes)
