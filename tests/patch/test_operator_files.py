"""Sizes in IstioOperator files: `k8s` outranks `values`, gateways go by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from rightsize.errors import InputFileError
from rightsize.patch import PatchedFile
from rightsize.results import Component
from tests.patch.patching import ISTIOD, SIDECAR, change, differences, patch_text

HEAD = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n"


def paths(patched: PatchedFile) -> list[str]:
    return [c.path.split(".requests")[0] for c in patched.changes]


def test_k8s_resources_outrank_values_field_by_field(tmp_path: Path) -> None:
    text = HEAD + (
        "  components:\n    pilot:\n      k8s:\n        resources:\n          requests:\n"
        "            cpu: 500m\n  values:\n    pilot:\n      resources:\n        requests:\n"
        "          cpu: 700m\n          memory: 3Gi\n"
    )
    patched = patch_text(tmp_path, text, ISTIOD)
    assert differences(patched) == [
        "-            cpu: 500m",
        "+            cpu: 250m",
        "-          memory: 3Gi",
        "+          memory: 1Gi",
    ]


@pytest.mark.parametrize(
    ("component", "path"),
    [
        ("sidecar", "spec.values.global.proxy.resources"),
        ("waypoint", "spec.values.global.waypoint.resources"),
        ("istiod", "spec.components.pilot.k8s.resources"),
        ("istio-cni", "spec.components.cni.k8s.resources"),
        ("ztunnel", "spec.components.ztunnel.k8s.resources"),
    ],
)
def test_a_size_that_is_set_nowhere_goes_where_it_surely_counts(
    tmp_path: Path, component: Component, path: str
) -> None:
    patched = patch_text(tmp_path, HEAD + "  hub: x\n", change(component, "50m"))
    assert paths(patched) == [path]


def test_ztunnel_values_are_nested_here(tmp_path: Path) -> None:
    text = HEAD + "  values:\n    ztunnel:\n      resources: {requests: {cpu: 1}}\n"
    patched = patch_text(tmp_path, text, change("ztunnel", "150m"))
    assert paths(patched) == ["spec.values.ztunnel.resources"]


def test_a_profile_with_sizes_of_its_own_outranks_values(tmp_path: Path) -> None:
    text = HEAD + "  profile: demo\n  values:\n    pilot:\n      resources: {requests: {cpu: 1}}\n"
    patched = patch_text(tmp_path, text, ISTIOD)
    assert set(paths(patched)) == {"spec.components.pilot.k8s.resources"}


def test_gateways_are_matched_by_name(tmp_path: Path) -> None:
    text = HEAD + (
        "  components:\n    ingressGateways:\n    - name: a\n      enabled: true\n"
        "    - name: b\n      enabled: true\n      k8s:\n        hpaSpec:\n"
        "          minReplicas: 1\n          metrics:\n          - type: Resource\n"
        "            resource:\n              name: cpu\n              target:\n"
        "                type: Utilization\n                averageUtilization: 80\n"
    )
    gateway = change("gateway", "50m", of="istio-system/b", bounds=(2, 6, 70))
    patched = patch_text(tmp_path, text, gateway)
    assert differences(patched) == [
        "-          minReplicas: 1",
        "+          minReplicas: 2",
        "-                averageUtilization: 80",
        "+                averageUtilization: 70",
        "+          maxReplicas: 6",
        "+        resources:",
        "+          requests:",
        "+            cpu: 50m",
    ]


def test_values_of_the_only_gateway_are_patched_where_they_are(tmp_path: Path) -> None:
    text = HEAD + (
        "  components:\n    egressGateways:\n    - name: egress\n  values:\n    gateways:\n"
        "      istio-egressgateway:\n        resources: {requests: {cpu: 1}}\n"
    )
    patched = patch_text(tmp_path, text, change("gateway", "50m", of="x/egress"))
    assert paths(patched) == ["spec.values.gateways.istio-egressgateway.resources"]


def test_a_gateway_that_is_not_listed_changes_nothing(tmp_path: Path) -> None:
    patched = patch_text(tmp_path, HEAD + "  hub: x\n", change("gateway", "50m", of="x/other"))
    assert not patched.changed


def test_istiod_bounds_follow_the_hpa_spec(tmp_path: Path) -> None:
    text = HEAD + (
        "  components:\n    pilot:\n      k8s:\n        hpaSpec:\n          maxReplicas: 3\n"
        "  values:\n    pilot:\n      autoscaleMax: 9\n"
    )
    patched = patch_text(tmp_path, text, change("istiod", of="x/istiod", bounds=(2, 4, 70)))
    assert {c.path: c.new for c in patched.changes} == {
        "spec.components.pilot.k8s.hpaSpec.minReplicas": "2",
        "spec.components.pilot.k8s.hpaSpec.maxReplicas": "4",
        "spec.values.pilot.cpu.targetAverageUtilization": "70",
    }


def test_unvalidated_values_that_set_a_size_are_refused(tmp_path: Path) -> None:
    text = HEAD + "  unvalidatedValues: {global: {proxy: {resources: {limits: {}}}}}\n"
    with pytest.raises(InputFileError, match=r"values.yaml:4:.*unvalidatedValues"):
        patch_text(tmp_path, text, SIDECAR)


def test_other_documents_of_the_file_stay_as_they_are(tmp_path: Path) -> None:
    other = "apiVersion: v1\nkind: Namespace\nmetadata: {name: istio-system}\n"
    text = f"---\n{other}---\n# second\n{HEAD}  values: {{}}\n---\n{other}"
    patched = patch_text(tmp_path, text, SIDECAR)
    assert patched.changes[0].document == 1
    assert patched.text_after.startswith(f"---\n{other}---\n# second\n{HEAD}  values:\n    global:")
    assert patched.text_after.endswith(f"\n---\n{other}")
