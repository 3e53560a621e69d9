"""What `recommend` answers: this usage, this policy, this answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rightsize.config import PolicySettings, Settings
from rightsize.recommend import recommend
from rightsize.results import Advice, Recommendation, Sizes
from rightsize.sizing.policies import PercentilePolicy
from tests.tiny_mesh import MIB, Tiny, hpa, tiny_snapshot

EXACT = PercentilePolicy(cpu_margin=0.0, memory_margin=0.0)


def advice(tmp_path: Path, *containers: Tiny, hpas=None, days: int = 10, **policy) -> Advice:
    snapshot = tiny_snapshot(tmp_path / "snapshot", *containers, hpas=hpas, days=days)
    return recommend(snapshot, Settings(policy=PolicySettings(**policy)), policy=EXACT)


def row(result: Advice, workload: str | None) -> Recommendation:
    return next(r for r in result.recommendations if r.workload == workload)


def test_percentiles_pool_all_pods_and_equal_numpys(tmp_path):
    cpu = np.random.default_rng(1).lognormal(-5, 1, 288)
    found = row(advice(tmp_path, Tiny(cpu=cpu, pods=3)), "web").cpu.usage
    pooled = np.tile(cpu, 3 * 10)
    expected = [*np.percentile(pooled, [50, 95, 99]), cpu.max()]
    assert [found.p50, found.p95, found.p99] == pytest.approx(expected[:3], rel=0.01)
    assert found.peak == expected[3]


def test_one_step_never_cuts_more_than_the_set_share(tmp_path):
    default = row(advice(tmp_path, Tiny(cpu=[0.005]), max_cut=0.5), None)
    assert default.cpu.recommended_request == 0.05
    assert default.cpu.target_request == 0.01


def test_a_cut_too_small_to_roll_out_is_not_made(tmp_path):
    found = row(advice(tmp_path, Tiny(cpu=[0.095]), min_change=0.1), "web").cpu
    assert found.recommended_request == 0.1
    assert found.rule == "keep-close"


def test_a_workload_that_uses_more_than_it_requests_is_raised(tmp_path):
    found = row(advice(tmp_path, Tiny(cpu=[0.35])), None).cpu
    assert found.recommended_request == 0.35


def test_three_days_of_history_keep_what_is_there_and_say_so(tmp_path):
    new = Tiny("new", days=3, skip_days=7)
    found = row(advice(tmp_path, Tiny(), new), "new")
    assert found.current == found.recommended
    assert "3.0 days of history, 7 are needed" in found.reason


def test_a_workload_with_thin_history_is_pinned_when_the_default_falls(tmp_path):
    found = advice(tmp_path, Tiny("a", pods=4), Tiny("new", days=3, skip_days=7))
    assert row(found, None).cpu.recommended_request == 0.05
    assert row(found, "new").written == "annotations"


def test_gaps_keep_what_is_there(tmp_path):
    gappy = Tiny(cpu=[0.005], days=10)
    snapshot = tiny_snapshot(tmp_path / "s", gappy.but(days=4), gappy.but(skip_days=8, days=2))
    found = row(recommend(snapshot, Settings(policy=PolicySettings(min_days=5))), "web")
    assert "40% of the windows are missing" in found.reason
    assert not found.changes


def test_throttling_raises_request_and_limit(tmp_path):
    tight = Tiny(
        "tight",
        cpu=[0.095],
        cpu_limit=0.1,
        throttled=0.3,
        annotations='{"sidecar.istio.io/proxyCPU": "100m"}',
    )
    found = row(advice(tmp_path, Tiny(), tight), "tight")
    assert found.cpu.recommended_limit == pytest.approx(0.2)
    assert found.cpu.recommended_request > 0.1
    assert "throttled in 30.0% of CFS periods at limit 100m" in found.reason


def test_throttling_below_the_tolerated_share_raises_nothing(tmp_path):
    found = row(advice(tmp_path, Tiny(throttled=0.005)), "web")
    assert found.cpu.recommended_limit == 2.0


def test_an_oom_kill_raises_the_memory_limit_beyond_what_was_measured(tmp_path):
    killed = Tiny("killed", memory=[90 * MIB], memory_limit=96 * MIB, oom_kills=1)
    found = row(advice(tmp_path, Tiny(), killed), "killed").memory
    assert found.recommended_limit >= 196 * MIB
    assert found.recommended_request >= 128 * MIB


def test_a_limit_is_never_below_the_peak_plus_its_margin(tmp_path):
    found = row(advice(tmp_path, Tiny(memory=[60 * MIB, 1000 * MIB])), None).memory
    assert found.recommended_limit >= 1200 * MIB


def test_limits_are_not_cut_unless_asked(tmp_path):
    default = row(advice(tmp_path, Tiny()), None)
    assert (default.cpu.recommended_limit, default.memory.recommended_limit) == (2.0, 1024 * MIB)


def test_fitted_limits_lower_memory_and_no_cpu_limit(tmp_path):
    # Five-minute means do not show the seconds in which Envoy starts.
    default = row(advice(tmp_path, Tiny(), limits="fit", max_overrides=0), "web")
    assert default.cpu.recommended_limit == 2.0
    assert default.memory.recommended_limit == 512 * MIB


def test_a_new_cpu_limit_states_how_envoys_threads_follow(tmp_path):
    busy = Tiny(cpu=[0.9], cpu_limit=1.0, throttled=0.1)
    found = row(advice(tmp_path, busy, max_overrides=0), "web")
    assert found.notes == ("the new CPU limit moves Envoy from 1 to 2 worker threads",)


def test_requests_below_the_floor_stop_at_the_floor(tmp_path):
    found = row(advice(tmp_path, Tiny(cpu=[0.0001]), floor_cpu=0.01), None).cpu
    assert found.target_request == 0.01


def test_past_pods_of_a_rolled_out_workload_count(tmp_path):
    before = Tiny(cpu=[0.2], days=5)
    after = Tiny(cpu=[0.01], days=5, skip_days=5)
    snapshot = tiny_snapshot(tmp_path / "s", before, after)
    found = row(recommend(snapshot, policy=EXACT), "web")
    assert found.cpu.usage.p95 == pytest.approx(0.2)
    assert found.cpu.recommended_request == pytest.approx(0.2)


def test_a_workload_that_is_gone_changes_nothing(tmp_path):
    gone = Tiny("gone", days=8, cpu=[0.9])
    found = advice(tmp_path, Tiny(), gone)
    assert not row(found, "gone").changes
    assert "not running" in row(found, "gone").reason
    assert row(found, None).cpu.recommended_request == 0.05


def test_the_default_covers_the_many_and_annotations_the_few(tmp_path):
    many = [Tiny(f"quiet-{n}", pods=4) for n in range(6)]
    found = advice(tmp_path, *many, Tiny("busy", cpu=[0.6], pods=1))
    assert row(found, None).cpu.recommended_request == 0.05
    assert row(found, "busy").written == "annotations"
    assert row(found, "busy").cpu.recommended_request == 0.6
    assert row(found, "quiet-1").written == "mesh default"


def test_without_exceptions_the_default_fits_everyone(tmp_path):
    found = advice(tmp_path, Tiny("quiet", pods=9), Tiny("busy", cpu=[0.6]), max_overrides=0)
    assert row(found, None).cpu.recommended_request == 0.6


def test_annotated_workloads_keep_sizes_of_their_own(tmp_path):
    own = Tiny(
        "own", cpu_request=0.3, cpu=[0.2], annotations='{"sidecar.istio.io/proxyCPU": "300m"}'
    )
    found = row(advice(tmp_path, Tiny(pods=5), own), "own")
    assert found.written == "annotations"
    assert found.cpu.recommended_request == pytest.approx(0.2)


def test_an_hpa_on_the_pod_gets_the_target_that_keeps_its_scale_point(tmp_path):
    found = advice(tmp_path, Tiny(app_cpu_request=0.4), hpas=hpa("web", 70))
    (point,) = found.scale_points
    assert point.pod_request == pytest.approx(0.5)
    assert point.recommended_pod_request == pytest.approx(0.45)
    assert point.kept_target_utilization == 77


def test_a_gateway_under_an_hpa_keeps_its_cpu_request(tmp_path):
    gateway = Tiny("ingress", "istio-system", "gateway", cpu=[0.02])
    scaler = hpa("ingress", 80, "istio-system")
    found = row(advice(tmp_path, gateway, hpas=scaler), "ingress")
    assert found.cpu.recommended_request == 0.1
    assert "HPA" in found.reason


def test_a_gateway_of_the_gateway_api_is_named_before_the_default_falls(tmp_path):
    label = '{"gateway.networking.k8s.io/gateway-name": "public"}'
    gateway = Tiny("public-istio", "edge", "gateway", labels=label)
    found = advice(tmp_path, Tiny(), gateway)
    assert any("edge/public-istio" in warning for warning in found.warnings)


def test_native_sidecars_are_sized_like_others(tmp_path):
    found = row(advice(tmp_path, Tiny(native=True)), "web")
    assert found.native
    assert found.cpu.recommended_request == 0.05


def test_every_container_gets_a_row(tmp_path):
    istiod = Tiny("istiod", "istio-system", "istiod", "discovery", cpu_request=0.5, cpu_limit=None)
    found = advice(tmp_path, Tiny("a"), Tiny("b", days=2), istiod)
    assert {r.workload for r in found.recommendations} == {None, "istiod", "a", "b"}


def test_the_given_files_default_is_the_one_in_force_whatever_is_most_common(tmp_path):
    busy = Tiny("busy", pods=9, cpu=[0.3], cpu_request=0.34)
    snapshot = tiny_snapshot(tmp_path / "s", busy, Tiny("quiet", pods=2))
    given = {"sidecar": Sizes(cpu_request=0.1, memory_request=128 * MIB)}
    found = recommend(snapshot, policy=EXACT, given=given)
    assert row(found, None).cpu.request == 0.1
    assert row(found, "busy").written == "annotations"


def test_a_file_that_no_sidecar_runs_with_does_not_decide(tmp_path):
    found = recommend(
        tiny_snapshot(tmp_path / "s", Tiny()), policy=EXACT, given={"sidecar": Sizes(0.7)}
    )
    assert row(found, None).cpu.request == 0.1


UNKNOWN = {"cpu_limit": None, "memory_limit": None}


def test_limits_that_nothing_reports_are_unknown_and_no_annotation_is_written(tmp_path):
    own = Tiny("own", cpu=[0.3], annotations='{"sidecar.istio.io/proxyCPU": "100m"}', **UNKNOWN)
    found = advice(tmp_path, own)
    assert row(found, "own").unknown == {"cpu_limit", "memory_limit"}
    assert found.to_write == ()


def test_limits_that_nothing_reports_are_those_of_the_given_file(tmp_path):
    given = {"sidecar": Sizes(0.1, 2.0, 128 * MIB, 1024 * MIB)}
    snapshot = tiny_snapshot(tmp_path / "s", Tiny(**UNKNOWN))
    found = row(recommend(snapshot, policy=EXACT, given=given), None)
    assert found.recommended == Sizes(0.05, 2.0, 64 * MIB, 1024 * MIB)


def test_a_request_that_nothing_reports_is_not_written(tmp_path):
    found = advice(tmp_path, Tiny(cpu_request=None, memory_request=None, **UNKNOWN))
    assert row(found, "web").recommended == Sizes()
    assert "its request is unknown" in row(found, "web").reason
    assert not any(r.changes for r in found.recommendations)


def test_a_bound_that_holds_a_limit_back_says_so(tmp_path):
    killed = Tiny(memory=[250 * MIB], memory_limit=256 * MIB, oom_kills=3)
    found = row(advice(tmp_path, killed, max_memory=256 * MIB, max_overrides=0), "web")
    assert found.memory.recommended_limit == 256 * MIB
    assert "limit held at 256Mi by max_memory, and it goes on (30 OOM kills" in found.reason


def test_a_target_above_ninety_per_cent_is_no_advice(tmp_path):
    found = advice(tmp_path, Tiny(cpu_request=0.4, app_cpu_request=0.1), hpas=hpa("web", 80))
    (point,) = found.scale_points
    assert point.kept_target_utilization is None
    assert "ContainerResource" in point.advice


def test_a_rising_request_makes_an_hpa_scale_later(tmp_path):
    found = advice(tmp_path, Tiny(cpu=[0.4], app_cpu_request=0.4), hpas=hpa("web", 70))
    (point,) = found.scale_points
    assert "scales at more usage than today" in point.advice


def test_an_hpa_on_the_sidecar_alone_holds_its_request(tmp_path):
    own = hpa("web", 70).assign(metric_type="ContainerResource", container="istio-proxy")
    found = advice(tmp_path, Tiny(app_cpu_request=0.4), hpas=own)
    assert row(found, "web").cpu.recommended_request == 0.1


def test_an_hpa_on_the_application_alone_moves_nothing(tmp_path):
    own = hpa("web", 70).assign(metric_type="ContainerResource", container="app")
    found = advice(tmp_path, Tiny(app_cpu_request=0.4), hpas=own)
    assert found.scale_points == ()
    assert row(found, "web").cpu.recommended_request == 0.05


def test_a_teams_part_leaves_the_mesh_default_out_and_says_so(tmp_path):
    other = Tiny("other", namespace="base", pods=4)
    found = advice(tmp_path, other, Tiny(), Tiny("new", days=3, skip_days=7)).only(namespace="shop")
    assert {r.key for r in found.recommendations} == {"shop/web", "shop/new"}
    assert "the mesh default is found for all workloads together" in found.warnings[-1]
    # What the falling default would take along is pinned in the team's patch, too.
    assert [r.key for r in found.to_write] == ["shop/new"]


def test_one_workload_is_named_with_or_without_its_namespace(tmp_path):
    found = advice(tmp_path, Tiny(), Tiny("cart"))
    assert [r.key for r in found.only(workload="cart").recommendations] == ["shop/cart"]
    assert [r.key for r in found.only(workload="shop/cart").recommendations] == ["shop/cart"]


def test_a_held_istiod_says_of_each_resource_what_holds_it(tmp_path):
    istiod = Tiny(
        "istiod", "istio-system", "istiod", "discovery", cpu=[0.05], memory=[1000 * MIB],
        cpu_request=0.5, memory_request=900 * MIB, memory_limit=1024 * MIB, oom_kills=3,
    )  # fmt: skip
    found = row(recommend(tiny_snapshot(tmp_path / "s", istiod)), "istiod")
    assert found.cpu.recommended_request == 0.5
    assert found.reason.startswith("CPU request kept at 500m: pilot_proxy_convergence_time was not")
    assert "memory raised: 30 OOM kills at limit 1Gi" in found.reason
