"""The same lines are a fault in one release and none in another."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rightsize.audit.audit import audit
from rightsize.audit.reading import read_files
from rightsize.files.known import parse_version

NOW = datetime(2026, 1, 1, tzinfo=UTC)
VALUES = 'pilot:\n  autoscaleMin: 2\n  env:\n    PILOT_PUSH_THROTTLE: "{}"\n'
ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db, namespace: shop}
spec:
  hosts: [db.example]
  ports: [{number: 5432, name: tcp, protocol: TCP}]
  resolution: DNS
"""
RULE = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: partner, namespace: shop}
spec: {host: api.example, trafficPolicy: {tls: {mode: SIMPLE}}}
"""


def found(tmp_path, name: str, text: str, release: str) -> set[str]:
    path = tmp_path / name
    path.write_text(text)
    sources = read_files([path], version=parse_version(release))
    return {finding.rule for finding in audit(sources, now=NOW).findings}


@pytest.mark.parametrize(
    ("name", "text", "rule", "releases"),
    [
        ("values.yaml", VALUES.format(0), "push-throttle-zero", ("1.20", "1.21")),
        ("entry.yaml", ENTRY, "service-entry-without-address", ("1.24", "1.25")),
        ("rule.yaml", RULE, "server-not-verified", ("1.20", "1.21")),
    ],
)
def test_a_fault_ends_with_its_last_release(tmp_path, name, text, rule, releases):
    last, first_without = releases
    assert rule in found(tmp_path, name, text, last)
    assert rule not in found(tmp_path, name, text, first_without)


def test_a_throttle_above_every_release_is_found_in_all(tmp_path):
    for release in ("1.18", "1.30"):
        assert "push-throttle-above-most" in found(
            tmp_path, "values.yaml", VALUES.format(200), release
        )
