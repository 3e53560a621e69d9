"""`rightsize control-plane`: text and JSON from a snapshot, values and a chart beside them."""

from __future__ import annotations

import errno
import json

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from rightsize import border
from rightsize.cli.control_plane import app
from rightsize.errors import OutputError
from tests.istiod.synthetic_istiod import Mesh, istiod_snapshot

INF = float("inf")
FAST = {0.1: 900.0, 1.0: 1000.0, 10.0: 1000.0, INF: 1000.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("istiod") / "snapshot"
    istiod_snapshot(path, Mesh(hours=15 * 24), convergence=FAST)
    return path


def test_json_and_files(folder, tmp_path):
    arguments = ["--snapshot", str(folder), "--format", "json", "-o", str(tmp_path)]
    found = CliRunner().invoke(app, arguments, catch_exceptions=False)
    answer = json.loads(found.stdout)
    assert answer["schema_version"] == 1
    assert answer["simulated"] is True
    assert answer["istiod"]["autoscale_min"] >= 2
    assert {law["resource"] for law in answer["model"]["laws"]} == {"memory", "cpu"}
    assert [t["what"] for t in answer["thresholds"]][:2] == ["1,000 services", "3,000 services"]
    values = YAML(typ="safe").load((tmp_path / "istiod-values.yaml").read_text())
    assert values["pilot"]["autoscaleMin"] == answer["istiod"]["autoscale_min"]
    assert set(values["pilot"]["resources"]["requests"]) == {"cpu", "memory"}
    assert (tmp_path / "growth.png").stat().st_size > 5000


def test_a_disk_without_room_for_the_chart_keeps_the_values_of_before(
    folder, tmp_path, monkeypatch
):
    (tmp_path / "istiod-values.yaml").write_text("old")
    wrote = border._write_down

    def until_full(stream, content, **more):
        if content.startswith(b"\x89PNG"):
            raise OSError(errno.ENOSPC, "No space left on device")
        wrote(stream, content, **more)

    monkeypatch.setattr(border, "_write_down", until_full)
    found = CliRunner().invoke(app, ["--snapshot", str(folder), "-o", str(tmp_path)])
    assert found.exception.exit_code == OutputError.exit_code
    assert [path.name for path in tmp_path.iterdir()] == ["istiod-values.yaml"]
    assert (tmp_path / "istiod-values.yaml").read_text() == "old"


def test_text_says_that_it_is_simulated_and_dates_the_marks(folder):
    found = CliRunner().invoke(app, ["--snapshot", str(folder)], catch_exceptions=False)
    assert "Simulated" in found.stdout
    assert "1,000 services: 20" in found.stdout
    assert "memory request  8Gi ->" in found.stdout
