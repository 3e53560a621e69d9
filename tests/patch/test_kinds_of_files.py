"""Every kind of file that people keep sizes in: patched in place, the rest byte for byte.

Every written file passes the one check of `tests/patch/written.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rightsize.errors import AmbiguousChartError, InputFileError
from rightsize.files.chart_metadata import Chart
from rightsize.files.charts import Hints
from rightsize.patch import Flags, PatchedFile, SizeChange, patch_set
from tests.patch.patching import GATEWAY, ISTIOD, SIDECAR, change, patch_text
from tests.patch.written import check_written


def checked(folder: Path, name: str, text: str, *changes: SizeChange, **flags: str) -> PatchedFile:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)

    def patch() -> PatchedFile:
        return patch_set([file], changes, flags=Flags(**flags)).given[0]

    patched = patch()
    check_written(patched, patch)
    return patched


VALUES = "pilot: {resources: {requests: {cpu: 500m, memory: 2Gi}}}"
FLUX = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {name: NAME}\nspec:\n"
HEREDOC = """\
resource "helm_release" "istiod" {
  name    = "istiod"
  chart   = "istiod"
  values = [
    <<-EOT
    # sizes of ${var.env}
    pilot:
      resources:
        requests:
          cpu: 500m
          memory: 2Gi
    EOT
  ]
}
"""
ENCODED = """\
resource "helm_release" "istiod" {
  chart  = "istiod"
  values = [yamlencode({
    pilot = {
      resources = {
        requests = {
          cpu    = "500m"
          memory = "2Gi"
        }
      }
    }
  })]
  set {
    name  = "global.proxy.resources.requests.cpu"
    value = "100m"
  }
}
"""
FILES = {
    "sail.yaml": "apiVersion: sailoperator.io/v1\nkind: Istio\nmetadata: {name: default}\n"
    f"spec:\n  version: v1.26.2\n  values:\n    {VALUES}\n",
    "smcp.yaml": "apiVersion: maistra.io/v2\nkind: ServiceMeshControlPlane\nmetadata: {name: b}\n"
    "spec:\n  runtime: {components: {pilot: {container: {resources: {requests: "
    "{cpu: 500m, memory: 2Gi}}}}}}\n",
    "kustomization.yaml": "helmCharts:\n- name: istiod\n  version: 1.26.2\n  valuesInline:\n"
    f"    {VALUES}\n",
    "helmfile.yaml": f"releases:\n- name: istiod\n  chart: istio/istiod\n  values:\n  - {VALUES}\n",
    "k3s.yaml": "apiVersion: helm.cattle.io/v1\nkind: HelmChart\nmetadata: {name: istiod}\nspec:\n"
    f"  chart: istiod\n  valuesContent: |\n    {VALUES}\n",
    "flux.yaml": FLUX.replace("NAME", "istiod")
    + f"  chartRef: {{name: istiod}}\n  values:\n    {VALUES}\n",
    "main.tf": HEREDOC,
    "encoded.tf": ENCODED,
}


@pytest.mark.parametrize("name", FILES)
def test_istiod_is_sized_where_the_file_keeps_its_values(tmp_path: Path, name: str) -> None:
    patched = checked(tmp_path, name, FILES[name], ISTIOD)
    assert patched.text_after == FILES[name].replace("500m", "250m").replace("2Gi", "1Gi")


def test_a_set_block_of_terraform_outranks_values(tmp_path: Path) -> None:
    patched = checked(tmp_path, "main.tf", ENCODED, change("sidecar", "35m"))
    assert patched.text_after == ENCODED.replace('"100m"', '"35m"')


RELEASE = 'resource "helm_release" "mesh" {\n  name  = "istiod"\n  chart = "istiod"\nVALUES}\n'


@pytest.mark.parametrize("values", ["", "  values = [local.sizes]\n"])
def test_a_release_without_values_written_out_gets_a_block_to_paste(
    tmp_path: Path, values: str
) -> None:
    text = RELEASE.replace("VALUES", values)
    (tmp_path / "main.tf").write_text(text)
    result = patch_set([tmp_path / "main.tf"], [ISTIOD])
    (file,) = result.given
    (block,) = [note for note in file.notes if "yamlencode" in note]
    assert block.startswith("line 3: ")
    assert 'memory = "1Gi"' in block
    assert not file.changed
    assert [o.status for o in result.outcomes] == ["no place"]
    pasted = block.split("\n", 1)[1]
    listed = f"  values = [\n{pasted}\n  ]\n"
    (tmp_path / "main.tf").write_text(RELEASE.replace("VALUES", listed))
    assert [o.status for o in patch_set([tmp_path / "main.tf"], [ISTIOD]).outcomes] == [
        "already right"
    ]


def test_releases_by_name_in_a_module_of_add_ons_are_releases(tmp_path: Path) -> None:
    text = (
        'module "addons" {\n  helm_releases = {\n    istiod = {\n      chart  = "istiod"\n'
        "      values = [yamlencode({ pilot = { resources = { requests = { "
        'cpu = "500m", memory = "2Gi" } } } })]\n    }\n  }\n}\n'
    )
    patched = checked(tmp_path, "main.tf", text, ISTIOD)
    assert patched.text_after == text.replace("500m", "250m").replace("2Gi", "1Gi")


@pytest.mark.parametrize(
    "values",
    [
        "base: {enableCRDTemplates: false}\ndefaultRevision: default\n",
        "global: {istiod: {enableAnalysis: false}, configValidation: true}\n"
        "base: {validationURL: ''}\n",
    ],
)
def test_values_of_the_base_chart_are_none_of_istiod(tmp_path: Path, values: str) -> None:
    with pytest.raises(AmbiguousChartError):
        patch_text(tmp_path, values, ISTIOD, SIDECAR)


def test_sizes_of_the_legacy_gateway_chart_are_named_and_stay(tmp_path: Path) -> None:
    text = f"{VALUES}\ngateways: {{istio-ingressgateway: {{resources: {{}}}}}}\n"
    patched = checked(tmp_path, "values.yaml", text, ISTIOD, GATEWAY)
    assert any("legacy istio-ingress" in note for note in patched.notes)
    assert patched.text_after.splitlines()[1] == text.splitlines()[1]


def test_a_file_that_terraform_reads_is_patched(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("resources: {requests: {cpu: 500m, memory: 2Gi}}\n")
    text = 'resource "helm_release" "gw" {\n  name = "gw"\n  chart = "istio/gateway"\n'
    (tmp_path / "main.tf").write_text(text + '  values = [file("${path.module}/values.yaml")]\n}\n')
    files = patch_set([tmp_path / "main.tf"], [GATEWAY]).given
    assert [file.path.name for file in files if file.changed] == ["values.yaml"]


def test_values_in_a_config_map_of_flux_are_patched(tmp_path: Path) -> None:
    text = (
        FLUX.replace("NAME", "istiod") + "  chart: {spec: {chart: istiod}}\n  valuesFrom:\n"
        "  - {kind: ConfigMap, name: sizes}\n---\napiVersion: v1\nkind: ConfigMap\n"
        f"metadata: {{name: sizes}}\ndata:\n  values.yaml: |\n    {VALUES}\n"
    )
    assert "cpu: 250m" in checked(tmp_path, "flux.yaml", text, ISTIOD).text_after


def test_two_revisions_are_each_sized_from_their_own_pods(tmp_path: Path) -> None:
    one = FLUX.replace("NAME", "istiod-1") + "  chart: {spec: {chart: istiod}}\n  values:\n"
    two = one.replace("istiod-1", "istiod-2")
    text = f"{one}    revision: r1\n    {VALUES}\n---\n{two}    revision: r2\n    {VALUES}\n"
    first = change("istiod", "100m", of="istio-system/istiod-r1")
    second = change("istiod", "200m", of="istio-system/istiod-r2")
    patched = checked(tmp_path, "flux.yaml", text, first, second)
    assert [c.new for c in patched.changes] == ["100m", "200m"]
    with pytest.raises(AmbiguousChartError, match="--release"):
        checked(tmp_path, "flux.yaml", text, ISTIOD)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("values.yaml", "pilot:\n  resources: {requests: {cpu: 500m, memory: 2Gi}}\n"),
        (
            "operator.yaml",
            "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  components:\n"
            "    pilot: {k8s: {resources: {requests: {cpu: 500m, memory: 2Gi}}}}\n",
        ),
    ],
)
@pytest.mark.parametrize("other", ["istiod", "istiod-r1"])
def test_a_file_without_a_revision_is_asked_for_where_two_run(
    tmp_path: Path, name: str, text: str, other: str
) -> None:
    first = change("istiod", "100m", of=f"istio-system/{other}")
    second = change("istiod", "200m", of="istio-system/istiod-r2")
    with pytest.raises(AmbiguousChartError, match="do not say their revision"):
        checked(tmp_path, name, text, first, second)


TWO = ("istio-system/istiod", "istio-system/istiod-r2")


@pytest.mark.parametrize(
    "of_istiod", [[], [change("istiod", "200m", of=TWO[0])], [change("istiod", "200m", of=TWO[1])]]
)
def test_where_two_istiods_run_it_asks_whatever_becomes_of_their_own_sizes(
    tmp_path: Path, of_istiod: list[SizeChange]
) -> None:
    text = "global:\n  proxy: {resources: {requests: {cpu: 100m, memory: 128Mi}}}\npilot: {}\n"
    file = tmp_path / "values.yaml"
    file.write_text(text)
    default = change("sidecar", "10m")
    with pytest.raises(AmbiguousChartError, match="do not say their revision") as asked:
        patch_set([file], [default, *of_istiod], flags=Flags(istiods=TWO))
    assert f"--workload {TWO[0]}" in str(asked.value.hint)
    for named in TWO:
        done = patch_set([file], [default, *of_istiod], flags=Flags(workload=named, istiods=TWO))
        assert "cpu: 10m" in done.given[0].text_after
    file.write_text(f"revision: r2\n{text}")
    done = patch_set([file], [default, *of_istiod], flags=Flags(istiods=TWO))
    assert "cpu: 10m" in done.given[0].text_after


def test_a_release_without_a_revision_is_the_default_one(tmp_path: Path) -> None:
    text = f"{FLUX.replace('NAME', 'istiod')}  chart: {{spec: {{chart: istiod}}}}\n  values:\n    {VALUES}\n"
    first = change("istiod", "100m", of="istio-system/istiod")
    second = change("istiod", "200m", of="istio-system/istiod-r2")
    patched = checked(tmp_path, "flux.yaml", text, first, second)
    assert [c.new for c in patched.changes] == ["100m"]


def test_a_kustomize_overlay_wins(tmp_path: Path) -> None:
    text = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: istiod}\nspec: {template: {spec: "
        "{containers: [{name: discovery, resources: {requests: {cpu: 1, memory: 4Gi}}}]}}}\n"
    )
    for name in ("base.yaml", "overlay.yaml"):
        (tmp_path / name).write_text(text)
    files = patch_set([tmp_path / "base.yaml", tmp_path / "overlay.yaml"], [ISTIOD]).given
    assert [file.changed for file in files] == [False, True]


def test_a_json_patch_in_a_kustomization_is_patched(tmp_path: Path) -> None:
    text = (
        "patches:\n- target: {kind: Deployment, name: istiod}\n  patch: |-\n    - op: replace\n"
        "      path: /spec/template/spec/containers/0/resources/requests/cpu\n      value: 500m\n"
    )
    patched = checked(tmp_path, "kustomization.yaml", text, change("istiod", "250m", of="a/istiod"))
    assert patched.text_after == text.replace("500m", "250m")


def test_an_application_of_ones_own_is_refused_and_its_annotations_patched_when_asked(
    tmp_path: Path,
) -> None:
    text = "image: {repository: a/b}\nresources: {requests: {cpu: 2}}\npodAnnotations: {a: b}\n"
    with pytest.raises(AmbiguousChartError):
        checked(tmp_path, "values.yaml", text, GATEWAY, SIDECAR)
    web = change("sidecar", "20m", "2", "48Mi", "192Mi", of="shop/web")
    patched = checked(tmp_path, "values.yaml", text, web, workload="shop/web")
    assert len(patched.changes) == 4


@pytest.mark.parametrize("profile", ["empty", "remote", "external"])
def test_an_operator_that_installs_no_istiod_gets_no_sizes_of_it(
    tmp_path: Path, profile: str
) -> None:
    text = (
        "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\n"
        f"spec:\n  profile: {profile}\n  values: {{global: {{hub: x}}}}\n"
    )
    assert not checked(tmp_path, "iop.yaml", text, ISTIOD, SIDECAR).changed


AFTER_RENDERING = {
    "overlay.yaml": "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n"
    "  components:\n    pilot:\n      k8s:\n        resources: {requests: {cpu: 500m, memory: 2Gi}}\n"
    "        overlays:\n        - kind: Deployment\n          name: istiod\n          patches:\n"
    "          - path: spec.template.spec.containers.[name:discovery].resources.requests.cpu\n"
    "            value: 1500m\n",
    "post.yaml": FLUX.replace("NAME", "istiod, namespace: istio-system")
    + "  chart: {spec: {chart: istiod}}\n  values: {pilot: {resources: {requests: {cpu: 500m, memory: 2Gi}}}}\n"
    "  postRenderers:\n  - kustomize:\n      patches:\n      - target: {kind: Deployment, name: istiod}\n"
    "        patch: |\n          - op: replace\n"
    "            path: /spec/template/spec/containers/0/resources/requests/cpu\n"
    "            value: 1500m\n",
}  # fmt: skip


@pytest.mark.parametrize("name", AFTER_RENDERING)
def test_what_is_patched_after_rendering_is_changed_together_with_the_values(
    tmp_path: Path, name: str
) -> None:
    patched = checked(tmp_path, name, AFTER_RENDERING[name], ISTIOD)
    written = AFTER_RENDERING[name].replace("1500m", "250m").replace("500m", "250m")
    assert patched.text_after == written.replace("2Gi", "1Gi")


def test_a_number_that_a_template_fills_in_names_what_to_change(tmp_path: Path) -> None:
    text = "pilot: {resources: {requests: {cpu: '{{ .Values.cpu }}', memory: 2Gi}}}\n"
    with pytest.raises(InputFileError, match="takes its number from Values.cpu"):
        checked(tmp_path, "values.yaml", text, ISTIOD)


def test_an_autoscaler_manifest_keeps_its_ceiling(tmp_path: Path) -> None:
    text = (
        "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: istiod}\n"
        "spec:\n  scaleTargetRef: {name: istiod}\n  minReplicas: 1\n  maxReplicas: 20\n"
    )
    bounded = change("istiod", of="istio-system/istiod", bounds=(2, 5, None))
    patched = checked(tmp_path, "hpa.yaml", text, bounded)
    assert [c.new for c in patched.changes] == ["2"]


SCALED = (
    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: i}\nspec:\n"
    "  scaleTargetRef: {name: istiod}\n  minReplicaCount: 1\n  maxReplicaCount: 20\n"
    "  triggers: [{type: memory, metricType: Utilization, metadata: {value: '75'}}]\n"
)
VERTICAL = (
    "apiVersion: autoscaling.k8s.io/v1\nkind: VerticalPodAutoscaler\nmetadata: {name: i}\n"
    "spec: {targetRef: {kind: Deployment, name: istiod}, updatePolicy: {updateMode: MODE}POLICIES}\n"
)


def with_values(folder: Path, text: str) -> tuple[PatchedFile, ...]:
    """What becomes of an autoscaler's manifest, and of the values beside it."""
    files = [folder / "autoscaler.yaml", folder / "values.yaml"]
    files[0].write_text(text)
    files[1].write_text(VALUES + "\n")
    bounded = change("istiod", "250m", None, "1Gi", of="istio-system/istiod", bounds=(2, 5, None))
    return patch_set(files, [bounded]).given


def test_an_object_that_scales_on_memory_holds_the_request(tmp_path: Path) -> None:
    scaled, values = with_values(tmp_path, SCALED)
    assert [c.new for c in scaled.changes] == ["2"]
    assert "cpu: 250m, memory: 2Gi" in values.text_after


@pytest.mark.parametrize(
    ("mode", "policies", "acts"),
    [
        ("Auto", "", True),
        ("Initial", "", True),
        ("'Off'", "", False),
        ("Auto", ", resourcePolicy: {containerPolicies: [{containerName: discovery, mode: 'Off'}]}", False),
        ("Auto", ", resourcePolicy: {containerPolicies: [{containerName: app, mode: 'Off'}]}", True),
    ],
)  # fmt: skip
def test_sizes_that_a_vertical_autoscaler_sets_are_left_to_it(
    tmp_path: Path, mode: str, policies: str, acts: bool
) -> None:
    text = VERTICAL.replace("MODE", mode).replace("POLICIES", policies)
    values = with_values(tmp_path, text)[1]
    assert values.changed is not acts


def test_an_object_of_an_unknown_kind_is_no_silent_success(tmp_path: Path) -> None:
    with pytest.raises(AmbiguousChartError, match="holds no sizes of Istio's"):
        checked(tmp_path, "s.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n", ISTIOD)


@pytest.mark.parametrize("chart", [None, "istiod"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cd.tf", 'resource "helm_release" "cd" {\n  name  = "cd"\n  chart = "argo-cd"\n}\n'),
        ("vpc.tf", 'locals {\n  tags = { team = "mesh" }\n}\n'),
        ("prod.tfvars", 'region = "eu-west-1"\ntags = { team = "mesh" }\n'),
        ("terragrunt.hcl", 'inputs = {\n  tags = { team = "mesh" }\n}\n'),
        ("dashboards.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: d}\ndata: {a: b}\n"),
    ],
)
def test_a_file_without_a_release_of_istio_stays_whatever_the_flag_says(
    tmp_path: Path, name: str, text: str, chart: Chart | None
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(AmbiguousChartError, match="holds no sizes of Istio's"):
        patch_set([tmp_path / name], [ISTIOD, SIDECAR], Hints(chart=chart))


def test_variables_of_terraform_that_prove_a_chart_are_patched(tmp_path: Path) -> None:
    text = (
        'tags = { team = "mesh" }\nistio = {\n  meshConfig = {}\n  pilot = {\n    resources = '
        '{ requests = { cpu = "500m", memory = "2Gi" } }\n  }\n}\n'
    )
    patched = checked(tmp_path, "prod.tfvars", text, ISTIOD)
    assert patched.text_after == text.replace("500m", "250m").replace("2Gi", "1Gi")


def test_another_kind_of_file_is_one_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rightsize.files import tree
    from rightsize.patch.groups import Release
    from rightsize.patch.kinds import registry
    from rightsize.patch.kinds.chart_values import release_groups

    def mesh(layer, given):
        if tree.text_at(layer.root, ("kind",)) != "Mesh":
            return None
        place = (layer.source, layer.document, ("istiod",))
        return release_groups(given, Release("Mesh"), "istiod", None, [place])

    monkeypatch.setattr(registry, "KINDS", [mesh, *registry.KINDS])
    text = f"apiVersion: acme/v1\nkind: Mesh\nistiod:\n  {VALUES}\n"
    assert "cpu: 250m" in checked(tmp_path, "mesh.yaml", text, ISTIOD).text_after


HELM_CHART = FILES["k3s.yaml"]
OVERLAY = (
    "apiVersion: helm.cattle.io/v1\nkind: HelmChartConfig\nmetadata: {name: istiod}\nspec:\n"
    "  valuesContent: |\n    pilot: {resources: {requests: {memory: 4Gi}}}\n"
)


def test_a_helm_chart_config_is_an_overlay_of_its_chart(tmp_path: Path) -> None:
    patched = checked(tmp_path, "k3s.yaml", f"{HELM_CHART}---\n{OVERLAY}", ISTIOD)
    assert patched.text_after == (
        HELM_CHART.replace("500m", "250m") + "---\n" + OVERLAY.replace("4Gi", "1Gi")
    )


@pytest.mark.parametrize("text", [OVERLAY, HELM_CHART])
def test_either_object_of_k3s_alone_is_patched(tmp_path: Path, text: str) -> None:
    assert "1Gi" in checked(tmp_path, "k3s.yaml", text, ISTIOD).text_after


SET = (
    'resource "helm_release" "mesh" {\n  name  = "istiod"\n  chart = "istiod"\n  set = [\n'
    '    { name = "pilot.resources.requests.cpu", value = "500m" },\n'
    '    { name = "pilot.resources.requests.memory", value = "2Gi" },\nMORE  ]\n}\n'
)


def test_a_list_of_settings_is_patched_and_what_it_lacks_is_spelled_out(tmp_path: Path) -> None:
    file = tmp_path / "main.tf"
    file.write_text(SET.replace("MORE", ""))
    result = patch_set([file], [ISTIOD, change("sidecar", "35m", None, "64Mi")])
    (patched,) = result.given
    assert 'value = "250m"' in patched.text_after
    istiod, sidecar = result.outcomes
    assert istiod.status == "written"
    assert sidecar.status == "no place"
    assert sidecar.reason == (
        "to set by hand: global.proxy.resources.requests.cpu=35m, "
        "global.proxy.resources.requests.memory=64Mi"
    )


def test_a_number_that_terraform_works_out_holds_up_only_its_own_sizes(tmp_path: Path) -> None:
    more = '    { name = "global.proxy.resources.requests.cpu", value = var.cpu },\n'
    (tmp_path / "main.tf").write_text(SET.replace("MORE", more))
    result = patch_set([tmp_path / "main.tf"], [ISTIOD, SIDECAR])
    istiod, sidecar = result.outcomes
    assert istiod.status == "written"
    assert sidecar.status == "no place"
    assert "line 7: " in (sidecar.reason or "")
    assert "var.cpu" in (sidecar.reason or "")


def test_inputs_of_terragrunt_name_their_chart_one_level_down(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(f"{VALUES}\n")
    (tmp_path / "terragrunt.hcl").write_text(
        'inputs = {\n  app = { name = "istiod", chart = "istiod", version = "1.26.2" }\n'
        '  values = [file("values.yaml")]\n}\n'
    )
    result = patch_set([tmp_path / "terragrunt.hcl"], [ISTIOD])
    assert [file.path.name for file in result.given if file.changed] == ["values.yaml"]


UMBRELLA = (
    "apiVersion: v2\nname: platform\nversion: 1.0.0\ndependencies:\n- {name: istiod, version: 1.26.2,"
    " alias: mesh, condition: 'mesh.enabled,global.mesh'}\n"
)


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("mesh: {enabled: true, pilot: {}}\n", True),
        ("mesh: {enabled: false, pilot: {}}\n", False),
        ("mesh: {pilot: {}}\nglobal: {mesh: false}\n", False),
        ("mesh: {enabled: true, pilot: {}}\nglobal: {mesh: false}\n", True),
        ("mesh: {pilot: {}}\n", True),
    ],
)
def test_a_dependency_that_is_switched_off_gets_no_sizes(
    tmp_path: Path, text: str, changed: bool
) -> None:
    (tmp_path / "Chart.yaml").write_text(UMBRELLA)
    assert patch_text(tmp_path, text, ISTIOD).changed == changed


def test_a_chart_yaml_given_beside_its_values_is_no_unknown_file(tmp_path: Path) -> None:
    for name, text in (("Chart.yaml", UMBRELLA), ("values.yaml", "mesh: {pilot: {}}\n")):
        (tmp_path / name).write_text(text)
    result = patch_set([tmp_path / "Chart.yaml", tmp_path / "values.yaml"], [ISTIOD])
    chart, values = result.given
    assert not chart.unknown
    assert values.changed


def test_an_application_set_says_that_its_sizes_are_of_one_cluster(tmp_path: Path) -> None:
    text = (
        "apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nmetadata: {name: istiod}\nspec:\n"
        "  template:\n    spec:\n      source:\n        chart: istiod\n        helm:\n"
        f"          valuesObject: {{{VALUES}}}\n"
    )
    patched = checked(tmp_path, "set.yaml", text, ISTIOD)
    assert any("snapshot's cluster alone" in note for note in patched.notes)


INJECTOR = (
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio-sidecar-injector}\ndata:\n"
    '  values: |-\n    {"global": {"proxy": {"resources": {"requests": {"cpu": "100m"}}}}}\n'
)


def test_the_injectors_config_map_holds_the_mesh_default_alone(tmp_path: Path) -> None:
    patched = checked(tmp_path, "injector.yaml", INJECTOR, change("sidecar", "35m"), ISTIOD)
    assert patched.text_after == INJECTOR.replace("100m", "35m")
    assert any("rendered by Istio's chart" in note for note in patched.notes)


def config_map(values: str) -> str:
    body = "".join(f"    {line}\n" for line in values.splitlines())
    return (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio-values}\ndata:\n"
        f"  values.yaml: |\n{body}"
    )


def test_values_in_a_config_map_are_patched_where_they_prove_their_chart(tmp_path: Path) -> None:
    patched = checked(tmp_path, "map.yaml", config_map(VALUES), ISTIOD)
    assert patched.changed
    assert any("no given file says which release reads them" in note for note in patched.notes)


def test_values_in_a_config_map_that_a_given_release_reads_are_patched_once(tmp_path: Path) -> None:
    release = (
        FLUX.replace("NAME", "istiod")
        + "  chart: {spec: {chart: istiod}}\n  valuesFrom: [{kind: ConfigMap, name: istio-values}]\n"
    )
    patched = checked(tmp_path, "both.yaml", f"{config_map(VALUES)}---\n{release}", ISTIOD)
    assert patched.changed
    assert not any("no given file says" in note for note in patched.notes)


@pytest.mark.parametrize(
    "text", ["resources: {requests: {cpu: 100m}}", "{{ template }}", "a: [1", "just text"]
)
def test_a_config_map_of_anybodys_text_holds_no_sizes(text: str, tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(config_map(text))
    with pytest.raises(AmbiguousChartError, match="ConfigMap"):
        patch_set([tmp_path / "map.yaml"], [ISTIOD])


@pytest.mark.parametrize(
    ("text", "kind"),
    [("- name: istiod\n", "a list"), ("apiVersion: v1\nkind: List\nitems: []\n", "List")],
)
def test_a_list_says_what_of_it_could_be_patched(text: str, kind: str, tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text(text)
    with pytest.raises(AmbiguousChartError, match=f"{kind}: .*patched"):
        patch_set([tmp_path / "list.yaml"], [ISTIOD])


DEPLOYMENT = (
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: NAME, namespace: SPACE}\n"
    "spec: {template: {spec: {containers: [{name: CONTAINER, resources: "
    "{requests: {cpu: 500m, memory: 2Gi}}}]}}}\n"
)
SCALER = (
    "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\n"
    "metadata: {name: NAME, namespace: SPACE}\nspec:\n"
    "  scaleTargetRef: {kind: Deployment, name: NAME}\n  metrics:\n  - METRIC\n"
)
ON_MEMORY = "{type: Resource, resource: {name: memory, target: {averageUtilization: 80}}}"
OF_THE_APP = (
    "{type: ContainerResource, containerResource: {name: memory, container: app, "
    "target: {averageUtilization: 80}}}"
)


@pytest.mark.parametrize(
    ("metric", "memory"),
    [(ON_MEMORY, "2Gi"), (OF_THE_APP, "1Gi"), (ON_MEMORY.replace("memory", "cpu"), "1Gi")],
)
def test_an_autoscalers_manifest_on_memory_holds_the_request_of_its_workload(
    tmp_path: Path, metric: str, memory: str
) -> None:
    text = DEPLOYMENT + "---\n" + SCALER.replace("METRIC", metric)
    text = text.replace("CONTAINER", "discovery").replace("NAME", "istiod")
    patched = checked(tmp_path, "all.yaml", text.replace("SPACE", "istio-system"), ISTIOD)
    assert f"{{cpu: 250m, memory: {memory}}}" in patched.text_after


def test_an_autoscalers_manifest_holds_the_memory_of_chart_values_too(tmp_path: Path) -> None:
    scaler = SCALER.replace("METRIC", ON_MEMORY).replace("NAME", "istiod")
    texts = {"hpa.yaml": scaler.replace("SPACE", "istio-system"), "values.yaml": f"{VALUES}\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    _, values = patch_set([tmp_path / name for name in texts], [ISTIOD]).given
    assert "memory: 2Gi" in values.text_after


ANNOTATED = "apiVersion: v1\nkind: Pod\nmetadata: {name: api, namespace: shop, annotations: {}}\n"
SIZED = change("sidecar", "35m", "1", "64Mi", "128Mi", of="shop/api", kind="Pod")


def test_a_pod_without_a_controller_is_sized_by_its_own_annotations(tmp_path: Path) -> None:
    text = ANNOTATED + "spec: {containers: [{name: app}]}\n"
    patched = checked(tmp_path, "pod.yaml", text, SIZED)
    assert 'sidecar.istio.io/proxyMemoryLimit: "128Mi"' in patched.text_after


@pytest.mark.parametrize("kind", ["labels", "annotations"])
def test_a_workload_without_injection_gets_no_sizes_of_a_sidecar(tmp_path: Path, kind: str) -> None:
    text = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: api, namespace: shop}\nspec:\n"
        f'  template: {{metadata: {{{kind}: {{sidecar.istio.io/inject: "false"}}}}}}\n'
    )
    (tmp_path / "api.yaml").write_text(text)
    sized = change("sidecar", "35m", "1", "64Mi", "128Mi", of="shop/api", kind="Deployment")
    result = patch_set([tmp_path / "api.yaml"], [sized])
    assert not result.given[0].changed
    assert result.outcomes[0].reason == "sidecar.istio.io/inject is false in it"


def test_a_file_that_sops_signs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(f"{VALUES}\nsops: {{mac: x, version: 3.8.1}}\n")
    with pytest.raises(InputFileError, match="encrypted by SOPS"):
        patch_set([tmp_path / "values.yaml"], [ISTIOD])


def test_a_config_map_that_kustomize_makes_is_followed_to_its_file(tmp_path: Path) -> None:
    texts = {
        "kustomization.yaml": "resources: [release.yaml]\nconfigMapGenerator:\n"
        "- {name: sizes, files: [values.yaml=istiod.yaml]}\n",
        "release.yaml": FLUX.replace("NAME", "istiod")
        + "  chart: {spec: {chart: istiod}}\n  valuesFrom: [{kind: ConfigMap, name: sizes}]\n",
        "istiod.yaml": f"{VALUES}\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    given = [tmp_path / "kustomization.yaml", tmp_path / "release.yaml"]
    result = patch_set(given, [ISTIOD])
    assert [file.path.name for file in result.files if file.changed] == ["istiod.yaml"]
