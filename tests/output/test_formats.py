"""A format is one function in one registry, and every command has it."""

from __future__ import annotations

import importlib
import json
import sys

import pytest

from rightsize.cli.options import format_named
from rightsize.errors import UsageError
from rightsize.output.tables import FORMATS, Answer, Column, Table, show

EVIL = "=cmd()\x1b[2J[/red]\u202e|`<b>\n# x"
TABLE = Table(
    "Sizes [/]",
    [
        Column("workload", lambda row: row[0]),
        Column("CPU", lambda row: row[1], lambda cores: f"{cores:g}", unit="cores", figure=True),
    ],
    [("shop/web", 0.5), (EVIL, 2.0)],
)
ANSWER = Answer(
    document=lambda: {"rows": [row[0] for row in TABLE.rows]}, parts=lambda: [TABLE, EVIL]
)


@pytest.fixture
def new_format(tmp_path, monkeypatch):
    """A module of somebody else, with one function in it."""
    (tmp_path / "lines_format.py").write_text(
        "from rightsize.output.tables import register_format\n"
        "@register_format('lines')\n"
        "def lines(answer, printer):\n"
        "    printer.write('\\n'.join(answer.document()['rows'][:1]) + '\\n')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    importlib.import_module("lines_format")
    yield "lines"
    del FORMATS["lines"], sys.modules["lines_format"]


def test_a_new_format_is_one_function(new_format, capsys):
    show(ANSWER, format_named(new_format))
    assert capsys.readouterr().out == "shop/web\n"


def test_an_unknown_format_names_those_there_are():
    with pytest.raises(UsageError, match="one of table, json, yaml, csv, markdown"):
        format_named("nonsense")


@pytest.mark.parametrize("name", FORMATS)
def test_no_name_acts_on_its_reader(name, capsys):
    show(ANSWER, name)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    if name == "csv":
        assert "\n=cmd" not in out
    if name == "json":
        assert json.loads(out)["rows"][1] == EVIL
    if name == "markdown":
        assert "<b>" not in out


def test_units_stand_in_headings_and_figures_at_the_right(capsys):
    show(ANSWER, "markdown")
    assert "| workload | CPU, cores |\n|---|---:|\n| shop/web | 0.5 |" in capsys.readouterr().out
