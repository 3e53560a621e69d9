"""Imports go one way, down the listing of docs/architecture.md and never up."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "rightsize"
PAGE = (ROOT / "docs" / "architecture.md").read_text()
ORDER = re.findall(r"^\| `([a-z_]+)/?` \|", PAGE, re.MULTILINE)
"""The parts, in the order in which the page lists them."""
ABOVE_ALL = {"__init__", "__main__"}


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module == "rightsize":
            names = [f"rightsize.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("rightsize.")}
    return found - {"__version__"}


def files_of(part: str) -> list[Path]:
    module = PACKAGE / f"{part}.py"
    return [module] if module.exists() else sorted((PACKAGE / part).rglob("*.py"))


def test_the_page_lists_every_part():
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert set(ORDER) == parts - ABOVE_ALL - {"__pycache__", "data"}


@pytest.mark.parametrize("part", ORDER)
def test_a_part_imports_only_what_stands_before_it(part):
    before = set(ORDER[: ORDER.index(part) + 1])
    for path in files_of(part):
        unexpected = imported(path) - before
        assert not unexpected, f"{path.relative_to(PACKAGE)} imports {unexpected}"


def test_only_collectors_and_the_command_line_talk_to_the_outside():
    outside = {"boto3", "botocore", "requests", "prometheus_api_client", "kubernetes"}
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] in ("collectors", "cli"):
            continue
        tree = ast.parse(path.read_text())
        names = {
            name.split(".")[0]
            for node in ast.walk(tree)
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        assert not names & outside, f"{path.relative_to(PACKAGE)} imports {names & outside}"
