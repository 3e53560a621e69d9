"""Settings of DNS written where each kind of file holds them, and nowhere else."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
import yaml

from rightsize.errors import AmbiguousChartError
from rightsize.files.hcl import parse
from rightsize.files.tree import text_at
from rightsize.patch.dns_settings import DnsChange, patch_dns
from rightsize.patch.model import PatchedFile

MIB = 2**20
CHANGE = DnsChange(
    replicas=3, most_replicas=10, cpu_request=0.15, memory_request=96 * MIB, memory_limit=170 * MIB,
    budget=True, ndots=2, proxy=True,
)  # fmt: skip
WANTED = {
    "resources": {"requests": {"cpu": "150m", "memory": "96Mi"}, "limits": {"memory": "170Mi"}},
    "autoScaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 10},
    "podDisruptionBudget": {"enabled": True, "maxUnavailable": 1},
}


def patched(tmp_path: Path, name: str, text: str, change: DnsChange = CHANGE) -> PatchedFile:
    path = tmp_path / name
    path.write_text(textwrap.dedent(text).lstrip("\n"))
    (file,) = patch_dns([path], change)
    # A second run finds everything as it should be.
    path.write_text(file.text_after)
    (again,) = patch_dns([path], change)
    assert again.text_after == file.text_after
    return file


def test_a_json_file_of_the_add_on(tmp_path):
    before = {"corefile": ".:53 {}", "resources": {"limits": {"memory": "170Mi"}}}
    file = patched(tmp_path, "values.json", json.dumps(before, indent=2))
    assert json.loads(file.text_after) == before | WANTED


def test_a_number_of_replicas_that_is_fixed_stays_fixed(tmp_path):
    file = patched(tmp_path, "coredns.json", '{"replicaCount": 2, "tolerations": []}')
    after = json.loads(file.text_after)
    assert after["replicaCount"] == 3
    assert "autoScaling" not in after


def test_bounds_are_never_lowered_and_minavailable_stays(tmp_path):
    text = """
        autoScaling: {enabled: true, minReplicas: 2, maxReplicas: 40}
        podDisruptionBudget: {enabled: true, minAvailable: 1}
        """
    after = yaml.safe_load(patched(tmp_path, "coredns.yaml", text).text_after)
    assert after["autoScaling"] == {"enabled": True, "minReplicas": 3, "maxReplicas": 40}
    assert after["podDisruptionBudget"] == {"enabled": True, "minAvailable": 1}


EKSCTL = """\
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: prod, region: us-east-1}
addons:
  - name: vpc-cni
    configurationValues: "{}"
  - name: coredns
    version: latest   # follow EKS
"""


@pytest.mark.parametrize(
    "values",
    [
        "",
        "    configurationValues: |-\n      computeType: ec2\n",
        '    configurationValues: |-\n      {"computeType": "ec2"}\n',
        """    configurationValues: '{"computeType": "ec2"}'\n""",
        '    configurationValues: "{\\"computeType\\": \\"ec2\\"}"\n',
    ],
)
def test_the_add_on_of_eksctl(tmp_path, values):
    file = patched(tmp_path, "cluster.yaml", EKSCTL + values)
    document = yaml.safe_load(file.text_after)
    after = yaml.safe_load(document["addons"][1]["configurationValues"])
    kept = {"computeType": "ec2"} if values else {}
    assert after == kept | WANTED
    assert document["addons"][0]["configurationValues"] == "{}"
    assert "# follow EKS" in file.text_after


TERRAFORM = {
    "jsonencode": 'configuration_values = jsonencode({\n    computeType = "Fargate"\n  })',
    "heredoc": 'configuration_values = <<-EOT\n    {"computeType": "Fargate"}\n  EOT',
}


@pytest.mark.parametrize("how", TERRAFORM)
def test_the_add_on_of_terraform(tmp_path, how):
    text = f"""
resource "aws_eks_addon" "dns" {{
  cluster_name = "prod"
  addon_name   = "coredns"
  {TERRAFORM[how]}
}}
"""
    file = patched(tmp_path, "addons.tf", text)
    root = parse(file.text_after)[0].root
    path = ("resource", 0, "configuration_values")
    if how == "heredoc":
        written = yaml.safe_load(text_at(root, path) or "")
        assert written == {"computeType": "Fargate"} | WANTED
    else:
        assert text_at(root, (*path, "autoScaling", "enabled")) == "true"
        assert "enabled     = true" in file.text_after
        assert text_at(root, (*path, "resources", "requests", "cpu")) == "150m"
        assert text_at(root, (*path, "computeType")) == "Fargate"


def test_the_add_on_of_a_terraform_module(tmp_path):
    text = """
module "eks" {
  source = "terraform-aws-modules/eks/aws"
  cluster_addons = {
    coredns = {
      configuration_values = jsonencode({
        replicaCount = 2
      })
    }
  }
}
"""
    file = patched(tmp_path, "eks.tf", text)
    assert "replicaCount = 3" in " ".join(file.text_after.split())


@pytest.mark.parametrize("values", ["", "configuration_values = var.dns"])
def test_terraform_without_values_gets_a_block_to_paste(tmp_path, values):
    text = f'resource "aws_eks_addon" "dns" {{\n  addon_name = "coredns"\n  {values}\n}}\n'
    file = patched(tmp_path, "a.tf", text)
    assert not file.changed
    (note,) = file.notes
    assert json.loads(note.split("jsonencode(")[1][:-1]) == WANTED


def test_cloud_formation(tmp_path):
    text = """
        Resources:
          Dns:
            Type: AWS::EKS::Addon
            Properties: {AddonName: coredns, ConfigurationValues: '{"replicaCount": 2}'}
        """
    after = yaml.safe_load(patched(tmp_path, "stack.yaml", text).text_after)
    values = json.loads(after["Resources"]["Dns"]["Properties"]["ConfigurationValues"])
    assert values["replicaCount"] == 3


TEMPLATE = """
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, namespace: shop}
    spec:
      template:
        spec:
          containers: [{name: app}]   # the app
          %s
"""


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("serviceAccountName: web", [{"name": "ndots", "value": "2"}]),
        ("dnsConfig: {options: [{name: ndots, value: '5'}]}", [{"name": "ndots", "value": "2"}]),
        ("dnsConfig: {options: [{name: ndots, value: '1'}]}", [{"name": "ndots", "value": "1"}]),
        ("dnsConfig: {searches: [example.com]}", [{"name": "ndots", "value": "2"}]),
        ("dnsPolicy: Default", None),
        ("hostNetwork: true", None),
    ],
)
def test_ndots_of_a_pod_template(tmp_path, spec, options):
    file = patched(tmp_path, "web.yaml", TEMPLATE % spec)
    inside = yaml.safe_load(file.text_after)["spec"]["template"]["spec"]
    assert inside.get("dnsConfig", {}).get("options") == options
    assert "# the app" in file.text_after


def test_other_options_are_left_and_the_entry_is_named(tmp_path):
    spec = "dnsConfig: {options: [{name: single-request-reopen}]}"
    file = patched(tmp_path, "web.yaml", TEMPLATE % spec)
    assert not file.changed
    assert '{name: ndots, value: "2"}' in file.notes[0]


def test_coredns_as_a_manifest_of_ones_own(tmp_path):
    text = TEMPLATE.replace("name: web", "name: coredns").replace("name: app", "name: coredns")
    after = yaml.safe_load(patched(tmp_path, "dns.yaml", text % "hostname: x").text_after)
    assert after["spec"]["replicas"] == 3
    container = after["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"] == WANTED["resources"]
    assert "dnsConfig" not in after["spec"]["template"]["spec"]


OPERATOR = "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  "


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("meshConfig:\n  accessLogFile: /dev/stdout\npilot:\n  autoscaleMin: 2\n", ()),
        (
            "istiod:\n  meshConfig:\n    defaultConfig:\n      concurrency: 2\n  pilot: {cpu: {}}\n",
            ("istiod",),
        ),
        (OPERATOR + "profile: minimal\n", ("spec",)),
    ],
)
def test_istios_dns_proxy(tmp_path, text, path):
    after = yaml.safe_load(patched(tmp_path, "istiod-values.yaml", text).text_after)
    for step in (*path, "meshConfig", "defaultConfig", "proxyMetadata"):
        after = after[step]
    assert after == {"ISTIO_META_DNS_CAPTURE": "true"}


def test_a_proxy_that_is_off_on_purpose_stays_off(tmp_path):
    text = OPERATOR + (
        'meshConfig: {defaultConfig: {proxyMetadata: {ISTIO_META_DNS_CAPTURE: "false"}}}\n'
    )
    file = patched(tmp_path, "operator.yaml", text)
    assert not file.changed
    assert "is false, and is left so" in file.notes[0]


def test_a_file_without_dns_is_refused(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {}\n")
    with pytest.raises(AmbiguousChartError, match="no settings of DNS"):
        patch_dns([path], CHANGE)


def test_without_advice_nothing_changes(tmp_path):
    file = patched(tmp_path, "coredns.json", '{"replicaCount": 2}', DnsChange())
    assert not file.changed


def test_an_autoscaler_that_is_off_stays_off(tmp_path):
    text = '{"autoScaling": {"enabled": false}, "computeType": "ec2"}'
    after = json.loads(patched(tmp_path, "coredns.json", text).text_after)
    assert after["autoScaling"] == {"enabled": False}
    assert after["replicaCount"] == 3


FLUX = """
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: istiod, namespace: istio-system}
spec:
  chart: {spec: {chart: istiod, version: 1.28.0}}
  values:
    pilot: {autoscaleMin: 2}
"""
ARGO = """
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: istiod}
spec:
  source:
    chart: istiod
    repoURL: https://istio-release.storage.googleapis.com/charts
    targetRevision: 1.28.0
    helm:
      values: |
        pilot:
          autoscaleMin: 2
"""
SAIL = """
apiVersion: sailoperator.io/v1
kind: Istio
metadata: {name: default}
spec:
  version: v1.28.0
  namespace: istio-system
  values:
    pilot: {autoscaleMin: 2}
"""


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (FLUX, ("spec", "values")),
        (ARGO, ("spec", "source", "helm", "values")),
        (SAIL, ("spec", "values")),
    ],
    ids=["flux", "argo", "sail"],
)
def test_istios_dns_proxy_in_gitops_documents(tmp_path, text, path):
    after = yaml.safe_load(patched(tmp_path, "istiod.yaml", text).text_after)
    for step in path:
        after = after[step]
    values = yaml.safe_load(after) if isinstance(after, str) else after
    proxy = values["meshConfig"]["defaultConfig"]["proxyMetadata"]
    assert proxy == {"ISTIO_META_DNS_CAPTURE": "true"}
    assert values["pilot"] == {"autoscaleMin": 2}


def test_istios_dns_proxy_in_terraform(tmp_path):
    text = """
resource "helm_release" "istiod" {
  name       = "istiod"
  chart      = "istiod"
  repository = "https://istio-release.storage.googleapis.com/charts"
  values = [
    yamlencode({
      pilot = {
        autoscaleMin = 2
      }
    })
  ]
}
"""
    file = patched(tmp_path, "istio.tf", text)
    assert 'ISTIO_META_DNS_CAPTURE = "true"' in file.text_after


def test_a_file_that_terraform_reads_is_patched_itself(tmp_path):
    (tmp_path / "dns.json").write_text('{"replicaCount": 2}')
    path = tmp_path / "a.tf"
    path.write_text(
        'resource "aws_eks_addon" "d" {\n  addon_name = "coredns"\n'
        '  configuration_values = file("${path.module}/dns.json")\n}\n'
    )
    terraform, values = patch_dns([path], CHANGE)
    assert not terraform.changed
    assert json.loads(values.text_after)["replicaCount"] == 3


def test_a_list_of_objects_in_json_with_windows_line_ends(tmp_path):
    pod = {"spec": {"containers": [{"name": "app"}]}}
    item = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    text = json.dumps(
        {"kind": "List", "apiVersion": "v1", "items": [item | {"spec": {"template": pod}}]},
        indent=2,
    )
    path = tmp_path / "all.json"
    path.write_bytes(text.replace("\n", "\r\n").encode())
    (file,) = patch_dns([path], CHANGE)
    after = json.loads(file.text_after)["items"][0]["spec"]["template"]["spec"]
    assert after["dnsConfig"] == {"options": [{"name": "ndots", "value": "2"}]}


def test_a_pod_template_without_dns_config_set_to_null(tmp_path):
    file = patched(tmp_path, "web.yaml", TEMPLATE % "dnsConfig:")
    inside = yaml.safe_load(file.text_after)["spec"]["template"]["spec"]
    assert inside["dnsConfig"]["options"] == [{"name": "ndots", "value": "2"}]


def test_what_a_controller_made_is_left_to_it(tmp_path):
    pod = (
        "metadata: {name: web-x, namespace: shop, ownerReferences: [{kind: ReplicaSet, name: web}]}"
    )
    text = f"apiVersion: v1\nkind: Pod\n{pod}\nspec: {{containers: [{{name: app}}]}}\n"
    path = tmp_path / "pods.yaml"
    path.write_text(text)
    with pytest.raises(AmbiguousChartError, match="holds no settings of DNS"):
        patch_dns([path], CHANGE)


_SERVERS = "servers: [{zones: [{zone: .}], plugins: [{name: cache, parameters: 30}]}]\n"
_HELM_RELEASE = """\
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: dns, namespace: kube-system}
spec:
  chart: {spec: {chart: coredns}}
"""
_APPLICATION = """\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: dns, namespace: argocd}
spec:
  source:
    chart: coredns
    helm:
"""


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (_SERVERS + "replicaCount: 2\n", ()),
        (_HELM_RELEASE + "  values:\n    replicaCount: 2\n", ("spec", "values")),
        (_HELM_RELEASE, ("spec", "values")),
        (_APPLICATION + "      valuesObject: {replicaCount: 2}\n",
         ("spec", "source", "helm", "valuesObject")),
        (_APPLICATION + "      values: |\n        replicaCount: 2\n",
         ("spec", "source", "helm", "values")),
    ],
    ids=["file", "flux", "flux-without-values", "argo-object", "argo-text"],
)  # fmt: skip
def test_values_of_corednss_own_chart(tmp_path, text, path):
    after = yaml.safe_load(patched(tmp_path, "dns.yaml", text).text_after)
    for key in path:
        after = after[key]
    after = yaml.safe_load(after) if isinstance(after, str) else after
    after.pop("servers", None)
    assert after == {
        "replicaCount": 3,
        "resources": WANTED["resources"],
        "podDisruptionBudget": {"maxUnavailable": 1},
    }


@pytest.mark.parametrize(
    ("scaler", "after"),
    [
        ("hpa: {enabled: true, minReplicas: 1, maxReplicas: 20}",
         {"hpa": {"enabled": True, "minReplicas": 3, "maxReplicas": 20}}),
        ("autoscaler: {enabled: true, min: 1}", {"autoscaler": {"enabled": True, "min": 3}}),
    ],
)  # fmt: skip
def test_what_scales_corednss_own_chart_gets_the_bound(tmp_path, scaler, after):
    file = patched(tmp_path, "dns.yaml", _SERVERS + scaler + "\n")
    found = yaml.safe_load(file.text_after)
    assert after.items() <= found.items()
    assert "replicaCount" not in found


def test_a_corefile_is_left_as_it_is_and_what_to_change_is_named(tmp_path):
    text = "kind: ConfigMap\nmetadata: {name: coredns}\ndata:\n  Corefile: |\n    .:53 {\n    }\n"
    file = patched(tmp_path, "corefile.yaml", text, DnsChange(corefile="ttl 30"))
    assert not file.changed
    assert any("line 4" in note and "ttl 30" in note for note in file.notes)
    assert not patched(tmp_path, "corefile.yaml", text, DnsChange(ndots=2)).notes


@pytest.mark.parametrize("inside", [False, True])
def test_a_corefile_of_the_add_on_is_named_too(tmp_path, inside):
    values = json.dumps({"corefile": ".:53 {}", "replicaCount": 2})
    text = (
        values
        if not inside
        else (
            "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\naddons:\n- name: coredns\n"
            f"  configurationValues: |-\n    {values}\n"
        )
    )
    file = patched(tmp_path, "coredns.yaml", text, DnsChange(replicas=3, corefile="ttl 30"))
    assert any("ttl 30" in note for note in file.notes)
