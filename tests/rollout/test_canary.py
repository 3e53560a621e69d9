"""The canary's folder: its scripts run, are safe where pods are gone, and take everything back."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from rightsize.errors import InputFileError, NoDataError, UsageError
from rightsize.recommend import recommend
from rightsize.rollout.canary import Canary, kubernetes_minor, plan_canary
from rightsize.rollout.canary_folder import read_canary
from rightsize.rollout.canary_scripts import canary_files, resize_patch
from tests.cli.run import rightsize
from tests.rollout.fake_kubectl import FakeCluster, patches
from tests.servers.require import require_program
from tests.tiny_mesh import MIB, Tiny, tiny_snapshot

PENDING = {"type": "PodResizePending", "status": "True"}
PROGRESS = {"type": "PodResizeInProgress", "status": "True"}


def planned(tmp_path, *containers, release: str | None = None, **options):
    nodes = pd.DataFrame({"node": ["node-1"], "kubelet_version": [release]})
    nodes["first_seen"] = nodes["last_seen"] = pd.Timestamp("2026-09-10", tz="UTC")
    given = containers or (Tiny(pods=3),)
    snapshot = tiny_snapshot(tmp_path / "s", *given, more={"nodes": nodes})
    workload = f"shop/{given[0].workload}"
    return plan_canary(snapshot, recommend(snapshot), workload, **options)


def written(folder: Path, canary: Canary) -> Path:
    folder.mkdir()
    for name, text in canary_files(canary).items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="module")
def canary(tmp_path_factory):
    return planned(tmp_path_factory.mktemp("canary"), count=2)


@pytest.fixture
def cluster(canary, tmp_path):
    return FakeCluster(tmp_path / "cluster", canary.pods)


@pytest.fixture
def folder(canary, tmp_path):
    return written(tmp_path / "out", canary)


def names(folder: Path) -> list[str]:
    return [pod.name for pod in read_canary(folder).pods]


def test_pods_are_resized_noted_and_taken_back(canary, cluster, folder):
    before = cluster.sizes(canary.pods[0])
    done, calls = cluster.run(folder / "resize.sh")
    assert done.returncode == 0, done.stderr
    assert patches(calls) == list(canary.pods[:2])
    assert cluster.sizes(canary.pods[0])["requests"]["cpu"] == "50m"
    tried = read_canary(folder)
    assert [(pod.name, pod.uid) for pod in tried.pods] == [
        (name, f"uid-of-{name}") for name in canary.pods[:2]
    ]
    assert all(pod.until is None for pod in tried.pods)
    done, calls = cluster.run(folder / "way-back.sh")
    assert done.returncode == 0, done.stderr
    assert patches(calls) == list(canary.pods[:2])
    assert cluster.sizes(canary.pods[0]) == before
    assert all(pod.until is not None for pod in read_canary(folder).pods)


def test_each_script_can_be_run_again(canary, cluster, folder):
    cluster.run(folder / "resize.sh")
    done, calls = cluster.run(folder / "resize.sh")
    assert done.returncode == 0
    assert patches(calls) == []
    assert len(names(folder)) == 2
    cluster.run(folder / "way-back.sh")
    done, calls = cluster.run(folder / "way-back.sh")
    assert (done.returncode, patches(calls)) == (0, [])
    cluster.run(folder / "resize.sh")
    assert len(names(folder)) == 4
    assert sum(pod.until is None for pod in read_canary(folder).pods) == 2


def test_a_run_that_was_interrupted_goes_on_and_is_taken_back(canary, cluster, folder):
    first = canary.pods[0]
    (folder / "resized.tsv").write_text(f"{first}\tuid-of-{first}\t1790000000\ttrying\n")
    _, calls = cluster.run(folder / "way-back.sh")
    assert patches(calls) == [first]
    done, _ = cluster.run(folder / "resize.sh")
    assert done.returncode == 0
    assert len(names(folder)) == 2


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ({**PENDING, "reason": "Deferred"}, "Deferred: the node has no room"),
        ({**PENDING, "reason": "Infeasible"}, "Infeasible: the node can never"),
        (PROGRESS, "still in progress"),
        ({**PROGRESS, "reason": "Error"}, "still in progress"),
        ({"type": "Ready", "status": "True"}, "the sizes in force are still 100m/128Mi"),
    ],
)
def test_what_the_kubelet_does_not_do_is_no_resize_and_is_taken_back(
    canary, cluster, folder, condition, said
):
    first = canary.pods[0]
    before = cluster.sizes(first)
    cluster.conditions = {first: condition}
    done, calls = cluster.run(folder / "resize.sh")
    assert said in done.stderr
    assert done.returncode == 0, "another pod was tried"
    assert patches(calls) == [first, first, *canary.pods[1:]]
    assert cluster.sizes(first) == before
    assert names(folder) == list(canary.pods[1:])


def test_a_pod_that_is_gone_is_skipped_and_another_tried(canary, cluster, folder):
    cluster.drop(canary.pods[0])
    done, _ = cluster.run(folder / "resize.sh")
    assert done.returncode == 0
    assert f"skipped: {canary.pods[0]}" in done.stderr
    assert names(folder) == list(canary.pods[1:])


def test_a_pod_made_anew_under_its_name_is_left_as_it_is_by_the_way_back(canary, cluster, folder):
    cluster.run(folder / "resize.sh")
    cluster.add(canary.pods[0], uid="another")
    _, calls = cluster.run(folder / "way-back.sh")
    assert patches(calls) == [canary.pods[1]]


def test_a_pod_that_a_resize_would_restart_is_skipped(canary, cluster, folder):
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    cluster.add(canary.pods[0], resizePolicy=policy)
    done, calls = cluster.run(folder / "resize.sh")
    assert "would restart it" in done.stderr
    assert canary.pods[0] not in patches(calls)


def test_a_pod_whose_sizes_changed_since_the_snapshot_is_skipped(canary, cluster, folder):
    other = {"requests": {"cpu": "200m", "memory": "134217728"}, "limits": {"cpu": "2"}}
    cluster.add(canary.pods[0], resources=other)
    same = {"requests": {"cpu": "0.1", "memory": "131072Ki"}, "limits": {"cpu": "2000m"}}
    same["limits"]["memory"] = "1073741824"
    cluster.add(canary.pods[1], resources=same)
    done, calls = cluster.run(folder / "resize.sh")
    assert (
        f"other sizes than the snapshot (collect again), skipped: {canary.pods[0]}" in done.stderr
    )
    assert patches(calls) == list(canary.pods[1:])


def test_a_refused_patch_is_no_resize(canary, cluster, folder):
    cluster.refuses = list(canary.pods)
    done, _ = cluster.run(folder / "resize.sh")
    assert done.returncode == 1
    assert "0 of 2 pods resized" in done.stdout
    with pytest.raises(InputFileError, match="nothing was resized"):
        read_canary(folder)


def test_an_old_kubernetes_is_refused_before_anything_is_done(cluster, folder):
    cluster.minor = 32
    done, calls = cluster.run(folder / "resize.sh")
    assert done.returncode == 1
    assert "1.33 or later" in done.stderr
    assert patches(calls) == []


def test_the_scripts_pass_shellcheck(folder):
    scripts = [str(folder / name) for name in ("resize.sh", "way-back.sh")]
    done = subprocess.run(
        [require_program("shellcheck"), *scripts], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_a_native_sidecar_is_an_init_container(tmp_path):
    canary = planned(tmp_path, Tiny(pods=3, native=True))
    patch = json.loads(resize_patch(canary, canary.after))
    assert patch["spec"]["initContainers"][0]["name"] == "istio-proxy"
    cluster = FakeCluster(tmp_path / "cluster", canary.pods, native=True)
    folder = written(tmp_path / "out", canary)
    done, _ = cluster.run(folder / "resize.sh")
    assert done.returncode == 0, done.stderr
    assert cluster.sizes(canary.pods[0], "initContainers")["requests"]["cpu"] == "50m"
    assert "kube_pod_init_container_status_restarts_total" in (folder / "README.md").read_text()


def test_one_sibling_stays_and_a_workload_without_one_is_refused(tmp_path):
    assert planned(tmp_path, count=9).count == 2
    with pytest.raises(NoDataError, match="needs a sibling"):
        planned(tmp_path / "one", Tiny(pods=1))


def test_a_workload_whose_name_begins_alike_is_no_sibling(tmp_path):
    canary = planned(tmp_path, Tiny(pods=2), Tiny("web-admin", pods=3))
    assert canary.siblings == len(canary.pods) == 2


def test_a_change_of_qos_class_is_refused(tmp_path):
    guaranteed = Tiny(pods=3, cpu_request=2.0, memory_request=1024 * MIB)
    with pytest.raises(UsageError, match="QoS class Guaranteed to Burstable"):
        planned(tmp_path, guaranteed)


@pytest.mark.parametrize("container", ['istio"} or vector(1', "x')].y", "Up per"])
def test_a_name_that_kubernetes_does_not_have_reaches_no_script(tmp_path, container):
    with pytest.raises(NoDataError, match="Kubernetes does not have"):
        planned(tmp_path, Tiny(pods=3, container=container))


def test_nodes_that_cannot_resize_are_refused_by_the_snapshot(tmp_path):
    with pytest.raises(UsageError, match=r"nodes run Kubernetes 1\.32"):
        planned(tmp_path, release="v1.32.9-eks-113cf36")


def test_an_unknown_release_is_said_and_asked_of_the_cluster(tmp_path):
    assert any("resize.sh asks" in said for said in planned(tmp_path).said)
    assert not planned(tmp_path / "b", release="v1.35.0").said


LARGE = Tiny(pods=3, memory=(900 * MIB,), memory_request=1000 * MIB, memory_limit=1024 * MIB)


@pytest.mark.parametrize("release", [None, "v1.33.5-eks-3025e55"])
def test_before_1_34_a_raised_memory_limit_stays_on_the_way_back(tmp_path, release):
    canary = planned(tmp_path, LARGE, release=release)
    assert canary.after.memory_limit > 1024 * MIB
    assert canary.back.memory_limit == canary.after.memory_limit
    assert any("way back leaves the memory limit" in said for said in canary.said)


def test_from_1_34_on_the_memory_limit_goes_back(tmp_path):
    canary = planned(tmp_path, LARGE, release="v1.34.1")
    assert canary.back == canary.before


def test_a_lower_memory_limit_is_set_from_1_34_on_and_kept_before(tmp_path):
    from rightsize.config import load_settings

    sizes = {}
    for release in ("v1.33.5", "v1.34.1"):
        nodes = pd.DataFrame({"node": ["node-1"], "kubelet_version": [release]})
        nodes["first_seen"] = nodes["last_seen"] = pd.Timestamp("2026-09-10", tz="UTC")
        snapshot = tiny_snapshot(tmp_path / release, Tiny(pods=3), more={"nodes": nodes})
        settings = load_settings(None, flags={"policy": {"limits": "fit"}})
        canary = plan_canary(snapshot, recommend(snapshot, settings), "shop/web", end=True)
        assert canary.goal.memory_limit < 1024 * MIB
        sizes[release] = canary.after.memory_limit
        assert any("memory limit" in said for said in canary.said)
    assert sizes["v1.33.5"] == 1024 * MIB
    assert sizes["v1.34.1"] < 1024 * MIB


def test_the_newest_kubelet_says_what_the_cluster_can(tmp_path):
    nodes = pd.DataFrame(
        {"node": ["a", "b", "c"], "kubelet_version": ["v1.32.1", "v1.33.0-eks-1", None]}
    )
    nodes["first_seen"] = nodes["last_seen"] = pd.Timestamp("2026-09-10", tz="UTC")
    snapshot = tiny_snapshot(tmp_path / "s", Tiny(), more={"nodes": nodes})
    assert kubernetes_minor(snapshot) == 33


def test_the_command_writes_the_folder_and_says_what_is_next(tmp_path):
    tiny_snapshot(tmp_path / "s", Tiny(pods=3))
    done = rightsize(
        "canary", "--workload", "shop/web", "--snapshot", tmp_path / "s", "-o", tmp_path / "try"
    )
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "try").iterdir()} == {
        "resize.sh", "way-back.sh", "README.md", "canary.json",
    }  # fmt: skip
    assert "resize.sh" in done.stderr
    assert (
        rightsize("canary", "--workload", "shop/no", "--snapshot", tmp_path / "s").returncode == 6
    )


def test_without_a_workload_the_option_is_named():
    done = rightsize("canary")
    assert done.returncode == 2
    assert "--workload NAMESPACE/NAME" in done.stderr


@pytest.mark.parametrize(
    "text",
    [
        "", "web-0", "web-0\tu\tsoon\tresized", "a b\tu\t1790000000\tresized",
        "../x\tu\t1790000000\tresized", "web-0\tu\t1790000000\tgone", "web-0\t1790000000",
        "web-0\tu\t1790000000\ttrying", "web-0\tu\t1790000000\tback",
    ],
)  # fmt: skip
def test_a_list_of_pods_that_is_none_is_refused(folder, text):
    (folder / "resized.tsv").write_text(text)
    with pytest.raises(InputFileError):
        read_canary(folder)


@pytest.mark.parametrize("change", [{"kind": None}, {"component": "app"}, {"workload": "../x"}])
def test_a_folder_of_another_shape_is_refused(folder, change):
    (folder / "resized.tsv").write_text("web-0\tu\t1790000000\tresized\n")
    file = folder / "canary.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(InputFileError):
        read_canary(folder)
