"""Sidecars of their own sizes: all annotations together on the pod template, else Kustomize."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rightsize.errors import AmbiguousChartError, InputFileError
from rightsize.files.leaves import flatten
from rightsize.files.tree import parse
from rightsize.patch import write_patched
from tests.patch.patching import change, differences, patch_all, patch_text
from tests.servers.require import require_program

WEB = change("sidecar", "20m", "2", "48Mi", "192Mi", of="shop/web", kind="Deployment")
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: web
        resources: {requests: {cpu: 1}}
"""
ANNOTATIONS = [
    '+        sidecar.istio.io/proxyCPU: "20m"',
    '+        sidecar.istio.io/proxyMemory: "48Mi"',
    '+        sidecar.istio.io/proxyCPULimit: "2000m"',
    '+        sidecar.istio.io/proxyMemoryLimit: "192Mi"',
]


def test_all_four_annotations_go_together(tmp_path: Path) -> None:
    patched = patch_text(tmp_path, DEPLOYMENT, WEB)
    assert differences(patched) == ["+      annotations:", *ANNOTATIONS]


def test_one_annotation_that_is_there_gets_the_other_three(tmp_path: Path) -> None:
    text = DEPLOYMENT.replace(
        "      labels", "      annotations:\n        sidecar.istio.io/proxyCPU: 200m\n      labels"
    )
    patched = patch_text(tmp_path, text, WEB)
    assert differences(patched) == [
        "-        sidecar.istio.io/proxyCPU: 200m",
        *ANNOTATIONS,
    ]


def test_annotations_of_the_deployment_itself_are_not_touched(tmp_path: Path) -> None:
    text = DEPLOYMENT.replace(
        "  namespace", "  annotations: {sidecar.istio.io/proxyCPU: 1}\n  namespace"
    )
    patched = patch_text(tmp_path, text, WEB)
    assert all(c.path.startswith("spec.template.metadata.annotations") for c in patched.changes)


def test_a_bad_annotation_is_refused_at_its_place(tmp_path: Path) -> None:
    text = DEPLOYMENT.replace(
        "      labels", "      annotations: {sidecar.istio.io/proxyCPU: lots}\n      labels"
    )
    with pytest.raises(InputFileError, match=r"values.yaml:9:48: .*'lots'"):
        patch_text(tmp_path, text, WEB)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("StatefulSet", "spec.template"),
        ("DaemonSet", "spec.template"),
        ("Rollout", "spec.template"),
        ("CronJob", "spec.jobTemplate.spec.template"),
    ],
)
def test_every_kind_has_its_pod_template(tmp_path: Path, kind: str, path: str) -> None:
    text = f"apiVersion: x/v1\nkind: {kind}\nmetadata: {{name: web}}\nspec: {{a: 1}}\n"
    web = change("sidecar", "20m", of="shop/web", kind=kind)
    patched = patch_text(tmp_path, text, web)
    assert patched.changes[0].path == f'{path}.metadata.annotations."sidecar.istio.io/proxyCPU"'


def test_only_the_right_document_of_several_is_patched(tmp_path: Path) -> None:
    other = DEPLOYMENT.replace("name: web\n  namespace", "name: api\n  namespace")
    stateful = DEPLOYMENT.replace("kind: Deployment", "kind: StatefulSet")
    patched = patch_text(tmp_path, "---\n".join([other, stateful, DEPLOYMENT]), WEB)
    assert {c.document for c in patched.changes} == {2}


def test_items_of_a_list_are_workloads_too(tmp_path: Path) -> None:
    items = "".join(f"  {line}\n" for line in DEPLOYMENT.splitlines())
    text = "apiVersion: v1\nkind: List\nitems:\n-" + items[1:]
    patched = patch_text(tmp_path, text, WEB)
    assert patched.changes[0].path.startswith("items[0].spec.template.metadata")


def test_a_proxy_written_in_the_pod_outranks_annotations(tmp_path: Path) -> None:
    text = DEPLOYMENT + "      - name: istio-proxy\n        image: auto\n"
    patched = patch_text(tmp_path, text, WEB)
    assert patched.changes[0].path == "spec.template.spec.containers[1].resources.requests.cpu"
    assert len(patched.changes) == 4


def test_a_gateway_of_its_own_manifest_is_sized_in_its_container(tmp_path: Path) -> None:
    text = DEPLOYMENT.replace("- name: web", "- name: istio-proxy\n        image: auto")
    gateway = change("gateway", "50m", of="shop/web", kind="Deployment")
    patched = patch_text(tmp_path, text, gateway)
    assert differences(patched) == [
        "-        resources: {requests: {cpu: 1}}",
        "+        resources: {requests: {cpu: 50m}}",
    ]


def test_a_manifest_without_a_namespace_that_two_could_own_is_refused(tmp_path: Path) -> None:
    text = DEPLOYMENT.replace("  namespace: shop\n", "")
    other = change("sidecar", "70m", of="lab/web", kind="Deployment")
    with pytest.raises(AmbiguousChartError, match="--workload"):
        patch_text(tmp_path, text, WEB, other)


def test_the_workload_flag_decides(tmp_path: Path) -> None:
    text = DEPLOYMENT.replace("  namespace: shop\n", "")
    other = change("sidecar", "70m", of="lab/web", kind="Deployment")
    patched = patch_text(tmp_path, text, WEB, other, workload="lab/web")
    assert [c.new for c in patched.changes] == ["70m"]


def test_the_workload_flag_names_a_manifest_of_another_name(tmp_path: Path) -> None:
    text = DEPLOYMENT.replace("name: web\n", "name: base\n", 1)
    assert patch_text(tmp_path, text, WEB, workload="shop/web").changed


def test_a_sidecar_without_a_manifest_gets_a_kustomize_patch(tmp_path: Path) -> None:
    patched = patch_all(tmp_path, {"values.yaml": "pilot: {env: {}}\n"}, WEB)
    names = ["values.yaml", "sidecar-annotations/kustomization.yaml"]
    assert list(patched) == [*names, "sidecar-annotations/shop-web-deployment.yaml"]
    patch = flatten(
        parse(patched["sidecar-annotations/shop-web-deployment.yaml"].text_after)[0].root
    )
    annotations = ("spec", "template", "metadata", "annotations")
    assert patch[(*annotations, "sidecar.istio.io/proxyCPU")] == "string:20m"
    assert len([path for path in patch if path[:4] == annotations]) == 4


@pytest.mark.servers
def test_kustomize_applies_the_patch(tmp_path: Path) -> None:
    kubectl = require_program("kubectl")
    patched = patch_all(tmp_path, {"values.yaml": "pilot: {env: {}}\n"}, WEB)
    write_patched(list(patched.values()), tmp_path / "out")
    (tmp_path / "out" / "web.yaml").write_text(DEPLOYMENT)
    (tmp_path / "out" / "kustomization.yaml").write_text(
        "resources: [web.yaml]\ncomponents: [sidecar-annotations]\n"
    )
    command = [kubectl, "kustomize", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    leaves = flatten(parse(done.stdout)[0].root)
    path = ("spec", "template", "metadata", "annotations", "sidecar.istio.io/proxyMemoryLimit")
    assert leaves[path].endswith("192Mi")


def test_a_sidecar_without_any_size_gets_no_patch(tmp_path: Path) -> None:
    nothing = change("sidecar", of="shop/web", kind="Deployment")
    assert list(patch_all(tmp_path, {"values.yaml": "pilot: {env: {}}\n"}, nothing)) == [
        "values.yaml"
    ]
