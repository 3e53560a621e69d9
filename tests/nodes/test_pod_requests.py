"""A pod's request is what the scheduler counts: KEP-753, case by case."""

from __future__ import annotations

import pandas as pd
import pytest

from rightsize.nodes.requests import pod_requests, with_advice
from rightsize.results import Advice, Recommendation, ResourceAdvice, Usage

MEBIBYTE = 2**20


def pod(*containers: tuple[str, str, float | None], positions: bool = False) -> pd.DataFrame:
    """`(name, "app" | "init" | "native", cores)`; memory is 1000 times as many MiB."""
    frame = pd.DataFrame(
        {
            "namespace": "shop",
            "pod": "web-0",
            "container": [name for name, *_ in containers],
            "component": ["sidecar" if n == "istio-proxy" else None for n, *_ in containers],
            "init": [kind != "app" for _, kind, _ in containers],
            "native": [kind == "native" for _, kind, _ in containers],
            "cpu_request": [cpu for *_, cpu in containers],
            "memory_request": [cpu and cpu * 1000 * MEBIBYTE for *_, cpu in containers],
        }
    )
    return frame.assign(position=range(len(frame))) if positions else frame


def cpu(containers: pd.DataFrame) -> float:
    row = pod_requests(containers).iloc[0]
    assert row["memory"] == pytest.approx(row["cpu"] * 1000 * MEBIBYTE)
    return float(row["cpu"])


def test_containers_add_up() -> None:
    assert cpu(pod(("a", "app", 0.3), ("b", "app", 0.2))) == pytest.approx(0.5)


def test_a_native_sidecar_adds_to_the_pod() -> None:
    assert cpu(pod(("istio-proxy", "native", 0.1), ("a", "app", 0.3))) == pytest.approx(0.4)


def test_an_init_container_that_is_smaller_adds_nothing() -> None:
    assert cpu(pod(("migrate", "init", 0.2), ("a", "app", 0.3))) == pytest.approx(0.3)


def test_an_init_container_that_is_larger_sets_the_request() -> None:
    assert cpu(pod(("migrate", "init", 2.0), ("a", "app", 0.3))) == pytest.approx(2.0)


def test_init_containers_run_one_after_the_other_so_only_the_largest_counts() -> None:
    pods = pod(("one", "init", 0.4), ("two", "init", 0.6), ("a", "app", 0.3))
    assert cpu(pods) == pytest.approx(0.6)


def test_an_init_container_counts_with_the_sidecars_started_before_it() -> None:
    pods = pod(
        ("s1", "native", 0.1),
        ("migrate", "init", 0.5),
        ("s2", "native", 0.3),
        ("a", "app", 0.1),
        positions=True,
    )
    assert cpu(pods) == pytest.approx(max(0.1 + 0.5, 0.1 + 0.3 + 0.1))


def test_an_init_container_before_the_sidecars_stands_alone() -> None:
    pods = pod(("migrate", "init", 0.5), ("s1", "native", 0.3), ("a", "app", 0.1), positions=True)
    assert cpu(pods) == pytest.approx(0.5)


def test_without_an_order_init_containers_are_taken_to_run_beside_all_sidecars() -> None:
    pods = pod(("migrate", "init", 0.5), ("istio-proxy", "native", 0.1), ("a", "app", 0.2))
    assert cpu(pods) == pytest.approx(0.6)


def test_istio_init_runs_before_the_proxy() -> None:
    pods = pod(("istio-init", "init", 0.1), ("istio-proxy", "native", 0.1), ("a", "app", 0.0))
    assert cpu(pods) == pytest.approx(0.1)


def test_a_container_without_a_request_counts_as_nothing_and_is_counted() -> None:
    found = pod_requests(pod(("a", "app", None), ("b", "app", 0.2))).iloc[0]
    assert (found["cpu"], found["unset"]) == (pytest.approx(0.2), 1)


def test_days_are_kept_apart() -> None:
    day = pd.Timestamp("2026-03-01", tz="UTC")
    one = pod(("a", "app", 0.3)).assign(day=day)
    two = pod(("a", "app", 0.5)).assign(day=day + pd.Timedelta(days=1))
    assert pod_requests(pd.concat([one, two]))["cpu"].tolist() == [0.3, 0.5]


def resource(request: float | None) -> ResourceAdvice:
    return ResourceAdvice(None, None, request, None, request, None, Usage(), "policy")


def advice(*rows: tuple[str | None, float | None]) -> Advice:
    """`(workload or None for the mesh default, cores)`."""
    now = pd.Timestamp("2026-03-02", tz="UTC").to_pydatetime()
    found = tuple(
        Recommendation(
            "sidecar",
            "shop" if workload else None,
            workload,
            "Deployment",
            "istio-proxy",
            False,
            1.0,
            resource(cores),
            resource(None),
            None,
            "",
        )
        for workload, cores in rows
    )
    return Advice("test", False, now, now, "balanced", {}, found)


OWNERS = pd.DataFrame({"namespace": ["shop"], "pod": ["web-0"], "workload": ["web"]})
MESHED = pod(("istio-proxy", "app", 0.1), ("a", "app", 0.3))


def test_the_mesh_default_applies_to_a_sidecar_without_advice_of_its_own() -> None:
    assert pod_requests(with_advice(MESHED, OWNERS, advice((None, 0.02))))["cpu"][0] == 0.32


def test_a_workloads_own_advice_wins_over_the_mesh_default() -> None:
    both = advice((None, 0.02), ("web", 0.05))
    assert pod_requests(with_advice(MESHED, OWNERS, both))["cpu"][0] == pytest.approx(0.35)


def test_what_the_advice_leaves_open_stays_as_it_is() -> None:
    changed = with_advice(MESHED, OWNERS, advice((None, 0.02)))
    assert changed["memory_request"].tolist() == MESHED["memory_request"].tolist()


def test_an_app_container_of_the_same_name_is_left_alone() -> None:
    plain = MESHED.assign(component=None)
    changed = with_advice(plain, OWNERS, advice((None, 0.02), ("web", 0.05)))
    assert changed["cpu_request"].tolist() == [0.1, 0.3]
