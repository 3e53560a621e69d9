"""The metrics server is found by its Service's labels and asked through the API server's proxy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from rightsize.collectors.errors import ForbiddenError, ServerFailedError
from rightsize.collectors.kube import (
    cluster_role,
    connect,
    metrics_service,
    prometheus_role,
    through,
)
from rightsize.collectors.kube.metrics_server import MetricsService
from rightsize.collectors.prometheus.source import open_source
from rightsize.config import PrometheusSettings
from rightsize.errors import NoDataError, UsageError
from rightsize.snapshot import Snapshot
from tests.cli.run import rightsize
from tests.collectors.kube.test_kube_reading import CLUSTER, plugin
from tests.collectors.prometheus.mesh import DAY, HOUR, Pod, node
from tests.servers.kube_api import KubeApi, certificates, kube_api, kubeconfig
from tests.servers.prometheus import filled_prometheus

NAME, PART = "app.kubernetes.io/name", "app.kubernetes.io/component"
ROOT = Path(__file__).parents[3]


def service(
    name: str,
    labels: dict,
    *ports: tuple[str, int],
    namespace: str = "monitoring",
    ip: str = "10.1.1.1",
) -> dict:
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "clusterIP": ip,
            "ports": [{"name": n, "port": p} if n else {"port": p} for n, p in ports],
        },
    }


STACK = service(
    "kps-prometheus", {"app": "kube-prometheus-stack-prometheus"}, ("reloader-web", 8080),
    ("http-web", 9090),
)  # fmt: skip
OPERATED = service(
    "prometheus-operated", {"operated-prometheus": "true"}, ("http-web", 9090), ip="None"
)
OTHERS = [
    service("kps-kube-state-metrics", {NAME: "kube-state-metrics"}, ("http", 8080)),
    service("kps-alertmanager", {"app": "kube-prometheus-stack-alertmanager"}, ("http-web", 9093)),
    service("kps-operator", {"app": "kube-prometheus-stack-operator"}, ("https", 443)),
    service("web", {"app": "web"}, ("http", 80), namespace="shop"),
    {"kind": "Service", "apiVersion": "v1", "metadata": {"name": "bare", "namespace": "shop"}},
]
CHART = {NAME: "prometheus", PART: "server"}


def found(tmp_path: Path, *services: dict, wanted: str = "auto", **how: object) -> MetricsService:
    with kube_api([*OTHERS, *services], **how) as api:
        file = kubeconfig(tmp_path / "kubeconfig", api.address, {"token": "x"})
        return metrics_service(connect(kubeconfig=file), wanted)


@pytest.mark.parametrize(
    ("services", "path"),
    [
        ([OPERATED, STACK], "kps-prometheus:http-web/proxy"),
        ([OPERATED], "prometheus-operated:http-web/proxy"),
        ([service("prometheus-server", CHART, ("http", 80))], "prometheus-server:http/proxy"),
        ([service("prometheus", CHART, ("", 9090))], "prometheus:9090/proxy"),
        (
            [service("p", CHART, ("http", 80)), service("p-headless", CHART, ("http", 80), ip="None")],
            "p:http/proxy",
        ),
        (
            [service("prometheus-k8s", {NAME: "prometheus", "app.kubernetes.io/part-of":
                                        "kube-prometheus", PART: "prometheus"}, ("web", 9090))],
            "prometheus-k8s:web/proxy",
        ),
        ([service("vmsingle-x", {NAME: "vmsingle"}, ("http", 8429))], "vmsingle-x:http/proxy"),
        (
            [STACK, service("vmselect-x", {NAME: "vmselect"}, ("http", 8481))],
            "vmselect-x:http/proxy/select/0/prometheus",
        ),
        (
            [STACK, service("thanos-query", {NAME: "thanos", PART: "query"}, ("http", 9090)),
             service("thanos-query-grpc", {NAME: "thanos", PART: "query"}, ("grpc", 10901))],
            "thanos-query:http/proxy",
        ),
        (
            [STACK, service("mimir-query-frontend", {NAME: "mimir", PART: "query-frontend"},
                            ("grpc", 9095), ("http-metrics", 8080))],
            "mimir-query-frontend:http-metrics/proxy/prometheus",
        ),
        ([service("prom", CHART, ("https", 9090))], "https:prom:https/proxy"),
    ],
    ids=lambda value: value.partition("/")[0] if isinstance(value, str) else "",
)  # fmt: skip
def test_each_products_service_is_found_with_its_port_and_path(tmp_path, services, path):
    one = found(tmp_path, *services)
    assert one.proxy_path == f"/api/v1/namespaces/monitoring/services/{path}"


def test_two_alike_are_not_guessed_between(tmp_path):
    second = service("prometheus", CHART, ("http", 9090), namespace="istio-system")
    with pytest.raises(UsageError, match="istio-system/prometheus, monitoring/kps-prometheus"):
        found(tmp_path, STACK, second)


def test_none_at_all_names_the_way_to_say_which(tmp_path):
    with pytest.raises(NoDataError, match="no Service looks like") as caught:
        found(tmp_path)
    assert "--prometheus NAMESPACE/SERVICE" in str(caught.value)
    with pytest.raises(NoDataError, match="not allowed to list services"):
        found(tmp_path, STACK, refused={"services"})


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ("m/p:9090", "m/services/p:9090/proxy"),
        ("m/p", "m/services/p/proxy"),
        ("m/https:p:web/prom/", "m/services/https:p:web/proxy/prom"),
    ],
)
def test_a_named_service_needs_no_list(tmp_path, wanted, path):
    one = found(tmp_path, wanted=wanted, refused={"services"})
    assert one.proxy_path == f"/api/v1/namespaces/{path}"


@pytest.mark.parametrize("wanted", ["prometheus", "m/../x", "a/b:9/../../x", "m/p?x=1", "M/p", ""])
def test_what_is_no_service_is_refused(tmp_path, wanted):
    with pytest.raises(UsageError, match="is no Service"):
        found(tmp_path, wanted=wanted)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory) -> Iterator[str]:
    pod = Pod("web-6d4cf56db6-bcdfg")
    series = [*node(), *pod.described(), *pod.used()]
    with filled_prometheus(tmp_path_factory.mktemp("prometheus"), series) as address:
        yield address


BEHIND = "monitoring/kps-prometheus:http-web"


def served(prometheus: str, **how: object):
    return kube_api([*CLUSTER, *OTHERS, STACK], behind={BEHIND: prometheus}, **how)


def collected(tmp_path: Path, file: Path, *words: object):
    days = ("--start", datetime.fromtimestamp(DAY, UTC).isoformat())
    days += ("--end", datetime.fromtimestamp(DAY + 24 * HOUR, UTC).isoformat())
    return rightsize("collect", "--kubeconfig", file, *days, "--out", tmp_path / "s", *words)


@pytest.mark.servers
def test_the_first_run_is_one_command_with_get_and_list_alone(prometheus, tmp_path):
    with served(prometheus, token="t0ken-of-tests") as api:
        file = kubeconfig(tmp_path / "kubeconfig", api.address, {"token": "t0ken-of-tests"})
        done = collected(tmp_path, file)
        asked = {(one.verb, one.plural) for one in api.asked}
    assert done.returncode == 0, done.stderr
    assert "Metrics server: monitoring/kps-prometheus through" in done.stderr
    assert "t0ken" not in done.stdout + done.stderr
    manifest = Snapshot(tmp_path / "s").manifest
    assert manifest.facts["servers"].startswith("monitoring/kps-prometheus through")
    assert manifest.cluster == "prod", "by the kubeconfig's current context"
    rules = [*cluster_role()["rules"], *prometheus_role()["rules"]]
    granted = {(v, p) for rule in rules for v in rule["verbs"] for p in rule["resources"]}
    assert asked <= granted
    assert {verb for verb, _ in asked} == {"get", "list"}


@pytest.mark.servers
def test_client_certificates_reach_it_over_tls(prometheus, tmp_path):
    tls = certificates(tmp_path)
    user = {"client-certificate": str(tls / "client.crt"), "client-key": str(tls / "client.key")}
    with served(prometheus, tls=tls) as api:
        file = kubeconfig(tmp_path / "k", api.address, user, authority=tls / "ca.crt")
        done = rightsize("doctor", "--kubeconfig", file, "--format", "json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["servers"]


@pytest.mark.servers
def test_an_exec_plugins_token_is_asked_for_anew_when_it_runs_out(prometheus, tmp_path):
    count = tmp_path / "count"
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "kind": "ExecCredential",
        "status": {"token": "NUMBER", "expirationTimestamp": "2020-01-01T00:00:00Z"},
    }
    body = (
        f"import json, pathlib\np = pathlib.Path({str(count)!r})\n"
        "n = int(p.read_text()) + 1 if p.exists() else 1\np.write_text(str(n))\n"
        f"print({json.dumps(json.dumps(credential))}.replace('NUMBER', f'token-{{n}}'))"
    )
    user = plugin(tmp_path, body)
    with served(prometheus) as api:
        file = kubeconfig(tmp_path / "kubeconfig", api.address, user)
        cluster = connect(kubeconfig=file)
        before = int(count.read_text())
        settings = through(cluster, metrics_service(cluster), PrometheusSettings())
        with open_source(settings) as source:
            source.now()
            source.now()
    assert int(count.read_text()) > before + 1


def asked(api: KubeApi, tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "kubeconfig", api.address, {"token": "x"})
    cluster = connect(kubeconfig=file)
    with open_source(through(cluster, metrics_service(cluster), PrometheusSettings())):
        pass


def test_the_permission_that_is_missing_is_named_with_the_role(tmp_path):
    with (
        served("http://127.0.0.1:9", refused={"services/proxy"}) as api,
        pytest.raises(ForbiddenError, match="services/proxy") as caught,
    ):
        asked(api, tmp_path)
    assert "cluster-role-prometheus.yaml" in str(caught.value)


def test_a_service_without_endpoints_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("rightsize.collectors.prometheus.client._FIRST_PAUSE", 0.0)
    with (
        kube_api([STACK]) as api,
        pytest.raises(ServerFailedError, match="no endpoints available"),
    ):
        asked(api, tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--prometheus", "auto"), "goes through a cluster"),
        (
            ("--prometheus", "auto", "--prometheus-url", "http://h:1", "--kubeconfig", "k"),
            "two ways",
        ),
    ],
)
def test_ways_that_contradict_each_other_are_refused(tmp_path, words, said):
    kubeconfig(tmp_path / "k", "http://127.0.0.1:9", {"token": "x"})
    done = rightsize("doctor", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_the_documented_role_is_the_one_of_the_code():
    text = (ROOT / "docs" / "cluster-role-prometheus.yaml").read_text()
    assert yaml.safe_load(text) == prometheus_role()
