"""Whatever a rule says to write instead can be written: every fix of every rule is put in its place.

A file with the fix is audited again: the finding is gone and none is new, requests are within limits,
minima within maxima, and Istio's and Kubernetes' own models take each object that they took before.
"""

from __future__ import annotations

import importlib
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest
import yaml

from rightsize.audit.audit import AuditResult, audit
from rightsize.audit.model import Finding
from rightsize.audit.reading import read_files
from rightsize.audit.registry import all_rules
from rightsize.files.known import parse_version
from rightsize.quantity import parse_quantity
from tests.audit.applied import edits
from tests.audit.test_absence import DENY, GATEWAY, PDB
from tests.audit.test_by_release import ENTRY, VALUES

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HERE = Path(__file__).parent
FILES = sorted([*(HERE / "planted").iterdir(), *(HERE / "newsletter").iterdir()])
PREFIX = "sidecar.istio.io/"
COMMANDS = ("kubectl", "istioctl", "make", "aws", "helm", "openssl", "-days", "--set")
ADVICE = {
    "authorization-allows-all", "ca-expiry", "ca-no-rotation", "certificate-expiry",
    "gateway-deployment-no-pdb", "host-unexpanded", "secrets-readable", "several-sidecars",
    "several-telemetries",
}  # fmt: skip
"""Rules that only the owner can put right: what to write is not in the files."""


@dataclass(frozen=True)
class Plant:
    """A file with a fault that `planted/` does not hold: it needs a release, a time, or wholeness."""

    text: str
    name: str = "values.yaml"
    release: str | None = None
    complete: bool = False


def _istiod(text: str) -> str:
    return f"pilot:\n  autoscaleMin: 2\n{text}"


PLANTS = {
    "annotations-on-workload": Plant(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata:\n  name: night\n  annotations:\n"
        f'    {PREFIX}proxyCPU: "3"\nspec: {{schedule: "0 1 * * *", jobTemplate: {{spec: {{template: '
        '{metadata: {labels: {sidecar.istio.io/inject: "false"}}, spec: {containers: []}}}}}\n',
        "job.yaml",
    ),
    "annotation-quantity": Plant(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  annotations:\n"
        f'    {PREFIX}proxyCPU: 10milli\n    {PREFIX}proxyMemory: "1Gi"\n'
        f'    {PREFIX}proxyCPULimit: "50m"\n    {PREFIX}proxyMemoryLimit: "1Gi"\n',
        "pod.yaml",
    ),
    "sidecar-request-tight": Plant(
        _istiod("global: {proxy: {resources: {requests: {memory: 16Mi}, limits: {memory: 48Mi}}}}\n")
    ),
    "sidecar-limit-tight": Plant(
        _istiod("global: {proxy: {resources: {requests: {cpu: 3}, limits: {cpu: 100m}}}}\n")
    ),
    "istiod-memory-tight": Plant(
        _istiod("  resources: {requests: {memory: 128Mi}, limits: {memory: 1Gi}}\n")
    ),
    "istiod-one-replica": Plant(
        "pilot:\n  autoscaleMin: 1\n  autoscaleMax: 1\n", release="1.28"
    ),
    "lone-replica-behind-pdb": Plant(
        "pilot:\n  autoscaleMin: 1\n  autoscaleMax: 1\n", release="1.24"
    ),
    "control-plane-no-pdb": Plant(
        "global: {defaultPodDisruptionBudget: {enabled: false}}\npilot: {autoscaleMin: 1}\n",
        release="1.24",
    ),
    "replicas-ignored": Plant("pilot:\n  replicaCount: 9\n", release="1.28"),
    "gateway-one-replica": Plant(
        "autoscaling: {minReplicas: 1, maxReplicas: 1}\nlabels: {istio: ingressgateway}\n"
        "service: {type: ClusterIP}\nkind: Deployment\n",
        "istio-ingressgateway/values.yaml",
    ),
    "gateway-no-hpa": Plant(
        "autoscaling: {enabled: false}\nreplicaCount: 6\nservice: {type: ClusterIP}\n",
        "istio-ingressgateway/values.yaml",
    ),
    "cni-top-level-ignored": Plant(
        "resources: {requests: {cpu: 100m}}\n", "cni/values.yaml", release="1.22"
    ),
    "resources-null": Plant(_istiod("  resources: null\n")),
    "env-not-in-release": Plant(
        _istiod('  env: {ENABLE_NATIVE_SIDECARS: "true"}\n'), release="1.18"
    ),
    "push-throttle-zero": Plant(VALUES.format(0), release="1.20"),
    "service-entry-without-address": Plant(ENTRY, "entry.yaml", release="1.24"),
    "mesh-config-below-pilot": Plant(
        _istiod("  meshConfig: {enablePrometheusMerge: true}\n"), release="1.22"
    ),
    "key-not-in-release": Plant(
        "additionalContainers: []\nservice: {type: ClusterIP}\n",
        "istio-ingressgateway/values.yaml",
        release="1.24",
    ),
    "mtls-not-strict": Plant(GATEWAY + DENY, "mesh.yaml", release="1.20", complete=True),
    "no-default-deny": Plant(GATEWAY + PDB, "mesh.yaml", release="1.20", complete=True),
    "gateway-deployment-no-pdb": Plant(GATEWAY, "mesh.yaml", complete=True),
    "command-restarts-control-plane": Plant(
        "kubectl delete pods -n istio-system -l app=istiod\n", "restart.sh"
    ),
    "certificate-never-renewed": Plant(
        "openssl req -x509 -newkey rsa:4096 -days 30 -keyout root.key -out root.pem\n", "ca.sh"
    ),
    "ca-no-rotation": Plant(
        "kubectl create secret generic cacerts -n istio-system\n", "ca.sh", complete=True
    ),
    "access-log-full": Plant(
        "meshConfig: {accessLogFile: /dev/stdout}\npilot: {autoscaleMin: 2}\n---\n"
        "apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: traces, namespace: "
        "istio-system}\nspec: {tracing: [{randomSamplingPercentage: 1}]}\n"
    ),
    "server-not-verified": Plant(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a, namespace: b}\n"
        "spec: {host: api.example, trafficPolicy: {tls: {mode: SIMPLE, insecureSkipVerify: true}}}\n",
        "rule.yaml",
        release="1.20",
    ),
}  # fmt: skip


def audited(path: Path, plant: Plant) -> AuditResult:
    charts = {"istio-ingressgateway": "gateway", "cni": "cni"}
    sources = read_files(
        [path], version=parse_version(plant.release), chart=charts.get(path.parent.name)
    )
    return audit(sources, now=NOW, complete=plant.complete)


@cache
def plants() -> tuple[Plant, ...]:
    kept = [Plant(path.read_text(), path.name) for path in FILES]
    return (*kept, *PLANTS.values())


def faults(tmp_path: Path) -> Iterator[tuple[Plant, Finding, AuditResult]]:
    for number, plant in enumerate(plants()):
        path = tmp_path / str(number) / plant.name
        path.parent.mkdir(parents=True)
        path.write_text(plant.text)
        result = audited(path, plant)
        yield from ((plant, finding, result) for finding in result.findings)


def test_every_fix_of_every_rule_works_where_it_is_put(tmp_path):
    tried: Counter[str] = Counter()
    without = []
    for number, (plant, finding, before) in enumerate(faults(tmp_path / "before")):
        if is_advice(finding):
            continue
        if works(tmp_path / str(number), plant, finding, before):
            tried[finding.rule] += 1
        else:
            without.append(f"{plant.name}:{finding.place.line} {finding.rule}: {finding.fix}")
    assert without == []
    assert {rule.id for rule in all_rules()} - set(tried) == ADVICE


def is_advice(finding: Finding) -> bool:
    """In words, or a part of a runbook's prose that holds YAML of its own."""
    in_words = finding.fix.startswith("#") and not finding.fix.startswith("# delete")
    in_runbook = finding.place.file.endswith((".md", ".sh")) and not (
        finding.fix.startswith(COMMANDS)
    )
    return in_words or in_runbook or finding.rule in ADVICE


def works(folder: Path, plant: Plant, finding: Finding, before: AuditResult) -> bool:
    """Whether there is a place for the fix where it puts the finding right and nothing wrong."""
    path = folder / plant.name
    path.parent.mkdir(parents=True)
    old = Counter(one.rule for one in before.findings)
    for text in edits(plant.text, finding):
        path.write_text(text)
        after = audited(path, plant)
        new = Counter(one.rule for one in after.findings)
        gone = new[finding.rule] < old[finding.rule] and not new - old
        if gone and not after.problems and faults_of(text) <= faults_of(plant.text):
            return True
    return False


def faults_of(text: str) -> Counter[str]:
    """What is wrong with a file by other means than the audit's."""
    try:
        documents = [one for one in yaml.safe_load_all(text) if isinstance(one, dict)]
    except yaml.YAMLError:
        return Counter()
    found: Counter[str] = Counter()
    for document in documents:
        found.update(contradictions(document))
        found.update(unknown_fields(document))
    return found


def contradictions(node: object) -> Iterator[str]:
    """Requests above limits and minima above maxima, anywhere."""
    if isinstance(node, list):
        for one in node:
            yield from contradictions(one)
    if not isinstance(node, dict):
        return
    requests, limits = node.get("requests"), node.get("limits")
    if isinstance(requests, dict) and isinstance(limits, dict):
        for resource in requests.keys() & limits.keys():
            if parse_quantity(str(requests[resource])) > parse_quantity(str(limits[resource])):
                yield f"request above limit: {resource}"
    for name in ("proxyCPU", "proxyMemory"):
        sizes = [node.get(PREFIX + name), node.get(f"{PREFIX}{name}Limit")]
        if None not in sizes and _amount(sizes[0]) > _amount(sizes[1]):
            yield f"request above limit: {name}"
    for least, most in (("minReplicas", "maxReplicas"), ("autoscaleMin", "autoscaleMax")):
        if float(node.get(least) or 0) > float(node.get(most) or 5):
            yield f"minimum above maximum: {least}"
    for one in node.values():
        yield from contradictions(one)


def _amount(text: object) -> float:
    try:
        return parse_quantity(str(text))
    except ValueError:
        return 0.0


@cache
def model_of(version: str, kind: str) -> type | None:
    """The typed model of an object of Istio's or Kubernetes'."""
    group, _, served = version.rpartition("/")
    istio = group.removesuffix(".istio.io")
    name = f"istio.{istio}" if istio != group else f"kubernetes.{group.split('.')[0] or 'core'}"
    try:
        return getattr(importlib.import_module(f"cloudcoil.models.{name}.{served}"), kind, None)
    except ImportError:
        return None


def unknown_fields(document: dict) -> Iterator[str]:
    """Why the typed model refuses an object: its places, and what it says of them."""
    model = model_of(str(document.get("apiVersion")), str(document.get("kind")))
    if model is None:
        return
    try:
        model.model_validate(document)
    except ValueError as error:
        for one in getattr(error, "errors", list)():
            yield f"{'.'.join(map(str, one['loc']))}: {one['type']}"


@pytest.mark.parametrize("release", ["1.20", "1.22", "1.30"])
def test_commands_and_whole_objects_of_fixes_are_read_by_the_release(tmp_path, release):
    served = {"1.22", "1.30"}
    for plant in plants():
        path = tmp_path / plant.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(plant.text)
        for finding in audited(path, Plant("", "", release, complete=True)).findings:
            if finding.fix.startswith(COMMANDS):
                assert shlex.split(finding.fix.split("  # ")[0])
            elif "istio.io/v1\n" in finding.fix and "apiVersion" in finding.fix:
                assert release in served, finding.fix


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
