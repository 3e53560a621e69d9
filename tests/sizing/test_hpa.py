"""A smaller sidecar request under an HPA, checked by simulating the HPA's own rule."""

from __future__ import annotations

import numpy as np
import pytest

from rightsize.sizing.hpa import desired_replicas, kept_target


@pytest.mark.parametrize(
    ("replicas", "usage", "request_", "target", "expected"),
    [
        (4, 0.7, 1.0, 70, 4),
        (4, 0.75, 1.0, 70, 4),
        (4, 1.05, 1.0, 70, 6),
        (4, 0.35, 1.0, 70, 2),
        (1, 0.8, 1.0, 50, 2),
    ],
)
def test_desired_replicas_follow_the_documented_rule(replicas, usage, request_, target, expected):
    assert desired_replicas(replicas, usage, request_, target) == expected


def test_the_kept_target_scales_at_the_same_usage_and_never_later():
    for request, smaller in ((0.6, 0.55), (0.6, 0.51), (1.1, 1.05)):
        target = kept_target(70, request, smaller)
        before, after = request * 70, smaller * target
        assert after <= before
        assert after == pytest.approx(before, rel=0.02)


def test_a_day_of_load_needs_the_same_replicas_under_the_kept_target():
    load = 3.0 + 2.0 * np.sin(np.linspace(0, 2 * np.pi, 96))
    days = {}
    for name, request, target in (
        ("before", 0.6, 70.0),
        ("kept", 0.55, float(kept_target(70, 0.6, 0.55))),
        ("moved", 0.45, 70.0),
    ):
        replicas, seen = 8, []
        for total in load:
            replicas = max(1, desired_replicas(replicas, total / replicas, request, target))
            seen.append(replicas)
        days[name] = np.mean(seen)
    assert days["kept"] == pytest.approx(days["before"], rel=0.05)
    assert days["moved"] > days["before"] * 1.15
