"""`pip install` of the wheel gives the command with all it needs, in another folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], check=True, capture_output=True, text=True, **options
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The wheel's own environment: nothing of the checkout, dependencies as pinned."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q",
        "-w", folder, ROOT)  # fmt: skip
    (wheel,) = folder.glob("rightsize-*.whl")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    quiet = ("-m", "pip", "install", "-q", "--disable-pip-version-check")
    run(python, *quiet, "--require-hashes", "-r", ROOT / "requirements" / "run.txt")
    run(python, *quiet, "--no-deps", wheel)
    return folder / "env" / "bin" / "rightsize"


def test_the_installed_command_runs_the_demo_in_another_folder(installed, tmp_path):
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    found = run(installed, "demo", "-o", "out", cwd=tmp_path, env=environment)
    assert "mesh default" in found.stdout
    assert "+        cpu: " in found.stdout
    assert (tmp_path / "out" / "demo-values.yaml").exists()
    assert (tmp_path / "out" / "request-against-usage.png").stat().st_size > 10_000
    assert "simulated" in found.stderr


def test_the_installed_package_carries_its_data(installed, tmp_path):
    python = installed.parent / "python"
    code = "from rightsize.prices.catalogue import instance_types; print(len(instance_types()))"
    assert int(run(python, "-c", code, cwd=tmp_path).stdout) > 1000


def test_what_the_program_runs_on_holds_no_build_tools():
    runs, builds = (
        re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / name).read_text(), flags=re.M)
        for name in ("run.txt", "build.txt")
    )
    assert {"hatchling", "editables"} <= set(builds)
    assert (
        set(runs) & {"hatchling", "editables", "pathspec", "pluggy", "trove-classifiers"} == set()
    )


def test_the_list_of_components_has_every_pin_with_its_hashes(tmp_path):
    (line,) = re.findall(r"cyclonedx-py ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text())
    words = line.replace("\\\n", " ").replace("dist/", f"{tmp_path}/").split()
    run(sys.executable, "-m", "cyclonedx_py", *words, cwd=ROOT)
    (file,) = tmp_path.glob("*.json")
    parts = json.loads(file.read_text())["components"]
    pins = re.findall(
        r"^([\w.-]+)==([\w.]+)", (ROOT / "requirements" / "run.txt").read_text(), flags=re.M
    )
    assert {(part["name"], part["version"]) for part in parts} == set(pins)
