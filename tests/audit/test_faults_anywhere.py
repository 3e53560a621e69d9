"""However faults are mixed into a healthy file, each is found at its line, and nothing else is."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from rightsize.audit.audit import audit
from rightsize.audit.reading import read_files

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEALTHY = {
    "pilot": [
        "autoscaleMin: 2",
        "autoscaleMax: 5",
        "traceSampling: 1.0",
        "nodeSelector: {team: mesh}",
    ],
    "pilot.env": ['PILOT_PUSH_THROTTLE: "50"', 'PILOT_ENABLE_ANALYSIS: "true"'],
    "global.proxy": ["logLevel: warning", "privileged: false", "clusterdomain: cluster.local"],
    "meshConfig": ["enablePrometheusMerge: true", 'accessLogFile: ""'],
}
FAULTY = {
    "pilot": [
        ("sharding: {strategy: isolation}", "value-ignored"),
        ("replicaCount: 3", "replicas-ignored"),
        ("autoscaleMinimum: 3", "unknown-key"),
    ],
    "pilot.env": [
        ('PILOT_CACHE_SQUASH: "5"', "env-never-existed"),
        ('PILOT_WEBHOOK_CACHE_SIZE: "9"', "env-never-existed"),
        ("PILOT_DEBOUNCE_MAX: 1000ms", "debounce-too-short"),
        ('PILOT_ENABLE_EDS_DEBOUNCE: "true"', "env-no-op"),
    ],
    "global.proxy": [
        ("securityContext: {runAsUser: 1}", "value-ignored"),
        ("componentLogLevel: misc:debug", "proxy-debug-log"),
        ("clusterDomains: mesh.local", "unknown-key"),
    ],
    "meshConfig": [("enableAutoMtls: false", "mtls-permissive")],
}
_INDENT = {"pilot": 2, "pilot.env": 4, "global.proxy": 4, "meshConfig": 2}
_HEAD = {"pilot": "pilot:", "pilot.env": "  env:", "global.proxy": "global:\n  proxy:",
         "meshConfig": "meshConfig:"}  # fmt: skip


@st.composite
def values_files(draw) -> tuple[str, set[tuple[int, str]]]:
    """Text of a values file, and the line and rule of every fault in it."""
    lines: list[str] = []
    planted: set[tuple[int, str]] = set()
    for block in draw(st.permutations(["pilot", "global.proxy", "meshConfig"])):
        for part in (block, "pilot.env") if block == "pilot" else (block,):
            lines += _HEAD[part].splitlines()
            faults = draw(st.lists(st.sampled_from(FAULTY[part]), unique=True))
            rows = [(text, None) for text in HEALTHY[part]] + faults
            for text, rule in draw(st.permutations(rows)):
                lines += ["# a comment"] * draw(st.integers(0, 2))
                lines.append(" " * _INDENT[part] + text)
                if rule is not None:
                    planted.add((len(lines), rule))
    return "\n".join(lines) + "\n", planted


@settings(max_examples=40, deadline=None)
@given(values_files())
def test_every_planted_fault_is_found_at_its_line_and_nothing_else(tmp_path_factory, planted_file):
    text, planted = planted_file
    path = tmp_path_factory.mktemp("audit") / "istiod-values.yaml"
    path.write_text(text)
    result = audit(read_files([path]), now=NOW)
    assert {(finding.place.line, finding.rule) for finding in result.findings} == planted
