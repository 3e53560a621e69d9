"""What holds for every command: help with examples, one message for an error, no traceback."""

from __future__ import annotations

import pytest

from rightsize.cli import COMMANDS
from tests.cli.run import rightsize


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command):
    found = rightsize(command, "--help")
    assert found.returncode == 0
    assert "Example" in found.stdout
    assert f"rightsize {command}" in found.stdout


def test_the_version_is_told():
    assert rightsize("--version").stdout.startswith("rightsize 0.")


def test_a_missing_snapshot_is_one_message_and_its_exit_code(tmp_path):
    found = rightsize("recommend", "--snapshot", "nowhere", cwd=tmp_path)
    assert found.returncode == 5
    assert found.stdout == ""
    assert found.stderr.startswith("rightsize: nowhere: no snapshot here")
    assert "Traceback" not in found.stderr


def test_an_unknown_setting_names_itself(tmp_path):
    (tmp_path / "rightsize.toml").write_text("[policy]\nmargin = 3\n")
    found = rightsize("recommend", cwd=tmp_path)
    assert found.returncode == 3
    assert "policy.margin" in found.stderr
