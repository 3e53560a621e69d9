"""No answer below what was needed once: storms, pushes, churn, replaced nodes and leaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rightsize.config import PolicySettings
from rightsize.istiod.model import fit_istiod
from rightsize.istiod.observations import IstiodTables
from rightsize.istiod.replicas import replica_plans
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

FAST = {0.1: 900.0, 1.0: 1000.0, 10.0: 1000.0, float("inf"): 1000.0}
MONTH = Mesh(hours=30 * 24, growth=0.0)


def raised(hours: pd.DataFrame, at: list[int], *, mib: float, cores: float, pod: int = 0):
    """One pod needs so much more in these hours; `pushes` and `proxies` stay as they were."""
    name = sorted(hours["pod"].unique())[pod]
    when = START + pd.to_timedelta(np.array(at), "h")
    rows = (hours["pod"] == name) & hours["time"].isin(when)
    hours.loc[rows, "memory"] += mib * MIB
    hours.loc[rows, "cpu_burst"] += cores
    return hours


def storm(hours: pd.DataFrame, at: list[int]) -> pd.DataFrame:
    """One pod takes the proxies of all for a part of these hours."""
    when = START + pd.to_timedelta(np.array(at), "h")
    first = sorted(hours["pod"].unique())[0]
    inside = hours["time"].isin(when)
    total = hours.groupby("time")["proxies"].transform("sum")
    hours.loc[inside, "proxies"] = 0.02 * total[inside]
    hours.loc[inside & (hours["pod"] == first), "proxies"] = 0.96 * total[inside]
    return raised(hours, at, mib=900.0, cores=3.0)


def churn(hours: pd.DataFrame, at: list[int]) -> pd.DataFrame:
    rows = hours["time"].isin(START + pd.to_timedelta(np.array(at), "h"))
    hours.loc[rows, "pushes"] *= 20
    hours.loc[rows, "cpu_burst"] += 2.0
    hours.loc[rows, "memory"] += 300 * MIB
    return hours


def replaced_node(hours: pd.DataFrame, at: list[int]) -> pd.DataFrame:
    """For an hour the other pod is alone, with all proxies."""
    names = sorted(hours["pod"].unique())
    when = START + pd.to_timedelta(np.array(at), "h")
    inside = hours["time"].isin(when)
    total = hours.groupby("time")["proxies"].transform("sum")
    hours.loc[inside, "proxies"] = total[inside] / (len(names) - 1)
    raised(hours, at, mib=500.0, cores=1.0, pod=1)
    return hours[~(inside & (hours["pod"] == names[0]))].reset_index(drop=True)


HISTORIES = {
    "two reconnect storms": lambda: storm(hours_of(MONTH), [200, 540]),
    "a full push each week": lambda: raised(
        hours_of(MONTH), [100, 268, 436, 604], mib=700.0, cores=2.0
    ),
    "one peak a month ago": lambda: raised(hours_of(MONTH), [30], mib=1500.0, cores=4.0),
    "churn on two days": lambda: churn(hours_of(MONTH), [300, 301, 302, 500]),
    "a replaced node": lambda: replaced_node(hours_of(MONTH), [400]),
}


def advise(hours: pd.DataFrame, **sizes):
    delays = histogram("pilot_proxy_convergence_time", FAST, hours=MONTH.hours)
    usage = windows_of(hours)
    return recommend_istiod(
        IstiodTables(
            pd.concat([control_plane_of(hours), delays]),
            usage,
            containers_of(tuple(sorted(hours["pod"].unique())), **sizes),
        ),
        istio_version="1.28.3",
        settings=PolicySettings(max_cut=1.0),
    )


def windows_of(hours: pd.DataFrame) -> pd.DataFrame:
    """5-minute windows: the hour's peak in three of them, its mean in the others."""
    parts = []
    for number in range(12):
        peak = number < 3
        parts.append(
            pd.DataFrame(
                {
                    "time": hours["time"] - pd.Timedelta(5 * number, "min"),
                    "namespace": "istio-system",
                    "pod": hours["pod"],
                    "container": "discovery",
                    "cpu": hours["cpu_burst"] if peak else hours["cpu"],
                    "memory": hours["memory"],
                }
            )
        )
    return frame("usage", pd.concat(parts, ignore_index=True))


@pytest.mark.parametrize("name", HISTORIES)
def test_no_recommendation_is_below_the_highest_need_seen(name):
    hours = HISTORIES[name]()
    found = advise(hours, memory_request=4 * 2**30, cpu_limit=8.0)
    assert found.recommended.memory_request >= hours["memory"].max()
    assert found.recommended.cpu_limit >= hours["cpu_burst"].max()


@pytest.mark.parametrize("name", HISTORIES)
def test_more_replicas_do_not_forget_what_one_pod_needed(name):
    hours = HISTORIES[name]()
    model = fit_istiod(hours)
    for plan in replica_plans(hours, model, model.replicas, margin=0.2):
        assert plan.memory.high >= hours["memory"].max(), plan.replicas
        assert plan.cpu_peak >= hours["cpu_burst"].max(), plan.replicas


def test_more_replicas_share_what_the_law_explains():
    hours = hours_of(replace(MONTH, proxies=6000.0))
    model = fit_istiod(hours)
    plans = {p.replicas: p for p in replica_plans(hours, model, model.replicas, margin=0.2)}
    assert plans[6].memory.high < 0.7 * plans[2].memory.high


def test_recurring_events_are_named_with_their_days():
    stormy = advise(HISTORIES["two reconnect storms"]())
    assert any(
        "a reconnect storm was seen 2 times (2026-09-09, 2026-09-23)" in reason
        for reason in stormy.reasons
    )
    assert any(
        "a full push was seen" in r for r in advise(HISTORIES["churn on two days"]()).reasons
    )


def test_a_quiet_month_has_no_events():
    assert fit_istiod(hours_of(MONTH)).peaks.events == ()


def test_a_leak_holds_memory_and_cpu_alone_may_be_cut():
    leaking = hours_of(replace(MONTH, leak_mib_per_hour=0.8))
    found = advise(leaking, memory_request=4 * 2**30)
    assert found.recommended.memory_request == 4 * 2**30
    assert found.memory.rule == "hold"
    assert found.recommended.cpu_request < 2.0


@settings(max_examples=8, deadline=None)
@given(
    at=st.lists(st.integers(30, 230), min_size=1, max_size=4, unique=True),
    mib=st.floats(100, 3000),
    cores=st.floats(0.2, 8.0),
    pods=st.sampled_from([("istiod-a",), ("istiod-a", "istiod-b"), tuple("abcd")]),
)
def test_any_peak_is_covered_at_any_number_of_replicas(at, mib, cores, pods):
    hours = raised(hours_of(replace(MONTH, hours=240, pods=pods)), at, mib=mib, cores=cores)
    model = fit_istiod(hours)
    for plan in replica_plans(hours, model, model.replicas, margin=0.2):
        load = hours.assign(high=model.memory.predict(hours[list(model.memory.drivers)])[1])
        beyond = load["memory"] > 1.1 * load["high"]
        assert plan.memory.high >= load["memory"][beyond].max() or not beyond.any()
