"""The pages that come from the code say what the code does."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def generated() -> dict[str, str]:
    return generator().pages()


@pytest.mark.parametrize(
    "name", ["snapshot.md", "exit-codes.md", "settings.md", "cli.md", "audit.md"]
)
def test_the_page_is_what_the_code_generates(name):
    assert (ROOT / "docs" / name).read_text() == generated()[name], "run: python docs/generate.py"


def test_the_readmes_picture_is_what_the_demo_draws(tmp_path):
    generator().draw_pictures(tmp_path)
    name = "request-against-usage.png"
    assert (tmp_path / name).read_bytes() == (ROOT / "docs" / "pictures" / name).read_bytes()
