"""What zone preference does to a service: load by zone, dollars between zones, and the guard."""

from __future__ import annotations

from datetime import date

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rightsize.cost.other import UnitCost
from rightsize.namespaces.zone_preference import SENT, zone_preferences

HOST = "cart.shop.svc.cluster.local"
PRICE = UnitCost(0.02, "GB moved", "test", date(2026, 1, 1), "us-east-1", verified=True)
ZONES = "abc"


def placed(**pods: str) -> pd.DataFrame:
    """Pods of workloads of `shop`, a letter each for the zone."""
    return pd.DataFrame(
        [
            {"namespace": "shop", "workload": name, "pod": f"{name}-{n}", "node": f"node-{zone}"}
            for name, zones in pods.items()
            for n, zone in enumerate(zones)
        ]
    )


def calls(**requests: float) -> pd.DataFrame:
    rows = [("shop", name, "shop", "cart", HOST, n, n * 1e6) for name, n in requests.items()]
    return pd.DataFrame(rows, columns=[*SENT, "requests", "bytes"])


def judged(sent: pd.DataFrame, price: UnitCost | None = PRICE, hours: float = 730.0, **pods: str):
    nodes = pd.DataFrame({"node": [f"node-{z}" for z in ZONES], "zone": list(ZONES)})
    return zone_preferences(sent, placed(**pods), nodes, hours=hours, price=price).get(HOST)


def test_callers_in_one_zone_load_the_pods_of_that_zone():
    found = judged(calls(web=900), web="aaa", cart="aaabbbccc")
    # 300 calls to each of the three pods in zone a, where an even share is 100.
    assert found.load == pytest.approx(3.0)
    assert found.pods[0] == ("a", 3)
    assert not found.safe
    assert "3.0 times an even share" in found.text


def test_callers_and_pods_that_are_alike_in_every_zone_are_safe():
    found = judged(calls(web=900, api=90), web="abc", api="aabbcc", cart="aaabbbccc")
    assert found.load == pytest.approx(1.0)
    assert (found.fewest_pods, found.safe) == (3, True)
    assert "may be turned on" in found.text


def test_zones_with_fewer_than_three_pods_are_not_safe_however_even():
    found = judged(calls(web=900), web="abc", cart="aabbcc")
    assert found.load == pytest.approx(1.0)
    assert (found.fewest_pods, found.safe) == (2, False)


def test_calls_from_a_zone_without_a_pod_go_to_all_pods_alike():
    found = judged(calls(web=900), web="abc", cart="aaabbb")
    assert found.load == pytest.approx(1.0)
    assert dict(found.pods) == {"a": 3, "b": 3}


def test_callers_of_unknown_zones_load_all_pods_alike():
    assert judged(calls(outside=900), web="a", cart="aaabbb").load == pytest.approx(1.0)


def test_dollars_are_those_of_the_bytes_that_stay_in_their_zone():
    # 900 GB a month, of which two thirds cross a zone under round robin, at 0.02 USD a GB.
    found = judged(calls(web=900_000), web="aaa", cart="abc")
    assert found.usd_per_month.mid == pytest.approx(900 * 2 / 3 * 0.02)
    assert judged(calls(web=900_000), hours=73.0, web="aaa", cart="abc").usd_per_month.mid == (
        pytest.approx(9000 * 2 / 3 * 0.02)
    )
    assert judged(calls(web=900_000), price=None, web="aaa", cart="abc").usd_per_month is None


@pytest.mark.parametrize("pods", [{"web": "abc"}, {"web": "abc", "cart": "xx"}])
def test_a_service_without_a_pod_in_a_known_zone_is_not_judged(pods):
    assert judged(calls(web=10), **pods) is None


@settings(deadline=None)
@given(
    web=st.text(ZONES, min_size=1, max_size=9),
    cart=st.text(ZONES, min_size=1, max_size=9),
    sent=st.integers(1, 10**6),
)
def test_the_fullest_zone_bears_an_even_share_at_least_and_all_of_the_calls_at_most(
    web, cart, sent
):
    found = judged(calls(web=sent), web=web, cart=cart)
    assert 1 - 1e-9 <= found.load <= len(cart) + 1e-9
    assert found.usd_per_month.low >= 0
    assert found.usd_per_month.low <= found.usd_per_month.mid <= found.usd_per_month.high
