"""The canary's folder: its scripts run, are safe where pods are gone, and take everything back."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from rightsize.errors import InputFileError, NoDataError, UsageError
from rightsize.recommend import recommend
from rightsize.rollout.canary import canary_files, plan_canary, resize_patch
from rightsize.rollout.canary_folder import read_canary
from tests.cli.run import rightsize
from tests.servers.require import require_program
from tests.tiny_mesh import MIB, Tiny, tiny_snapshot

KUBECTL = """\
#!/bin/sh
printf '%s\\n' "$*" >>"$CALLS"
case "$*" in
  version*) echo '{"clientVersion": {"minor": "36"}, "serverVersion": {"major": "1", "minor": "MINOR+"}}' ;;
  *"get pod"*"GONE"*) ;;
  *"get pod"*"phase"*) printf Running ;;
  *"get pod"*) echo pod/there ;;
esac
"""


def planned(tmp_path, *containers, **options):
    snapshot = tiny_snapshot(tmp_path / "s", *(containers or (Tiny(pods=3),)))
    return plan_canary(snapshot, recommend(snapshot), "shop/web", **options)


def run(script: Path, bin_folder: Path, *, minor: int = 35, gone: str = "nobody"):
    kubectl = bin_folder / "kubectl"
    kubectl.parent.mkdir(exist_ok=True)
    kubectl.write_text(KUBECTL.replace("MINOR", str(minor)).replace("GONE", gone))
    kubectl.chmod(0o755)
    calls = bin_folder / "calls"
    calls.write_text("")
    env = {"PATH": f"{bin_folder}:{os.environ['PATH']}", "CALLS": str(calls)}
    done = subprocess.run(["sh", script], env=env, capture_output=True, text=True, check=False)
    return done, calls.read_text().splitlines()


def written(folder: Path, canary) -> Path:
    folder.mkdir()
    for name, text in canary_files(canary).items():
        (folder / name).write_text(text)
    return folder


def test_pods_are_resized_noted_and_taken_back(tmp_path):
    canary = planned(tmp_path, count=2)
    folder = written(tmp_path / "out", canary)
    done, calls = run(folder / "resize.sh", tmp_path / "bin")
    assert done.returncode == 0, done.stderr
    patched = [call for call in calls if "patch" in call]
    assert len(patched) == 2
    assert all("--subresource resize" in call for call in patched)
    assert '"cpu": "50m"' in patched[0]
    tried = read_canary(folder)
    assert tried.pods == canary.pods[:2]
    _, back = run(folder / "way-back.sh", tmp_path / "bin")
    undone = [call for call in back if "patch" in call]
    assert [call.split()[4] for call in undone] == list(canary.pods[:2])
    assert all('"cpu": "100m"' in call for call in undone)


def test_a_pod_that_is_gone_is_skipped_and_another_tried(tmp_path):
    canary = planned(tmp_path)
    folder = written(tmp_path / "out", canary)
    done, _ = run(folder / "resize.sh", tmp_path / "bin", gone=canary.pods[0])
    assert done.returncode == 0
    assert f"skipped: {canary.pods[0]}" in done.stderr
    assert read_canary(folder).pods == (canary.pods[1],)


def test_an_old_kubernetes_is_refused_before_anything_is_done(tmp_path):
    folder = written(tmp_path / "out", planned(tmp_path))
    done, calls = run(folder / "resize.sh", tmp_path / "bin", minor=32)
    assert done.returncode == 1
    assert "1.33 or later" in done.stderr
    assert not any("patch" in call for call in calls)


def test_the_scripts_pass_shellcheck(tmp_path):
    folder = written(tmp_path / "out", planned(tmp_path))
    names = [str(folder / name) for name in ("resize.sh", "way-back.sh")]
    done = subprocess.run(
        [require_program("shellcheck"), *names], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_a_native_sidecar_is_an_init_container(tmp_path):
    patch = json.loads(resize_patch(c := planned(tmp_path, Tiny(pods=3, native=True)), c.after))
    assert patch["spec"]["initContainers"][0]["name"] == "istio-proxy"


def test_one_sibling_stays_and_a_workload_without_one_is_refused(tmp_path):
    assert planned(tmp_path, count=9).count == 2
    with pytest.raises(NoDataError, match="needs a sibling"):
        planned(tmp_path / "one", Tiny(pods=1))


def test_a_change_of_qos_class_is_refused(tmp_path):
    guaranteed = Tiny(pods=3, cpu_request=2.0, memory_request=1024 * MIB)
    with pytest.raises(UsageError, match="QoS class Guaranteed to Burstable"):
        planned(tmp_path, guaranteed)


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


@pytest.mark.parametrize(
    "text", ["", "web-0", "web-0\tsoon", "a b\t1790000000", "../x\t1790000000"]
)
def test_a_list_of_pods_that_is_none_is_refused(tmp_path, text):
    folder = written(tmp_path / "out", planned(tmp_path))
    (folder / "resized.tsv").write_text(text)
    with pytest.raises(InputFileError):
        read_canary(folder)
