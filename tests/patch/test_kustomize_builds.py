"""What `kubectl kustomize` builds before and after a patch: the recommended sizes, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from rightsize.patch import patch_set, write_patched
from tests.patch.patching import CHARTS, change
from tests.servers.require import find_program, require_program

pytestmark = pytest.mark.servers

ISTIOD = change("istiod", "250m", None, "1Gi", of="istio-system/istiod", kind="Deployment")
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: istiod, namespace: istio-system, labels: {app: istiod}}
spec:
  selector: {matchLabels: {app: istiod}}
  template:
    metadata: {labels: {app: istiod}}
    spec:
      containers:
      - name: discovery
        image: docker.io/istio/pilot:1.24.2
        resources: {requests: {cpu: 500m, memory: 2Gi}}
"""
STRATEGIC = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: istiod, namespace: istio-system}
spec:
  template:
    spec:
      containers:
      - name: discovery
        resources: {requests: {cpu: '1', memory: 4Gi}}
"""
PREFIX = "sidecar.istio.io/proxy"
PLACE = "/spec/template/spec/containers/0/resources/requests"
SET_CPU = f"- op: replace\n  path: {PLACE}/cpu\n  value: '1'\n"
SET_IN_JSON = (
    f'[{{"op": "replace", "path": "{PLACE}", "value": {{"cpu": "1", "memory": "4Gi"}}}}]\n'
)
TARGET = "target: {kind: Deployment, name: istiod}"
BASE = {
    "base/kustomization.yaml": "resources: [istiod.yaml]\n",
    "base/istiod.yaml": DEPLOYMENT,
}
LAYOUTS: dict[str, dict[str, str]] = {
    "resource": {"prod/kustomization.yaml": "resources: [istiod.yaml]\n", "prod/istiod.yaml": DEPLOYMENT},
    "base and overlay without sizes": {
        **BASE,
        "prod/kustomization.yaml": "resources: [../base]\ncommonAnnotations: {env: prod}\n",
    },
    "strategic merge file": {
        **BASE,
        "prod/kustomization.yaml": "resources: [../base]\npatches: [{path: sizes.yaml}]\n",
        "prod/sizes.yaml": STRATEGIC,
    },
    "patchesStrategicMerge": {
        **BASE,
        "prod/kustomization.yaml": "resources: [../base]\npatchesStrategicMerge: [sizes.yaml]\n",
        "prod/sizes.yaml": STRATEGIC,
    },
    "strategic merge inline": {
        **BASE,
        "prod/kustomization.yaml": "resources: [../base]\npatches:\n- patch: |-\n"
        + "".join(f"    {line}\n" for line in STRATEGIC.splitlines()),
    },
    "JSON 6902 file": {
        **BASE,
        "prod/kustomization.yaml": f"resources: [../base]\npatches: [{{path: set.yaml, {TARGET}}}]\n",
        "prod/set.yaml": SET_CPU,
    },
    "JSON 6902 in JSON": {
        **BASE,
        "prod/kustomization.yaml": f"resources: [../base]\npatches: [{{path: set.json, {TARGET}}}]\n",
        "prod/set.json": SET_IN_JSON,
    },
    "JSON 6902 inline": {
        **BASE,
        "prod/kustomization.yaml": f"resources: [../base]\npatches:\n- {TARGET}\n  patch: |-\n"
        + "".join(f"    {line}\n" for line in SET_CPU.splitlines()),
    },
    "chart with inline values": {
        "prod/kustomization.yaml": "helmGlobals: {chartHome: ../charts}\nhelmCharts:\n"
        "- name: istiod\n  releaseName: istiod\n  version: 1.24.2\n  valuesInline:\n"
        "    pilot: {resources: {requests: {cpu: 500m, memory: 2Gi}}}\n",
    },
    "chart with a file of values": {
        "prod/kustomization.yaml": "helmGlobals: {chartHome: ../charts}\nhelmCharts:\n"
        "- name: istiod\n  releaseName: istiod\n  version: 1.24.2\n  valuesFile: values.yaml\n",
        "prod/values.yaml": "pilot: {resources: {requests: {cpu: 500m, memory: 2Gi}}}\n",
    },
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_build_of_the_patched_files_has_the_recommended_sizes_alone_changed(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(CHARTS / "istiod", tmp_path / "charts" / "istiod")
    for name, text in LAYOUTS[layout].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    before = built(tmp_path / "prod")
    result = patch_set([Path(name) for name in LAYOUTS[layout]], [ISTIOD])
    write_patched(result.given, None)
    after = built(tmp_path / "prod")
    assert requests(after) == {"cpu": "250m", "memory": "1Gi"}
    requests(before).update(requests(after))
    assert before == after


def built(folder: Path) -> list[dict]:
    helm = find_program("helm3") or require_program("helm")
    command = [
        require_program("kubectl"), "kustomize", "--enable-helm", "--helm-command", helm,
        "--load-restrictor", "LoadRestrictionsNone", str(folder),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(done.stdout))


def requests(objects: list[dict]) -> dict[str, str]:
    (found,) = (one for one in objects if one["kind"] == "Deployment")
    return found["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]


WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {template: {metadata: {annotations: {a: b}}, spec: {containers: [{name: app, image: shop}]}}}
"""
CHANGE = change("sidecar", "20m", "1", "64Mi", "192Mi", of="shop/web", kind="Deployment")
ANNOTATIONS = {
    "whole": f"- op: add\n  path: /spec/template/metadata/annotations\n  value:\n    {PREFIX}CPU: 50m\n",
    "single": "- op: add\n  path: /spec/template/metadata/annotations/sidecar.istio.io~1proxyCPU\n"
    "  value: 50m\n",
}
EVERY = f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: not-used}}
spec: {{template: {{metadata: {{annotations: {{{PREFIX}CPU: 50m, {PREFIX}Memory: 64Mi}}}}}}}}
"""


def with_patch(folder: Path, patch: str, target: str) -> list[Path]:
    """A workload and a kustomization that patches it."""
    files = [folder / "kustomization.yaml", folder / "web.yaml"]
    lines = "".join(f"    {line}\n" for line in patch.splitlines())
    files[0].write_text(
        f"resources: [web.yaml]\npatches:\n- target: {target}\n  patch: |-\n{lines}"
    )
    files[1].write_text(WEB)
    return files


@pytest.mark.parametrize("patch", ANNOTATIONS)
def test_annotations_that_a_json_6902_patch_sets_are_built_as_recommended(
    tmp_path: Path, patch: str
) -> None:
    files = with_patch(tmp_path, ANNOTATIONS[patch], "{kind: Deployment, name: web}")
    write_patched(patch_set(files, [CHANGE]).given, None)
    (web,) = built(tmp_path)
    found = web["spec"]["template"]["metadata"]["annotations"]
    assert {key.removeprefix(PREFIX): value for key, value in found.items() if key != "a"} == {
        "CPU": "20m", "CPULimit": "1000m", "Memory": "64Mi", "MemoryLimit": "192Mi",
    }  # fmt: skip


@pytest.mark.parametrize(
    "target",
    ["{kind: Deployment}", "{kind: Deployment, name: w.*}", "{labelSelector: app=web, name: web}"],
)
def test_what_a_patch_of_many_workloads_outranks_is_refused(tmp_path: Path, target: str) -> None:
    (outcome,) = patch_set(with_patch(tmp_path, EVERY, target), [CHANGE]).outcomes
    assert outcome.status == "refused"
    assert "outranks what is written for shop/web" in outcome.reason


def test_a_patch_of_other_workloads_outranks_nothing(tmp_path: Path) -> None:
    files = with_patch(tmp_path, EVERY, "{kind: Deployment, name: api-.*}")
    (outcome,) = patch_set(files, [CHANGE]).outcomes
    assert outcome.status == "written"
