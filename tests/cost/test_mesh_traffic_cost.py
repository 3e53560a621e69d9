"""Cross-zone traffic and access logs of the mesh."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rightsize.cost.logs import access_log
from rightsize.cost.other import other_costs
from rightsize.cost.traffic import cross_zone

HOUR = pd.Timestamp("2026-09-01 01:00", tz="UTC")
PRICE = other_costs()["cross_zone"]


def cluster(**zones: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pods and nodes: `web="aab"` puts two pods of `web` in zone a and one in zone b."""
    rows = [(name, zone) for name, where in zones.items() for zone in where]
    pods = pd.DataFrame(
        {
            "namespace": "shop",
            "workload": [name for name, _ in rows],
            "node": [f"node-{zone}" for _, zone in rows],
        }
    )
    names = sorted({zone for _, zone in rows} - {"?"})
    nodes = pd.DataFrame({"node": [f"node-{zone}" for zone in names], "zone": names})
    return pods, nodes


def calls(*rows: tuple[str, str, float], requests: float = 0.0) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "time": HOUR,
            "source_namespace": "shop",
            "source_workload": [row[0] for row in rows],
            "destination_namespace": "shop",
            "destination_workload": [row[1] for row in rows],
            "bytes": [row[2] for row in rows],
            "requests": requests,
        }
    )


def test_pods_of_one_zone_move_nothing_between_zones() -> None:
    found = cross_zone(calls(("web", "api", 1e9)), *cluster(web="aa", api="a"), hours=1)
    assert (found.moved.low, found.moved.mid, found.moved.high) == (0, 0, 0)


def test_pods_of_two_zones_move_everything() -> None:
    found = cross_zone(calls(("web", "api", 1e9)), *cluster(web="a", api="b"), hours=1)
    assert (found.moved.low, found.moved.high, found.local) == (1e9, 1e9, 1e9)


def test_even_spread_over_two_zones_moves_half_and_could_move_none_or_all() -> None:
    found = cross_zone(calls(("web", "api", 1e9)), *cluster(web="ab", api="ab"), hours=1)
    assert (found.moved.low, found.moved.mid, found.moved.high) == (0, 5e8, 1e9)
    assert found.local == 0


def test_locality_routing_saves_all_but_what_has_no_pod_in_the_zone() -> None:
    # web in a and b, api in b only: half the calls must cross.
    found = cross_zone(calls(("web", "api", 1e9)), *cluster(web="ab", api="b"), hours=1)
    assert found.moved.mid == found.local == 5e8
    assert found.locality_saving(PRICE).mid == 0


def test_a_gigabyte_moved_costs_two_cents_each_hour_of_the_month() -> None:
    found = cross_zone(calls(("web", "api", 1e9)), *cluster(web="a", api="b"), hours=730)
    line = found.line(PRICE, "us-east-1")
    assert line.usd.mid == pytest.approx(730 * 0.02)
    assert "estimated" in line.note


def test_traffic_of_unknown_zones_is_left_out_and_said() -> None:
    table = calls(("web", "api", 1e9), ("unknown", "web", 2e9), ("web", "lost", 4e9))
    found = cross_zone(table, *cluster(web="ab", api="ab", lost="?"), hours=1)
    assert found.moved.mid == 5e8
    assert found.unknown == 6e9
    assert "6.0 GB of unknown zones left out" in found.line(PRICE).note


def test_a_caller_without_a_name_counts_as_unknown() -> None:
    table = calls(("web", "api", 1e9)).assign(source_workload=pd.Categorical([None]))
    found = cross_zone(table, *cluster(web="ab", api="ab"), hours=1)
    assert (found.moved.high, found.unknown) == (0, 1e9)


def test_without_a_price_the_line_is_unknown() -> None:
    found = cross_zone(calls(("web", "api", 1e9)), *cluster(web="a", api="b"), hours=1)
    assert found.line(None).usd is None


@pytest.mark.parametrize("lacks", [calls(), calls(("web", "api", np.nan))])
def test_where_no_traffic_was_reported_its_cost_is_unknown_and_not_zero(
    lacks: pd.DataFrame,
) -> None:
    line = cross_zone(lacks, *cluster(web="a", api="b"), hours=1).line(PRICE)
    assert line.usd is None
    assert line.note == "no traffic was reported"
    log = access_log(lacks.assign(requests=lacks["bytes"]), bytes_per_line=400, hours=1)
    assert log.line(0.5).usd is None


def test_pairs_come_with_the_most_moved_first() -> None:
    table = calls(("web", "api", 1e9), ("web", "db", 9e9))
    found = cross_zone(table, *cluster(web="ab", api="ab", db="ab"), hours=1)
    assert found.pairs["destination"].tolist() == ["shop/db", "shop/api"]


@given(
    web=st.text("abc", min_size=1, max_size=9),
    api=st.text("abc", min_size=1, max_size=9),
    volume=st.floats(0, 1e12),
)
@settings(max_examples=80, deadline=None)
def test_the_estimate_lies_within_its_bounds(web: str, api: str, volume: float) -> None:
    found = cross_zone(calls(("web", "api", volume)), *cluster(web=web, api=api), hours=1)
    assert 0 <= found.moved.low <= found.moved.mid <= found.moved.high <= volume * (1 + 1e-9)
    assert 0 <= found.local <= volume * (1 + 1e-9)


def test_both_proxies_of_a_request_write_a_line_and_the_outside_writes_none() -> None:
    table = calls(("web", "api", 0), ("unknown", "web", 0), requests=100)
    log = access_log(table, bytes_per_line=400, hours=730)
    assert log.lines == (200 + 100) * 730
    assert log.bytes == log.lines * 400


def test_access_logs_have_dollars_only_with_a_price() -> None:
    log = access_log(calls(("web", "api", 0), requests=1e6), bytes_per_line=500, hours=1)
    assert log.line(None).usd is None
    assert "2,000,000 lines, 1.0 GB" in log.line(None).note
    assert log.line(0.5).usd.mid == pytest.approx(0.5)
