"""The Kustomize component: kubectl applies it to what an overlay has, and to nothing else."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from rightsize.files.yaml_text import to_yaml
from rightsize.output.tables import component
from rightsize.patch.model import SizeChange
from rightsize.results import Component, Sizes
from tests.cli.run import rightsize
from tests.servers.require import require_program
from tests.tiny_mesh import Tiny, tiny_snapshot

pytestmark = pytest.mark.servers
MIB = 2**20
SIZES = Sizes(0.05, 2.0, 96 * MIB, 1024 * MIB)
ANNOTATIONS = {
    "sidecar.istio.io/proxyCPU": "50m",
    "sidecar.istio.io/proxyCPULimit": "2000m",
    "sidecar.istio.io/proxyMemory": "96Mi",
    "sidecar.istio.io/proxyMemoryLimit": "1Gi",
}


def change(name: str | None, kind: str | None = "Deployment", *, namespace: str = "shop",
           of: Component = "sidecar", sizes: Sizes = SIZES, running: Sizes | None = None) -> SizeChange:  # fmt: skip
    return SizeChange(of, namespace, name, kind, sizes, running=running)


def manifest(name: str, kind: str = "Deployment", namespace: str = "shop") -> dict:
    template = {
        "metadata": {"labels": {"app": name}, "annotations": {"kept": "yes"}},
        "spec": {
            "containers": [
                {"name": "app", "image": "app:1"},
                {"name": "discovery", "image": "pilot:1", "env": [{"name": "A", "value": "b"}],
                 "resources": {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"cpu": "3"}}},
            ]
        },
    }  # fmt: skip
    spec: dict = {"template": template}
    if kind == "CronJob":
        spec = {"schedule": "0 0 * * *", "jobTemplate": {"spec": spec}}
    api = {"CronJob": "batch/v1", "Rollout": "argoproj.io/v1alpha1"}.get(kind, "apps/v1")
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec}


def applied(folder: Path, changes: list[SizeChange], *manifests: dict) -> dict[str, dict]:
    """What `kubectl kustomize` makes of an overlay with these manifests, by namespace/name."""
    (folder / "sizes").mkdir()
    (folder / "sizes" / "kustomization.yaml").write_text(to_yaml([component(changes)]))
    (folder / "all.yaml").write_text(yaml.safe_dump_all(manifests))
    overlay = {"resources": ["all.yaml"], "components": ["sizes"]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    command = [require_program("kubectl"), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = yaml.safe_load_all(done.stdout)
    return {f"{o['metadata']['namespace']}/{o['metadata']['name']}": o for o in found}


def template(found: dict) -> dict:
    spec = found["spec"]
    return (spec["jobTemplate"]["spec"] if "jobTemplate" in spec else spec)["template"]


def container(found: dict, name: str) -> dict:
    return next(one for one in template(found)["spec"]["containers"] if one["name"] == name)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet", "CronJob", "Rollout"])
def test_a_sidecar_gets_its_annotations_and_keeps_the_rest(tmp_path, kind):
    before = manifest("web", kind)
    after = applied(tmp_path, [change("web", kind)], before)["shop/web"]
    assert template(after)["metadata"]["annotations"] == {"kept": "yes", **ANNOTATIONS}
    template(after)["metadata"]["annotations"] = {"kept": "yes"}
    assert after == before


def test_istiod_gets_its_resources_and_keeps_the_rest(tmp_path):
    changes = [change("istiod", of="istiod", sizes=Sizes(0.28, None, 1024 * MIB, None))]
    before = manifest("istiod")
    after = applied(tmp_path, changes, before)["shop/istiod"]
    discovery, app = (container(after, name) for name in ("discovery", "app"))
    requests = {"cpu": "280m", "memory": "1Gi"}
    assert discovery.pop("resources") == {"requests": requests, "limits": {"cpu": "3"}}
    del container(before, "discovery")["resources"]
    assert (app, discovery) == (container(before, "app"), container(before, "discovery"))


def test_a_size_that_nobody_reported_is_not_written(tmp_path):
    running = Sizes(1.0, None, None, None, unknown=frozenset({"memory_request"}))
    changes = [change("istiod", of="istiod", running=running)]
    after = applied(tmp_path, changes, manifest("istiod"))["shop/istiod"]
    assert container(after, "discovery")["resources"]["requests"] == {"cpu": "50m", "memory": "4Gi"}


def test_others_are_left_alone(tmp_path):
    others = [
        manifest("web.x"),
        manifest("weboo"),
        manifest("web", namespace="other"),
        manifest("web", "StatefulSet", "third"),
    ]
    after = applied(tmp_path, [change("we.", "Deployment"), change("web")], *others)
    assert list(after.values()) == sorted(others, key=lambda o: list(after).index(
        f"{o['metadata']['namespace']}/{o['metadata']['name']}"))  # fmt: skip


def test_a_dotted_name_is_found(tmp_path):
    after = applied(tmp_path, [change("we.b")], manifest("we.b"), manifest("weob"))
    assert "sidecar.istio.io/proxyCPU" in template(after["shop/we.b"])["metadata"]["annotations"]
    assert (
        "sidecar.istio.io/proxyCPU" not in template(after["shop/weob"])["metadata"]["annotations"]
    )


@pytest.mark.parametrize(
    "left",
    [
        change(None, None),
        change("job", "Job"),
        change("lone", "Pod"),
        change("what", None),
        change("gateway", "Rollout", of="gateway"),
    ],
    ids=["mesh default", "job", "pod", "unknown", "containers of a Rollout"],
)
def test_what_a_patch_cannot_hold_has_none(left):
    assert component([left])["patches"] == []


def test_names_out_of_data_stay_inside_of_their_patch(tmp_path):
    evil = ["a\nkind: Secret", 'x"}\n---\n', "$(touch pwned)", "{{ .Values }}", "no", "1e3"]
    found = component([change(name, namespace=name) for name in evil])
    assert [p["target"]["kind"] for p in found["patches"]] == ["Deployment"] * len(evil)
    for name, one in zip(evil, found["patches"], strict=True):
        (patch,) = yaml.safe_load_all(one["patch"])
        assert patch["metadata"]["name"] == name
    assert list(yaml.safe_load_all(to_yaml([found]))) == [found]


def test_the_command_writes_it_whole(tmp_path):
    snapshot = tiny_snapshot(
        tmp_path / "s", Tiny(), Tiny(workload="big", memory=(990 * MIB,), oom_kills=2)
    )
    done = rightsize("recommend", "--snapshot", snapshot.path, "--format", "kustomize")
    assert done.returncode == 0, done.stderr
    (found,) = yaml.safe_load_all(done.stdout)
    assert (found["kind"], found["apiVersion"]) == ("Component", "kustomize.config.k8s.io/v1alpha1")
    assert [patch["target"]["name"] for patch in found["patches"]] == ["big"]
    assert "The mesh default stands in istiod's values" in done.stdout
