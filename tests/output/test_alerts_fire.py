"""Each alert fires on what it is for, and stays silent just short of it (promtool test rules)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.output.mesh_of_alerts import (
    CART,
    ISTIOD,
    MIB,
    WEB,
    always,
    cfs,
    convergence,
    counting,
    cpu,
    firing,
    healthy,
    memory,
    owner,
    reason,
    restarts,
    size,
    workload,
)

pytestmark = pytest.mark.servers

NEW = "fresh-5c6d7f8b9b-2xkqz"
OOM = {restarts(WEB): "0x30 1x4290", reason(WEB, "OOMKilled"): "_x30 1x4290"}
THREE_HOURS = "0+6x1500 9000+18x180 12240+6x4000"
CRASH = {restarts(WEB): "0x30 1x4290", reason(WEB, "Error"): "_x30 1x4290"}


def test_a_healthy_mesh_is_silent(tmp_path):
    firing(tmp_path, healthy(), "30h", expected={})


@pytest.mark.parametrize(
    ("alert", "change", "at"),
    [
        ("OutOfMemoryKill", OOM, "40m"),
        ("MemoryNearLimit", {size("limits", "memory", WEB): always(85 * MIB)}, "20m"),
        ("CpuThrottled", {cfs("throttled_periods", WEB): counting(60)}, "45m"),
        ("CpuAboveRecommended", {cpu(CART): counting(60 * 0.22)}, "31h"),
        ("MemoryAboveRecommended", {memory(CART): always(130 * MIB)}, "31h"),
        ("RequestsAboveRecommended", {size("requests", "cpu", WEB): always(0.1)}, "25h"),
        ("RequestsBelowRecommended", {size("requests", "memory", CART): always(64 * MIB)}, "25h"),
        ("IstiodMemoryAboveRequest", {memory(ISTIOD, "discovery"): always(1100 * MIB)}, "30m"),
        ("PropagationSlow", {convergence("10"): counting(99), convergence("1"): counting(10)}, "1h"),
        ("ServicesAboveProjection", {"pilot_services{}": always(341)}, "2h"),
    ],
)  # fmt: skip
def test_it_fires(tmp_path, alert, change, at):
    changed = healthy() | change
    if alert == "PropagationSlow":
        changed[convergence("10")] = counting(50)
    firing(tmp_path, changed, at, expected={f"Rightsize{alert}": 1})


@pytest.mark.parametrize(
    ("short_of", "change", "at"),
    [
        ("OutOfMemoryKill: another reason", CRASH, "40m"),
        ("OutOfMemoryKill: long ago", OOM, "2h"),
        ("MemoryNearLimit: 90 %", {size("limits", "memory", WEB): always(89 * MIB)}, "2h"),
        ("CpuThrottled: 4 %", {cfs("throttled_periods", WEB): counting(24)}, "2h"),
        ("CpuAboveRecommended: 3 hours a day", {cpu(CART): THREE_HOURS}, "34h"),
        ("MemoryAboveRecommended: at most it", {memory(CART): always(128 * MIB)}, "34h"),
        ("RequestsAboveRecommended: 20 %", {size("requests", "cpu", WEB): always(0.06)}, "26h"),
        ("RequestsAboveRecommended: for a while", {size("requests", "cpu", WEB): always(0.1)}, "23h"),
        ("RequestsBelowRecommended: rounded", {size("requests", "cpu", CART): always(0.195)}, "26h"),
        ("PropagationSlow: 9 s", {convergence("1"): counting(10)}, "2h"),
        ("ServicesAboveProjection: at most it", {"pilot_services{}": always(340)}, "2h"),
        ("IstiodMemoryAboveRequest", {memory(ISTIOD, "discovery"): always(1000 * MIB)}, "2h"),
    ],
)  # fmt: skip
def test_it_stays_silent_just_short_of_it(tmp_path, short_of, change, at):
    firing(tmp_path, healthy() | change, at, expected={})


@pytest.mark.parametrize(("cores", "expected"), [(0.08, 1), (0.04, 0)])
def test_a_new_workload_is_held_against_the_mesh_default(tmp_path, cores, expected):
    pod = workload(NEW, "istio-proxy", cores=cores, mib=80, sizes=(0.05, 96, 1024))
    # It comes after the first day, and with new_days of 1 the others are known by then.
    late = {series: f"_x1500 {values}" for series, values in pod.items()}
    alerts = {"RightsizeNewWorkloadAboveDefault": 1} if expected else {}
    firing(tmp_path, healthy() | late, "28h", expected=alerts)


@pytest.mark.parametrize(("cores", "expected"), [(0.01, 1), (0.03, 0)])
def test_usage_that_fell_to_less_than_half_for_a_week_is_reported(tmp_path, cores, expected):
    changed = healthy() | {cpu(CART): counting(60 * cores * 4), cpu(WEB): counting(60 * cores * 4)}
    alerts = {"RightsizeUsageFell": 1} if expected else {}
    # In steps of 4 minutes: samples are fewer, and a counter grows four times as fast in each.
    series = {name: values for name, values in changed.items() if "pilot" not in name}
    firing(tmp_path, series, "180h", expected=alerts, each="4m")


def test_missing_metrics_are_reported(tmp_path):
    without_memory = {s: v for s, v in healthy().items() if "working_set" not in s}
    firing(tmp_path, without_memory, "40m", expected={"RightsizeMetricsMissing": 1})


def test_missing_owners_are_reported(tmp_path):
    unowned = {s: v for s, v in healthy().items() if not s.startswith("kube_pod_owner")}
    firing(tmp_path, unowned, "40m", expected={"RightsizeMetricsMissing": 1})


def test_metrics_missing_for_a_moment_are_not(tmp_path):
    late = {series: f"_x20 {values}" for series, values in healthy().items()}
    firing(tmp_path, late, "40m", expected={})


def test_old_data_is_reported(tmp_path):
    firing(
        tmp_path,
        healthy(),
        "3h",
        expected={"RightsizeRecommendationOld": 1},
        old_after=datetime(1970, 1, 1, 1, tzinfo=UTC),
    )


def test_labels_of_other_scrapers_are_understood(tmp_path):
    """cAdvisor of old kubelets, kube-state-metrics without honorLabels."""
    renamed = {}
    for series, values in healthy().items():
        if series.startswith("container_"):
            series = series.replace("pod=", "pod_name=").replace("container=", "container_name=")
        elif series.startswith("kube_"):
            for label in ("namespace", "pod", "container"):
                series = series.replace(f'{{{label}="', f'{{exported_{label}="')
                series = series.replace(f',{label}="', f',exported_{label}="')
            own = 'namespace="monitoring",pod="ksm-0",container="kube-state-metrics",'
            series = series.replace("{", "{" + own + 'kubernetes_pod_name="ksm-0",', 1)
        renamed[series] = values
    firing(tmp_path, renamed, "2h", expected={})
    slow = {s: (counting(60) if "throttled" in s else v) for s, v in renamed.items()}
    firing(tmp_path, slow, "45m", expected={"RightsizeCpuThrottled": 1})


def test_a_pod_that_only_kube_pod_info_owns_has_its_workload(tmp_path):
    reported = healthy()
    reported.pop(owner(CART))
    created = 'created_by_kind="ReplicaSet",created_by_name="cart-5c6d7f8b9b"'
    reported[f'kube_pod_info{{namespace="shop",pod="{CART}",{created}}}'] = always(1)
    firing(tmp_path, reported, "31h", expected={})
    busy = reported | {cpu(CART): counting(60 * 0.3)}
    firing(tmp_path, busy, "31h", expected={"RightsizeCpuAboveRecommended": 1})
