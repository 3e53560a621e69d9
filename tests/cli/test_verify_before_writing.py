"""`recommend --verify-chart`: what rendering does not confirm is not written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers.require import require_program
from tests.tiny_mesh import MIB, Tiny, tiny_snapshot

pytestmark = pytest.mark.servers

CHARTS = Path(__file__).resolve().parents[1] / "charts"
FLAT = "traceSampling: 1\nresources:\n  requests:\n    cpu: 100m\n    memory: 32Mi\n"
"""Sizes at the top level: read from 1.24 on, and ignored by the nested chart of older releases."""


def a_mesh(folder: Path) -> Path:
    """An istiod that asks for less memory than it uses."""
    istiod = Tiny(
        workload="istiod",
        namespace="istio-system",
        component="istiod",
        container="discovery",
        days=30,
        cpu_request=0.1,
        memory_request=32 * MIB,
        cpu_limit=None,
        memory_limit=None,
    )
    tiny_snapshot(folder, istiod, days=30)
    return folder


def recommend(file: Path, chart: str) -> subprocess.CompletedProcess[str]:
    helm = Path(require_program("helm")).parent
    command = [sys.executable, "-c", "from rightsize.cli import run; run()", "recommend"]
    command += ["--snapshot", str(a_mesh(file.parent / "snapshot"))]
    command += ["-f", str(file), "--istio-version", "1.30", "--in-place"]
    command += ["--verify-chart", str(CHARTS / chart)]
    environment = {"PATH": f"{helm}:/usr/bin:/bin", "HOME": str(file.parent)}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=file.parent, env=environment, check=False
    )


def test_a_patch_that_rendering_confirms_is_written(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(FLAT)
    done = recommend(file, "istiod")
    assert done.returncode == 0, done.stderr
    assert "only recommended numbers differ" in done.stderr
    assert file.read_text() != FLAT


def test_a_patch_that_rendering_does_not_confirm_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(FLAT)
    done = recommend(file, "istiod-nested")
    assert done.returncode == 8, done.stderr
    assert "recommended was" in done.stderr
    assert file.read_text() == FLAT
