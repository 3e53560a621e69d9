"""What holds for every command: help with examples, one message for an error, no traceback."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
import typer

from rightsize.cli import COMMANDS, app, run
from rightsize.errors import InputFileError, SnapshotError, UsageError
from tests.cli.run import rightsize

GROUP = typer.main.get_command(app)
NEEDED = {"explain": ["shop/web"], "simulate": ["--services", "3000"], "audit": ["values.yaml"], "pull-request": ["-f", "values.yaml"],
          "verify": ["--since", "2026-09-05"], "canary": ["--workload", "shop/web"]}  # fmt: skip


def options(name: str) -> set[str]:
    return {flag for p in GROUP.get_command(None, name).params for flag in p.opts}


def having(option: str) -> list[str]:
    return [name for name in COMMANDS if option in options(name)]


@pytest.fixture
def answered(tmp_path, monkeypatch, capsys):
    """Runs a command in this process, in a folder with bad files; returns exit code and stderr."""
    monkeypatch.chdir(tmp_path)
    Path("values.yaml").write_text("a: 1\n")
    Path("empty").mkdir()
    for name, text in (("damaged", "{not json"), ("newer", '{"schema_version": 99}')):
        Path(name).mkdir()
        (Path(name) / "manifest.json").write_text(text)
    Path("damaged.toml").write_text("[policy\n")
    Path("unknown.toml").write_text("[policy]\nmargin = 3\n")
    Path("wrong.toml").write_text('[nodes]\ntime_limit = "x"\n')
    Path("binary.toml").write_bytes(b"\x00\xff\xfe")

    def call(name: str, *arguments: str) -> tuple[int, str]:
        words = ["rightsize", name, *NEEDED.get(name, []), *arguments]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as left:
            run()
        said = capsys.readouterr()
        assert said.out == ""
        assert "Traceback" not in said.err
        return int(left.value.code or 0), said.err

    return call


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command):
    found = rightsize(command, "--help")
    assert found.returncode == 0
    assert "Example" in found.stdout
    assert f"rightsize {command}" in found.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_example_in_the_help_is_understood(command):
    examples = re.findall(r"`rightsize ([^`]+)`", GROUP.get_command(None, command).help)
    assert examples
    for example in examples:
        words = shlex.split(re.split(r" [>|] ", " ".join(example.split()))[0])
        given = [re.sub(r"^[A-Z_]{3,}$", "1", word) for word in words[1:]]
        with GROUP.get_command(None, words[0]).make_context(words[0], given):
            pass


@pytest.mark.parametrize("name", having("--snapshot"))
@pytest.mark.parametrize(
    ("folder", "what"),
    [
        ("nowhere", "no snapshot here"),
        ("values.yaml", "is a file"),
        ("empty", "no snapshot here"),
        ("damaged", "cannot be read"),
        ("newer", "schema version 99"),
    ],
)
def test_what_is_no_snapshot_is_reported_with_what_to_do(answered, name, folder, what):
    code, said = answered(name, "--snapshot", folder)
    assert code == SnapshotError.exit_code
    assert what in said
    assert "Next: " in said


@pytest.mark.parametrize("name", having("--config"))
@pytest.mark.parametrize(
    ("file", "what"),
    [
        ("nowhere.toml", "No such file"),
        ("empty", "Is a directory"),
        ("damaged.toml", "is not TOML"),
        ("binary.toml", "is not TOML"),
        ("unknown.toml", "policy.margin"),
        ("wrong.toml", "nodes.time_limit"),
    ],
)
def test_a_bad_settings_file_is_reported_with_what_to_do(answered, name, file, what):
    code, said = answered(name, "--config", file)
    assert code == InputFileError.exit_code
    assert f"{file}: " in said
    assert what in said
    assert "Next: " in said


@pytest.mark.parametrize("name", having("--format"))
def test_an_unknown_form_is_refused_with_those_there_are(answered, name):
    code, said = answered(name, "--format", "nonsense")
    assert code == UsageError.exit_code
    assert "nonsense" in said
    assert "json" in said or "rules" in said


@pytest.mark.parametrize("name", COMMANDS)
def test_an_unknown_option_is_refused(answered, name):
    code, said = answered(name, "--nonsense")
    assert code == UsageError.exit_code
    assert "--nonsense" in said
    assert f"rightsize {name} -h" in said


def test_an_unknown_command_is_refused_with_the_nearest(answered):
    code, said = answered("recomend")
    assert code == UsageError.exit_code
    assert "recommend" in said


def test_a_near_option_is_named(answered):
    code, said = answered("recommend", "--snapshots", "x")
    assert code == UsageError.exit_code
    assert "--snapshot" in said


def test_the_version_is_reported():
    assert rightsize("--version").stdout.startswith("rightsize 0.")


def test_a_reader_that_stops_reading_is_no_fault():
    command = f"{sys.executable} -m rightsize nodes --help | head -1"
    found = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert found.stderr == ""


@pytest.mark.parametrize("seconds", [0.8, 2.0])
def test_an_interrupt_ends_without_a_traceback(seconds):
    command = [sys.executable, "-m", "rightsize", "recommend"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(seconds)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert "Traceback" not in err
    # CPython ends by the signal itself where it came inside an extension's import: 130 in a shell.
    assert running.returncode in (130, -signal.SIGINT)
    assert out == ""


def test_commands_are_those_of_the_group():
    assert GROUP.list_commands(click.Context(GROUP)) == list(COMMANDS)
