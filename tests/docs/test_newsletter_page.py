"""The page about the newsletter: its rules and commands exist, and its figures are the demo's."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from math import ceil
from pathlib import Path

import pytest

from rightsize.audit.audit import audit
from rightsize.audit.measured import MEASURED_RULES
from rightsize.audit.reading import read_files
from rightsize.audit.registry import all_rules
from rightsize.cli import COMMANDS
from rightsize.config import Settings
from rightsize.demo import demo_snapshot
from rightsize.quantity import format_cpu, format_memory
from rightsize.recommend import recommend
from rightsize.simulate.what_if import what_if
from rightsize.snapshot import Snapshot

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in (ROOT / "docs" / "newsletter.md").read_text().splitlines()
    if line.startswith("| ")
][1:]


def answer(claim: str) -> str:
    """The last cell of the one row that begins so."""
    (row,) = [row for row in ROWS if row[0].startswith(claim)]
    return row[2]


def test_every_command_and_rule_exists():
    rules = {rule.id for rule in all_rules()} | {name for name, *_ in MEASURED_RULES}
    for claim, commands, said in ROWS:
        for command in re.findall(r"`rightsize ([a-z-]+)", commands):
            assert command in COMMANDS, claim
        for word in re.findall(r"`([a-z]+(?:-[a-z0-9]+)+)`", said):
            assert word in rules, claim


SETTINGS = {
    "`PILOT_CACHE_SQUASH`": "env: {PILOT_CACHE_SQUASH: '5', PILOT_WEBHOOK_CACHE_SIZE: '100'}",
    "`pilot.env` as a list": "env: [{name: PILOT_PUSH_THROTTLE, value: '50'}]",
    "EDS debounce": "env: {PILOT_ENABLE_EDS_DEBOUNCE: 'true', PILOT_DEBOUNCE_MAX: 1s}",
    "istiod with 128Mi": "resources: {requests: {memory: 128Mi}}",
    "500m/2Gi": "resources: {requests: {cpu: 500m, memory: 2Gi}, limits: {cpu: '1', memory: 4Gi}}",
    "minimal profile": "meshConfig: {defaultConfig: {terminationDrainDuration: 30s}}",
    "`values.gateways.enabled`": "pilot: {sharding: {strategy: isolation}}",
    "access logs": "meshConfig: {accessLogFile: /dev/stdout}",
}


@pytest.mark.parametrize("claim", SETTINGS)
def test_the_setting_has_the_findings_that_the_page_names(claim, tmp_path):
    path = tmp_path / "istiod-values.yaml"
    path.write_text(f"autoscaleEnabled: true\nhub: docker.io/istio\n{SETTINGS[claim]}\n")
    now = datetime(2026, 9, 1, tzinfo=UTC)
    found = {finding.rule for finding in audit(read_files([path]), now=now).findings}
    named = set(re.findall(r"`([a-z]+(?:-[a-z0-9]+)+)`", answer(claim)))
    assert named
    assert named <= found


@pytest.fixture(scope="module")
def demo():
    return Snapshot(demo_snapshot())


def test_sizes_are_those_of_the_demo(demo):
    rows = {(r.component, r.workload): r for r in recommend(demo, Settings()).recommendations}
    cpu, memory = rows["sidecar", None].cpu, rows["sidecar", None].memory
    assert answer("CPU over-allocated") == (
        f"sidecars request {format_cpu(cpu.request)} at a p95 of {_cpu(cpu.usage.p95)}, and "
        f"{format_memory(memory.request)} at a peak of {_memory(memory.usage.peak)}"
    )
    least = min(r.memory.usage.p50 for r in rows.values() if r.component == "sidecar")
    assert least > 32 * 2**20, answer("sidecar requests of 10m")
    istiod = rows["istiod", "istiod"]
    assert f"needs {format_memory(istiod.memory.target_request)}" in answer("istiod with 128Mi")
    gateway = rows["gateway", "istio-ingressgateway"]
    assert answer("ingress gateway") == (
        f"{format_cpu(gateway.cpu.recommended_request)} stays for its HPA's sake at a peak of "
        f"{_cpu(gateway.cpu.usage.peak)}; memory has its peak at {_memory(gateway.memory.usage.peak)}, "
        f"{format_memory(gateway.memory.target_request)} are enough"
    )


def test_nodes_and_dollars_are_those_of_the_baseline():
    costs = json.loads((ROOT / "tests" / "cost" / "demo_costs.json").read_text())
    today, after = costs["nodes"], costs["same_type"]["nodes_after"]
    assert answer("24 nodes").startswith(
        f"{today:.0f} run; the recommended requests need {after:.0f} "
    )
    dollars = (today - after) * costs["bill"]["EC2 on-demand"][1] / today
    assert answer("$4,300").startswith(f"${dollars:.0f} of machines a month for four nodes")
    assert f"${4300 / 7 / 730:.2f} a node-hour" in answer("$4,300")
    assert f"{costs['access_log_gb']:,.0f} GB" in answer("access logs")


def test_the_size_for_a_thousand_services_is_that_of_the_demo(demo):
    _, (outcome,) = what_if(demo, Settings(), services=1000, pods=3500)
    plan = outcome.istiod
    said = f"{plan.replicas} pods of {_cpu(plan.cpu_request)} and {_memory(plan.memory.high)}"
    assert answer("500m/2Gi").startswith(said)


def _cpu(cores: float) -> str:
    return f"{ceil(cores * 1000)}m"


def _memory(size: float) -> str:
    return f"{ceil(size / 2**20)}Mi"
