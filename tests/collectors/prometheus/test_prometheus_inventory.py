"""What the collector makes of pods, containers, owners and nodes, asked of a real Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import orjson
import pandas as pd
import pytest

from rightsize.collectors.prometheus import collect
from rightsize.config import PrometheusSettings
from rightsize.snapshot import Snapshot
from tests.collectors.prometheus.mesh import DAY, HOUR, MIB, Pod, every, node
from tests.servers.prometheus import Series, filled_prometheus

NODE = "ip-10-0-0-1.ec2.internal"
OBJECTS = {
    "kind": "List",
    "items": [
        {
            "kind": "Node",
            "metadata": {
                "name": "ip-10-0-0-2.ec2.internal",
                "labels": {
                    "node.kubernetes.io/instance-type": "m6g.xlarge",
                    "topology.kubernetes.io/region": "eu-west-1",
                    "topology.kubernetes.io/zone": "eu-west-1b",
                    "eks.amazonaws.com/capacityType": "SPOT",
                    "kubernetes.io/arch": "arm64",
                },
            },
            "spec": {"providerID": "aws:///eu-west-1b/i-1", "taints": [{"key": "spot"}]},
            "status": {"capacity": {"cpu": "4", "memory": "15Gi"}},
        },
        {
            "kind": "Namespace",
            "metadata": {"name": "shop", "labels": {"istio-injection": "enabled"}},
        },
        {
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {
                "template": {
                    "metadata": {
                        "labels": {"app": "web"},
                        "annotations": {"sidecar.istio.io/proxyCPU": "50m", "other": "x"},
                    },
                    "spec": {"nodeSelector": {"pool": "a"}, "priority": 3},
                }
            },
        },
        {
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"minAvailable": "50%", "selector": {"matchLabels": {"app": "web"}}},
        },
        {
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": "web"},
                "minReplicas": 2,
                "maxReplicas": 9,
                "metrics": [
                    {
                        "type": "ContainerResource",
                        "containerResource": {
                            "name": "cpu",
                            "container": "app",
                            "target": {"type": "Utilization", "averageUtilization": 70},
                        },
                    }
                ],
            },
        },
    ],
}


NOT_OF_EC2 = {
    "ip-10-0-0-9": ("aws:///us-east-1a/0a1b/fargate-ip-10-0-0-9.ec2.internal", "fargate"),
    "rack-7": ("eks-hybrid:///us-east-1/shop/mi-0123456789abcdef0", "hybrid"),
    "kind-worker": ("kind://docker/shop/kind-worker", "ec2"),
    "gke-pool-1": ("gce://project/europe-west1-b/gke-pool-1", "ec2"),
}
"""Provider id and kind of nodes with the capacity of an m5.xlarge."""


def _restarting() -> list[Series]:
    """Killed for memory at 06:00 and 07:00, ended by itself at 09:00."""
    pod = Pod("web-6d4cf56db6-hjklm", node="ip-10-0-0-2.ec2.internal")
    moments = (DAY + 6 * HOUR, DAY + 7 * HOUR, DAY + 9 * HOUR)
    about = pod.labels(uid=f"uid-{pod.name}", container="istio-proxy")
    restarts = [(t, float(5 + sum(m <= t for m in moments))) for t in pod.times]
    killed = [(t, 1.0) for t in pod.times if moments[0] <= t < moments[2]]
    series = [s for s in pod.described() if not _is_restarts(s, "istio-proxy")]
    reason = "kube_pod_container_status_last_terminated_reason"
    return [
        *series,
        *pod.used(),
        Series("kube_pod_container_status_restarts_total", about, restarts),
        Series(reason, about | {"reason": "OOMKilled"}, killed),
    ]


def _is_restarts(series: Series, container: str) -> bool:
    return "restarts_total" in series.name and series.labels["container"] == container


def _mesh() -> list[Series]:
    times = every(60, DAY - 2 * HOUR, DAY + 26 * HOUR)
    flat = [(t, 1.0) for t in times]
    pods = [
        Pod("web-6d4cf56db6-bcdfg"),
        Pod("native-6d4cf56db6-bcdfg", owner=("ReplicaSet", "native-6d4cf56db6"), native=True),
        Pod("lonely-6d4cf56db6-bcdfg", containers=("istio-proxy",)),
        Pod("istiod-v1-abc-x", "istio-system", ("ReplicaSet", "istiod-v1-6d4cf56db6")),
        Pod("ztunnel-2rv5k", "istio-system", ("DaemonSet", "ztunnel"), containers=("istio-proxy",)),
        Pod("cni-2rv5k", "istio-system", ("DaemonSet", "cni"), containers=("install-cni",)),
        Pod("shop-waypoint-q", "shop", ("ReplicaSet", "waypoint-6d4cf56db6")),
        Pod("edge-6d4cf56db6-x", "edge", ("ReplicaSet", "edge-6d4cf56db6")),
        Pod("db-0", owner=("StatefulSet", "db"), uid="old", end=DAY + 10 * HOUR),
        Pod("db-0", owner=("StatefulSet", "db"), uid="new", started=DAY + 10 * HOUR + 90),
        Pod("report-29707814-x", owner=("Job", "report-29707814")),
        Pod("canary-x", owner=("ReplicaSet", "canary-7f5")),
        Pod("bare", owner=("<none>", "<none>"), containers=("discovery",)),
        Pod("shop-7-x", owner=("ReplicationController", "shop-7"), containers=("app",)),
        Pod(f"etcd-{NODE}", "kube-system", ("Node", NODE), containers=("etcd",)),
    ]
    pods[3].containers = ("discovery",)
    pods[6].containers = ("istio-proxy",)
    pods[7].containers = ("istio-proxy", "exporter")
    pods[9].requests = {"istio-proxy": (0.3, 64 * MIB)}
    owner = {"namespace": "shop", "replicaset": "canary-7f5", "owner_kind": "Rollout"}
    series = [
        Series("kube_replicaset_owner", owner | {"owner_name": "canary"}, flat),
        *node(),
        *node("ip-10-0-0-2.ec2.internal"),
        *[
            line
            for name, (machine, _) in NOT_OF_EC2.items()
            for line in node(name, provider_id=machine)
        ],
        *_restarting(),
    ]
    for pod in pods:
        series += pod.described()
        for container in set(pod.containers) & {"istio-proxy", "discovery", "install-cni"}:
            series += pod.used(container)
    return series


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snapshot]:
    folder = tmp_path_factory.mktemp("inventory")
    objects = folder / "objects.json"
    objects.write_bytes(orjson.dumps(OBJECTS))
    with filled_prometheus(folder, _mesh()) as address:
        collect(
            PrometheusSettings(url=(address,), gateways=("edge/edge",)),
            out=folder / "snapshot",
            start=datetime.fromtimestamp(DAY, UTC),
            end=datetime.fromtimestamp(DAY + 24 * HOUR, UTC),
            objects=[objects],
        )
        yield Snapshot(folder / "snapshot")


@pytest.fixture(scope="module")
def pods(snapshot: Snapshot) -> pd.DataFrame:
    return snapshot.read("pods").set_index("pod")


@pytest.fixture(scope="module")
def containers(snapshot: Snapshot) -> pd.DataFrame:
    return snapshot.read("containers").set_index(["pod", "container"])


@pytest.mark.parametrize(
    ("pod", "kind", "workload"),
    [
        ("web-6d4cf56db6-bcdfg", "Deployment", "web"),
        ("db-0", "StatefulSet", "db"),
        ("ztunnel-2rv5k", "DaemonSet", "ztunnel"),
        ("report-29707814-x", "CronJob", "report"),
        ("canary-x", "Rollout", "canary"),
        ("bare", "Pod", "bare"),
        ("shop-7-x", "DeploymentConfig", "shop"),
        (f"etcd-{NODE}", "Node", "etcd"),
    ],
)
def test_a_pod_belongs_to_the_workload_at_the_end_of_its_owner_chain(
    pods: pd.DataFrame, pod: str, kind: str, workload: str
) -> None:
    assert (pods.loc[pod, "workload_kind"], pods.loc[pod, "workload"]) == (kind, workload)


@pytest.mark.parametrize(
    ("pod", "container", "component"),
    [
        ("web-6d4cf56db6-bcdfg", "istio-proxy", "sidecar"),
        ("native-6d4cf56db6-bcdfg", "istio-proxy", "sidecar"),
        ("lonely-6d4cf56db6-bcdfg", "istio-proxy", "gateway"),
        ("edge-6d4cf56db6-x", "istio-proxy", "gateway"),
        ("shop-waypoint-q", "istio-proxy", "waypoint"),
        ("ztunnel-2rv5k", "istio-proxy", "ztunnel"),
        ("cni-2rv5k", "install-cni", "istio-cni"),
        ("istiod-v1-abc-x", "discovery", "istiod"),
        ("bare", "discovery", None),
        ("web-6d4cf56db6-bcdfg", "app", None),
    ],
)
def test_each_container_is_the_part_of_the_mesh_it_looks_like(
    containers: pd.DataFrame, pod: str, container: str, component: str | None
) -> None:
    found = containers.loc[(pod, container), "component"]
    assert (found if isinstance(found, str) else None) == component


def test_usage_holds_mesh_containers_alone(snapshot: Snapshot) -> None:
    usage = snapshot.read("usage")
    assert "bare" not in set(usage["pod"])
    assert set(usage["container"]) == {"istio-proxy", "discovery", "install-cni"}


def test_requests_of_a_native_sidecar_come_from_the_init_family(containers: pd.DataFrame) -> None:
    native = containers.loc[("native-6d4cf56db6-bcdfg", "istio-proxy")]
    assert native["init"]
    assert native["native"]
    assert native["cpu_request"] == 0.1
    assert native["memory_limit"] == 1024 * MIB
    plain = containers.loc[("web-6d4cf56db6-bcdfg", "istio-proxy")]
    assert not plain["native"]
    assert plain["cpu_request"] == 0.1


def test_requests_of_every_other_container_are_there_too(containers: pd.DataFrame) -> None:
    app = containers.loc[("web-6d4cf56db6-bcdfg", "app")]
    assert app["cpu_request"] == 0.2
    assert pd.isna(app["cpu_limit"])


def test_a_pod_made_anew_under_its_name_has_the_new_ones_sizes(
    pods: pd.DataFrame, containers: pd.DataFrame
) -> None:
    assert containers.loc[("db-0", "istio-proxy"), "cpu_request"] == 0.3
    assert pods.loc["db-0", "started"] == pd.Timestamp(DAY + 10 * HOUR + 90, unit="s", tz="UTC")
    assert pods.loc["db-0", "first_seen"] == pd.Timestamp(DAY + 300, unit="s", tz="UTC")


def test_restarts_and_memory_kills_are_those_of_the_day(containers: pd.DataFrame) -> None:
    killed = containers.loc[("web-6d4cf56db6-hjklm", "istio-proxy")]
    assert killed["restarts"] == 3
    assert killed["oom_kills"] == 2
    calm = containers.loc[("web-6d4cf56db6-bcdfg", "istio-proxy")]
    assert (calm["restarts"], calm["oom_kills"]) == (0, 0)


def test_an_instance_type_comes_from_objects_or_is_marked_as_inferred(snapshot: Snapshot) -> None:
    nodes = snapshot.read("nodes").set_index("node")
    reported = nodes.loc["ip-10-0-0-2.ec2.internal"]
    assert (reported["instance_type"], reported["instance_type_source"]) == (
        "m6g.xlarge",
        "objects",
    )
    assert (reported["capacity_type"], reported["arch"], reported["zone"]) == (
        "spot",
        "arm64",
        "eu-west-1b",
    )
    guessed = nodes.loc[NODE]
    assert (guessed["instance_type"], guessed["instance_type_source"]) == ("m5.xlarge", "inferred")
    assert guessed["allocatable_pods"] == 58
    assert any("inferred" in missing.costs for missing in snapshot.manifest.missing)


@pytest.mark.parametrize("name", NOT_OF_EC2)
def test_a_node_of_nobody_at_ec2_gets_no_type_from_its_capacity(
    snapshot: Snapshot, name: str
) -> None:
    found = snapshot.read("nodes").set_index("node").loc[name]
    assert found["capacity_cpu"] == 4
    assert pd.isna(found["instance_type"])
    assert found["kind"] == NOT_OF_EC2[name][1]


def test_zone_and_region_come_from_the_provider_id_where_no_label_tells(snapshot: Snapshot) -> None:
    node = snapshot.read("nodes").set_index("node").loc[NODE]
    assert (node["zone"], node["region"]) == ("us-east-1c", "us-east-1")
    assert node["provider_id"] == "aws:///us-east-1c/i-0a1b2c"


def test_pods_that_are_gone_are_described_by_their_workloads_template(pods: pd.DataFrame) -> None:
    web = pods.loc["web-6d4cf56db6-bcdfg"]
    assert orjson.loads(web["annotations"]) == {"sidecar.istio.io/proxyCPU": "50m"}
    assert orjson.loads(web["labels"]) == {"app": "web"}
    assert orjson.loads(web["scheduling"]) == {"nodeSelector": {"pool": "a"}, "priority": 3}


def test_budgets_autoscalers_and_namespace_labels_come_from_objects(snapshot: Snapshot) -> None:
    budget = snapshot.read("pdbs").iloc[0]
    assert (budget["workload"], budget["min_available"]) == ("web", "50%")
    hpa = snapshot.read("hpas").iloc[0]
    assert (hpa["metric_type"], hpa["container"], hpa["target_utilization"]) == (
        "ContainerResource",
        "app",
        70,
    )
    assert (hpa["min_replicas"], hpa["max_replicas"]) == (2, 9)
    namespaces = snapshot.read("namespaces").set_index("namespace")
    assert orjson.loads(namespaces.loc["shop", "labels"]) == {"istio-injection": "enabled"}


def test_budgets_and_autoscalers_come_from_metrics_where_they_are(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("autoscalers")
    times = every(60, DAY - 2 * HOUR, DAY + 26 * HOUR)
    hpa = {"namespace": "shop", "horizontalpodautoscaler": "web"}
    target = {"scaletargetref_kind": "Deployment", "scaletargetref_name": "web-v2"}
    # The exporter's own container name is a scrape label, not the metric's.
    cpu = {"metric_name": "cpu", "metric_target_type": "utilization"}
    rate = {"metric_name": "rps", "metric_target_type": "average", "container": "app"}
    prefix, pdb = "kube_horizontalpodautoscaler", {"namespace": "shop", "poddisruptionbudget": "b"}
    values = [
        (f"{prefix}_info", hpa | target, 1.0),
        (f"{prefix}_spec_min_replicas", hpa, 3.0),
        (f"{prefix}_spec_max_replicas", hpa, 12.0),
        (f"{prefix}_spec_target_metric", hpa | cpu | {"container": "kube-state-metrics"}, 65.0),
        (f"{prefix}_spec_target_metric", hpa | rate, 100.0),
        ("kube_poddisruptionbudget_status_expected_pods", pdb, 4.0),
    ]
    allowed = [(t, 0.0 if t == DAY + 4 * HOUR else 2.0) for t in times]
    pod = Pod("web-6d4cf56db6-bcdfg")
    series = [
        *pod.described(),
        *pod.used(),
        *(Series(name, labels, [(t, value) for t in times]) for name, labels, value in values),
        Series("kube_poddisruptionbudget_status_pod_disruptions_allowed", pdb, allowed),
    ]
    with filled_prometheus(folder, series) as address:
        collect(
            PrometheusSettings(url=(address,)),
            out=folder / "snapshot",
            start=datetime.fromtimestamp(DAY, UTC),
            end=datetime.fromtimestamp(DAY + 24 * HOUR, UTC),
        )
    taken = Snapshot(folder / "snapshot")
    rows = taken.read("hpas").set_index("metric")
    assert rows.loc["cpu", "metric_type"] == "Resource"
    assert rows.loc["cpu", "target_utilization"] == 65
    assert rows.loc["rps", "container"] == "app"
    assert rows.loc["rps", "target_average_value"] == 100
    assert set(rows["workload"]) == {"web-v2"}
    assert set(rows["min_replicas"]) == {3}
    budget = taken.read("pdbs").iloc[0]
    assert (budget["expected_pods"], budget["disruptions_allowed"]) == (4, 0)


def test_the_manifest_names_the_release_the_interval_and_what_is_missing(
    snapshot: Snapshot,
) -> None:
    manifest = snapshot.manifest
    assert manifest.istio_version == "1.24.6"
    assert manifest.scrape_interval_seconds == 60
    assert manifest.region in ("eu-west-1", "us-east-1")
    assert not manifest.simulated
    assert any("istio_requests_total" in missing.what for missing in manifest.missing)
