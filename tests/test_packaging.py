"""The image's steps, a `pip install` of the wheel, give the command with all it needs, in another folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], check=True, capture_output=True, text=True, **options
    )


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """What the image holds: the steps of the Dockerfile, in a folder instead of at the root."""
    folder = tmp_path_factory.mktemp("image")
    text = (ROOT / "Dockerfile").read_text()
    for *sources, target in (
        words.split() for words in re.findall(r"^COPY (?!--)(.*)", text, re.M)
    ):
        for source in sources:
            at = folder / target.lstrip("/")
            into = at / source if target.endswith("/") else at
            into.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy2
            copy(ROOT / source, into)
    (steps,) = re.findall(r"^RUN ((?:.*\\\n)*.*)", text, flags=re.M)
    steps = re.sub(r"(?<=\s)/(?=(?:src|tools|wheels|app)\b)", f"{folder}/", steps)
    # Byte code, which the image keeps, is half of the work and not what is looked at here. Of an option
    # that takes something away, pip reads what is left: 0 is no byte code.
    environment = os.environ | {"PIP_NO_COMPILE": "0"}
    run(
        "bash", "-ec", steps.replace("python -m venv", f"{sys.executable} -m venv"), env=environment
    )
    return folder / "app" / "bin" / "rightsize"


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


def test_every_module_finds_what_it_imports_in_the_image(installed, tmp_path):
    code = """
import importlib, pkgutil, rightsize
for one in pkgutil.walk_packages(rightsize.__path__, "rightsize."):
    # A store on S3 is of the extra `fleet`, which the image has not.
    if not one.name.endswith(("__main__", ".store_transport")):
        importlib.import_module(one.name)
import kubernetes, scipy.optimize, scipy.stats, sklearn.linear_model, xlsxwriter, jinja2
"""
    run(installed.parent / "python", "-c", code, cwd=tmp_path)


def test_the_image_holds_no_librarys_tests(installed):
    packages = next((installed.parents[1] / "lib").glob("python*/site-packages"))
    found = {path.relative_to(packages).parts[0] for path in packages.rglob("tests")}
    assert found <= {"numpy"}
    assert not (packages / "pip").exists()


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


def test_the_image_gets_what_it_copies_and_nothing_else():
    kept = re.findall(r"^!(\S+?)/?$", (ROOT / ".dockerignore").read_text(), flags=re.M)
    text = (ROOT / "Dockerfile").read_text()
    copied = [w.split()[:-1] for w in re.findall(r"^COPY (?!--)(.*)", text, flags=re.M)]
    assert sorted(kept) == sorted(name for names in copied for name in names)


def test_the_image_runs_as_nobody_and_writes_where_the_chart_lets_it():
    last = (ROOT / "Dockerfile").read_text().rsplit("FROM ", 1)[1]
    assert "USER 65532:65532" in last
    assert "HOME=/tmp" in last
    assert "WORKDIR /data" in last
    assert "RUN" not in last
