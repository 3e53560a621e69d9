"""The bill of a plan, and what of a saving is real."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rightsize.cost.check import against_bill, implied_node_hour
from rightsize.cost.commitments import Commitment, Commitments, commitments_of, cover
from rightsize.cost.machines import machine_days
from rightsize.cost.node_sets import (
    NodeLot,
    PlannedNodeSet,
    mean_root,
    node_set_of,
    with_instances,
)
from rightsize.cost.other import other_costs
from rightsize.cost.plan import CostLine, Terms, price_plan
from rightsize.cost.saving import Saving, as_replayed, saving
from rightsize.errors import InputFileError
from rightsize.nodes.answer import Freed
from rightsize.nodes.autoscaler import Autoscaler
from rightsize.prices.book import PriceBook
from rightsize.results import Interval
from rightsize.snapshot import frame

NOW = datetime(2026, 11, 23, tzinfo=UTC)
NONE = Commitments(known=True)
UNKNOWN = Commitments(known=False)


def book(*rows: tuple[str, str, float], as_of: datetime = NOW, **more: object) -> PriceBook:
    names = ["instance_type", "purchase_option", "usd_per_hour"]
    common = {"source": "test", "as_of": as_of, "zone": None} | more
    return PriceBook(pd.DataFrame(rows, columns=names).assign(**common))


M5 = book(
    ("m5.large", "on-demand", 0.10),
    ("m5.xlarge", "on-demand", 0.20),
    ("c5.large", "on-demand", 0.08),
    ("m5.large", "spot", 0.04),
    ("m5.large", "savings-plan", 0.07),
    ("m5.xlarge", "savings-plan", 0.14),
    ("c5.large", "savings-plan", 0.06),
)


def terms(prices: PriceBook = M5, commitments: Commitments = NONE, **more: object) -> Terms:
    return replace(Terms(prices, commitments, other_costs(), NOW, "us-east-1"), **more)


def plan(count: float, name: str = "m5.large", option: str = "on-demand") -> PlannedNodeSet:
    return PlannedNodeSet("plan", (NodeLot(name, count, option, root_gib=20),))


def lines(cost) -> dict[str, Interval | None]:
    return {line.name: line.usd for line in cost.lines}


def test_a_plan_is_priced_line_by_line_for_730_hours() -> None:
    found = lines(price_plan(plan(10), terms(load_balancers=2)))
    assert found["EC2 on-demand"] == Interval.exactly(10 * 0.10 * 730)
    assert found["EBS root volumes"] == Interval.exactly(10 * 20 * 0.08)
    assert found["EKS control plane"] == Interval.exactly(73.0)
    assert found["load balancers"].mid == pytest.approx(2 * 0.0225 * 730)


def test_a_real_months_hours_can_be_used() -> None:
    cost = price_plan(plan(10), terms(hours=744))
    assert lines(cost)["EC2 on-demand"].mid == pytest.approx(744)


def test_extended_support_is_charged_where_the_version_is_in_it() -> None:
    cost = price_plan(plan(1), terms(eks_support="extended"))
    assert lines(cost)["EKS control plane"].mid == pytest.approx(0.60 * 730)


def test_spot_and_on_demand_machines_are_split() -> None:
    mixed = PlannedNodeSet("mix", (NodeLot("m5.large", 2), NodeLot("m5.large", 3, "spot")))
    found = lines(price_plan(mixed, terms()))
    assert found["EC2 on-demand"].mid == pytest.approx(2 * 0.10 * 730)
    assert found["EC2 Spot"].mid == pytest.approx(3 * 0.04 * 730)


def test_a_machine_without_a_price_makes_the_total_unknown_not_lower() -> None:
    cost = price_plan(PlannedNodeSet("p", (NodeLot("m5.large", 1), NodeLot("x9.huge", 1))), terms())
    assert cost.total is None
    assert cost.unpriced == ("x9.huge (on-demand)",)
    assert "x9.huge" in cost.lines[0].note


def test_a_price_of_zero_counts_as_no_price() -> None:
    cost = price_plan(plan(1), terms(book(("m5.large", "on-demand", 0.0))))
    assert cost.total is None


def test_unknown_lines_are_named_and_not_added_as_zero() -> None:
    cost = price_plan(plan(1), terms(), CostLine("access logs", None, ""))
    assert cost.unknown == ("load balancers", "access logs")
    assert cost.total is not None


def test_an_old_price_widens_the_range_with_its_age() -> None:
    old = book(("m5.large", "on-demand", 0.10), as_of=datetime(2025, 11, 23, tzinfo=UTC))
    found = lines(price_plan(plan(10), terms(old, price_drift_per_year=0.05)))["EC2 on-demand"]
    assert found.mid == pytest.approx(730)
    assert found.low == pytest.approx(730 * 0.95, rel=1e-3)
    assert found.high == pytest.approx(730 * 1.05, rel=1e-3)


def test_the_range_of_spot_prices_is_the_range_seen() -> None:
    spot = book(("m5.large", "spot", 0.04), lowest=0.03, highest=0.06)
    found = lines(price_plan(plan(10, option="spot"), terms(spot)))["EC2 Spot"]
    assert (found.low, found.mid, found.high) == pytest.approx((219, 292, 438))


def test_a_spot_machine_without_a_zone_costs_the_mean_of_the_zones() -> None:
    table = pd.DataFrame(
        {
            "instance_type": "m5.large",
            "purchase_option": "spot",
            "zone": ["us-east-1a", "us-east-1b"],
            "usd_per_hour": [0.04, 0.06],
            "source": "test",
            "as_of": NOW,
        }
    )
    price = PriceBook(table).price("m5.large", "spot")
    assert (price.usd_per_hour, price.lowest, price.highest) == pytest.approx((0.05, 0.04, 0.06))
    assert PriceBook(table).price("m5.large", "spot", "us-east-1c") is None


def test_demand_and_packing_gap_widen_the_range() -> None:
    node_set = replace(
        plan(10), fewest=(NodeLot("m5.large", 9),), most=(NodeLot("m5.large", 12),), gap=0.125
    )
    found = lines(price_plan(node_set, terms()))["EC2 on-demand"]
    assert (found.low, found.mid, found.high) == pytest.approx((8 * 73, 730, 12 * 73))


def test_fewer_machines_save_their_price_and_their_volumes() -> None:
    now, after = price_plan(plan(24), terms()), price_plan(plan(17), terms())
    saved = saving(now, after, terms())
    assert saved.nodes == 7
    assert saved.on_demand_equivalent.mid == pytest.approx(7 * (73 + 1.6))
    assert saved.realisable == saved.on_demand_equivalent


def test_with_commitments_unknown_a_saving_is_never_called_realisable() -> None:
    unsure = terms(commitments=UNKNOWN)
    now, after = price_plan(plan(24), unsure), price_plan(plan(17), unsure)
    saved = saving(now, after, unsure)
    assert saved.on_demand_equivalent.mid > 0
    assert saved.realisable is None
    assert "on-demand equivalent" in saved.note
    assert "on-demand equivalent" in now.lines[0].note


def test_a_saving_under_a_commitment_is_no_saving() -> None:
    # 2 USD/h at 30 % cover 2.857 USD/h on demand: more than all 24 machines.
    held = Commitments(True, (Commitment("setting", 2.0, 0.3),))
    bound = terms(commitments=held)
    now, after = price_plan(plan(24), bound), price_plan(plan(17), bound)
    saved = saving(now, after, bound)
    assert saved.realisable.mid == pytest.approx(7 * 1.6)  # the volumes alone
    assert "paid for by commitments anyway" in saved.note
    used = 2.4 * 0.7  # 24 machines of 0.10 at the commitment's rate
    assert lines(now)["EC2 commitments"].mid == pytest.approx(used * 730)
    assert lines(now)["EC2 commitments, unused"].mid == pytest.approx((2 - used) * 730)
    assert now.machines.mid == pytest.approx(used * 730 + 24 * 1.6)
    assert lines(now)["EC2 on-demand"].mid == 0


def test_only_what_lies_above_the_commitment_is_saved() -> None:
    # 1.4 USD/h at 30 % cover 20 machines; 24 to 17 gives up 4 uncovered and 3 covered ones.
    held = Commitments(True, (Commitment("setting", 1.4, 0.3),))
    bound = terms(commitments=held)
    saved = saving(price_plan(plan(24), bound), price_plan(plan(17), bound), bound)
    assert saved.realisable.mid == pytest.approx(4 * 73 + 7 * 1.6)


def test_leaving_a_committed_family_can_cost_more_and_is_said_to() -> None:
    held = Commitments(True, (Commitment("instance-savings-plan", 0.7, 0.3, family="m5"),))
    bound = terms(commitments=held)
    now, after = price_plan(plan(10), bound), price_plan(plan(10, "c5.large"), bound)
    saved = saving(now, after, bound)
    assert saved.on_demand_equivalent.mid == pytest.approx(10 * 0.02 * 730)
    assert saved.realisable.mid == pytest.approx(-10 * 0.08 * 730)


def test_reservations_float_over_the_sizes_of_their_family() -> None:
    held = Commitment("reserved-instance", 0.3, family="m5", instance_type="m5.large", count=4)
    covered = cover(plan(3, "m5.xlarge").mid, M5, Commitments(True, (held,)))
    assert covered.covered == pytest.approx(0.40)
    assert covered.uncovered == pytest.approx(0.20)
    assert covered.paid == pytest.approx(0.50)


def test_a_plans_discount_comes_from_the_listed_rates_highest_first() -> None:
    held = Commitment("compute-savings-plan", 0.07)
    node_set = (NodeLot("m5.large", 1), NodeLot("c5.large", 1))
    rows = [
        ("m5.large", "on-demand", 0.10),
        ("c5.large", "on-demand", 0.08),
        ("m5.large", "savings-plan", 0.07),
        ("c5.large", "savings-plan", 0.06),
    ]
    compute = book(*rows, source="Compute Savings Plan, 1 year, no upfront")
    covered = cover(node_set, compute, Commitments(True, (held,)))
    assert covered.covered == pytest.approx(0.10)  # all of m5.large (30 %), none of c5.large (25 %)
    other = book(*rows, source="EC2Instance Savings Plan, 1 year, no upfront")
    assert cover(node_set, other, Commitments(True, (held,))) is None  # rates of another plan type


def test_an_unknown_discount_makes_coverage_unknown() -> None:
    held = Commitment("compute-savings-plan", 1.0)
    prices = book(("m5.large", "on-demand", 0.10))
    assert cover(plan(1).mid, prices, Commitments(True, (held,))) is None


@pytest.mark.parametrize(
    ("kinds", "known"),
    [
        ([], False),
        (["none"], True),
        (["unknown"], False),
        (["setting"], True),
        (["coverage"], False),
    ],
)
def test_commitments_are_known_only_where_somebody_answered(kinds: list[str], known: bool) -> None:
    table = frame(
        "commitments",
        pd.DataFrame({"commitment": kinds, "kind": kinds, "usd_per_hour": [1.0] * len(kinds)}),
    )
    assert commitments_of(table).known is known


@given(
    now=st.integers(1, 50),
    fewer=st.integers(0, 50),
    committed=st.floats(0, 10),
    discount=st.floats(0, 0.7),
)
@settings(max_examples=60, deadline=None)
def test_a_realisable_saving_is_never_above_the_on_demand_equivalent_of_fewer_machines(
    now: int, fewer: int, committed: float, discount: float
) -> None:
    bound = terms(commitments=Commitments(True, (Commitment("setting", committed, discount),)))
    before = price_plan(plan(now), bound)
    after = price_plan(plan(max(now - fewer, 0)), bound)
    saved = saving(before, after, bound)
    assert -1e-6 <= saved.realisable.mid <= saved.on_demand_equivalent.mid + 1e-6
    assert before.covered.paid >= committed - 1e-9


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_the_total_is_the_sum_of_its_lines(counts: list[tuple[int, int]]) -> None:
    node_set = tuple(
        lot
        for regular, spot in counts
        for lot in (NodeLot("m5.large", regular), NodeLot("m5.large", spot, "spot"))
    )
    cost = price_plan(PlannedNodeSet("p", node_set), terms())
    known = [line.usd.mid for line in cost.lines if line.usd is not None]
    assert cost.total.mid == pytest.approx(sum(known))


def test_the_mean_node_set_counts_nodes_by_the_hours_they_were_seen() -> None:
    day = pd.Timestamp("2026-09-01", tz="UTC")
    nodes = pd.DataFrame(
        {
            "day": [day, day, day],
            "node": ["a", "b", "c"],
            "instance_type": ["m5.large", "m5.large", None],
            "capacity_type": ["on-demand", None, "spot"],
            "zone": ["z", "z", None],
            "node_group": None,
            "capacity_cpu": 2.0,
            "capacity_memory": 2.0**33,
            "allocatable_cpu": 1.9,
            "allocatable_memory": 2.0**32,
            "first_seen": [day + pd.Timedelta(minutes=5)] * 3,
            "last_seen": [
                day + pd.Timedelta(days=1),
                day + pd.Timedelta(hours=12),
                day + pd.Timedelta(days=1),
            ],
        }
    )
    found = node_set_of(machine_days(nodes, book(("m5.large", "on-demand", 0.10))), 24.0)
    node_set = {(lot.instance_type, lot.purchase_option): lot.count for lot in found}
    assert node_set == pytest.approx({("m5.large", "on-demand"): 1.5, ("unknown", "spot"): 1.0})


def test_what_ec2_says_of_a_machine_wins_over_its_labels() -> None:
    nodes = pd.DataFrame(
        {
            "node": ["ip-1.ec2.internal", "ip-2.ec2.internal", "ip-3.ec2.internal"],
            "provider_id": ["aws:///us-east-1a/i-1", None, None],
            "capacity_type": ["on-demand", None, "on-demand"],
        }
    )
    instances = pd.DataFrame(
        {
            "instance_id": ["i-1", "i-2"],
            "node": ["other", "ip-2.ec2.internal"],
            "purchase_option": ["spot", "spot"],
            "root_gib": [80.0, None],
        }
    )
    found = with_instances(nodes, instances)
    assert found["capacity_type"].tolist() == ["spot", "spot", "on-demand"]
    assert found["root_gib"].fillna(-1).tolist() == [80.0, -1, -1]
    alone = with_instances(nodes, instances.iloc[:0])
    assert alone["capacity_type"].fillna("").tolist() == ["on-demand", "", "on-demand"]


def test_a_plans_machines_get_the_mean_root_volume_of_those_in_use() -> None:
    node_set = (
        NodeLot("m5.large", 3, root_gib=80),
        NodeLot("m5.large", 1, root_gib=40),
        NodeLot("c5.large", 9),
    )
    assert mean_root(node_set, 20) == 70
    assert mean_root(node_set[2:], 20) == 20


def test_coverage_by_plans_that_the_account_does_not_hold_makes_commitments_unknown() -> None:
    table = pd.DataFrame(
        {
            "commitment": ["none", "coverage"],
            "kind": ["none", "coverage"],
            "covered_share": [None, 0.6],
        }
    )
    assert commitments_of(frame("commitments", table)).known is False
    uncovered = table.assign(covered_share=[None, 0.0])
    assert commitments_of(frame("commitments", uncovered)).known is True


def test_other_costs_are_dated_and_say_that_they_are_unverified() -> None:
    price = other_costs()["eks_standard"]
    assert (price.usd, price.as_of) == (0.10, date(2026, 11, 23))
    assert "not held against" in price.note("us-east-1")
    assert "price of us-east-1, not of eu-west-1" in price.note("eu-west-1")


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        'region = "r"\nas_of = 2026-01-01\n[gold]\nusd = 1',
        'region = "r"\nas_of = 2026-01-01\n[ebs_gp3]\nusd = -1',
        'region = "r"\nas_of = 2026-01-01\nebs_gp3 = 1',
        "as_of = 2026-01-01",
    ],
)
def test_a_bad_file_of_other_costs_is_reported_as_such(tmp_path: Path, text: str) -> None:
    file = tmp_path / "costs.toml"
    file.write_text(text)
    with pytest.raises(InputFileError, match=r"costs\.toml"):
        other_costs(file)


def test_the_newsletters_claim_implies_84_cents_a_node_hour() -> None:
    assert implied_node_hour(4300, 7) == pytest.approx(0.8415, abs=1e-4)


def test_an_estimate_is_held_against_the_bill_by_category() -> None:
    bill = frame(
        "bill",
        pd.DataFrame(
            {
                "category": ["ec2", "ec2", "nat"],
                "unblended_usd": [500.0, 100.0, 32.85],
                "amortized_usd": [500.0, None, None],
            }
        ),
    )
    table = against_bill(price_plan(plan(8), terms()), bill).set_index("category")
    assert table.loc["ec2"].tolist() == pytest.approx([584.0, 600.0, 16.0])
    assert pd.isna(table.loc["nat", "estimated"])
    assert pd.isna(table.loc["eks", "billed"])


def test_coverage_unknown_on_one_side_alone_promises_nothing() -> None:
    """A reservation of a family in use makes `cover` unknown there; known on the other side."""
    bound = terms(commitments=replace(NONE, known=False))
    saved = saving(price_plan(plan(10), bound), price_plan(plan(8), bound), bound)
    assert saved.realisable is None
    assert saved.note.startswith("commitments are unknown")


def test_the_packing_gap_lowers_what_is_paid_at_low_demand() -> None:
    tight, loose = plan(10), replace(plan(10), gap=0.1)
    rules = terms()
    exact = saving(price_plan(plan(12), rules), price_plan(tight, rules), rules)
    wide = saving(price_plan(plan(12), rules), price_plan(loose, rules), rules)
    assert exact.realisable is not None
    assert wide.realisable is not None
    assert wide.realisable.high > exact.realisable.high
    assert wide.realisable.mid == pytest.approx(exact.realisable.mid)


def replayed(by_default: int, expected: int, planned: int, usd: Interval | None) -> Saving:
    freed = Freed(by_default, expected, planned, Autoscaler("cluster-autoscaler"))
    return as_replayed(Saving(usd, usd, float(planned), "note"), freed)


def test_a_saving_is_that_of_the_nodes_that_the_autoscaler_takes_away() -> None:
    found = replayed(1, 3, 4, Interval(300, 400, 500))
    assert found.on_demand_equivalent == Interval(75, 300, 500)
    assert found.realisable == found.on_demand_equivalent
    assert found.nodes == 3
    # What may cost more saves nothing at its low end.
    assert replayed(2, 3, 4, Interval(-8, 4, 8)).realisable == Interval(0, 3, 8)
    assert replayed(2, 3, 4, Interval(0.5, 4, 8)).realisable == Interval(0.25, 3, 8)


def test_what_costs_more_is_not_shared_out_over_nodes_that_go() -> None:
    assert replayed(1, 3, 4, Interval(-30, -20, -10)).realisable == Interval(-30, -20, -10)
    assert replayed(1, 3, 4, None).realisable is None
    assert replayed(0, 1, 2, Interval(-50, 100, 150)).realisable == Interval(0, 50, 150)


def test_a_plan_that_frees_no_node_is_left_as_it_is() -> None:
    usd = Interval(-5, 0, 5)
    assert replayed(0, 0, 0, usd) == Saving(usd, usd, 0.0, "note")


@pytest.mark.parametrize(("now", "after"), [("m5.large", "x9.huge"), ("x9.huge", "m5.large")])
def test_a_saving_between_plans_of_which_one_has_no_price_is_unknown(now: str, after: str) -> None:
    priced = (price_plan(plan(2, name), terms()) for name in (now, after))
    found = saving(*priced, terms())
    assert (found.on_demand_equivalent, found.realisable) == (None, None)
    assert found.note == "no price for x9.huge (on-demand)"


def test_without_commitments_a_saving_says_that_none_is_held() -> None:
    found = saving(price_plan(plan(4), terms()), price_plan(plan(2), terms()), terms())
    assert found.note == "no commitment is held"


def test_an_old_price_widens_what_is_realisable() -> None:
    old = terms(book(("m5.large", "on-demand", 0.1), as_of=datetime(2024, 11, 23, tzinfo=UTC)))
    found = saving(price_plan(plan(4), old), price_plan(plan(2), old), old).realisable
    assert found.low < found.mid < found.high
    assert found.high - found.mid == pytest.approx(found.mid - found.low, rel=0.2)
