"""What is absent is a note, and a finding only of a complete set of files."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rightsize.audit.audit import audit
from rightsize.audit.reading import read_files

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GATEWAY = """apiVersion: apps/v1
kind: Deployment
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  replicas: 3
  template:
    metadata: {labels: {istio: ingressgateway}}
"""
HPA = """---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  minReplicas: 2
  scaleTargetRef: {kind: Deployment, name: istio-ingressgateway}
"""
PDB = """---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec: {maxUnavailable: 1, selector: {matchLabels: {istio: ingressgateway}}}
"""
STRICT = """---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
"""
DENY = """---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny, namespace: istio-system}
spec: {}
"""
COREDNS = """---
apiVersion: v1
kind: ConfigMap
metadata: {name: coredns, namespace: kube-system}
data:
  Corefile: |
    .:53 {
        forward . /etc/resolv.conf
        cache 30
    }
"""
PARTS = {
    "gateway-no-hpa": HPA,
    "gateway-deployment-no-pdb": PDB,
    "mtls-not-strict": STRICT,
    "no-default-deny": DENY,
    "coredns-no-cache": COREDNS,
}


def audited(tmp_path, text, *, complete):
    path = tmp_path / "mesh.yaml"
    path.write_text(text)
    return audit(read_files([path]), now=NOW, complete=complete)


@pytest.mark.parametrize("rule", PARTS)
def test_a_part_that_is_missing_is_a_finding_of_complete_files_only(tmp_path, rule):
    text = GATEWAY + "".join(part for name, part in PARTS.items() if name != rule)
    alone = audited(tmp_path, text, complete=False)
    assert not alone.findings
    assert [note.rule for note in alone.notes] == [rule]
    assert alone.notes[0].text.endswith("not seen in these files")
    whole = audited(tmp_path, text, complete=True)
    assert [finding.rule for finding in whole.findings] == [rule]
    assert whole.findings[0].evidence.startswith("missing: ")
    assert not whole.notes


def test_complete_files_with_every_part_have_no_finding(tmp_path):
    result = audited(tmp_path, GATEWAY + "".join(PARTS.values()), complete=True)
    assert not result.findings
    assert not result.notes


@pytest.mark.parametrize("plan", ["We rotate the CA each spring.", ""])
def test_a_ca_of_ones_own_wants_a_rotation_in_the_plan(tmp_path, plan):
    path = tmp_path / "plan.md"
    path.write_text(
        f"{plan}\n\n```sh\nkubectl create secret generic cacerts -n istio-system\n```\n"
    )
    rules = {f.rule for f in audit(read_files([path]), now=NOW, complete=True).findings}
    assert ("ca-no-rotation" in rules) == (plan == "")


def test_a_lone_replica_is_judged_by_its_autoscaler_where_there_is_one(tmp_path):
    lone = GATEWAY.replace("replicas: 3", "replicas: 1")
    budget = PDB.replace("maxUnavailable: 1", "minAvailable: 1")
    alone = audited(tmp_path, lone + budget, complete=False)
    assert [f.rule for f in alone.findings] == ["lone-replica-behind-pdb"]
    assert not audited(tmp_path, lone + budget + HPA, complete=False).findings


def test_the_corrected_annotations_keep_the_mesh_default_of_the_files(tmp_path):
    text = (
        "apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n"
        "    sidecar.istio.io/proxyCPU: 10m\n---\n"
        "global: {proxy: {resources: {limits: {cpu: 700m}}}}\n"
    )
    (finding,) = audited(tmp_path, text, complete=False).findings
    assert 'sidecar.istio.io/proxyCPU: "10m"' in finding.fix
    assert 'sidecar.istio.io/proxyCPULimit: "700m"' in finding.fix
    assert 'sidecar.istio.io/proxyMemoryLimit: "1024Mi"' in finding.fix
