"""Every planted fault is found at its line, and nothing else is.

A mark `!rule` at the end of a line of `planted/` says what the audit must find there; `newsletter/` holds
the settings of a newsletter on Istio at EKS in the same way, those that are right without a mark.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rightsize.audit.audit import audit
from rightsize.audit.reading import read_files

HERE = Path(__file__).parent
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MARK = re.compile(r"!([a-z][a-z0-9]*-[a-z0-9-]+)")


def marked(path: Path) -> set[tuple[int, str]]:
    lines = path.read_text().splitlines()
    return {(n, m[1]) for n, line in enumerate(lines, 1) for m in MARK.finditer(line)}


def found_in(path: Path) -> set[tuple[int, str]]:
    result = audit(read_files([path]), now=NOW)
    assert not result.problems
    return {(finding.place.line, finding.rule) for finding in result.findings}


PLANTED = sorted([*(HERE / "planted").iterdir(), *(HERE / "newsletter").iterdir()])


@pytest.mark.parametrize("path", PLANTED, ids=lambda path: path.name)
def test_planted_faults_are_found_and_nothing_else(path):
    expected = marked(path)
    assert expected or path.name == "5-namespaces.yaml"
    assert found_in(path) == expected


@pytest.mark.parametrize("path", sorted((HERE / "healthy").iterdir()), ids=lambda path: path.name)
def test_a_healthy_file_has_no_finding(path):
    result = audit(read_files([path]), now=NOW)
    assert not result.problems
    assert [f"{f.place.line} {f.rule}" for f in result.findings] == []
