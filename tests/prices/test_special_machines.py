"""Burstable machines are named with their baseline; Windows costs more than Linux; gaps are said."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from rightsize.cost.commitments import Commitment, Commitments, cover
from rightsize.cost.machines import machine_days
from rightsize.cost.node_sets import NodeLot
from rightsize.nodes.kept import node_set_in_use
from rightsize.output.money_rows import cheapest_of
from rightsize.prices.book import book_for
from rightsize.prices.burstable import baseline_share, burstable_notes, is_burstable
from rightsize.prices.catalogue import instance_types, priced_types
from rightsize.prices.shapes import Coverage, catalogue_of, coverage_of

DAY = pd.Timestamp("2026-09-01", tz="UTC")
BOOK = book_for("us-east-1", pd.DataFrame(columns=["instance_type", "purchase_option", "zone",
                                                   "region", "usd_per_hour", "source", "as_of"]))  # fmt: skip


@pytest.mark.parametrize(
    ("name", "share"),
    [("t3.medium", 0.2), ("t3a.xlarge", 0.4), ("t4g.nano", 0.05), ("t2.xlarge", 0.225)],
)
def test_the_baseline_of_a_burstable_type_is_known(name: str, share: float) -> None:
    assert baseline_share(name) == share


def test_every_burstable_type_on_sale_has_a_baseline_and_no_other_type_has() -> None:
    types = instance_types()
    burstable = types["burstable"].astype("boolean").fillna(False).astype(bool)
    names = types["instance_type"].astype(str)
    missing = {n for n in names[burstable] if baseline_share(n) is None}
    assert {name.split(".")[0] for name in missing} <= {"t1"}
    assert not [name for name in names[~burstable] if is_burstable(name) or baseline_share(name)]


def test_the_note_says_what_lasts_in_cores() -> None:
    (note,) = burstable_notes(["m5.large", "t3.xlarge", "t3.xlarge"])
    assert "t3.xlarge is burstable: 40% of each vCPU lasts, 1.6 of 4 cores a node" in note


@pytest.mark.parametrize(
    ("name", "usd"), [("m5.large", 0.188), ("m5.xlarge", 0.376), ("c5.large", 0.177)]
)
def test_windows_costs_its_licence_beside_linux(name: str, usd: float) -> None:
    price = BOOK.price(name, "windows")
    assert price is not None
    assert price.usd_per_hour == pytest.approx(usd)
    assert "not held against the live price list" in price.source


def nodes(kind: str, capacity: str = "on-demand", name: str = "m5.xlarge") -> pd.DataFrame:
    return pd.DataFrame({"node": ["n0"], "kind": [kind]}).assign(
        day=DAY, instance_type=name, capacity_type=capacity, zone="us-east-1a", node_group=None, provider_id=None,
        first_seen=DAY + pd.Timedelta(minutes=5), last_seen=DAY + pd.Timedelta(days=1),
        capacity_cpu=4.0, capacity_memory=1.0, allocatable_cpu=4.0, allocatable_memory=1.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("capacity", "name", "usd"),
    [
        ("on-demand", "m5.xlarge", 0.376),
        ("spot", "m5.xlarge", None),
        ("on-demand", "t3.xlarge", None),
    ],
)
def test_bill_and_plan_price_a_windows_node_alike_and_unknown_is_unknown(
    capacity: str, name: str, usd: float | None
) -> None:
    table = nodes("windows", capacity, name)
    (row,) = machine_days(table, BOOK).to_dict("records")
    (group,) = node_set_in_use(
        table, priced_types("us-east-1").assign(spot_usd_per_hour=0.1)
    ).groups
    if usd is None:
        assert pd.isna(row["usd_per_hour"])
        assert group.usd_per_hour is None
    else:
        assert row["usd_per_hour"] == pytest.approx(usd)
        assert group.usd_per_hour == pytest.approx(usd)


def test_a_linux_node_beside_it_keeps_its_price() -> None:
    (row,) = machine_days(nodes("ec2"), BOOK).to_dict("records")
    assert (row["purchase_option"], row["usd_per_hour"]) == ("on-demand", 0.192)


def test_a_reservation_of_linux_pays_for_no_windows() -> None:
    held = Commitment("reserved-instance", 0.1, family="m5", instance_type="m5.xlarge", count=1)
    lots = (NodeLot("m5.xlarge", 1.0, "windows"),)
    found = cover(lots, BOOK, Commitments(known=True, held=(held,)))
    assert found is not None
    assert (found.covered, found.unused) == (0.0, 0.1)


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-2", "cn-north-1"])
def test_where_candidates_lack_a_price_cheapest_says_among_how_many(region: str) -> None:
    empty = pd.DataFrame(columns=["instance_type", "purchase_option", "zone", "region",
                                  "usd_per_hour", "source", "as_of"])  # fmt: skip
    found = coverage_of(catalogue_of(book_for(region, empty))[0])
    said = cheapest_of("mix", found)
    assert bool(said) is (found.priced < 0.95 * found.candidates)
    if said:
        assert f"{found.priced} of {found.candidates} types" in said
    assert cheapest_of("same-type", Coverage(0, 100)) == ""


def test_the_age_of_a_windows_price_is_that_of_its_linux_price() -> None:
    price, linux = BOOK.price("m5.xlarge", "windows"), BOOK.price("m5.xlarge", "on-demand")
    assert price is not None
    assert linux is not None
    when = datetime(2027, 1, 1, tzinfo=UTC)
    assert price.age_days(when) == linux.age_days(when)
