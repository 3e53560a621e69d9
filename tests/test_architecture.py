"""Imports go one way: collect, analyse, report (docs/architecture.md)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rightsize"
VOCABULARY = {"errors", "quantity", "results", "config", "resources"}
MAY_IMPORT = {
    "snapshot": VOCABULARY,
    "catalogue": VOCABULARY,
    "collectors": VOCABULARY | {"snapshot", "catalogue"},
    "demo": VOCABULARY | {"snapshot"},
    "analysis": VOCABULARY | {"snapshot", "catalogue"},
    "reporters": VOCABULARY | {"snapshot", "catalogue", "analysis"},
}


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("rightsize.")}
    return found


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_a_part_imports_only_what_stands_before_it(part):
    for path in (PACKAGE / part).rglob("*.py"):
        unexpected = imported(path) - MAY_IMPORT[part] - {part}
        assert not unexpected, f"{path.relative_to(PACKAGE)} imports {unexpected}"


def test_the_vocabulary_stands_alone():
    for name in VOCABULARY:
        assert imported(PACKAGE / f"{name}.py") <= VOCABULARY
