"""What was really saved between two months."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rightsize.cost.months import MonthFacts
from rightsize.cost.realised import Realised, realised_saving

PROXY = ("shop", "web", "istio-proxy")


def month(
    node_hours: float,
    pod_hours: float,
    proxy_cpu: float = 0.1,
    *,
    price: float = 0.1,
    traffic: float | None = 1e9,
    app_cpu: float = 0.4,
) -> MonthFacts:
    machines = pd.DataFrame(
        {
            "instance_type": ["m5.large"],
            "purchase_option": ["on-demand"],
            "node_hours": [node_hours],
            "usd_per_hour": [price],
        }
    )
    requests = pd.DataFrame(
        {
            "namespace": "shop",
            "workload": "web",
            "container": ["app", "istio-proxy"],
            "pod_hours": pod_hours,
            "cpu_request": [app_cpu, proxy_cpu],
            "memory_request": [app_cpu * 2**31, proxy_cpu * 2**31],
        }
    )
    return MonthFacts(machines, requests, traffic)


def adds_up(found: Realised) -> bool:
    return found.fall == pytest.approx(found.by_tool.mid + found.by_other - found.by_price)


def test_a_month_whose_traffic_fell_by_a_fifth_shows_no_saving_by_the_tool() -> None:
    found = realised_saving(month(1000, 4000), month(800, 3200, traffic=0.8e9), applied=())
    assert found.by_tool.high == 0
    assert found.by_other == pytest.approx(20)
    assert found.traffic_change == pytest.approx(-0.2)
    assert adds_up(found)


def test_the_same_holds_if_the_node_set_shrank_more_than_the_traffic() -> None:
    found = realised_saving(month(1000, 4000), month(700, 3200, traffic=0.8e9), applied=())
    assert found.by_tool.high == 0


@pytest.mark.parametrize("size", [1.0, 1e-4])
def test_lower_requests_with_fewer_machines_are_a_saving(size: float) -> None:
    # 0.5 cores a pod become 0.4: a fifth of the node set can go, and does, however small it is.
    found = realised_saving(
        month(1000 * size, 4000 * size), month(800 * size, 4000 * size, 0.0), [PROXY]
    )
    assert found.by_tool.mid == pytest.approx(20 * size)
    assert found.by_tool.low == pytest.approx(20 * size)
    assert found.by_other == pytest.approx(0)
    assert adds_up(found)


def test_lower_requests_on_the_same_machines_saved_nothing() -> None:
    found = realised_saving(month(1000, 4000), month(1000, 4000, 0.0), [PROXY])
    assert found.by_tool.high == 0


def test_traffic_and_requests_falling_together_are_kept_apart() -> None:
    # A fifth fewer pods, and a fifth less requested by each: 1000 to 640 hours.
    found = realised_saving(month(1000, 4000), month(640, 3200, 0.0, traffic=0.8e9), [PROXY])
    assert found.by_tool.mid == pytest.approx(16)
    assert found.by_other == pytest.approx(20)
    assert adds_up(found)


def test_changes_that_the_tool_did_not_recommend_are_not_its_saving() -> None:
    found = realised_saving(month(1000, 4000), month(600, 4000, app_cpu=0.2), [PROXY])
    assert found.by_tool.high == 0
    assert found.by_other == pytest.approx(40)


def test_a_price_cut_is_no_saving() -> None:
    found = realised_saving(month(1000, 4000), month(1000, 4000, price=0.08), [PROXY])
    assert found.by_tool.high == 0
    assert found.by_price == pytest.approx(-20)
    assert found.fall == pytest.approx(20)
    assert adds_up(found)


def test_raised_requests_that_grew_the_node_set_count_against_the_tool() -> None:
    found = realised_saving(month(1000, 4000), month(1200, 4000, 0.2), [PROXY])
    assert found.by_tool.mid == pytest.approx(-20)


def test_raised_requests_cost_no_more_than_the_machines_grew() -> None:
    found = realised_saving(month(1000, 4000), month(1100, 4000, 0.2), [PROXY])
    assert found.by_tool.mid == pytest.approx(-10)


def test_a_request_that_was_not_set_before_held_nothing() -> None:
    before = month(1000, 4000)
    before = replace(before, requests=before.requests.replace({"cpu_request": {0.1: None}}))
    found = realised_saving(before, month(1250, 4000), [PROXY], binding="cpu")
    assert found.by_tool.mid == pytest.approx(-25)


@pytest.mark.parametrize(("earlier", "later"), [(0.0, 0.4), (0.4, 0.0)])
def test_a_month_in_which_nothing_was_requested_shows_no_saving(earlier, later) -> None:
    before = month(1000, 4000, earlier / 4, app_cpu=earlier)
    found = realised_saving(before, month(800, 4000, later / 4, app_cpu=later), [PROXY])
    assert (found.by_tool.low, found.by_tool.high) == (0.0, 0.0)


def test_the_range_runs_over_cpu_and_memory_and_the_binding_one_is_the_middle() -> None:
    after = month(800, 4000, 0.0)
    before = month(1000, 4000)
    thin = after.requests.assign(memory_request=before.requests["memory_request"])
    after = MonthFacts(after.machines, thin, after.traffic)
    both = realised_saving(before, after, [PROXY])
    assert (both.by_tool.low, both.by_tool.high) == (0, pytest.approx(20))
    cpu = realised_saving(before, after, [PROXY], binding="cpu")
    assert cpu.by_tool.mid == pytest.approx(20)


def test_an_unknown_price_makes_the_answer_unknown() -> None:
    unknown = month(1000, 4000, price=float("nan"))
    assert realised_saving(unknown, month(800, 4000), [PROXY]) is None


@given(
    hours=st.tuples(st.floats(1, 1e5), st.floats(1, 1e5)),
    pods=st.tuples(st.floats(1, 1e5), st.floats(1, 1e5)),
    proxy=st.tuples(st.floats(0, 2), st.floats(0, 2)),
    price=st.tuples(st.floats(0.01, 5), st.floats(0.01, 5)),
    applied=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_the_causes_add_up_and_the_tool_never_claims_more_than_its_requests_explain(
    hours, pods, proxy, price, applied
) -> None:
    before = month(hours[0], pods[0], proxy[0], price=price[0])
    after = month(hours[1], pods[1], proxy[1], price=price[1])
    found = realised_saving(before, after, [PROXY] if applied else [])
    assert adds_up(found)
    if not applied:
        assert found.by_tool.high == found.by_tool.low == 0
    explained = hours[1] * price[1] * max(proxy[0] - proxy[1], 0) / (0.4 + proxy[1])
    assert found.by_tool.high <= explained + 1e-6 * (1 + explained)


def test_the_saving_is_shared_among_the_changes_by_what_each_took_away() -> None:
    def two(web: float, api: float, node_hours: float) -> MonthFacts:
        first, second = month(node_hours, 3000, web), month(0, 1000, api)
        other = second.requests.assign(workload="api")
        return MonthFacts(first.machines, pd.concat([first.requests, other]), 1e9)

    keys = [PROXY, ("shop", "api", "istio-proxy")]
    # 3000 pod-hours of web lose 0.1 cores each, 1000 of api lose 0.1: three to one.
    found = realised_saving(two(0.1, 0.1, 1000), two(0.0, 0.0, 800), keys)
    shares = found.by_change.set_index("workload")["usd"]
    assert shares.sum() == pytest.approx(found.by_tool.mid)
    assert shares["web"] == pytest.approx(3 * shares["api"])


def test_a_kind_of_machine_that_came_or_went_is_in_the_comparison() -> None:
    before, after = month(1000, 4000), month(800, 4000, 0.0)
    after.machines["instance_type"] = "m6g.large"
    found = realised_saving(before, after, [PROXY]).machines.set_index("instance_type")
    assert found.loc["m5.large", ["node_hours_before", "node_hours"]].tolist() == [1000, 0]
    assert found.loc["m6g.large", ["usd_before", "usd"]].tolist() == [0, 80]


def test_avoided_growth_of_less_than_a_node_may_be_the_node_sets_slack() -> None:
    # A tenth more pods on as many nodes: 1000 hours are a node and a third of 720.
    before, after = month(1000, 4000), month(1000, 4400, 0.05)
    assert realised_saving(before, after, [PROXY]).by_tool.low > 0
    found = realised_saving(before, replace(after, hours=720.0), [PROXY])
    assert (found.by_tool.low, found.by_tool.mid) == (0, 0)
    assert 0 < found.by_tool.high < 72
    assert found.by_change["usd"].tolist() == [0]
    assert adds_up(found)


def test_avoided_growth_of_exactly_a_node_counts() -> None:
    before = month(1024, 2048, 0.25, app_cpu=0.5, price=0.125)
    after = replace(month(1024, 4096, 0.0, app_cpu=0.5, price=0.125), hours=512.0)
    assert realised_saving(before, after, [PROXY]).by_tool.low == 64.0


def test_a_fall_that_is_seen_counts_however_small() -> None:
    before, after = month(1000, 4000), month(980, 4000, 0.09)
    found = realised_saving(before, replace(after, hours=720.0), [PROXY])
    assert found.by_tool.mid == pytest.approx(2.0)


def test_what_the_tool_explains_is_at_most_what_the_bill_shows() -> None:
    """Ten nodes fewer by requests, twenty dollars seen: nothing beyond them is claimed."""
    before, after = month(1000, 4000), month(980, 4000, proxy_cpu=0.02)
    found = realised_saving(before, after, applied=[PROXY])
    assert found.by_tool.low <= found.fall + 1e-9
    assert adds_up(found)


def test_a_dearer_month_shows_its_price_apart() -> None:
    found = realised_saving(month(1000, 4000), month(1000, 4000, price=0.12), applied=())
    assert found.by_price == pytest.approx(20)
    assert found.fall == pytest.approx(-20)
    assert found.by_other == pytest.approx(0)


def test_requests_that_were_raised_cost_and_never_save() -> None:
    before, after = month(1000, 4000), month(1100, 4000, proxy_cpu=0.15)
    found = realised_saving(before, after, applied=[PROXY])
    assert found.by_tool.low < 0
    assert found.by_tool.high <= 0


def test_without_traffic_in_either_month_its_change_is_unknown() -> None:
    known, unknown = month(1000, 4000), month(1000, 4000, traffic=None)
    assert realised_saving(known, unknown, applied=()).traffic_change is None
    assert realised_saving(unknown, known, applied=()).traffic_change is None


def test_a_month_without_requests_explains_nothing() -> None:
    empty = month(1000, 0)
    found = realised_saving(month(1000, 4000), empty, applied=[PROXY])
    assert (found.by_tool.low, found.by_tool.high) == (0.0, 0.0)
