"""Nothing is wider than the terminal, and no figure is cut."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from rightsize.cli import app
from rightsize.output.console import print_lines
from rightsize.output.fitting import folded
from tests.rollout.plan_of_tiny_mesh import tiny_mesh

COMMANDS = {
    "recommend": ["--all"],
    "explain": ["data/hot"],
    "nodes": ["--plan", "same-type"],
    "cost": [],
    "plan": [],
    "verify": ["--since", "2026-09-05"],
    "ambient": [],
    "proxies": [],
    "dns": [],
    "audit": ["values.yaml"],
    "backtest": ["--policies", "balanced,krr", "--train-days", "5", "--test-days", "2"],
}
SENTENCE = "  careful: memory of one endpoint cannot be read from this history, too little spread"


@pytest.fixture(scope="module")
def mesh(tmp_path_factory) -> str:
    return str(tiny_mesh(tmp_path_factory.mktemp("mesh") / "s").path)


@pytest.mark.parametrize("columns", [60, 80])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_keeps_to_the_terminals_width(mesh, tmp_path, monkeypatch, name, columns):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(columns))
    Path("values.yaml").write_text(
        "global:\n  proxy:\n    privileged: true\n    cpuRequest: 5m\n"
        "    excludeIPRanges: 10.0.0.0/8\n"
    )
    snapshot = [] if name == "audit" else ["--snapshot", mesh]
    found = CliRunner().invoke(app, [name, *snapshot, *COMMANDS[name]], catch_exceptions=False)
    assert found.exit_code in (0, 10), found.stderr
    lines = found.stdout.splitlines()
    assert lines
    assert max(len(line) for line in lines) <= columns
    assert "…" not in found.stdout


def test_prose_is_folded_between_words_with_what_follows_indented():
    assert folded(SENTENCE, 50).splitlines() == [
        "  careful: memory of one endpoint cannot be read",
        "    from this history, too little spread",
    ]


def test_a_pipe_gets_whole_lines(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    print_lines([SENTENCE * 5])
    assert capsys.readouterr().out == SENTENCE * 5 + "\n"


def test_every_command_that_prints_a_table_is_looked_at():
    group = typer.main.get_command(app)
    printing = {
        name
        for name in group.commands or group.list_commands(None)
        if "--snapshot" in {flag for p in group.get_command(None, name).params for flag in p.opts}
    }
    elsewhere = {"control-plane", "scope", "shards", "simulate"}  # prose, by `print_lines`
    files = {"report", "alerts", "prices", "canary", "runbook", "demo", "dashboard", "pull-request"}
    assert printing - elsewhere - files <= set(COMMANDS)
