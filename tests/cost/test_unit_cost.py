"""Dollars for a million requests."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rightsize.cost.unit_cost import unit_costs, with_trend

ROWS = pd.DataFrame(
    [
        ("application", None, "shop", "web", 8.0),
        ("mesh", "sidecar", "shop", "web", 2.0),
        ("application", None, "shop", "dark", np.nan),
        ("mesh", "istiod", "istio-system", "istiod", 4.0),
        ("idle", None, None, "not requested", 50.0),
    ],
    columns=["part", "component", "namespace", "workload", "usd"],
)


def traffic(*rows: tuple[str, float, str]) -> pd.DataFrame:
    return pd.DataFrame(
        [("shop", workload, requests, protocol) for workload, requests, protocol in rows],
        columns=["destination_namespace", "destination_workload", "requests", "protocol"],
    )


def cost(table: pd.DataFrame, namespace: str | None, workload: str | None) -> float:
    rows = table[
        table["namespace"].map(lambda n: n == namespace)
        & table["workload"].map(lambda n: n == workload)
    ]
    return float(rows["usd_per_million"].iloc[0])


def test_a_workload_a_namespace_and_the_mesh_have_a_price_of_a_request():
    found = unit_costs(ROWS, traffic(("web", 4e6, "http"), ("web", 1e6, "grpc")))
    assert cost(found, "shop", "web") == pytest.approx(10 / 5)
    assert np.isnan(cost(found, "shop", None))
    assert cost(found, None, None) == pytest.approx(6 / 5)


def test_connections_are_no_requests_and_unknown_callers_no_workload():
    found = unit_costs(ROWS, traffic(("web", 1e6, "tcp"), ("unknown", 1e6, "http")))
    assert list(found["requests"]) == [1e6]
    assert cost(found, None, None) == 6


def test_a_namespace_pays_for_its_workloads_that_serve_nothing_too():
    rows = ROWS.fillna({"usd": 30.0})
    found = unit_costs(rows, traffic(("web", 4e6, "http"), ("web", 1e6, "grpc")))
    assert cost(found, "shop", None) == pytest.approx(40 / 5)


def test_an_unknown_cost_makes_its_namespace_unknown():
    found = unit_costs(ROWS, traffic(("web", 1e6, "http"), ("dark", 1e6, "http")))
    assert cost(found, "shop", "web") == 10
    assert np.isnan(cost(found, "shop", "dark"))
    assert np.isnan(cost(found, "shop", None))


def test_the_trend_is_against_the_same_workload_and_unknown_for_a_new_one():
    now = unit_costs(ROWS, traffic(("web", 5e6, "http")))
    before = unit_costs(ROWS, traffic(("web", 4e6, "http")))
    found = with_trend(now, before)
    assert found[found["workload"] == "web"]["change"].iloc[0] == pytest.approx(-0.2)
    assert with_trend(now, None)["change"].isna().all()


def test_without_traffic_the_requests_are_unknown_and_not_none():
    found = unit_costs(ROWS, traffic())
    assert found["requests"].isna().all()
    assert np.isnan(cost(found, None, None))
