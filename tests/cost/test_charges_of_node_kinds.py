"""Fargate, Hybrid Nodes and Auto Mode cost what AWS charges for them, and are never nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightsize.cost.charges import auto_share, fargate_size, fargate_sizes, node_charges
from rightsize.cost.commitments import Commitment, Commitments
from rightsize.cost.node_sets import NodeLot, PlannedNodeSet
from rightsize.cost.other import other_costs
from rightsize.cost.plan import Terms, price_plan
from rightsize.cost.saving import saving
from rightsize.prices.book import PriceBook, bundled_prices

GIB = 2.0**30
DAY = pd.Timestamp("2026-09-01", tz="UTC")
WHOLE_DAY = {"first_seen": DAY + pd.Timedelta(minutes=5), "last_seen": DAY + pd.Timedelta(days=1)}
TERMS = Terms(
    PriceBook(bundled_prices("us-east-1"), region="us-east-1"),
    Commitments(known=True),
    other_costs(),
    datetime(2026, 9, 2, tzinfo=UTC),
    "us-east-1",
)


def node_rows(*kinds: str, cores: float = 4.0) -> pd.DataFrame:
    names = {"node": [f"n{place}" for place in range(len(kinds))], "kind": list(kinds)}
    return pd.DataFrame(
        names | {"day": DAY, "instance_type": None, "labels": None, "capacity_cpu": cores}
    ).assign(**WHOLE_DAY)


def world(nodes: pd.DataFrame, *requests: tuple[float, float]) -> dict[str, pd.DataFrame]:
    """A pod with one container of so many cores and GiB on the first node, for each request."""
    names = [f"web-{place}" for place in range(len(requests))]
    pods = pd.DataFrame({"pod": names}).assign(
        day=DAY, namespace="shop", workload="web", workload_kind="Deployment", node="n0",
        phase="Running", scheduling=None, labels=None, started=pd.NaT, **WHOLE_DAY,
    )  # fmt: skip
    containers = pd.DataFrame(
        {
            "pod": names,
            "cpu_request": [cpu for cpu, _ in requests],
            "memory_request": [gib * GIB for _, gib in requests],
        }
    ).assign(day=DAY, namespace="shop", container="app", init=False, native=False)
    return {"nodes": nodes, "pods": pods, "containers": containers}


@pytest.mark.parametrize(
    ("cores", "gib", "size"),
    [
        (0.0, 0.0, (0.25, 0.5)),
        (0.25, 0.25, (0.25, 0.5)),
        (0.25, 0.3, (0.25, 1)),
        (0.25, 1.0, (0.25, 2)),
        (0.26, 0.1, (0.5, 1)),
        (1.0, 8.0, (2, 9)),
        (4.0, 29.75, (4, 30)),
        (4.0, 30.0, (8, 32)),
        (16.0, 119.75, (16, 120)),
    ],
)
def test_a_pod_is_charged_for_the_smallest_size_that_holds_it_and_256_mib(
    cores: float, gib: float, size: tuple[float, float]
) -> None:
    assert tuple(fargate_size([cores], [gib * GIB])[0]) == size


def test_a_pod_above_the_largest_size_has_no_known_charge() -> None:
    assert np.isnan(fargate_size([16.0, 17.0], [120 * GIB, GIB])).all()
    (line,) = node_charges(world(node_rows("fargate"), (17.0, 1.0)), TERMS, 24.0)
    assert line.usd is None
    assert "largest size" in line.note


@given(st.floats(0, 16), st.floats(0, 119))
def test_no_smaller_size_would_hold_the_pod(cores: float, gib: float) -> None:
    found = fargate_size([cores], [gib * GIB])[0]
    assert found[0] >= cores - 1e-6
    assert found[1] >= gib + 0.25 - 1e-6
    sizes = fargate_sizes()
    holding = sizes[(sizes[:, 0] >= cores) & (sizes[:, 1] >= gib + 0.25)]
    assert found @ [0.04048, 0.004445] <= (holding @ [0.04048, 0.004445]).min() + 1e-9


def test_fargates_pods_are_charged_by_the_hours_they_ran() -> None:
    (line,) = node_charges(world(node_rows("fargate"), (1.0, 8.0), (0.2, 0.2)), TERMS, 24.0)
    hourly = 2 * 0.04048 + 9 * 0.004445 + 0.25 * 0.04048 + 0.5 * 0.004445
    assert line.usd is not None
    assert line.usd.mid == pytest.approx(730 * hourly)
    assert "not held against the live price list" in line.note


def test_pods_of_other_nodes_are_not_charged_so() -> None:
    tables = world(node_rows("ec2", "fargate"), (1.0, 8.0))
    (line,) = node_charges(tables, TERMS, 24.0)
    assert line.usd is None  # no pod of the Fargate node was seen


def test_hybrid_nodes_cost_a_fee_by_the_vcpu_and_no_ec2() -> None:
    (line,) = node_charges(world(node_rows("hybrid", "ec2", cores=8.0)), TERMS, 24.0)
    assert line.usd is not None
    assert line.usd.mid == pytest.approx(8 * 730 * 0.020)


@pytest.mark.parametrize("kind", ["fargate", "hybrid"])
def test_a_charge_without_a_price_is_unknown(kind: str) -> None:
    (line,) = node_charges(
        world(node_rows(kind), (1.0, 1.0)), replace(TERMS, other={}), 24.0
    )  # fmt: skip
    assert line.usd is None


def test_general_machines_have_no_such_line() -> None:
    assert node_charges(world(node_rows("ec2"), (1.0, 1.0)), TERMS, 24.0) == ()
    assert auto_share(node_rows("ec2", "hybrid")) == 0


def test_auto_modes_fee_is_a_share_of_the_on_demand_price_and_falls_with_the_machines() -> None:
    half = replace(TERMS, auto_share=auto_share(node_rows("ec2", "auto", "fargate")))
    plans = [
        price_plan(PlannedNodeSet("p", (NodeLot("m5.xlarge", count),)), half) for count in (24, 20)
    ]
    fees = [line.usd for plan in plans for line in plan.lines if line.name == "EKS Auto Mode fee"]
    assert fees[0] is not None
    assert fees[0].mid == pytest.approx(24 * 0.192 * 730 * 0.12 / 2)
    saved = saving(*plans, half)
    assert saved.realisable is not None
    assert saved.realisable.mid == pytest.approx(4 * (0.192 * 730 * 1.06 + 1.6))


@pytest.mark.parametrize("first", ["spot", "on-demand"])
def test_a_fee_that_is_unknown_on_one_side_alone_makes_the_saving_unknown(first: str) -> None:
    # The fee follows the on-demand price, which a type sold as Spot alone does not have here.
    spot = pd.DataFrame(
        {
            "instance_type": ["x9.large"],
            "zone": ["us-east-1a"],
            "purchase_option": ["spot"],
            "usd_per_hour": [0.05],
            "source": ["test"],
            "as_of": [pd.Timestamp(TERMS.at)],
        }
    )
    prices = PriceBook(pd.concat([bundled_prices("us-east-1"), spot]), region="us-east-1")
    auto = replace(TERMS, book=prices, auto_share=1.0)
    options = {"spot": "x9.large", "on-demand": "m5.xlarge"}
    order = [first, *(options.keys() - {first})]
    plans = [
        price_plan(PlannedNodeSet("p", (NodeLot(options[option], 4, option),)), auto)
        for option in order
    ]
    found = saving(*plans, auto)
    assert found.on_demand_equivalent is None
    assert found.note == "no price for EKS Auto Mode's fee"


def test_auto_modes_fee_is_paid_for_machines_under_a_commitment_too() -> None:
    held = Commitments(True, (Commitment("setting", 100.0, 0.3),))
    bound = replace(TERMS, auto_share=1.0, commitments=held)
    plans = [
        price_plan(PlannedNodeSet("p", (NodeLot("m5.xlarge", count),)), bound) for count in (24, 20)
    ]
    saved = saving(*plans, bound)
    assert saved.realisable is not None
    assert saved.realisable.mid == pytest.approx(4 * (0.192 * 730 * 0.12 + 1.6))
