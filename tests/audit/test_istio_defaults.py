"""Istio's own defaults of seven releases: nothing ignored or unknown, and known weaknesses."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rightsize.audit.audit import audit
from rightsize.audit.reading import read_files
from rightsize.audit.registry import all_rules

FOLDER = os.environ.get("RIGHTSIZE_ISTIO_VALUES")
RELEASES = ("1.18.7", "1.20.8", "1.22.8", "1.24.6", "1.26.8", "1.28.6", "1.30.3")
GATEWAY = [
    ("gateway-cross-zone", "service.annotations"),
    ("gateway-one-replica", "autoscaling.minReplicas"),
    ("gateway-no-pdb", "podDisruptionBudget"),
]
LONE = ("lone-replica-behind-pdb", "autoscaleMin")
SINGLE = ("istiod-one-replica", "autoscaleMin")
WEAKNESSES = {
    **{(release, "gateway"): GATEWAY for release in RELEASES},
    **{(release, "istiod"): [LONE] for release in RELEASES[:5]},
    **{(release, "istiod"): [SINGLE] for release in RELEASES[5:]},
    **{(release, chart): [] for release in RELEASES for chart in ("cni", "ztunnel")},
}
"""The real weaknesses of each default: rule, and path without the key around everything."""
WRAPPERS = ("defaults.", "_internal_defaults_do_not_set.", "pilot.")


@pytest.mark.skipif(FOLDER is None, reason="RIGHTSIZE_ISTIO_VALUES names no folder")
@pytest.mark.parametrize(("release", "chart"), WEAKNESSES)
def test_a_default_has_its_known_weaknesses_and_no_other_finding(release, chart):
    path = Path(FOLDER) / release / chart / "values.yaml"
    result = audit(read_files([path]), now=datetime(2026, 1, 1, tzinfo=UTC))
    found = []
    for finding in result.findings:
        name = finding.place.path
        for wrapper in WRAPPERS:
            name = name.removeprefix(wrapper)
        found.append((finding.rule, name))
    assert found == WEAKNESSES[release, chart]
    assert not result.problems


@pytest.mark.skipif(FOLDER is None, reason="RIGHTSIZE_ISTIO_VALUES names no folder")
@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("chart", ["istiod", "gateway", "cni", "ztunnel"])
def test_a_default_out_of_its_folder_has_no_dead_setting(tmp_path, release, chart):
    path = tmp_path / "values.yaml"
    path.write_text((Path(FOLDER) / release / chart / "values.yaml").read_text())
    result = audit(read_files([path]), now=datetime(2026, 1, 1, tzinfo=UTC))
    dead = {"ignored_values", "unknown_keys", "istiod_environment"}
    from_registry = {rule.id: rule.group for rule in all_rules()}
    assert not [f for f in result.findings if from_registry[f.rule] in dead]
