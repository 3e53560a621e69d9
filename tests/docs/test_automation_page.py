"""docs/automation.md: the workflow is valid, uses documented commands, and runs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
import typer
import yaml

from rightsize.cli import app
from tests.deploy.job_shell import calendar, job_environment, run_script
from tests.review.two_months import Month, written

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "automation"
WORKFLOW = yaml.safe_load((FOLDER / "pull-request.yaml").read_text())
STEPS = {step["name"]: step for step in WORKFLOW["jobs"]["review"]["steps"] if "name" in step}


def scripts() -> Iterator[str]:
    yield from (step["run"] for step in STEPS.values())


def commands() -> Iterator[list[str]]:
    """Every call of rightsize in workflow and page."""
    page = (FOLDER.parent / "automation.md").read_text()
    for text in (*scripts(), *re.findall(r"^ *(rightsize .*)$", page, flags=re.M)):
        for line in text.splitlines():
            words = shlex.split(line.split(" > ")[0].split(" >> ")[0])
            if words[:1] == ["rightsize"]:
                yield words[1:]


@pytest.fixture(scope="module")
def shell(tmp_path_factory) -> dict[str, str]:
    return job_environment(tmp_path_factory.mktemp("workflow"))


def test_images_and_actions_are_named_by_digest():
    image = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), flags=re.M)
    assert len(image) == 2
    assert all(re.search(r":3\.12\.\d+-\S+@sha256:[0-9a-f]{64}$", name) for name in image)
    for file in (FOLDER / "pull-request.yaml", ROOT / ".github" / "workflows" / "test.yaml"):
        used = re.findall(r"uses: (.*)", file.read_text())
        assert used
        assert all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", name) for name in used), used


def test_the_workflow_follows_githubs_schema():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    command += ["vendor.github-workflows", str(FOLDER / "pull-request.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("text", list(scripts()))
def test_every_script_is_shell(text):
    done = subprocess.run(["bash", "-n", "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_call_is_one_the_program_understands(words):
    group = typer.main.get_command(app)
    given = [("out" if "$" in word else word) for word in words]
    group.get_command(None, given[0]).make_context(given[0], given[1:])


def test_there_are_calls_of_each_kind():
    assert {words[0] for words in commands()} == {"collect", "recommend", "report", "prices"}


def test_the_workflow_opens_a_pull_request_with_values_and_report(tmp_path, shell):
    work, origin, told = tmp_path / "work", tmp_path / "origin.git", tmp_path / "gh.txt"
    written(work / "snapshots" / "mesh", Month(date(2026, 10, 20), 12))
    (work / "mesh").mkdir()
    (work / "mesh" / "values.yaml").write_text(
        "global:\n  proxy:\n    resources:\n      requests:\n"
        "        cpu: 500m # one default\n        memory: 1Gi\n"
    )
    (work / ".gitignore").write_text("snapshots/\n")
    path = calendar(tmp_path, "2026-11-02")
    (tmp_path / "bin" / "gh").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {told}\n')
    (tmp_path / "bin" / "gh").chmod(0o755)
    git = "git -c user.name=a -c user.email=a@example.com"
    env = shell | {
        "PATH": path + shell["PATH"],
        "VALUES": WORKFLOW["env"]["VALUES"],
        "GITHUB_RUN_ID": "7",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    run_script(f"git init -q --bare {origin}; git init -q; git add .; {git} commit -qm one; "
        f"git remote add origin {origin}", work, env)  # fmt: skip
    for name in ("Recommend", "Report", "Open a pull request"):
        run_script(STEPS[name]["run"], work, env)
    assert "cpu: 250m # one default" in (work / "mesh" / "values.yaml").read_text()
    pushed = run_script("git ls-tree -r --name-only rightsize/2026-11-02-7", origin, env).stdout
    assert "mesh/values.yaml" in pushed
    assert "reports/2026-10/index.html" in pushed
    body = Path(told.read_text().splitlines()[-1]).read_text()
    assert "Mesh cost review, October 2026" in body
    assert "shop/web" in body or "mesh default" in body


def test_the_workflow_opens_none_when_nothing_changed(tmp_path, shell):
    env = shell | {
        "VALUES": "mesh/values.yaml",
        "GITHUB_RUN_ID": "7",
        "GIT_CONFIG_GLOBAL": os.devnull,
    }
    git = "git -c user.name=a -c user.email=a@example.com"
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "one").touch()
    run_script(
        f"git init -q; mkdir mesh; touch mesh/values.yaml; git add .; {git} commit -qm one",
        tmp_path,
        env,
    )
    assert (
        "Nothing changed." in run_script(STEPS["Open a pull request"]["run"], tmp_path, env).stdout
    )


def test_the_checks_exit_code_is_the_documented_one():
    codes = (FOLDER.parent / "exit-codes.md").read_text()
    page = (FOLDER.parent / "automation.md").read_text()
    (code,) = re.findall(r"exit code (\d+)", page)
    assert re.search(rf"^\| {code} \|.*change", codes, flags=re.M | re.I)


def test_codes_on_the_page_are_those_of_the_program():
    page = (FOLDER.parent / "automation.md").read_text()
    codes = (FOLDER.parent / "exit-codes.md").read_text()
    listed = re.findall(r"^\| (\d+) \| `(\w+)` \|", page, flags=re.M)
    assert len(listed) == 7
    for code, name in listed:
        assert re.search(rf"^\| {code} \| `?{name}`? \|", codes, flags=re.M), name
