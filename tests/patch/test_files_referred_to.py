"""Sizes in a file that a given one refers to: that file is patched, and the given one says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from rightsize.errors import AmbiguousChartError
from rightsize.patch import Flags, patch_set
from tests.patch.patching import ISTIOD, change

VALUES = "pilot: {resources: {requests: {cpu: 500m, memory: 2Gi}}}\n"
NESTED = "istiod:\n  pilot: {resources: {requests: {cpu: 500m, memory: 2Gi}}}\n"
UMBRELLA = "name: mesh\nversion: 0.1.0\ndependencies: [{name: istiod, version: 1.28.0}]\n"
APPLICATION = (
    "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: istiod}\n"
    "spec:\n  source: {repoURL: a/b, SOURCE}\n  destination: {namespace: istio-system}\n"
)
SET = (
    "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: istiod}\n"
    "spec:\n  template:\n    spec:\n      source: {repoURL: a/b, SOURCE}\n"
)
DEPLOYMENT = (
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: istiod}\nspec: {template: {spec: "
    "{containers: [{name: discovery, resources: {requests: {cpu: 1, memory: 4Gi}}}]}}}\n"
)
RELATIVE = "path: charts/istiod, helm: {valueFiles: [../../values/istiod.yaml]}"
CASES = {
    "a chart in the checkout by path": (
        "apps/mesh.yaml",
        APPLICATION.replace("SOURCE", "path: charts/mesh"),
        "charts/mesh/values.yaml",
        {"charts/mesh/Chart.yaml": UMBRELLA, "charts/mesh/values.yaml": NESTED},
    ),
    "a values file from the chart's folder": (
        "apps/istiod.yaml",
        APPLICATION.replace("SOURCE", RELATIVE),
        "values/istiod.yaml",
        {"values/istiod.yaml": VALUES},
    ),
    "a template of several applications": (
        "apps/set.yaml",
        SET.replace("SOURCE", RELATIVE),
        "values/istiod.yaml",
        {"values/istiod.yaml": VALUES},
    ),
    "a resource of a kustomization": (
        "base/kustomization.yaml",
        "resources: [istiod.yaml, service.yaml]\n",
        "base/istiod.yaml",
        {"base/istiod.yaml": DEPLOYMENT},
    ),
    "values of a release in a helmfile with environments": (
        "helmfile.yaml",
        "environments: {prod: {values: [a.yaml]}}\n---\nreleases:\n- name: istiod\n"
        "  chart: istio/istiod\n  values: [istiod.yaml, '{{ .Environment.Name }}.yaml']\n",
        "istiod.yaml",
        {"istiod.yaml": VALUES},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_file_that_holds_the_sizes_is_patched(tmp_path: Path, case: str) -> None:
    name, text, holder, others = CASES[case]
    for path, content in {name: text, **others}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content)
    given, patched = patch_set([tmp_path / name], [ISTIOD]).given
    assert patched.path == tmp_path / holder
    assert [c.new for c in patched.changes] == ["250m", "1Gi"]
    assert given.why_unchanged == f"its sizes are in {tmp_path / holder}"
    assert not given.unknown


def test_a_patch_in_a_kustomization_outranks_its_resources(tmp_path: Path) -> None:
    (tmp_path / "istiod.yaml").write_text(DEPLOYMENT)
    (tmp_path / "patch.yaml").write_text(DEPLOYMENT.replace("4Gi", "3Gi"))
    text = "resources: [istiod.yaml]\npatches: [{path: patch.yaml}]\n"
    (tmp_path / "kustomization.yaml").write_text(text)
    files = patch_set([tmp_path / "kustomization.yaml"], [ISTIOD]).given
    assert [file.path.name for file in files if file.changed] == ["patch.yaml"]


@pytest.mark.parametrize("place", ["inputs = {", "locals {", 'module "mesh" {'])
def test_values_under_any_name_that_prove_their_chart_are_patched(
    tmp_path: Path, place: str
) -> None:
    text = f"{place}\n  sizes = <<-EOT\n    {VALUES}  EOT\n}}\n"
    (tmp_path / "a.hcl").write_text(text)
    (patched,) = patch_set([tmp_path / "a.hcl"], [ISTIOD]).given
    assert patched.text_after == text.replace("500m", "250m").replace("2Gi", "1Gi")


def test_a_number_that_terraform_works_out_is_named(tmp_path: Path) -> None:
    text = 'resource "helm_release" "a" {\n  chart = "istiod"\n  set {\n'
    text += '    name  = "pilot.resources.requests.cpu"\n    value = var.cpu\n  }\n}\n'
    (tmp_path / "main.tf").write_text(text)
    (outcome,) = patch_set([tmp_path / "main.tf"], [ISTIOD]).outcomes
    assert outcome.status == "no place"
    assert "line 5: " in (outcome.reason or "")
    assert "var.cpu is worked out by Terraform" in (outcome.reason or "")


def test_releases_on_two_clusters_of_one_terraform_file_are_asked_about(tmp_path: Path) -> None:
    release = 'resource "helm_release" "N" {\n  name = "istiod"\n  chart = "istiod"\n'
    release += "  provider = helm.N\n}\n"
    (tmp_path / "main.tf").write_text(release.replace("N", "one") + release.replace("N", "two"))
    with pytest.raises(AmbiguousChartError, match=r"--release helm\.one"):
        patch_set([tmp_path / "main.tf"], [ISTIOD])


RELEASE = (
    'resource "helm_release" "istiod" {\n  name   = "istiod"\n  chart  = "istiod"\n'
    "  values = [VALUES]\n}\n"
)


@pytest.mark.parametrize(
    ("value", "local"),
    [
        ("local.sizes", "<<-EOT\n    pilot: {resources: {requests: {cpu: 500m, memory: 2Gi}}}\n  EOT"),
        ("yamlencode(local.sizes)",
         '{ pilot = { resources = { requests = { cpu = "500m", memory = "2Gi" } } } }'),
    ],
)  # fmt: skip
def test_a_local_of_terraform_is_patched_where_it_is(
    tmp_path: Path, value: str, local: str
) -> None:
    files = [tmp_path / "main.tf", tmp_path / "locals.tf"]
    files[0].write_text(RELEASE.replace("VALUES", value))
    files[1].write_text(f'locals {{\n  env = "prod"\n  sizes = {local}\n}}\n')
    release, held = patch_set(files, [ISTIOD]).given
    assert [c.new for c in held.changes] == ["250m", "1Gi"]
    assert release.why_unchanged == f"its sizes are in {files[1]}"
    assert release.notes == ()


APP = "web: {podAnnotations: {a: b}}\nworker: {podAnnotations: {}}\n"


def test_annotations_of_an_applications_chart_go_where_its_workload_is_named(
    tmp_path: Path,
) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(APP)
    web = change("sidecar", "20m", "1", "64Mi", "192Mi", of="shop/worker", kind="Deployment")
    (patched,) = patch_set([file], [web], flags=Flags(workload="shop/worker")).given
    assert patched.text_after.startswith(
        "web: {podAnnotations: {a: b}}\nworker: {podAnnotations: {sidecar"
    )


def test_of_several_places_for_annotations_none_is_guessed(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(APP)
    cart = change("sidecar", "20m", "1", "64Mi", "192Mi", of="shop/cart", kind="Deployment")
    with pytest.raises(AmbiguousChartError, match=r"web.podAnnotations, worker.podAnnotations"):
        patch_set([file], [cart], flags=Flags(workload="shop/cart"))
