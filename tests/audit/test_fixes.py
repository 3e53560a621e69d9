"""Whatever a rule says to write instead can be written: checked over every rule at once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from rightsize.audit.audit import audit
from rightsize.audit.reading import read_files
from rightsize.quantity import parse_quantity

HERE = Path(__file__).parent
NOW = datetime(2026, 1, 1, tzinfo=UTC)
COMMANDS = ("kubectl", "istioctl", "make", "aws", "helm", "-days", "cache", "forward", "success")
SIZES = (("proxyCPU", "proxyCPULimit"), ("proxyMemory", "proxyMemoryLimit"))
PREFIX = "sidecar.istio.io/"


def fixes() -> list[tuple[str, str]]:
    result = audit(read_files([HERE / "planted"]), now=NOW, complete=True)
    return sorted({(finding.rule, finding.fix) for finding in result.findings})


@pytest.mark.parametrize(("rule", "fix"), fixes())
def test_a_fix_is_a_command_or_yaml_whose_requests_are_within_their_limits(rule, fix):
    if fix.startswith(COMMANDS):
        return
    parsed = next(iter(yaml.safe_load_all(fix)), None)
    if not isinstance(parsed, dict):
        return
    for request, limit in SIZES:
        if PREFIX + request in parsed and PREFIX + limit in parsed:
            wanted, allowed = (parsed[PREFIX + name] for name in (request, limit))
            assert parse_quantity(wanted) <= parse_quantity(allowed), rule


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"proxyCPU": "3", "proxyMemory": "2Gi"}, {"proxyCPULimit": "3", "proxyMemoryLimit": "2Gi"}),
        ({"proxyMemoryLimit": "96Mi"}, {"proxyMemory": "96Mi", "proxyCPU": "100m"}),
    ],
)  # fmt: skip
def test_missing_annotations_are_filled_in_within_what_is_written(tmp_path, written, expected):
    lines = "".join(f'        {PREFIX}{name}: "{text}"\n' for name, text in written.items())
    path = tmp_path / "web.yaml"
    path.write_text(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n"
        f"    metadata:\n      annotations:\n{lines}"
    )
    found = [f for f in audit(read_files([path]), now=NOW).findings if "drop" in f.rule]
    sizes = yaml.safe_load(found[0].fix)
    assert {name: sizes[PREFIX + name] for name in expected} == expected
