"""`recommend` and `control-plane` say the same of istiod."""

from __future__ import annotations

import pytest

from rightsize.demo import DemoParameters, demo_snapshot
from rightsize.istiod.source import study_istiod
from rightsize.patch.changes import size_changes
from rightsize.recommend import recommend
from rightsize.sizing.policies import PercentilePolicy
from rightsize.snapshot import Snapshot


@pytest.fixture(scope="module")
def mesh(tmp_path_factory) -> Snapshot:
    parameters = DemoParameters.tiny(start=DemoParameters().end.replace(day=18))
    return Snapshot(demo_snapshot(tmp_path_factory.mktemp("cache"), parameters))


def istiod(advice):
    (row,) = advice.of("istiod")
    return row


def test_the_row_is_the_models(mesh):
    row, (advice, _) = istiod(recommend(mesh)), study_istiod(mesh)
    assert row.recommended == advice.recommended
    assert row.autoscaling.min_replicas == advice.autoscale_min
    assert row.autoscaling.target_cpu == advice.target_utilization


def test_its_autoscaler_is_written_with_its_sizes(mesh):
    advice = recommend(mesh)
    (change,) = [c for c in size_changes(advice) if c.component == "istiod"]
    assert change.target_cpu == istiod(advice).autoscaling.target_cpu
    assert not any(point.workload == "istiod" for point in advice.scale_points)


def test_a_policy_of_ones_own_sizes_istiod_by_its_usage(mesh):
    row = istiod(recommend(mesh, policy=PercentilePolicy()))
    assert row.autoscaling is None
    assert "p95" in row.reason or "HPA" in row.reason
