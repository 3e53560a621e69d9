"""What is applied together, what stands for each other, and what is Istio's own, in a folder of many files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from rightsize.audit.audit import audit
from rightsize.audit.reading import read_files

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BUDGET = """\
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: shop}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
"""
LONE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {replicas: 1, template: {metadata: {labels: {app: web}}}}
"""
TELEMETRY = """\
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: NAME, namespace: istio-system}
spec: {tracing: [{randomSamplingPercentage: 1}]}
"""
PROFILE = """\
apiVersion: sailoperator.io/v1
kind: Istio
spec: {values: {profile: NAME, pilot: {resources: {requests: {memory: 100Mi}}}}}
"""
RESTRICTED = """\
apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels: {istio-injection: enabled, pod-security.kubernetes.io/enforce: restricted}
"""


def rules(folder: Path, files: dict[str, str]) -> list[str]:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return sorted({f.rule for f in audit(read_files([folder]), now=NOW).findings})


def test_files_of_one_folder_are_applied_together(tmp_path):
    assert rules(tmp_path, {"budget.yaml": BUDGET, "web.yaml": LONE}) == ["lone-replica-behind-pdb"]


def test_files_that_hold_the_same_object_stand_for_each_other(tmp_path):
    files = {"two.golden.yaml": BUDGET, "min.golden.yaml": BUDGET, "web.yaml": LONE}
    assert rules(tmp_path, files) == []


def test_within_one_of_them_all_is_applied_together(tmp_path):
    both = f"{BUDGET}---\n{LONE}"
    assert rules(tmp_path, {"prod.yaml": both, "test.yaml": both}) == ["lone-replica-behind-pdb"]


def test_a_patch_beside_its_object_does_not_part_what_a_kustomization_joins(tmp_path):
    patch = LONE.replace("replicas: 1, ", "")
    files = {"kustomization.yaml": "resources: [web.yaml, budget.yaml]\npatches: [{path: p.yaml}]\n",
             "budget.yaml": BUDGET, "web.yaml": LONE, "p.yaml": patch}  # fmt: skip
    assert rules(tmp_path, files) == ["lone-replica-behind-pdb"]


def test_telemetries_of_files_that_stand_for_each_other_are_not_several(tmp_path):
    named = {name: TELEMETRY.replace("NAME", name) for name in ("a", "b")}
    assert rules(tmp_path / "one", {f"{n}.yaml": t for n, t in named.items()}) == [
        "several-telemetries"
    ]
    istio = RESTRICTED.replace("restricted", "privileged")
    files = {f"{n}.yaml": f"{istio}---\n{t}" for n, t in named.items()}
    assert rules(tmp_path / "two", files) == []


@pytest.mark.parametrize(
    ("folder", "name"), [("profiles", "{}"), ("helm-profiles", "{}"), ("files", "profile-{}")]
)
def test_a_copy_of_istios_profiles_is_no_choice_of_the_users(tmp_path, folder, name):
    files = {f"{folder}/{name.format(n)}.yaml": PROFILE.replace("NAME", n) for n in
             ("demo", "ambient", "default")}  # fmt: skip
    assert rules(tmp_path, files) == []


def test_a_file_of_ones_own_named_like_a_profile_is_judged(tmp_path):
    files = {"profiles/demo.yaml": PROFILE.replace("NAME", "demo"),
             "profiles/prod.yaml": PROFILE.replace("NAME", "default")}  # fmt: skip
    assert rules(tmp_path, files) == ["demo-profile", "istiod-memory-tight"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cni.yaml", "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: istio-cni-node}\n"),
        ("cni.yaml", "apiVersion: sailoperator.io/v1\nkind: IstioCNI\nmetadata: {name: default}\n"),
        ("iop.yaml", "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec: {components: "
                     "{cni: {enabled: true}}}\n"),
        ("values.yaml", "pilot: {autoscaleMin: 2, cni: {enabled: true}}\n"),
        ("install.sh", "helm install istio-cni istio/cni -n istio-system --wait\n"),
        ("install.sh", "istioctl install --set components.cni.enabled=true -y\n"),
    ],
)  # fmt: skip
def test_restricted_pods_start_where_anything_installs_the_cni_plugin(tmp_path, name, text):
    assert rules(tmp_path / "without", {"shop.yaml": RESTRICTED}) == [
        "injection-refused-by-pod-security"
    ]
    assert rules(tmp_path / "with", {"shop.yaml": RESTRICTED, name: text}) == []
