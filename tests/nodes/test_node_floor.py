"""The floor is what the quietest hour needs: no autoscaler takes more nodes away."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from rightsize.config import NodeSettings
from rightsize.nodes.demand import alive_at, hours_of, requested_by_hour
from rightsize.nodes.floor import node_floor
from rightsize.prices.catalogue import priced_types

CATALOGUE = priced_types("us-east-1")
SETTINGS = NodeSettings(time_limit=0.5, headroom="none", surge=0.0, spread="none")
START = pd.Timestamp("2026-03-02", tz="UTC")
MEBIBYTE = 2**20


def tables(*pods: tuple[str, int, int, float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables `pods` and `containers`: (name, first and last hour of the day, cores)."""
    names = [name for name, *_ in pods]
    rows = pd.DataFrame({"pod": names, "workload": names}).assign(
        day=START, namespace="shop", workload_kind="Deployment", node=None, phase="Running",
        scheduling=None, labels=None, started=START,
        first_seen=[START + pd.Timedelta(hours=a, minutes=5) for _, a, _, _ in pods],
        last_seen=[START + pd.Timedelta(hours=b) for _, _, b, _ in pods],
    )  # fmt: skip
    containers = pd.DataFrame({"pod": names, "cpu_request": [cpu for *_, cpu in pods]}).assign(
        day=START, namespace="shop", container="app", component=None, init=False, native=False,
        memory_request=256.0 * MEBIBYTE,
    )  # fmt: skip
    return rows, containers


def test_the_quietest_hour_counts_not_the_busiest(make_nodes: Callable[..., pd.DataFrame]) -> None:
    by_day = [(f"web-{i}", 8, 20, 3.0) for i in range(4)]
    pods, containers = tables(*by_day, ("base-0", 0, 24, 3.0), ("base-1", 0, 24, 3.0))
    floor = node_floor(pods, containers, CATALOGUE, SETTINGS, make_nodes(6))
    assert floor is not None
    assert floor.node_set.by_type == {"m5.xlarge": 2}
    assert floor.hour.hour < 9 or floor.hour.hour > 19


def test_hours_that_nobody_saw_are_no_quiet_hours(make_nodes: Callable[..., pd.DataFrame]) -> None:
    pods, containers = tables(("web-0", 0, 6, 3.0), ("api-0", 18, 24, 3.0), ("api-1", 18, 24, 3.0))
    floor = node_floor(pods, containers, CATALOGUE, SETTINGS, make_nodes(3))
    assert floor is not None
    assert floor.node_set.nodes == 1


def test_without_a_pod_or_a_known_node_no_floor_is_known(
    make_nodes: Callable[..., pd.DataFrame],
) -> None:
    pods, containers = tables(("web-0", 0, 24, 3.0))
    assert node_floor(pods.iloc[:0], containers, CATALOGUE, SETTINGS, make_nodes(1)) is None
    unknown = make_nodes(1).assign(instance_type=None)
    assert node_floor(pods, containers, CATALOGUE, SETTINGS, unknown) is None


@given(
    st.lists(
        st.tuples(st.integers(0, 22), st.integers(1, 24), st.floats(0.01, 4)).filter(
            lambda pod: pod[0] < pod[1]
        ),
        min_size=1,
        max_size=8,
    )
)
def test_sums_by_hour_are_those_of_the_pods_alive(pods: list[tuple[int, int, float]]) -> None:
    days = pd.DataFrame(
        {
            "first_seen": [START + pd.Timedelta(hours=a, minutes=5) for a, _, _ in pods],
            "last_seen": [START + pd.Timedelta(hours=b) for _, b, _ in pods],
            "cpu": [cpu for *_, cpu in pods],
            "memory": 1.0,
        }
    )
    found = requested_by_hour(days)
    for hour in hours_of(days):
        alive = alive_at(days, hour)
        assert found.loc[hour, "pods"] == len(alive)
        assert np.isclose(found.loc[hour, "cpu"], alive["cpu"].sum())
