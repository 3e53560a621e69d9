"""A stand-in kubectl on pods in files: patches change them, the real kubectl reads JSONPath of them."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.servers.require import require_program

_PROGRAM = """\
#!{python}
import json, subprocess, sys
from pathlib import Path
words, state = sys.argv[1:], Path({state!r})
with (state / "calls").open("a") as calls:
    calls.write(json.dumps(words) + "\\n")
about = json.loads((state / "cluster").read_text())
if words[0] == "version":
    print(json.dumps({{"clientVersion": {{"minor": "36"}},
                      "serverVersion": {{"major": "1", "minor": f"{{about['minor']}}+"}}}}))
    sys.exit()
name = words[words.index("pod") + 3] if words[2] == "-n" else None
file = state / "pods" / name
if words[0] == "get":
    if not file.exists():
        sys.exit()
    path = next(word for word in words if word.startswith("jsonpath="))
    done = subprocess.run([{kubectl!r}, "label", "--local", "-f", file, "x=y", "-o", path])
    sys.exit(done.returncode)
assert words[words.index("--subresource") + 1] == "resize"
if name in about["refuses"]:
    sys.exit("Error from server (Invalid): refused")
pod = json.loads(file.read_text())
patch = json.loads(words[words.index("--patch") + 1])["spec"]
(kind, (change,)), = patch.items()
spec = next(one for one in pod["spec"][kind] if one["name"] == change["name"])
for group, sizes in change["resources"].items():
    spec["resources"][group] |= sizes
condition = about["conditions"].get(name)
if condition:
    pod["status"]["conditions"].append(condition)
else:
    statuses = "initContainerStatuses" if kind == "initContainers" else "containerStatuses"
    next(s for s in pod["status"][statuses] if s["name"] == change["name"])["resources"] = spec["resources"]
file.write_text(json.dumps(pod))
print("patched")
"""


class FakeCluster:
    """Pods with one proxy, resized by a kubelet that does as it is asked."""

    def __init__(self, folder: Path, pods: Sequence[str], *, native: bool = False) -> None:
        self.folder = folder
        (folder / "pods").mkdir(parents=True)
        self.conditions: dict[str, dict[str, str]] = {}
        self.refuses: list[str] = []
        self.minor = 35
        for name in pods:
            self.add(name, native=native)
        program = folder / "bin" / "kubectl"
        program.parent.mkdir()
        real = require_program("kubectl")
        program.write_text(
            _PROGRAM.format(python=sys.executable, state=str(folder), kubectl=str(real))
        )
        sleep = folder / "bin" / "sleep"
        sleep.write_text("#!/bin/sh\n")
        for one in (program, sleep):
            one.chmod(one.stat().st_mode | stat.S_IXUSR)

    def add(self, name: str, *, uid: str = "", native: bool = False, **more: object) -> None:
        sizes = {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"cpu": "2", "memory": "1Gi"},
        }
        proxy = {"name": "istio-proxy", "image": "i", "resources": sizes} | more
        status = {"name": "istio-proxy", "resources": sizes}
        kinds = (
            ("initContainers", "initContainerStatuses")
            if native
            else ("containers", "containerStatuses")
        )
        app = [{"name": "app", "image": "i", "resources": {}}] if native else []
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": "shop", "uid": uid or f"uid-of-{name}"},
            "spec": {"containers": app} | {kinds[0]: [proxy]},
            "status": {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "True"}],
                kinds[1]: [status],
            },
        }
        (self.folder / "pods" / name).write_text(json.dumps(pod))

    def drop(self, name: str) -> None:
        (self.folder / "pods" / name).unlink()

    def sizes(self, name: str, kind: str = "containers") -> dict[str, dict[str, str]]:
        pod = json.loads((self.folder / "pods" / name).read_text())
        proxy = next(one for one in pod["spec"][kind] if one["name"] == "istio-proxy")
        return proxy["resources"]

    def run(self, script: Path) -> tuple[subprocess.CompletedProcess[str], list[list[str]]]:
        """What a run of a script printed, and what it asked of kubectl."""
        about = {"minor": self.minor, "conditions": self.conditions, "refuses": self.refuses}
        (self.folder / "cluster").write_text(json.dumps(about))
        calls = self.folder / "calls"
        calls.write_text("")
        env = {**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}
        done = subprocess.run(["sh", script], env=env, capture_output=True, text=True, check=False)
        return done, [json.loads(line) for line in calls.read_text().splitlines()]


def patches(calls: Sequence[Sequence[str]]) -> list[str]:
    """Names of the pods that were patched, in order."""
    return [call[4] for call in calls if call[0] == "patch"]
