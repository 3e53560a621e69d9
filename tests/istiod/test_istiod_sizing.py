"""istiod's sizes: a lost pod survived, peaks covered, nothing cut while propagation is slow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rightsize.config import PolicySettings
from rightsize.errors import NoDataError
from rightsize.istiod.model import fit_istiod
from rightsize.istiod.observations import IstiodTables
from rightsize.istiod.replicas import OWN_BUDGET, disruption_budget
from rightsize.istiod.sizing import recommend_istiod
from rightsize.snapshot.schema import frame
from tests.istiod.synthetic_istiod import (
    MIB,
    START,
    Mesh,
    containers_of,
    control_plane_of,
    histogram,
    hours_of,
)

INF = float("inf")
FAST = {0.1: 900.0, 1.0: 1000.0, 10.0: 1000.0, INF: 1000.0}
SLOW = {0.1: 100.0, 10.0: 500.0, 30.0: 1000.0, INF: 1000.0}


def advise(
    hours: pd.DataFrame, *, convergence: dict[float, float] | None = FAST, days: int = 14, **sizes
):
    parts = [control_plane_of(hours)]
    if convergence is not None:
        parts.append(histogram("pilot_proxy_convergence_time", convergence, hours=24 * days))
    return recommend_istiod(
        IstiodTables(pd.concat(parts), frame("usage"), containers_of(**sizes)),
        istio_version="1.28.3",
        settings=PolicySettings(max_cut=1.0),
    )


@pytest.fixture(scope="module")
def healthy():
    return advise(hours_of(Mesh()))


def test_too_large_requests_are_cut(healthy):
    assert healthy.recommended.memory_request < healthy.current.memory_request
    assert healthy.recommended.cpu_request < healthy.current.cpu_request


def test_the_pods_left_after_a_loss_fit_their_requests(healthy):
    load, left = healthy.model.load, healthy.autoscale_min - 1
    assert healthy.recommended.memory_request >= healthy.model.memory.at(load, left).mid
    assert healthy.recommended.cpu_request >= healthy.model.cpu.at(load, left).mid


def test_there_are_always_two_and_room_to_grow(healthy):
    assert healthy.autoscale_min >= 2
    assert healthy.autoscale_max > healthy.autoscale_min
    assert healthy.target_utilization <= 80
    assert healthy.rejected[0].option == "1 replica"


@pytest.mark.parametrize(
    ("convergence", "why"),
    [(SLOW, "propagation is slow"), (None, "was not seen")],
    ids=["slow", "unknown"],
)
def test_nothing_is_cut_without_proof_of_fast_propagation(convergence, why):
    found = advise(hours_of(Mesh()), convergence=convergence)
    assert found.recommended == found.current
    assert any(why in reason for reason in found.reasons)


def test_no_pod_is_taken_away_while_propagation_is_slow():
    five = Mesh(proxies=100.0, pods=tuple(f"istiod-{letter}" for letter in "abcde"))
    assert advise(hours_of(five)).autoscale_min < 5
    assert advise(hours_of(five), convergence=SLOW).autoscale_min == 5
    assert advise(hours_of(replace(five, hours=72)), days=3).autoscale_min == 5


def test_while_sizes_are_held_a_lone_pod_gets_a_second_one_and_no_more():
    one = Mesh(pods=("istiod-a",))
    assert advise(hours_of(one)).autoscale_min > 2
    assert advise(hours_of(one), convergence=SLOW).autoscale_min == 2


def test_a_short_history_cuts_nothing():
    found = advise(hours_of(Mesh(hours=72)), days=3)
    assert found.recommended == found.current
    assert any("3.0 days" in reason for reason in found.reasons)


def test_a_limit_in_force_is_raised_over_what_a_loss_needs(healthy):
    found = advise(hours_of(Mesh()), memory_limit=512 * MIB, memory_request=256 * MIB)
    assert found.recommended.memory_limit > found.expected_memory.high
    assert found.recommended.memory_request >= 512 * MIB
    assert found.recommended.cpu_limit is None


def test_an_oom_kill_raises_memory_beyond_the_limit_that_was_in_force():
    table = pd.concat(
        [
            control_plane_of(hours_of(Mesh())),
            histogram("pilot_proxy_convergence_time", FAST, hours=336),
        ]
    )
    limit = 6 * 2**30
    containers = containers_of(memory_request=limit, memory_limit=limit).assign(oom_kills=1.0)
    found = recommend_istiod(IstiodTables(table, frame("usage"), containers))
    assert found.memory.rule == "event"
    assert found.recommended.memory_request >= limit
    assert found.recommended.memory_limit >= 1.2 * limit


def test_the_memory_of_a_start_is_covered():
    hours = hours_of(Mesh())
    hours["age_hours"] = hours.groupby("pod").cumcount() % 100.0 + 0.5
    first = hours["age_hours"] == 0.5
    hours.loc[first, "memory"] *= 1.8
    times = hours["time"]
    pods = frame(
        "pods",
        {
            "namespace": "istio-system",
            # A new pod for every start, as a rollout makes them.
            "pod": hours["pod"] + "-" + (hours.groupby("pod").cumcount() // 100).astype(str),
            "started": times - pd.to_timedelta(hours["age_hours"], "h"),
            "first_seen": times, "last_seen": times,
        },
    )  # fmt: skip
    hours["pod"] = pods["pod"].to_numpy()
    pods = pods.drop_duplicates("pod").assign(day=START)
    table = pd.concat(
        [control_plane_of(hours), histogram("pilot_proxy_convergence_time", FAST, hours=336)]
    )
    found = recommend_istiod(IstiodTables(table, frame("usage"), containers_of(), pods))
    assert found.model.peaks.starts >= 4
    assert found.model.peaks.memory_start == pytest.approx(1.8, rel=0.06)
    left = found.model.memory.at(found.model.load, found.autoscale_min - 1).mid
    assert found.recommended.memory_request >= 1.7 * left


def test_without_metrics_of_istiod_the_peaks_seen_are_kept():
    n = 10 * 288
    usage = frame(
        "usage",
        {
            "time": START + pd.to_timedelta(np.arange(1, n + 1) * 5, "min"),
            "namespace": "istio-system", "pod": "istiod-a", "container": "discovery",
            "cpu": 0.3, "memory": 900.0 * MIB,
        },
    )  # fmt: skip
    found = recommend_istiod(
        IstiodTables(frame("control_plane"), usage, containers_of(("istiod-a",)))
    )
    assert found.model is None
    assert any("sizes rest on the peaks seen" in text for text in found.warnings)
    assert found.recommended.memory_request >= 900 * MIB


def test_no_istiod_at_all_is_said():
    with pytest.raises(NoDataError, match="no usage of istiod"):
        recommend_istiod(IstiodTables(frame("control_plane"), frame("usage"), frame("containers")))


def test_the_budget_is_one_that_the_release_reads():
    assert disruption_budget(4, "1.30.3").path == "pdb.maxUnavailable"
    assert disruption_budget(4, "1.26.8").path == OWN_BUDGET
    assert disruption_budget(2, "1.30.3").path == "global.defaultPodDisruptionBudget.enabled"


def test_nothing_exceeds_the_largest_node():
    hours = hours_of(Mesh())
    rows = {"node": ["n"], "allocatable_cpu": [0.05], "allocatable_memory": [2.0**26]}
    nodes = frame("nodes", rows).assign(day=START)
    containers = containers_of(cpu_request=0.01, memory_request=2.0**20)
    tables = IstiodTables(control_plane_of(hours), frame("usage"), containers, nodes=nodes)
    found = recommend_istiod(tables, istio_version="1.28.3")
    assert found.recommended == found.current
    assert any("more than the largest node can give" in reason for reason in found.reasons)


def test_cpu_that_is_never_above_zero_is_no_model():
    with pytest.raises(NoDataError, match="never above 0"):
        fit_istiod(hours_of(Mesh()).assign(cpu=0.0))
