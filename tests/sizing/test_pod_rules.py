"""QoS classes, LimitRange bounds, quotas and disruption budgets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rightsize.config import PolicySettings, Settings
from rightsize.errors import UsageError
from rightsize.recommend import recommend
from rightsize.sizing.pod_rules import budget_warnings, qos_class, with_qos_notes
from rightsize.sizing.policies import PercentilePolicy
from rightsize.snapshot.views import newest_containers
from tests.tiny_mesh import MIB, Tiny, tiny_snapshot


def advice(tmp_path, *containers, **policy):
    snapshot = tiny_snapshot(tmp_path / "s", *containers)
    settings = Settings(policy=PolicySettings(**policy))
    return recommend(snapshot, settings, policy=PercentilePolicy())


def row(found, workload):
    return next(r for r in found.recommendations if r.workload == workload)


def sizes(*rows):
    """Rows of CPU request and limit, memory request and limit, as the array that is taken."""
    return np.array(rows, dtype=float)[:, [0, 2, 1, 3]]


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([(None, None, None, None)], "BestEffort"),
        ([(1.0, 1.0, 5.0, 5.0)], "Guaranteed"),
        ([(None, 1.0, None, 5.0)], "Guaranteed"),
        ([(1.0, 1.0, 5.0, None)], "Burstable"),
        ([(0.5, 1.0, 5.0, 5.0)], "Burstable"),
        ([(1.0, 1.0, 5.0, 5.0), (None, None, None, None)], "Burstable"),
    ],
)
def test_the_qos_class_follows_kubernetes_rules(containers, expected):
    assert qos_class(sizes(*containers)) == expected


def test_a_change_of_qos_class_is_flagged(tmp_path):
    guaranteed = Tiny(cpu_request=2.0, memory_request=1024 * MIB)
    found = advice(tmp_path, guaranteed)
    assert "from QoS class Guaranteed to Burstable" in " ".join(row(found, "web").notes)


def test_no_qos_class_is_stated_of_sizes_that_no_metric_reported(tmp_path):
    snapshot = tiny_snapshot(tmp_path / "s", Tiny(cpu_request=2.0, memory_request=1024 * MIB))
    plain = [replace(row, notes=()) for row in recommend(snapshot).recommendations]
    containers = newest_containers(snapshot)
    assert any(row.notes for row in with_qos_notes(plain, containers))
    for flag in ("requests_known", "limits_known"):
        found = with_qos_notes(plain, containers.assign(**{flag: False}))
        assert not any(row.notes for row in found)


def test_a_burstable_pod_that_stays_one_is_not_flagged(tmp_path):
    assert "QoS" not in " ".join(row(advice(tmp_path, Tiny()), "web").notes)


def test_a_limit_ranges_minimum_holds(tmp_path):
    found = row(advice(tmp_path, Tiny(), min_cpu=0.08), "web")
    assert found.cpu.recommended_request == 0.08
    assert found.cpu.target_request == 0.08


def test_a_limit_ranges_ratio_holds(tmp_path):
    found = row(advice(tmp_path, Tiny(), max_limit_request_ratio=25.0), "web").cpu
    assert found.recommended_limit / found.recommended_request <= 25.0


def test_a_limit_ranges_maximum_holds(tmp_path):
    found = row(advice(tmp_path, Tiny(memory=[990 * MIB]), max_memory=1100.0 * MIB), "web").memory
    assert found.recommended_limit == 1100 * MIB


def test_a_quota_that_would_be_passed_is_named(tmp_path):
    quotas = {"shop": {"requests.cpu": "50m"}}
    found = advice(tmp_path, Tiny(), quotas=quotas)
    assert any("its quota is 50m" in warning for warning in found.warnings)
    assert not advice(tmp_path / "b", Tiny(), quotas={"shop": {"requests.cpu": "9"}}).warnings


def test_a_quota_kubernetes_does_not_know_is_refused(tmp_path):
    with pytest.raises(UsageError, match="requests.gpu"):
        advice(tmp_path, Tiny(), quotas={"shop": {"requests.gpu": "1"}})


def test_a_budget_that_lets_no_pod_go_is_named(tmp_path):
    found = advice(tmp_path, Tiny(pods=1))
    pdbs = pd.DataFrame(
        {
            "namespace": ["shop"],
            "pdb": ["web"],
            "workload": ["web"],
            "expected_pods": [1.0],
            "disruptions_allowed": [0.0],
        }
    )
    (warning,) = budget_warnings(found.recommendations, pdbs)
    assert "over 1 pods allows no disruption" in warning
