"""The README's commands and its Python are those of the program."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
import typer

from rightsize.cli import COMMANDS, app

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(text: str) -> list[list[str]]:
    lines = re.findall(r"^\$ (rightsize .*)$", text, flags=re.M)
    lines += re.findall(r"^(rightsize [a-z-]+ .*[^\\])$", text, flags=re.M)
    return [shlex.split(line.split(" > ")[0].split(" | ")[0], comments=True)[1:] for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_command_shown_exists_with_its_options(page):
    group = typer.main.get_command(app)
    for words in commands(page.read_text()):
        assert words[0] in COMMANDS, f"{page.name}: rightsize {words[0]}"
        command = group.get_command(None, words[0])
        command = getattr(command, "commands", {}).get(" ".join(words[1:2]), command)
        known = {flag for p in command.params for flag in (*p.opts, *p.secondary_opts)}
        for word in words[1:]:
            if word.startswith("-") and not re.fullmatch(r"-\d.*", word):
                assert word.split("=")[0] in known | {"--help"}, f"{page.name}: {' '.join(words)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_command_is_documented():
    text = (ROOT / "docs" / "cli.md").read_text()
    for name in COMMANDS:
        assert f"## `rightsize {name}`" in text


def test_the_python_of_the_readme_runs():
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    scope: dict[str, object] = {}
    exec(code, scope)
    assert isinstance(scope["usage"], pd.DataFrame)
    assert "memory_recommended_request" in scope["sizes"].columns
    assert scope["sizes"]["workload"].isna().sum() == 1
