"""The commands read a cluster as they read the user's own export of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from rightsize.collectors.kube import cluster_objects, cluster_role, connect
from rightsize.collectors.prometheus import collect
from rightsize.config import PrometheusSettings
from rightsize.demo import demo_snapshot
from rightsize.snapshot import TABLES, Snapshot
from tests.cli.run import rightsize
from tests.collectors.kube.test_kube_reading import CLUSTER
from tests.collectors.prometheus.mesh import DAY, HOUR, Pod, node
from tests.servers.kube_api import kube_api, kubeconfig
from tests.servers.prometheus import filled_prometheus

ROOT = Path(__file__).parents[3]
PLANTED = ROOT / "tests" / "audit" / "planted"
FAULTY = list(
    {
        (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]): one
        for name in ("workloads", "istio-resources", "budgets", "gateway-api")
        for one in yaml.safe_load_all((PLANTED / f"{name}.yaml").read_text())
        if one and one.get("kind")
    }.values()
)


_SHOP = {"namespace": "shop"}
_POD = {"metadata": {"labels": {"app": "n"}}, "spec": {"tolerations": [{"operator": "Exists"}]}}
RULES = [
    {"kind": "LimitRange", "apiVersion": "v1", "metadata": _SHOP | {"name": "l"},
     "spec": {"limits": [{"type": "Container", "min": {"cpu": "20m"}, "max": {"memory": "2Gi"}}]}},
    {"kind": "ResourceQuota", "apiVersion": "v1", "metadata": _SHOP | {"name": "q"},
     "spec": {"hard": {"requests.cpu": "40", "limits.memory": "80Gi"}}},
    {"kind": "VerticalPodAutoscaler", "apiVersion": "autoscaling.k8s.io/v1",
     "metadata": _SHOP | {"name": "v"},
     "spec": {"targetRef": {"kind": "Deployment", "name": "web"}, "updatePolicy": {"updateMode": "Auto"}}},
    {"kind": "ScaledObject", "apiVersion": "keda.sh/v1alpha1", "metadata": _SHOP | {"name": "s"},
     "spec": {"scaleTargetRef": {"name": "web"},
              "triggers": [{"type": "cpu", "metadata": {"value": "60"}, "metricType": "Utilization"}]}},
    {"kind": "CronJob", "apiVersion": "batch/v1", "metadata": _SHOP | {"name": "nightly"},
     "spec": {"jobTemplate": {"spec": {"template": _POD}}}},
    {"kind": "Rollout", "apiVersion": "argoproj.io/v1alpha1", "metadata": _SHOP | {"name": "r"},
     "spec": {"template": _POD}},
]  # fmt: skip
EVERYTHING = [*CLUSTER, *RULES]


def config(tmp_path: Path, address: str) -> Path:
    return kubeconfig(tmp_path / "kubeconfig", address, {"token": "t0ken-of-tests"})


@pytest.mark.servers
def test_the_snapshot_is_that_of_the_exported_objects(tmp_path):
    export = tmp_path / "objects.json"
    export.write_text(json.dumps({"kind": "List", "items": EVERYTHING}))
    pod = Pod("web-6d4cf56db6-bcdfg")
    series = [*node(), *node("ip-10-0-0-2.ec2.internal"), *pod.described(), *pod.used()]
    with filled_prometheus(tmp_path, series) as prometheus, kube_api(EVERYTHING) as api:
        read = cluster_objects(connect(kubeconfig=config(tmp_path, api.address)))
        for name, objects in (("file", [export]), ("cluster", read)):
            collect(
                PrometheusSettings(url=(prometheus,)),
                out=tmp_path / name,
                start=datetime.fromtimestamp(DAY, UTC),
                end=datetime.fromtimestamp(DAY + 24 * HOUR, UTC),
                objects=objects,
            )
    file, cluster = Snapshot(tmp_path / "file"), Snapshot(tmp_path / "cluster")
    assert file.manifest.days[datetime.fromtimestamp(DAY, UTC).date()].rows["pods"] > 0
    for table in ("limit_ranges", "resource_quotas", "vpas", "hpas", "pdbs"):
        assert len(cluster.read(table)), table
    for table in TABLES:
        assert file.read(table).equals(cluster.read(table)), table


def test_the_audit_finds_in_the_cluster_what_it_finds_in_files(tmp_path):
    manifests = tmp_path / "manifests.yaml"
    manifests.write_text(yaml.safe_dump_all(FAULTY))
    with kube_api(FAULTY) as api:
        cluster = config(tmp_path, api.address)
        live = rightsize("audit", "--kubeconfig", cluster, "--format", "json")
        table = rightsize("audit", "--kubeconfig", cluster, "--fail-on", "error")
    files = rightsize("audit", manifests, "--format", "json")
    found = [
        {(one["rule"], one["path"], one["evidence"]) for one in json.loads(done.stdout)["findings"]}
        for done in (live, files)
    ]
    assert found[0] == found[1]
    assert len(found[0]) > 20
    assert table.returncode == 11
    assert all(one["line"] is None for one in json.loads(live.stdout)["findings"])


def test_what_may_not_be_read_is_said_and_the_rest_goes_on(tmp_path):
    with kube_api(FAULTY, refused={"deployments.apps"}) as api:
        done = rightsize("audit", "--kubeconfig", config(tmp_path, api.address))
    assert done.returncode == 0
    assert "missing: permission to list deployments.apps in every namespace" in done.stderr
    assert "istio-resources" not in done.stderr
    assert "t0ken-of-tests" not in done.stdout + done.stderr


def test_scope_sees_the_clusters_virtual_services(tmp_path):
    with kube_api(CLUSTER) as api:
        words = ("--snapshot", demo_snapshot(), "--kubeconfig", config(tmp_path, api.address))
        done = rightsize("scope", *words, "--format", "json")
    assert done.returncode == 0, done.stderr
    notes = " ".join(json.loads(done.stdout)["notes"])
    assert "the files hold no" not in notes


def test_a_cluster_and_files_of_objects_exclude_each_other(tmp_path):
    (tmp_path / "objects.json").write_text('{"kind": "List", "items": []}')
    cluster = config(tmp_path, "http://127.0.0.1:9")
    words = ("--kubeconfig", cluster, "--objects", tmp_path / "objects.json")
    done = rightsize("collect", "--prometheus-url", "http://127.0.0.1:9", *words)
    assert done.returncode == 2
    assert "give one of the two" in done.stderr


def test_the_documented_cluster_role_is_the_one_of_the_code():
    text = (ROOT / "docs" / "cluster-role.yaml").read_text()
    assert yaml.safe_load(text) == cluster_role()
