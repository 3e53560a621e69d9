"""A cluster is read like the user's own export: whole, politely, and with what is missing named."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from rightsize.collectors.errors import (
    MalformedAnswerError,
    MetricsServerError,
    ServerFailedError,
    SlowServerError,
    TlsError,
    UnauthorizedError,
    UnreachableError,
)
from rightsize.collectors.kube import (
    RESOURCES,
    audited_objects,
    cluster_objects,
    cluster_role,
    configuration_objects,
    connect,
)
from rightsize.collectors.kube.connection import ApiServer
from rightsize.collectors.kube.pages import listed
from rightsize.collectors.kube.read import cluster_name
from rightsize.collectors.objects import objects_of, read_objects
from rightsize.errors import InputFileError, NoDataError, UsageError
from rightsize.namespaces.configuration import configuration_of
from rightsize.namespaces.study import routes_known
from tests.collectors.prometheus.test_prometheus_inventory import OBJECTS
from tests.servers.kube_api import Asked, KubeApi, certificates, kube_api, kubeconfig

_VERSIONS = {"Deployment": "apps/v1", "PodDisruptionBudget": "policy/v1"}
_VERSIONS |= {"HorizontalPodAutoscaler": "autoscaling/v2", "Rollout": "argoproj.io/v1alpha1"}


def pod(number: int, namespace: str = "shop") -> dict:
    about = {"name": f"web-{number}", "namespace": namespace, "labels": {"app": "web"}}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": about, "spec": {"nodeName": "n1"}}


def route(name: str = "web", namespace: str = "shop") -> dict:
    return {
        "kind": "VirtualService",
        "apiVersion": "networking.istio.io/v1",
        "metadata": {"name": name, "namespace": namespace, "managedFields": [{"manager": "x"}]},
        "spec": {"hosts": ["web"], "http": [{"route": [{"destination": {"host": "pay.bank"}}]}]},
        "status": {"conditions": []},
    }


CLUSTER = [
    *({"apiVersion": _VERSIONS.get(one["kind"], "v1")} | one for one in OBJECTS["items"]),
    *(pod(number) for number in range(7)),
    pod(7, "other"),
    route(),
    {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s", "namespace": "shop"}},
    {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "istio", "namespace": "istio-system"},
        "data": {"mesh": "extensionProviders:\n- {name: z, zipkin: {service: z.tools}}\n"},
    },
]


@pytest.fixture
def api():
    with kube_api(CLUSTER) as server:
        yield server


def opened(api: KubeApi, tmp_path: Path, **how: object) -> ApiServer:
    file = kubeconfig(tmp_path / "kubeconfig", api.address, {"token": "t0ken-of-tests"})
    return connect("prod", kubeconfig=file, **how)


def test_the_cluster_and_its_export_say_the_same(api, tmp_path):
    export = tmp_path / "objects.json"
    export.write_text(json.dumps({"kind": "List", "items": CLUSTER}))
    from_file, from_cluster = read_objects([export]), cluster_objects(opened(api, tmp_path))
    for part in ("nodes", "namespaces", "pods", "templates", "hpas", "pdbs"):
        assert getattr(from_cluster, part) == getattr(from_file, part), part
    assert from_cluster.missing == []
    assert from_cluster.read_from == ["prod"]


def test_lists_are_read_page_by_page_one_request_at_a_time(api, tmp_path):
    api.seconds = 0.002
    assert len(cluster_objects(opened(api, tmp_path)).pods) == 8
    pages = [path for path in api.paths if path.startswith("/api/v1/pods?")]
    assert len(pages) == 4
    assert all("limit=" in path for path in pages)
    assert api.most_at_once <= 2


def test_no_more_than_a_page_is_held(api, tmp_path):
    stream = listed(opened(api, tmp_path), "/api/v1/pods")
    next(stream)
    assert len(api.paths) == 1


def test_a_list_that_expires_in_the_middle_begins_anew_and_counts_each_object_once(api, tmp_path):
    api.expires_once = {"pods", "horizontalpodautoscalers.autoscaling"}
    found = cluster_objects(opened(api, tmp_path))
    assert (len(found.pods), len(found.hpas)) == (8, 1)
    assert found.missing == []


@pytest.mark.parametrize("title", [one.title for one in RESOURCES])
def test_each_permission_that_is_missing_is_named_with_its_cost(api, tmp_path, title):
    api.refused = {title}
    cluster = opened(api, tmp_path)
    missing = [
        *cluster_objects(cluster).missing,
        *configuration_objects(cluster).missing,
        *audited_objects(cluster).missing,
    ]
    (resource,) = (one for one in RESOURCES if one.title == title)
    assert len(missing) == len(resource.uses)
    assert all(title in one.what and one.costs == resource.costs for one in missing)


def test_what_is_not_installed_is_not_missing(api, tmp_path):
    api.absent = {one.title for one in RESOURCES if "." in one.group}
    assert cluster_objects(opened(api, tmp_path)).missing == []
    read = configuration_objects(opened(api, tmp_path))
    assert {one["kind"] for one in read.objects} == {"ConfigMap"}
    assert read.missing == []


def test_permissions_in_ones_own_namespaces_are_enough_for_them(api, tmp_path):
    api.refused = {f"*/{one.title}" for one in RESOURCES}
    found = cluster_objects(opened(api, tmp_path, namespaces=("shop",)))
    assert {namespace for namespace, _ in found.pods} == {"shop"}
    assert len(found.hpas) == len(found.pdbs) == 1
    assert [one.what for one in found.missing] == ["permission to list nodes"]


def test_a_namespace_that_is_not_there_is_no_empty_one(api, tmp_path):
    with pytest.raises(NoDataError, match="there is no namespace shopp"):
        cluster_objects(opened(api, tmp_path, namespaces=("shop", "shopp")))


@pytest.mark.parametrize("name", ["../shop", "shop/pods", "Shop", "", "shop?x=1", "a" * 64])
def test_what_is_no_name_of_a_namespace_never_reaches_a_path(api, tmp_path, name):
    with pytest.raises(UsageError, match="is no namespace"):
        opened(api, tmp_path, namespaces=(name,))
    assert api.paths == []


def test_without_permission_for_all_namespaces_the_option_for_some_is_named_once(api, tmp_path):
    api.refused = {f"*/{one.title}" for one in RESOURCES}
    first, *others = (one.costs for one in cluster_objects(opened(api, tmp_path)).missing)
    assert "--kube-namespace" in first
    assert not any("--kube-namespace" in one for one in others)


@pytest.mark.parametrize("title", [one.title for one in RESOURCES if one.custom])
def test_a_kind_that_its_conversion_fails_for_is_named_and_the_rest_is_read(
    api, tmp_path, title, monkeypatch
):
    monkeypatch.setattr("time.sleep", lambda _: None)
    api.broken = {title}
    cluster = opened(api, tmp_path)
    resources = [one for one in RESOURCES if one.title == title]
    missing = [*cluster_objects(cluster).missing, *configuration_objects(cluster).missing]
    wanted = {one.costs for one in resources if one.uses & {"snapshot", "configuration"}}
    assert {one.costs for one in missing} == wanted
    assert all("answered 500" in one.what for one in missing)
    whole = configuration_objects(cluster).whole
    assert not whole & {one.kind for one in resources}


def test_a_kind_of_kubernetes_itself_that_fails_is_an_error(api, tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    api.broken = {"deployments.apps"}
    with pytest.raises(ServerFailedError):
        cluster_objects(opened(api, tmp_path))


def test_an_older_version_of_an_api_is_read_where_the_newest_is_not_served(tmp_path):
    asked = []

    class Old:
        name, namespaces = "old", ()

        def get(self, path, query):
            asked.append(path)
            from rightsize.collectors.kube.connection import Reply

            if path == "/apis/networking.istio.io/v1beta1/virtualservices":
                return Reply(200, json.dumps({"items": [route()]}).encode())
            return Reply(404, b"{}")

    read = configuration_objects(Old())
    assert [one["metadata"]["name"] for one in read.objects] == ["web"]
    assert read.missing == []
    assert "/apis/networking.istio.io/v1/virtualservices" in asked


def allowed(asked: Asked) -> bool:
    """Whether the generated ClusterRole allows a request, as RBAC decides."""
    return any(
        asked.group in rule["apiGroups"]
        and asked.plural in rule["resources"]
        and asked.verb in rule["verbs"]
        and asked.name in (rule.get("resourceNames") or [asked.name])
        for rule in cluster_role()["rules"]
    )


def test_the_cluster_role_allows_every_request_and_no_other(api, tmp_path):
    for namespaces in ((), ("shop",)):
        cluster = opened(api, tmp_path, namespaces=namespaces)
        cluster_objects(cluster)
        configuration_objects(cluster)
        audited_objects(cluster)
    assert [one for one in api.asked if not allowed(one)] == []
    used = {(one.verb, one.group, one.plural) for one in api.asked}
    granted = {
        (verb, group, plural)
        for rule in cluster_role()["rules"]
        for group in rule["apiGroups"]
        for plural in rule["resources"]
        for verb in rule["verbs"]
    }
    assert granted == used
    assert {verb for verb, _, _ in granted} == {"get", "list"}


def test_secrets_are_never_asked_for(api, tmp_path):
    cluster = opened(api, tmp_path)
    cluster_objects(cluster)
    audited_objects(cluster)
    assert not any("secrets" in path for path in api.paths)
    assert not any("secrets" in str(rule["resources"]) for rule in cluster_role()["rules"])


def test_virtual_services_and_the_mesh_config_reach_scope(api, tmp_path):
    configuration = configuration_of(configuration_objects(opened(api, tmp_path)).objects)
    assert configuration.virtual_services == 1
    assert "shop" in configuration.namespaces
    exported = [one for one in CLUSTER if one["kind"] in ("VirtualService", "ConfigMap")]
    assert configuration == configuration_of(exported)


def test_a_kind_counts_as_known_where_every_object_of_it_was_read(api, tmp_path):
    api.absent = {"virtualservices.networking.istio.io"}
    assert "VirtualService" in configuration_objects(opened(api, tmp_path)).whole
    assert not configuration_objects(opened(api, tmp_path, namespaces=("shop",))).whole
    api.refused = {"virtualservices.networking.istio.io"}
    api.absent = set()
    read = configuration_objects(opened(api, tmp_path))
    assert "VirtualService" not in read.whole
    assert routes_known(configuration_of(read.objects, read.whole), None) is False
    api.refused = set()
    api.objects = []
    read = configuration_objects(opened(api, tmp_path))
    assert routes_known(configuration_of(read.objects, read.whole), None) is True


def webhook(name: str, labels: dict) -> dict:
    about = {"name": name, "labels": labels}
    kind = {"kind": "MutatingWebhookConfiguration"}
    return kind | {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": about}


def config_map(name: str) -> dict:
    about = {"name": name, "namespace": "istio-system"}
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": about, "data": {"mesh": "{}"}}


INJECTOR = {"app": "sidecar-injector"}
REVISED = [
    webhook("istio-sidecar-injector", INJECTOR | {"istio.io/rev": "default"}),
    webhook("istio-sidecar-injector-1-24", INJECTOR | {"istio.io/rev": "1-24"}),
    webhook("istio-revision-tag-prod", INJECTOR | {"istio.io/rev": "1-24", "istio.io/tag": "prod"}),
    webhook("evil", INJECTOR | {"istio.io/rev": "../../secrets"}),
    webhook("cert-manager", {"app": "webhook"}),
    *map(config_map, ("istio", "istio-1-24", "istio-sidecar-injector", "other")),
]


def test_the_injector_and_the_mesh_config_of_each_revision_are_read(tmp_path):
    with kube_api(REVISED) as api:
        read = audited_objects(opened(api, tmp_path))
    names = [one["metadata"]["name"] for one in read.objects if one["kind"] == "ConfigMap"]
    assert sorted(names) == ["istio", "istio-1-24", "istio-sidecar-injector"]
    webhooks = [one for one in read.objects if one["kind"] == "MutatingWebhookConfiguration"]
    assert "cert-manager" not in {one["metadata"]["name"] for one in webhooks}
    assert not any("secrets" in path for path in api.paths)
    assert read.missing == []


def test_a_revision_that_may_not_be_read_is_named(tmp_path):
    with kube_api(REVISED, refused={"configmaps/istio-1-24"}) as api:
        (missing,) = configuration_objects(opened(api, tmp_path)).missing
    assert missing.what == "permission to get configmaps istio-1-24 in istio-system"


def broken(kind: str, version: str, spec: object, name: str = "x") -> dict:
    about = {"namespace": "shop", "name": name}
    return {"kind": kind, "apiVersion": version, "metadata": about, "spec": spec}


_TARGET = {"scaleTargetRef": {"name": "web"}}
ODD = [
    broken("ScaledObject", "keda.sh/v1alpha1", _TARGET | {"triggers": [{"type": "cpu", "metadata": {}}]}),
    broken("ScaledObject", "keda.sh/v1alpha1", {"triggers": []}),
    broken("ScaledObject", "keda.sh/v1alpha1",
           _TARGET | {"triggers": [{"type": "cpu", "metadata": {"value": "sixty"}}]}),
    broken("VerticalPodAutoscaler", "autoscaling.k8s.io/v1", {"updatePolicy": {}}),
    broken("VerticalPodAutoscaler", "autoscaling.k8s.io/v1", None),
    broken("Rollout", "argoproj.io/v1alpha1", {"replicas": 1}),
    broken("Rollout", "argoproj.io/v1alpha1", {"workloadRef": {"name": "web"}}),
    broken("DeploymentConfig", "apps.openshift.io/v1", {"template": {"spec": None}}),
]  # fmt: skip


@pytest.mark.parametrize("item", ODD, ids=lambda item: item["kind"])
def test_an_object_that_its_own_controller_refuses_is_named_and_the_rest_is_read(tmp_path, item):
    with kube_api([*CLUSTER, item]) as api:
        found = cluster_objects(opened(api, tmp_path))
    assert len(found.pods) == 8
    (missing,) = found.missing
    assert missing.what == f"{item['kind']} shop/x, an object of another shape"


def test_a_deployment_config_describes_its_pods(tmp_path):
    template = {"metadata": {"labels": {"app": "dc"}}, "spec": {"containers": []}}
    item = broken("DeploymentConfig", "apps.openshift.io/v1", {"template": template}, "dc")
    with kube_api([item]) as api:
        found = cluster_objects(opened(api, tmp_path))
    assert found.pod("shop", "dc-1-x", "DeploymentConfig", "dc").labels == {"app": "dc"}


def test_templates_of_jobs_and_of_rollouts_that_point_to_a_deployment_are_known():
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"nodeSelector": {"a": "b"}}}
    about = {"namespace": "shop"}
    items = [
        {"kind": "Rollout", "metadata": about | {"name": "web"},
         "spec": {"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "base"}}},
        {"kind": "Rollout", "metadata": about | {"name": "lost"},
         "spec": {"workloadRef": {"kind": "Deployment", "name": "gone"}}},
        {"kind": "Deployment", "metadata": about | {"name": "base"}, "spec": {"template": template}},
        {"kind": "CronJob", "metadata": about | {"name": "nightly"},
         "spec": {"jobTemplate": {"spec": {"template": template}}}},
    ]  # fmt: skip
    found = objects_of(items, ["x"])
    assert found.pod("shop", "web-1", "Rollout", "web").labels == {"app": "x"}
    assert found.pod("shop", "nightly-1", "CronJob", "nightly").labels == {"app": "x"}
    assert found.pod("shop", "lost-1", "Rollout", "lost").labels == {}


def test_the_audit_gets_objects_as_they_were_written(api, tmp_path):
    objects = audited_objects(opened(api, tmp_path)).objects
    (found,) = (one for one in objects if one["kind"] == "VirtualService")
    assert "status" not in found
    assert "managedFields" not in found["metadata"]
    assert not any(one["kind"] == "Pod" for one in objects)


def test_a_busy_server_is_asked_again(api, tmp_path):
    api.busy = [429, 503, 429]
    assert len(cluster_objects(opened(api, tmp_path)).pods) == 8


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ({"busy": [500] * 4}, ServerFailedError),
        ({"body": b"<html>sign in</html>"}, MalformedAnswerError),
        ({"body": b"[]"}, ServerFailedError),
        ({"body": b'{"items": 3}'}, MalformedAnswerError),
        ({"body": b'{"items": [{"spec": {}}]}'}, MalformedAnswerError),
        ({"body": b'{"items": [], "metadata": {"continue": "same"}}'}, MalformedAnswerError),
        ({"token": "another"}, UnauthorizedError),
    ],
)
def test_what_is_no_answer_of_an_api_server_is_said(api, tmp_path, how, kind, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    for name, value in how.items():
        setattr(api, name, value)
    with pytest.raises(kind) as caught:
        cluster_objects(opened(api, tmp_path))
    assert "t0ken-of-tests" not in str(caught.value)


def test_a_silent_server_is_given_up(api, tmp_path):
    api.seconds = 0.5
    cluster = opened(api, tmp_path)
    impatient = ApiServer(cluster.name, (), cluster.client, timeout=(1.0, 0.05))
    with pytest.raises(SlowServerError):
        cluster_objects(impatient)


def test_nothing_listening_is_unreachable(tmp_path, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)
    file = kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:9", {"token": "x"})
    with pytest.raises(UnreachableError):
        cluster_objects(connect(kubeconfig=file))


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    return certificates(tmp_path_factory.mktemp("tls"))


def test_a_client_certificate_opens_the_cluster_and_its_lack_is_a_tls_error(tls, tmp_path):
    user = {"client-certificate": str(tls / "client.crt"), "client-key": str(tls / "client.key")}
    with kube_api(CLUSTER, tls=tls) as api:
        file = kubeconfig(tmp_path / "k", api.address, user, authority=tls / "ca.crt")
        assert len(cluster_objects(connect(kubeconfig=file)).pods) == 8
        for given, authority in ((user, None), ({}, tls / "ca.crt")):
            file = kubeconfig(tmp_path / "k2", api.address, given, authority=authority)
            with pytest.raises((TlsError, UnreachableError)):
                cluster_objects(connect(kubeconfig=file))


def plugin(tmp_path: Path, body: str) -> dict:
    program = tmp_path / "aws-like"
    program.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
    os.chmod(program, stat.S_IRWXU)
    version = "client.authentication.k8s.io/v1beta1"
    return {"exec": {"apiVersion": version, "command": str(program), "args": ["token"]}}


def test_a_credentials_plugin_is_run_as_kubectl_does(api, tmp_path):
    api.token = "from-the-plugin"
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "kind": "ExecCredential",
        "status": {"token": api.token},
    }
    user = plugin(tmp_path, f"print({json.dumps(json.dumps(credential))})")
    file = kubeconfig(tmp_path / "kubeconfig", api.address, user)
    before = file.read_text()
    assert len(cluster_objects(connect(kubeconfig=file)).pods) == 8
    assert file.read_text() == before


def test_a_credentials_plugin_that_fails_is_named(api, tmp_path, capfd):
    user = plugin(tmp_path, "sys.exit('session has expired')")
    file = kubeconfig(tmp_path / "kubeconfig", api.address, user)
    with pytest.raises(InputFileError, match="plugin failed"):
        connect(kubeconfig=file)
    assert "ERROR:root" not in capfd.readouterr().err


@pytest.mark.parametrize("text", ["", "a: [", "kind: Config\n", "\x00"])
def test_what_is_no_kubeconfig_is_said_with_its_file(tmp_path, text):
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    with pytest.raises(InputFileError, match="kubeconfig"):
        connect(kubeconfig=file)


@pytest.mark.parametrize(
    ("context", "name"),
    [
        ("prod", "prod"),
        ("arn:aws:eks:eu-west-1:123456789012:cluster/prod", "prod"),
        ("ann@prod.eu-west-1.eksctl.io", "prod.eu-west-1"),
    ],
)
def test_a_cluster_has_its_own_name_of_that_of_its_context(context, name):
    assert cluster_name(context) == name


def test_an_unknown_context_is_said(api, tmp_path):
    file = kubeconfig(tmp_path / "kubeconfig", api.address, {})
    with pytest.raises(InputFileError, match="staging"):
        connect("staging", kubeconfig=file)


def test_outside_of_a_cluster_in_cluster_is_refused(monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(InputFileError, match="in-cluster"):
        connect(in_cluster=True)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(UsageError, match="kubernetes package") as caught:
        connect("prod")
    assert "rightsize[kube]" in str(caught.value)


def test_a_list_that_expires_without_end_is_given_up(tmp_path):
    class Expiring:
        name, namespaces = "busy", ()

        def get(self, path, query):
            from rightsize.collectors.kube.connection import Reply

            if "continue" in query:
                return Reply(410, b"{}")
            body = {"items": [pod(1)], "metadata": {"continue": "2"}}
            return Reply(200, json.dumps(body).encode())

    with pytest.raises(MetricsServerError, match="expired again"):
        list(listed(Expiring(), "/api/v1/pods"))
