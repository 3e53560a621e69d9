"""Who causes the bill: the parts add up to it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rightsize.cost.allocation import allocate, machines_of, requested, whole_cents
from rightsize.cost.machines import machine_days
from rightsize.prices.book import PriceBook
from rightsize.prices.unit_price import UnitPrice

UNIT = UnitPrice(0.03, 0.004 / 2**30)
GIB = 2**30


def machines(*usd: float, cores: float = 4.0, gib: float = 16.0, usable: float = 0.9):
    return pd.DataFrame(
        {
            "node": [f"n{i}" for i in range(len(usd))],
            "usd": usd,
            "core_hours": cores * 730,
            "byte_hours": gib * GIB * 730,
            "allocatable_core_hours": usable * cores * 730,
            "allocatable_byte_hours": usable * gib * GIB * 730,
        }
    )


def request(node: str, workload: str, cores: float, gib: float = 0.0, component=None, part=None):
    return {
        "node": node,
        "part": part or ("mesh" if component else "application"),
        "component": component,
        "namespace": "shop",
        "workload": workload,
        "core_hours": cores * 730,
        "byte_hours": gib * GIB * 730,
    }


def test_a_full_machine_is_paid_for_by_its_pods_and_what_the_system_holds_back() -> None:
    # Worth of the machine: 4 cores and 16 GiB = 0.184; the pods request 90 % of it.
    rows = pd.DataFrame([request("n0", "web", 3.6, 14.4)])
    found = allocate(rows, machines(100.0), UNIT).rows.set_index("part")["usd"]
    assert found.to_dict() == pytest.approx({"application": 90.0, "system": 10.0})


def test_what_nobody_requested_is_idle_and_given_to_nobody() -> None:
    rows = pd.DataFrame([request("n0", "web", 1.8, 7.2)])
    found = allocate(rows, machines(100.0), UNIT)
    assert found.idle_usd == pytest.approx(45.0)


def test_the_sidecar_tax_is_shown_apart_from_the_rest_of_the_mesh() -> None:
    rows = pd.DataFrame(
        [
            request("n0", "web", 1.0),
            request("n0", "web", 0.5, component="sidecar"),
            request("n0", "istiod", 0.25, component="istiod"),
        ]
    )
    found = allocate(rows, machines(100.0), UNIT)
    assert found.sidecar_usd == pytest.approx(100 * 0.015 / 0.184, abs=0.01)
    assert found.mesh_usd == pytest.approx(100 * 0.0225 / 0.184, abs=0.01)


def test_shared_costs_stand_apart() -> None:
    found = allocate(
        pd.DataFrame([request("n0", "web", 1.0)]), machines(100.0), UNIT, shared={"EKS": 73.0}
    )
    shared = found.rows[found.rows["part"] == "shared"]
    assert shared[["workload", "usd"]].values.tolist() == [["EKS", 73.0]]
    assert found.total_cents == 17300


def test_costs_are_scaled_to_what_was_really_paid() -> None:
    rows = pd.DataFrame([request("n0", "web", 1.0), request("n1", "web", 1.0)])
    found = allocate(rows, machines(100.0, 100.0), UNIT, machines_usd=140.0)
    assert found.total_cents == 14000


def test_what_runs_on_a_machine_without_a_price_has_no_known_cost() -> None:
    rows = pd.DataFrame(
        [
            request("n0", "web", 1.0),
            request("n1", "api", 1.0),
            request("n0", "web", 0.1, component="sidecar"),
            request("n1", "api", 0.1, component="sidecar"),
        ]
    )
    found = allocate(rows, machines(100.0, np.nan), UNIT)
    assert (found.unpriced, found.complete) == (("n1",), False)
    assert found.total_cents == 10000
    assert (found.total_usd, found.mesh_usd, found.idle_usd) == (None, None, None)
    usd = found.rows[found.rows["part"] == "application"].set_index("workload")["usd"]
    assert usd["web"] > 0
    assert np.isnan(usd["api"])
    parts = found.by_part().set_index("part")
    assert np.isnan(parts.loc["mesh", "usd"])
    assert 0 < parts.loc["mesh", "known_usd"] < 100


def test_a_machine_with_gpus_costs_its_cores_and_memory_and_the_rest_is_the_gpus() -> None:
    plain, gpu = machines(134.32), machines(500.0).assign(gpus=1.0)
    rows = pd.DataFrame([request("n0", "web", 1.8, 7.2)])
    with_gpu = allocate(rows, gpu, UNIT)
    assert with_gpu.of("gpu") == pytest.approx(500 - 134.32, abs=0.01)
    assert with_gpu.of("application") == pytest.approx(
        allocate(rows, plain, UNIT).of("application"), abs=0.01
    )


def test_commitments_that_cover_nothing_are_a_cause_of_their_own() -> None:
    rows = pd.DataFrame([request("n0", "web", 1.0)])
    found = allocate(rows, machines(100.0), UNIT, unused=40.0)
    assert found.of("unused") == 40.0
    assert found.of("application") == allocate(rows, machines(100.0), UNIT).of("application")


def test_requests_beyond_a_machine_share_it_and_do_not_raise_its_cost() -> None:
    rows = pd.DataFrame([request("n0", "web", 8.0, 30.0), request("n0", "api", 8.0, 30.0)])
    found = allocate(rows, machines(100.0), UNIT)
    assert found.total_cents == 10000
    assert found.idle_usd == 0


def test_a_machine_of_unknown_size_still_counts() -> None:
    unknown = machines(100.0).assign(core_hours=np.nan, byte_hours=np.nan)
    found = allocate(pd.DataFrame([request("n0", "web", 1.0)]), unknown, UNIT)
    usd = dict(zip(found.rows["workload"], found.rows["usd"], strict=True))
    assert pd.isna(usd["who causes it is unknown"])
    assert found.total_usd == 100.0
    assert np.isnan(usd["web"])
    assert found.total_cents == 10000


def test_namespaces_add_up_to_the_bill_too() -> None:
    rows = pd.DataFrame([request("n0", "web", 1.0), request("n0", "web", 1.0, component="sidecar")])
    found = allocate(rows, machines(99.99), UNIT, shared={"EKS": 73.0})
    assert found.by_namespace().to_numpy().sum() == pytest.approx(found.total_cents / 100)


amounts = st.floats(0, 50, allow_nan=False)


@given(
    usd=st.lists(st.floats(0.01, 5000), min_size=1, max_size=5),
    pods=st.lists(
        st.tuples(
            st.integers(0, 4), amounts, amounts, st.sampled_from([None, "sidecar", "istiod"])
        ),
        max_size=12,
    ),
    shared=st.floats(0, 500),
    paid=st.none() | st.floats(0.01, 10_000),
)
@settings(max_examples=120, deadline=None)
def test_the_parts_add_up_to_the_bill_to_the_cent(usd, pods, shared, paid) -> None:
    rows = pd.DataFrame(
        [request(f"n{n}", f"w{i}", c, g, kind) for i, (n, c, g, kind) in enumerate(pods)],
        columns=list(request("n0", "w", 1.0)),
    )
    found = allocate(rows, machines(*usd), UNIT, machines_usd=paid, shared={"other": shared})
    bill = (sum(usd) if paid is None else paid) + shared
    assert found.total_cents == found.rows["cents"].sum()
    assert abs(found.total_cents - bill * 100) <= 0.5 + 1e-6 * bill
    assert (found.rows["cents"] >= 0).all()


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_cents_are_each_within_a_cent_and_together_exact(values: list[float]) -> None:
    usd = np.array(values)
    cents = whole_cents(usd)
    assert cents.sum() == round(float((usd * 100).sum()))
    assert (np.abs(cents - usd * 100) < 1.0 + 1e-6).all()


DAY = pd.Timestamp("2026-09-01", tz="UTC")


def test_requests_count_for_the_hours_a_pod_was_seen_native_sidecars_included() -> None:
    def container(name, cpu, component=None, init=False, native=False):
        return {
            "day": DAY,
            "namespace": "shop",
            "pod": "web-1",
            "container": name,
            "component": component,
            "init": init,
            "native": native,
            "cpu_request": cpu,
            "memory_request": None,
        }

    containers = pd.DataFrame(
        [
            container("app", 1.0, init=None, native=None),  # unknown counts as running
            container("setup", 8.0, init=True),
            container("istio-proxy", 0.1, "sidecar", init=True, native=True),
        ]
    )
    pods = pd.DataFrame(
        {
            "day": [DAY],
            "namespace": ["shop"],
            "pod": ["web-1"],
            "workload": ["web"],
            "node": ["n0"],
            "phase": ["Running"],
            "first_seen": [DAY + pd.Timedelta(minutes=5)],
            "last_seen": [DAY + pd.Timedelta(hours=12)],
        }
    )
    found = requested(containers, pods).set_index("part")["core_hours"]
    assert found.to_dict() == pytest.approx({"application": 12.0, "mesh": 1.2})


def test_machines_cost_the_hours_they_were_seen_scaled_to_the_month() -> None:
    nodes = pd.DataFrame(
        {
            "day": [DAY, DAY],
            "node": ["a", "b"],
            "instance_type": ["m5.large", "x9.huge"],
            "capacity_type": [None, None],
            "zone": [None, None],
            "node_group": [None, None],
            "first_seen": [DAY + pd.Timedelta(minutes=5)] * 2,
            "last_seen": [DAY + pd.Timedelta(hours=12)] * 2,
            "capacity_cpu": [2.0, 2.0],
            "capacity_memory": [8.0 * GIB] * 2,
            "allocatable_cpu": [1.93] * 2,
            "allocatable_memory": [7.0 * GIB] * 2,
        }
    )
    prices = pd.DataFrame(
        {
            "instance_type": ["m5.large"],
            "purchase_option": ["on-demand"],
            "zone": [None],
            "usd_per_hour": [0.1],
            "source": ["test"],
            "as_of": [DAY],
        }
    )
    days = machine_days(nodes, PriceBook(prices))
    found = machines_of(days, scale=720 / 24).set_index("node")
    assert found.loc["a", "usd"] == pytest.approx(0.1 * 12 * 30)
    assert np.isnan(found.loc["b", "usd"])
