"""Where a test's real program is; a missing one skips the test, or fails it in CI."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / ".tools" / "bin"


def find_program(name: str) -> str | None:
    """The path of a program in `.tools/bin` or on PATH."""
    return shutil.which(name, path=str(TOOLS)) or shutil.which(name)


def require_program(name: str) -> str:
    """The path of a program; without it the test skips, and fails in CI.

    RIGHTSIZE_REQUIRE_SERVERS=1 (set by `.ci/run`) turns the skip into a failure.
    """
    found = find_program(name)
    return found if found is not None else _missing(name)


def require_file(path: Path) -> Path:
    """A file that tests/servers/install.py brings; the same where it is missing."""
    return path if path.exists() else Path(_missing(path.name))


def _missing(name: str) -> str:
    reason = f"{name} is not installed (tests/servers/install.py says why)"
    if os.environ.get("RIGHTSIZE_REQUIRE_SERVERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
