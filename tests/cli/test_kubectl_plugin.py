"""`kubectl rightsize` is `rightsize`: kubectl finds the program that is installed beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import rightsize
from tests.servers.require import require_program

SCRIPTS = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"][
    "scripts"
]


@pytest.mark.servers
def test_kubectl_runs_it_as_a_plugin(tmp_path):
    module, function = SCRIPTS["kubectl-rightsize"].split(":")
    program = tmp_path / "kubectl-rightsize"
    program.write_text(f"#!{sys.executable}\nfrom {module} import {function}\n{function}()\n")
    program.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [require_program("kubectl"), "rightsize", "--version"],
        env={**os.environ, "PATH": path},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"rightsize {rightsize.__version__}\n"


def test_the_plugin_is_the_command():
    assert SCRIPTS["kubectl-rightsize"] == SCRIPTS["rightsize"]
