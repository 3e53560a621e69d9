"""What a cluster's own rules make of sizes: LimitRanges, quotas, VerticalPodAutoscalers."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rightsize.collectors.objects import objects_of
from rightsize.recommend import recommend
from rightsize.results import Amounts
from rightsize.sizing.cluster_rules import _bounded, _Bounds
from tests.tiny_mesh import MIB, Tiny, tiny_snapshot

BUSY = Tiny("busy", cpu=(0.3,), cpu_request=0.2, annotations="{}")


def limits(**bounds):
    spec = {"limits": [{"type": "Container", **bounds}]}
    return {"kind": "LimitRange", "metadata": {"name": "team", "namespace": "shop"}, "spec": spec}


def vpa(mode="Auto", policies=(), workload="web"):
    return {
        "kind": "VerticalPodAutoscaler",
        "metadata": {"name": "sizer", "namespace": "shop"},
        "spec": {
            "targetRef": {"kind": "Deployment", "name": workload},
            "updatePolicy": {"updateMode": mode},
            "resourcePolicy": {"containerPolicies": list(policies)},
        },
    }


def advice(tmp_path, objects, *containers):
    rules = objects_of(objects, ["objects.json"]).rules
    more = {
        "limit_ranges": pd.DataFrame(rules.limit_ranges),
        "resource_quotas": pd.DataFrame(rules.resource_quotas),
        "vpas": pd.DataFrame(rules.vpas),
    }
    return recommend(tiny_snapshot(tmp_path / "s", *containers, more=more))


def row(found, workload="web"):
    return next(r for r in found.recommendations if r.workload == workload)


def test_a_namespace_gets_no_request_below_its_own_limit_range(tmp_path):
    elsewhere = Tiny("api", namespace="stock")
    found = advice(tmp_path, [limits(min={"cpu": "80m", "memory": "100Mi"})], Tiny(), elsewhere)
    assert row(found).needs.cpu_request == 0.08
    assert row(found).needs.memory_request == 100 * MIB
    assert "LimitRange team" in row(found).reason
    assert row(found, "api").needs.cpu_request < 0.08


def test_a_namespaces_ratio_of_limit_to_request_holds(tmp_path):
    found = advice(tmp_path, [limits(maxLimitRequestRatio={"cpu": "25"})], Tiny())
    assert row(found).cpu.recommended_request == 0.08


def test_a_raised_limit_stops_at_the_limit_ranges_maximum(tmp_path):
    killed = Tiny(memory_limit=64 * MIB, memory_request=64 * MIB, oom_kills=3)
    found = row(advice(tmp_path, [limits(max={"memory": "100Mi"})], killed))
    assert found.memory.recommended_limit == 100 * MIB
    assert found.memory.recommended_request <= 100 * MIB
    assert "held at 100Mi by LimitRange team" in found.reason


def test_a_mesh_default_that_a_namespace_does_not_admit_is_named(tmp_path):
    busy = Tiny("busy", namespace="stock", cpu=(0.3,), pods=40)
    found = advice(tmp_path, [limits(max={"cpu": "200m"})], Tiny(cpu_limit=0.2), busy)
    row_of_web = row(found)
    admitted = row_of_web.cpu.recommended_request <= 0.2
    assert admitted or any("LimitRange team admits at most" in w for w in found.warnings)


@pytest.mark.parametrize("mode", ["Auto", "Recreate", "Initial", "InPlaceOrRecreate"])
def test_what_a_vpa_sets_is_kept(tmp_path, mode):
    found = row(advice(tmp_path, [vpa(mode)], Tiny()))
    assert not found.changes
    assert f"VPA sizer (update mode {mode})" in found.reason


@pytest.mark.parametrize(
    "rule",
    [
        vpa("Off"),
        vpa(workload="other"),
        vpa(policies=[{"containerName": "istio-proxy", "mode": "Off"}]),
        vpa(policies=[{"containerName": "*", "mode": "Off"}]),
    ],
)
def test_a_vpa_that_leaves_the_proxy_alone_holds_nothing(tmp_path, rule):
    found = row(advice(tmp_path, [rule], Tiny()))
    assert found.changes
    assert "VPA" not in found.reason


def test_a_proxy_that_a_vpa_sizes_does_not_shape_the_mesh_default(tmp_path):
    busy = Tiny("busy", cpu=(0.3,))
    found = advice(tmp_path, [vpa(workload="busy")], Tiny(), busy)
    assert not row(found, "busy").changes
    default = next(r for r in found.recommendations if r.workload is None)
    assert default.cpu.recommended_request < 0.1


def test_a_quota_of_the_cluster_is_watched(tmp_path):
    quota = {
        "kind": "ResourceQuota",
        "metadata": {"name": "team", "namespace": "shop"},
        "spec": {"hard": {"requests.cpu": "300m", "pods": "10"}},
    }
    found = advice(tmp_path, [quota], BUSY)
    assert any("namespace shop would ask for" in warning for warning in found.warnings)


def test_keda_scalers_count_as_the_hpas_that_keda_makes():
    scaled = {
        "kind": "ScaledObject",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {
            "scaleTargetRef": {"name": "web"},
            "triggers": [
                {"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}},
                {"type": "kafka", "metadata": {"lagThreshold": "5"}},
            ],
        },
    }
    (found,) = objects_of([scaled], ["objects.json"]).hpas
    assert (found["workload"], found["metric"], found["target_utilization"]) == ("web", "cpu", 70)
    made = {
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "keda-hpa-web", "namespace": "shop"},
        "spec": {
            "scaleTargetRef": {"kind": "Deployment", "name": "web"},
            "maxReplicas": 5,
            "targetCPUUtilizationPercentage": 70,
        },
    }
    (found,) = objects_of([scaled, made], ["objects.json"]).hpas
    assert found["max_replicas"] == 5


sizes = st.none() | st.floats(0.01, 8.0)


@given(
    request=st.floats(0.01, 8.0),
    limit=sizes,
    now=st.floats(0.01, 8.0),
    least=sizes,
    room=sizes,
    ratio=st.none() | st.floats(1.0, 50.0),
)
def test_bounds_never_put_a_request_above_its_limit(request, limit, now, least, room, ratio):
    limit = None if limit is None else max(limit, request, now)
    most = None if room is None else room + (least or 0.0)
    bounds = _Bounds("team", least, most, ratio)
    found = _bounded("cpu", Amounts(request, limit), Amounts(now, limit), bounds)
    assert found.limit is None or found.request <= found.limit
    lowest = max([least or 0.0, limit / ratio if limit and ratio else 0.0])
    admitted = found.request >= lowest - 1e-9 or found.request >= (most or limit)
    assert admitted
