"""Istio's own charts and values, where RIGHTSIZE_ISTIO_CHARTS names `<version>/<chart>`.

The charts are not part of this repository; `docs/patching.md` says where to take them from.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rightsize.errors import VerificationError
from rightsize.patch import SizeChange, patch_files, verify_patched
from tests.patch.patching import GATEWAY, SIDECAR, change
from tests.servers.require import require_program

pytestmark = pytest.mark.servers

FOLDER = os.environ.get("RIGHTSIZE_ISTIO_CHARTS")
CHARTS = sorted(p.parent for p in Path(FOLDER).glob("*/*/Chart.yaml")) if FOLDER else []
SIZED = [c for c in CHARTS if c.name in ("istiod", "gateway", "ztunnel", "cni")]
REJECTED_BY_HELM_4 = "additional properties"
"""Helm from 3.18.5 refuses the gateway chart's own defaults before 1.25.5, 1.26.4 and 1.27.1."""

CHANGES: list[SizeChange] = [
    SIDECAR,
    change("istiod", "250m", "1500m", "1Gi", "2Gi", of="istio-system/istiod", bounds=(2, 4, 70)),
    change("gateway", "50m", "1", "96Mi", "512Mi", of="istio-ingress/gw", bounds=(2, 6, 75)),
    change("waypoint", "50m", "1", "64Mi", "512Mi"),
    change("ztunnel", "150m", "1", "256Mi", "512Mi"),
    change("istio-cni", "50m", "1", "64Mi", "128Mi"),
]
OWN_FILES = {
    "istiod": ["pilot: {env: {}}\n", "profile: demo\npilot: {resources: {requests: {cpu: 1}}}\n"],
    "gateway": ["service: {type: ClusterIP}\nresources: {limits: {cpu: 500m}}\n"],
    "ztunnel": ["caAddress: x\n"],
    "cni": ["cni: {resources: {requests: {cpu: 1}}}\n"],
}


@pytest.mark.skipif(not SIZED, reason="RIGHTSIZE_ISTIO_CHARTS names no folder of charts")
@pytest.mark.parametrize("helm", ["helm", "helm3"])
@pytest.mark.parametrize("chart", SIZED, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_release_renders_the_recommended_numbers(
    tmp_path: Path, chart: Path, helm: str
) -> None:
    program = require_program(helm)
    texts = [(chart / "values.yaml").read_text(), *OWN_FILES[chart.name]]
    for number, text in enumerate(texts):
        file = tmp_path / str(number) / "values.yaml"
        file.parent.mkdir()
        file.write_bytes(text.encode())
        patched = patch_files([file], CHANGES, chart=chart.name, istio_version=chart.parent.name)
        try:
            report = verify_patched(chart, patched, CHANGES, helm=program)
        except VerificationError as error:
            if "before any change" in error.what and REJECTED_BY_HELM_4 in error.what:
                assert (chart.name, helm) == ("gateway", "helm")
                continue
            raise
        assert len(report.rendered) >= 4
        assert {row.component for row in report.rendered} <= {"sidecar", "waypoint"} | {
            component
            for component in ("istiod", "gateway", "ztunnel", "istio-cni")
            if component.endswith(chart.name)
        }


@pytest.mark.skipif(not SIZED, reason="RIGHTSIZE_ISTIO_CHARTS names no folder of charts")
def test_the_seven_releases_are_there() -> None:
    releases = {".".join(c.parent.name.split(".")[:2]) for c in SIZED}
    assert {"1.18", "1.20", "1.22", "1.24", "1.26", "1.28", "1.30"} <= releases
    assert GATEWAY.workload == "gw"
