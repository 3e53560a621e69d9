"""Whose file it is: proven by what only Istio has, never by keys that any chart may have."""

from __future__ import annotations

from pathlib import Path

import pytest

from rightsize.errors import AmbiguousChartError, InputFileError
from rightsize.files import tree
from rightsize.files.chart_metadata import Chart, chart_named
from rightsize.files.charts import Hints, scopes_of_values
from rightsize.files.classify import charts_of_values, kind_of
from rightsize.files.source import read_source

STRANGERS = {
    "a budget": "pdb: {minAvailable: 1}\nresources: {requests: {cpu: 1}}\n",
    "taints": "taint: {key: x}\n",
    "telemetry": "telemetry: {enabled: true}\nreplicaCount: 2\n",
    "ambient": "ambient: {light: true}\n",
    "repair": "repair: {enabled: true}\n",
    "JSON logs": "logAsJson: true\nresources: {}\n",
    "helm create": (
        "replicaCount: 1\nimage: {repository: nginx, tag: ''}\nservice: {type: ClusterIP, port: 80}\n"
        "autoscaling: {enabled: false, minReplicas: 1, maxReplicas: 100}\n"
        "serviceAccount: {create: true}\nresources: {}\n"
    ),
    "a service alone": "service: {type: LoadBalancer}\nautoscaling: {minReplicas: 2}\n",
    "cilium": "cni: {exclusive: false, resources: {requests: {cpu: 100m}}, chainingMode: none}\n",
    "an HTTP proxy": "global: {proxy: {http: proxy:3128, enabled: true}}\n",
    "an edge gateway": "api-gateway: {resources: {requests: {cpu: 1}}}\nweb: {replicaCount: 1}\n",
    "a proxy of one's own": (
        "global: {proxy: {image: envoy, resources: {requests: {cpu: 1}}}, env: prod}\nweb: {}\n"
    ),
    "a proxy beside replicas": "global: {proxy: {resources: {}}}\nreplicas: 2\n",
    "a proxy with an upstream": "global: {proxy: {resources: {}, upstream: api}}\n",
    "a service called pilot": (
        "pilot: {replicaCount: 2, resources: {}}\ncopilot: {replicaCount: 1}\n"
    ),
    "a pilot with a port": "pilot: {env: {A: b}, port: 80}\n",
    "a pipeline's job": "istiod: {extends: .deploy, script: [x]}\n",
}
PROVEN = {
    "pilot": ("pilot: {resources: {}}\n", "istiod"),
    "sidecars": ("global: {proxy: {resources: {}}}\n", "istiod"),
    "a profile beside pilot": ("pilot: {env: {A: b}}\nprofile: ambient\n", "istiod"),
    "sidecars' own key": ("web: {}\nglobal: {proxy: {excludeIPRanges: 10.0.0.0/8}}\n", "istiod"),
    "a shared block": ("shared: &r {cpu: 1}\npilot: {resources: {requests: *r}}\n", "istiod"),
    "mesh config": ("meshConfig: {accessLogFile: /dev/stdout}\n", "istiod"),
    "flat istiod": ("autoscaleMin: 2\nresources: {requests: {cpu: 1}}\n", "istiod"),
    "the shipped wrapper": ("_internal_defaults_do_not_set: {autoscaling: {}}\n", "gateway"),
    "a gateway's label": ("labels: {istio: ingressgateway}\nservice: {}\n", "gateway"),
    "a gateway's port": ("service: {ports: [{name: status-port, port: 15021}]}\n", "gateway"),
    "a gateway's name": ("name: istio-egressgateway\nautoscaling: {}\n", "gateway"),
    "an image": ("image: docker.io/istio/ztunnel:1.24.0\nresources: {}\n", "ztunnel"),
    "cni": ("cni: {cniBinDir: /opt}\n", "cni"),
    "base": ("base: {enableCRDTemplates: true}\ndefaultRevision: x\n", "base"),
}


def root_of(text: str) -> tree.Mapping:
    root = tree.parse(text)[0].root
    assert isinstance(root, tree.Mapping)
    return root


@pytest.mark.parametrize("name", STRANGERS)
def test_keys_that_any_chart_may_have_prove_nothing(name: str) -> None:
    assert charts_of_values(None, root_of(STRANGERS[name])) == ()


@pytest.mark.parametrize("name", PROVEN)
def test_what_only_istio_has_proves_the_chart(name: str) -> None:
    text, chart = PROVEN[name]
    assert [placed.chart for placed in charts_of_values(None, root_of(text))] == [chart]


@pytest.mark.parametrize(
    ("metadata", "chart"),
    [
        ("name: gateway\ndescription: Helm chart for deploying Istio gateways\n", "gateway"),
        ("name: gateway\ndescription: our API gateway\n", None),
        ("name: istiod\nversion: 1.24.2\n", "istiod"),
        ("name: shop\n", None),
    ],
)
def test_a_chart_yaml_proves_only_where_it_is_istios(
    tmp_path: Path, metadata: str, chart: str | None
) -> None:
    (tmp_path / "Chart.yaml").write_text(metadata)
    found = charts_of_values(tmp_path / "values.yaml", root_of("resources: {}\n"))
    assert [placed.chart for placed in found] == ([chart] if chart else [])


def test_an_umbrella_named_istiod_has_its_values_below_the_dependency(tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text(
        "name: istiod\ndependencies:\n- {name: base, version: 1.24.2}\n"
        "- {name: istiod, version: 1.24.2}\n- {name: redis, version: 1.0.0}\n"
    )
    text = "istiod: {global: {}}\nbase: {global: {}}\nredis: {resources: {}}\n"
    found = charts_of_values(tmp_path / "values.yaml", root_of(text))
    assert [(p.prefix, p.chart, p.version) for p in found] == [
        (("base",), "base", (1, 24)),
        (("istiod",), "istiod", (1, 24)),
    ]


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("helmfile.yaml", "releases: []\n", "helmfile"),
        ("x.yaml", "releases: [{name: a, chart: istio/istiod}]\n", "helmfile"),
        ("kustomization.yaml", "resources: [a.yaml]\n", "kustomization"),
        ("k.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n",
         "kustomization"),
        ("Chart.yaml", "name: istiod\n", "chart"),
        ("a.yaml", "apiVersion: sailoperator.io/v1\nkind: Istio\n", "release"),
        ("a.yaml", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n", "crd"),
        ("a.yaml", "apiVersion: v1\nkind: Service\n", "object"),
        ("a.yaml", "pilot: {}\n", "values"),
    ],
)  # fmt: skip
def test_the_kind_of_a_document(name: str, text: str, kind: str) -> None:
    assert kind_of(Path(name), root_of(text)) == kind


@pytest.mark.parametrize("name", ["helmfile.yaml", "kustomization.yaml"])
def test_the_chart_flag_does_not_excuse_from_the_kind_of_the_file(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("releases: [{name: istiod, chart: istio/istiod}]\n")
    source = read_source(tmp_path / name)
    assert scopes_of_values(source, 0, (), Hints(chart="istiod")) is None


def test_base_values_are_no_istiod_values_whatever_the_flag_says(tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text("base: {enableCRDTemplates: true}\nglobal: {}\n")
    with pytest.raises(InputFileError, match="values of the base chart"):
        scopes_of_values(read_source(tmp_path / "v.yaml"), 0, (), Hints(chart="istiod"))


@pytest.mark.parametrize(
    ("text", "chart", "why"),
    [
        ("meshConfig: {accessLogFile: /dev/stdout}\n", "gateway", "values of the istiod chart"),
        ("networkGateway: net1\n", "istiod", "values of the gateway chart"),
        ("name: ci\non: [push]\nenv: {A: b}\njobs: {}\n", "istiod", "most keys of this file"),
        ("services: {web: {image: shop}}\n", "gateway", "most keys of this file"),
        ("openapi: 3.1.0\npaths: {}\n", "cni", "most keys of this file"),
    ],
)
def test_the_chart_flag_does_not_make_values_of_what_shows_that_it_is_something_else(
    tmp_path: Path, text: str, chart: Chart, why: str
) -> None:
    (tmp_path / "v.yaml").write_text(text)
    with pytest.raises(InputFileError, match=why):
        scopes_of_values(read_source(tmp_path / "v.yaml"), 0, (), Hints(chart=chart))


def test_the_chart_flag_names_the_chart_of_a_file_that_proves_none(tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text("global: {hub: x}\nour: {own: 1}\n")
    found = scopes_of_values(read_source(tmp_path / "v.yaml"), 0, (), Hints(chart="istiod"))
    assert found is not None
    assert found[0].chart == "istiod"


def test_keys_of_two_charts_are_a_question(tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text("pilot: {env: {}}\nnetworkGateway: net1\n")
    with pytest.raises(AmbiguousChartError, match="several charts: istiod, gateway"):
        scopes_of_values(read_source(tmp_path / "v.yaml"), 0, (), Hints())


@pytest.mark.parametrize(
    ("name", "repository", "chart"),
    [
        ("istiod", "https://charts.example.com", "istiod"),
        ("gateway", "https://istio-release.storage.googleapis.com/charts", "gateway"),
        ("gateway", "https://charts.example.com", None),
        ("manifests/charts/gateway", "https://github.com/istio/istio", "gateway"),
        ("istio/gateway", None, "gateway"),
        ("nginx", "https://istio.example.com", None),
    ],
)
def test_a_gitops_document_proves_by_name_and_repository(
    name: str, repository: str | None, chart: str | None
) -> None:
    assert chart_named(name, repository) == chart
