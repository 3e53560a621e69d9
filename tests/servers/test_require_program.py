"""A missing program skips a test, and fails it where servers are required."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.servers.require import require_program


def test_a_program_on_the_path_is_found() -> None:
    assert Path(require_program(Path(sys.executable).name)).exists()


def test_a_missing_program_skips_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RIGHTSIZE_REQUIRE_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-program"):
        require_program("no-such-program")


def test_a_missing_program_fails_where_servers_are_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RIGHTSIZE_REQUIRE_SERVERS", "1")
    assert os.environ["RIGHTSIZE_REQUIRE_SERVERS"] == "1"
    with pytest.raises(pytest.fail.Exception, match="no-such-program"):
        require_program("no-such-program")
