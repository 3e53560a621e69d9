"""`rightsize dashboard`, as its user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from rightsize.errors import InputFileError, UsageError
from tests.cli.run import rightsize
from tests.tiny_mesh import Tiny, tiny_snapshot


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory) -> Path:
    return Path(tiny_snapshot(tmp_path_factory.mktemp("mesh") / "snapshot", Tiny()).path)


def test_json_goes_to_stdout_or_a_file(snapshot, tmp_path):
    shown = rightsize("dashboard", "--snapshot", snapshot)
    written = rightsize("dashboard", "--snapshot", snapshot, "-o", tmp_path / "d.json")
    assert (shown.returncode, written.returncode) == (0, 0)
    assert json.loads(shown.stdout) == json.loads((tmp_path / "d.json").read_text())
    assert written.stdout == ""


def test_a_config_map_is_for_its_namespace(snapshot):
    done = rightsize(
        "dashboard", "--snapshot", snapshot, "--format", "configmap", "--namespace", "m"
    )
    assert yaml.safe_load(done.stdout)["metadata"]["namespace"] == "m"


def test_json_has_no_namespace(snapshot):
    done = rightsize("dashboard", "--snapshot", snapshot, "--namespace", "m")
    assert done.returncode == UsageError.exit_code
    assert "--format configmap" in done.stderr


def test_what_is_no_canary_is_refused(snapshot, tmp_path):
    done = rightsize("dashboard", "--snapshot", snapshot, "--canary", tmp_path)
    assert done.returncode == InputFileError.exit_code
    assert "rightsize canary writes this folder" in done.stderr
