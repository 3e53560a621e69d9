"""A release: its commands run here, its files agree on the version, its text is the changelog's."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml

import rightsize
from tests.deploy.job_shell import job_environment, program, run_script, shell_faults
from tests.deploy.test_chart import GIVEN
from tests.servers.require import require_program

ROOT = Path(__file__).parents[2]
VERSION = rightsize.__version__
TAG = f"v{VERSION}"
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yaml").read_text())
RUNS = {
    step["name"]: step["run"]
    for job in WORKFLOW["jobs"].values()
    for step in job["steps"]
    if "run" in step
}


def notes():
    spec = importlib.util.spec_from_file_location("notes", ROOT / "deploy" / "release_notes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make(folder: Path, tag: str) -> subprocess.CompletedProcess[str]:
    """`make release` on a copy of the tree, with the programs of this environment."""
    for name in ("rightsize", "data", "deploy", "requirements"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored, dirs_exist_ok=True)
    for name in ("Makefile", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "NOTICE"):
        shutil.copy2(ROOT / name, folder)
    git = ["git", "-C", str(ROOT), "rev-parse", "--absolute-git-dir"]
    here = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    helm = Path(require_program("helm")).parent
    path = f"{helm}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["make", "-o", ".venv/installed-dev", "release", f"TAG={tag}"]
    command.append(f"BIN={Path(sys.executable).parent}")
    environment = {**os.environ, "GIT_DIR": here, "PATH": path}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def dist(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("release")
    done = make(folder, TAG)
    assert done.returncode == 0, done.stderr + done.stdout
    return folder / "dist"


@pytest.mark.servers
def test_every_file_is_of_the_one_version(dist):
    assert {path.name for path in dist.iterdir()} == {
        f"rightsize-{VERSION}-py3-none-any.whl",
        f"rightsize-{VERSION}.tar.gz",
        f"rightsize-chart-{VERSION}.tgz",
        "rightsize.cdx.json",
        "release.md",
        "SHA256SUMS",
    }
    with zipfile.ZipFile(dist / f"rightsize-{VERSION}-py3-none-any.whl") as wheel:
        (name,) = (one for one in wheel.namelist() if one.endswith(".dist-info/METADATA"))
        assert f"\nVersion: {VERSION}\n" in wheel.read(name).decode()
        assert "rightsize/data/ec2_instance_types.csv.gz" in wheel.namelist()
    with tarfile.open(dist / f"rightsize-chart-{VERSION}.tgz") as chart:
        about = yaml.safe_load(chart.extractfile("rightsize/Chart.yaml").read())
    assert (about["version"], about["appVersion"]) == (VERSION, VERSION)
    assert json.loads((dist / "rightsize.cdx.json").read_text())["components"]


@pytest.mark.servers
def test_the_packed_chart_takes_the_image_of_its_version(dist):
    values = GIVEN | {"image": {"repository": "registry.example/rightsize"}}
    command = [require_program("helm"), "template", "rightsize", "-f", "-"]
    command.append(str(dist / f"rightsize-chart-{VERSION}.tgz"))
    done = subprocess.run(
        command, input=json.dumps(values), capture_output=True, text=True, check=False
    )
    assert f'image: "registry.example/rightsize:{VERSION}"' in done.stdout, done.stderr


@pytest.mark.servers
def test_the_sums_are_those_of_the_files(dist):
    done = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], cwd=dist, capture_output=True, check=False
    )
    assert done.returncode == 0
    assert len((dist / "SHA256SUMS").read_text().splitlines()) == 4


@pytest.mark.servers
def test_an_sdist_builds_the_same_wheel(dist, tmp_path):
    with tarfile.open(dist / f"rightsize-{VERSION}.tar.gz") as sdist:
        sdist.extractall(tmp_path, filter="data")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=tmp_path / f"rightsize-{VERSION}", check=True, capture_output=True)
    names = []
    for folder in (dist, tmp_path):
        with zipfile.ZipFile(folder / f"rightsize-{VERSION}-py3-none-any.whl") as wheel:
            names.append(sorted(wheel.namelist()))
    assert names[0] == names[1]


@pytest.mark.servers
def test_a_tag_of_another_version_is_refused(tmp_path):
    done = make(tmp_path, "v9.9.9")
    assert done.returncode != 0
    assert f"the tag must be {TAG}" in done.stderr
    assert not list((tmp_path / "dist").glob("*.whl"))


def test_the_text_is_the_changelogs_section():
    log = "# Changelog\n\n## 1.1.0 (2026-12-01)\n\n- New.\n\n## 1.0.0\n\n- First.\n"
    assert notes().section(log, "1.1.0") == "- New.\n"
    assert notes().section(log, "1.0.0") == "- First.\n"
    assert notes().main(TAG).startswith("First release.")


@pytest.mark.parametrize(
    ("log", "said"), [("## 1.0.0\n\n## 0.9\n", "says nothing"), ("", "no section")]
)
def test_a_version_without_a_text_is_refused(log, said):
    with pytest.raises(SystemExit, match=said):
        notes().section(log, "1.0.0")


def test_the_version_stands_in_one_place():
    found = subprocess.run(
        ["git", "grep", "-lE", rf'^(__version__|version|appVersion):? ?=? ?"?{re.escape(VERSION)}"?$'],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.stdout.split() == ["rightsize/__init__.py"]


@pytest.mark.servers
@pytest.mark.parametrize("name", RUNS)
def test_every_script_passes_shellcheck(name):
    assert "${{" not in RUNS[name]
    assert shell_faults(RUNS[name], "bash", require_program("shellcheck")) == ""


def test_each_job_may_do_no_more_than_it_needs():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    granted = {name: job.get("permissions") for name, job in WORKFLOW["jobs"].items()}
    assert granted == {
        "build": None,
        "provenance": {"id-token": "write", "attestations": "write"},
        "package": {"id-token": "write"},
        "image": {"contents": "read", "packages": "write"},
        "release": {"contents": "write"},
    }
    assert "secrets." not in json.dumps(WORKFLOW)


def test_what_is_published_is_what_was_built(tmp_path):
    """The scripts of the last jobs, with stand-ins for docker, helm and gh."""
    work = tmp_path / "work"
    files = [f"rightsize-{VERSION}-py3-none-any.whl", f"rightsize-{VERSION}.tar.gz",
             f"rightsize-chart-{VERSION}.tgz", "SHA256SUMS", "release.md"]  # fmt: skip
    for name in files:
        program(work / "dist" / name, "")
    noted = tmp_path / "calls"
    for name in ("docker", "helm", "gh"):
        call = f'#!/bin/sh\necho "{name} $*" >> {noted}\n'
        program(tmp_path / "stand-in" / name, call)
    env = job_environment(tmp_path / "runner")
    env |= {"TAG": TAG, "TOKEN": "secret", "ACTOR": "them", "REPOSITORY": "Them/Rightsize",
            "PATH": f"{tmp_path}/stand-in:{env['PATH']}"}  # fmt: skip
    run_script(RUNS["Image and chart"], work, env)
    run_script(RUNS["Release"], work, env)
    run_script(RUNS["What the index takes"], work, env)
    calls = noted.read_text()
    assert "secret" not in calls
    registry = "ghcr.io/them/rightsize"
    assert f"--provenance mode=max --sbom true --platform linux/amd64,linux/arm64 --tag {registry}:{VERSION} --push" in calls  # fmt: skip
    assert f"helm push dist/rightsize-chart-{VERSION}.tgz oci://{registry}/charts" in calls
    (released,) = re.findall(r"gh release create (.*)", calls)
    assert released.startswith(f"{TAG} --verify-tag")
    assert {word for word in released.split() if word.startswith("dist/")} == {
        f"dist/{name}" for name in files[:-1]
    }
    assert sorted(os.listdir(work / "packages")) == sorted(files[:2])
