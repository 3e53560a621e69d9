"""The pods to hold are those that ran at the hour asked for, with overhead and growth."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pandas as pd
import pytest

from rightsize.nodes.demand import busiest_hour, peak_replicas, pod_days, scheduled_pods

MEBIBYTE = 2**20


def at(day: int, hour: float) -> pd.Timestamp:
    return pd.Timestamp(datetime(2026, 3, day, tzinfo=UTC)) + pd.Timedelta(hours=hour)


def tables(*rows: tuple[str, float, int, float, float]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`(pod, cores, day of March, from hour, to hour)`; the workload is the pod's first letter."""
    pods = pd.DataFrame(
        {
            "day": [at(day, 0) for _, _, day, *_ in rows],
            "namespace": "shop",
            "pod": [pod for pod, *_ in rows],
            "workload": [pod[0] for pod, *_ in rows],
            "workload_kind": "Deployment",
            "node": "n",
            "phase": "Running",
            "scheduling": None,
            "labels": None,
            "started": [at(day, start) for *_, day, start, _ in rows],
            "first_seen": [at(day, start) + pd.Timedelta(minutes=5) for *_, day, start, _ in rows],
            "last_seen": [at(day, end) for *_, day, _, end in rows],
        }
    )
    containers = pods[["day", "namespace", "pod"]].assign(
        container="app",
        component=None,
        init=False,
        native=False,
        cpu_request=[cpu for _, cpu, *_ in rows],
        memory_request=64.0 * MEBIBYTE,
    )
    return pods, containers


WEEK = tables(
    ("a1", 1.0, 1, 0, 24),
    ("a2", 1.0, 1, 6, 12),
    ("b1", 0.5, 1, 0, 24),
    ("a1", 1.0, 2, 0, 24),
    ("b1", 0.5, 2, 0, 24),
    ("b2", 0.5, 2, 3, 9),
    ("c1", 0.1, 2, 20, 24),
)


def names(pods: pd.DataFrame) -> list[str]:
    return sorted(pods["pod"])


def test_the_busiest_hour_is_the_one_with_most_cpu_requested() -> None:
    assert busiest_hour(pod_days(*WEEK)) == at(1, 12)
    assert names(scheduled_pods(*WEEK)) == ["a1", "a2", "b1"]


def test_the_last_hour_holds_the_pods_that_still_ran() -> None:
    assert names(scheduled_pods(*WEEK, at="last")) == ["a1", "b1", "c1"]


def test_any_hour_can_be_asked_for() -> None:
    assert names(scheduled_pods(*WEEK, at=at(2, 5))) == ["a1", "b1", "b2"]


def test_midnight_belongs_to_the_day_before() -> None:
    assert names(scheduled_pods(*WEEK, at=at(2, 0))) == ["a1", "b1"]


def test_a_pod_counts_from_the_start_of_its_first_window() -> None:
    assert names(scheduled_pods(*WEEK, at=at(1, 6))) == ["a1", "b1"]
    assert "a2" in names(scheduled_pods(*WEEK, at=at(1, 6.05)))


def test_growth_clones_pods_up_to_the_months_most_replicas() -> None:
    most = peak_replicas(pod_days(*WEEK))
    assert {key[1]: int(value) for key, value in most.items()} == {"a": 2, "b": 2, "c": 1}
    grown = scheduled_pods(*WEEK, at="peak")
    assert grown["workload"].value_counts().to_dict() == {"a": 2, "b": 2, "c": 1}
    assert grown["pod"].is_unique
    assert grown["cpu"].sum() == pytest.approx(3.1)


def test_ended_pods_hold_no_room() -> None:
    pods, containers = WEEK
    done = pods.assign(phase=["Succeeded" if p == "a2" else "Running" for p in pods["pod"]])
    assert "a2" not in set(pod_days(done, containers)["pod"])


def test_daemonsets_and_static_pods_are_marked() -> None:
    pods, containers = WEEK
    kinds = {"a": "DaemonSet", "b": "Node", "c": "Deployment"}
    marked = pod_days(pods.assign(workload_kind=pods["workload"].map(kinds)), containers)
    assert set(marked[marked["daemonset"]]["workload"]) == {"a", "b"}


def test_pod_overhead_is_added() -> None:
    pods, containers = tables(("a1", 1.0, 1, 0, 24))
    overhead = json.dumps({"overhead": {"cpu": "250m", "memory": "100Mi"}})
    row = pod_days(pods.assign(scheduling=overhead), containers).iloc[0]
    assert (row["cpu"], row["memory"]) == (1.25, 164 * MEBIBYTE)


def test_a_pod_without_containers_in_the_snapshot_requests_nothing() -> None:
    pods, containers = tables(("a1", 1.0, 1, 0, 24), ("b1", 1.0, 1, 0, 24))
    days = pod_days(pods, containers[containers["pod"] == "a1"]).set_index("pod")
    assert (days.loc["b1", "cpu"], days.loc["b1", "memory"]) == (0.0, 0.0)
