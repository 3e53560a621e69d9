"""The answer from summaries is the answer from windows, for every profile."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rightsize.config import PolicySettings, Settings
from rightsize.demo import demo_snapshot
from rightsize.recommend import recommend
from rightsize.results import SizeField
from rightsize.sizing.evidence import evidence_of
from rightsize.sizing.history import container_histories
from rightsize.sizing.policies import History, KRRPolicy
from rightsize.sizing.profiles import policy_named, profiles
from rightsize.snapshot import Snapshot
from tests.sizing.days import records
from tests.tiny_mesh import MIB, Tiny, tiny_snapshot

FIELDS: tuple[SizeField, ...] = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")
START = pd.Timestamp("2026-09-01", tz="UTC")


@st.composite
def worlds(draw, whole=True):
    """Windows of a few pods over some days: levels, bursts, gaps, pods that come and go.

    Where they are not `whole`, some cover less or more than their five minutes.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    parts = []
    for pod in range(draw(st.integers(1, 4))):
        first = draw(st.integers(0, 3 * 288))
        n = draw(st.integers(20, 10 * 288))
        spread = draw(st.floats(0, 1))
        cpu = 0.001 * draw(st.floats(0.1, 500)) * np.exp(spread * rng.standard_normal(n))
        cpu = np.where(rng.random(n) < 0.03, cpu * draw(st.floats(1, 20)), cpu)
        memory = MIB * draw(st.floats(30, 900)) * np.exp(0.1 * spread * rng.standard_normal(n))
        times = START + pd.to_timedelta(5 * (first + np.arange(1, n + 1)), unit="min")
        frame = pd.DataFrame({"time": times, "pod": f"web-{pod}", "cpu": cpu, "memory": memory})
        uneven = rng.random(n) < (0 if whole else 0.2)
        frame["seconds"] = np.where(uneven, rng.integers(150, 600, n), 300)
        frame.loc[rng.random(n) < 0.02, ["cpu", "seconds", "memory"]] = np.nan
        parts.append(frame[rng.random(n) >= draw(st.floats(0, 0.3))])
    usage = pd.concat(parts).sort_values("time", kind="stable", ignore_index=True)
    return usage if usage[["cpu", "memory"]].notna().all(axis=1).any() else draw(worlds(whole))


@pytest.mark.parametrize("name", profiles())
@settings(max_examples=40, deadline=None)
@given(usage=worlds(whole=False))
def test_a_profile_sizes_alike_from_summaries_and_from_windows(name, usage):
    policy = policy_named(name)
    of_windows = policy.size(History.of(usage))
    of_days = policy.size_daily(records(usage).daily)
    for field in FIELDS:
        found, wanted = (getattr(one.sizes, field) for one in (of_days, of_windows))
        assert found == pytest.approx(wanted, rel=0.01)
    assert of_days.abstained == of_windows.abstained


@settings(max_examples=40, deadline=None)
@given(worlds())
def test_quantiles_of_summaries_are_those_of_windows_within_a_per_cent(usage):
    daily = records(usage).daily
    for resource in ("cpu", "memory"):
        exact = np.nanpercentile(usage[resource], [50, 95, 99, 100])
        found = daily.of_resource(resource).tally.pooled().usage
        assert [found.p50, found.p95, found.p99, found.peak] == pytest.approx(exact, rel=0.01)
        assert daily.of_resource(resource).sums.sum() == pytest.approx(usage[resource].sum())


@settings(max_examples=40, deadline=None)
@given(worlds(), st.floats(0.01, 0.2))
def test_where_the_risk_alone_decides_the_level_is_that_of_the_windows_within_a_per_cent(
    usage, risk
):
    # Nothing else can be held against single windows: of levels that cost the same, one a tenth
    # apart may be the cheapest by a hair.
    cpu = np.sort(usage["cpu"].dropna().to_numpy())
    policy = policy_named("balanced", {"cpu_price": 0.0, "cpu_risk": risk, "half_life_days": 1e9})
    policy.set_params(busiest_pod_risk=1.0)
    above = (cpu.size - np.arange(1, cpu.size + 1) + 1) / (cpu.size + 1)
    exact = cpu[np.flatnonzero(above <= risk)[0]] if (above <= risk).any() else cpu[-1]
    found = policy.size_daily(records(usage).daily).sizes.cpu_request
    assert exact * (1 - 1e-9) <= found <= exact * 1.01


def answers(snapshot, profile):
    found = recommend(snapshot, Settings(policy=PolicySettings(profile=profile)))
    return [
        (row.key, row.container, row.recommended, row.evidence) for row in found.recommendations
    ]


def test_a_snapshot_gives_the_same_answer_with_and_without_its_summaries(tmp_path):
    rng = np.random.default_rng(1)
    web = Tiny(cpu=0.01 * rng.lognormal(0, 0.5, 288), memory=MIB * rng.uniform(60, 70, 288), pods=3)
    job = Tiny("nightly", kind="CronJob", cpu=[0.3], pods=2, days=8)
    snapshot = tiny_snapshot(tmp_path / "s", web, job)
    before = {profile: answers(snapshot, profile) for profile in profiles()}
    shutil.rmtree(tmp_path / "s" / "summaries")
    (tmp_path / "s" / "summaries").write_text("no folder: nothing can be written here")
    assert {profile: answers(snapshot, profile) for profile in profiles()} == before


def test_a_policy_that_needs_windows_gets_them(tmp_path):
    cpu = np.r_[np.full(200, 0.01), np.full(88, 0.05)]
    found = recommend(tiny_snapshot(tmp_path / "s", Tiny(cpu=cpu)), policy=KRRPolicy())
    row = next(one for one in found.recommendations if one.workload == "web")
    assert row.cpu.basis == "KRR: highest p95 of a pod"
    assert row.cpu.target_request == 0.05


@pytest.fixture(scope="module")
def demo_histories():
    snapshot = Snapshot(demo_snapshot())
    return list(
        container_histories(snapshot, days=snapshot.days[-14:], namespaces=["cart", "istio-system"])
    )


def test_on_the_demo_summaries_say_what_windows_say(demo_histories):
    assert len(demo_histories) > 5
    for history in demo_histories:
        found = evidence_of(history)
        assert (found.windows, found.pods) == (len(history.usage), history.usage["pod"].nunique())
        assert found.start == history.usage["time"].min()
        assert found.end == history.usage["time"].max()
        for seen, values in ((found.cpu, "cpu"), (found.memory, "memory")):
            exact = np.nanpercentile(history.usage[values], [50, 95, 99, 100])
            assert [seen.p50, seen.p95, seen.p99, seen.peak] == pytest.approx(exact, rel=0.01)
        times = history.usage["time"].nunique()
        assert history.replicas == pytest.approx(len(history.usage) / times)


@pytest.mark.parametrize("name", [*profiles(), "percentile"])
def test_on_the_demo_every_profile_sizes_alike(demo_histories, name):
    policy = policy_named(name)
    for history in demo_histories:
        wanted = policy.size(History.of(history.usage)).sizes
        found = policy.size_daily(history.daily).sizes
        for field in FIELDS:
            assert getattr(found, field) == pytest.approx(getattr(wanted, field), rel=0.01)
