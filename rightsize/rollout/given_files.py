"""How the user's own files are deployed: detected from what they are."""

from __future__ import annotations

import re
import shlex

from rightsize.patch import PatchedFile
from rightsize.rollout.model import PhaseName
from rightsize.rollout.steps import Step, helm_back, helm_upgrade
from rightsize.rollout.values_files import Written

_KIND = re.compile(r"^\s*[\"']?kind[\"']?\s*:\s*[\"']?(\w+)", re.MULTILINE)
_OF_ISTIOD: tuple[PhaseName, ...] = ("mesh-default", "istiod")


def deploy_steps(
    written: Written, folder: str, istio_version: str | None, phase: PhaseName
) -> tuple[list[Step], list[Step]]:
    """Steps that deploy the files that changed, and those that take them back."""
    if not written.changed:
        return [], []
    manifests = [f for f in written.changed if _kind(f) not in (None, "IstioOperator")]
    operators = [f for f in written.changed if _kind(f) == "IstioOperator"]
    changed_values = [f for f in written.changed if _kind(f) is None]
    names = ", ".join(file.path.name for file in written.changed)
    steps = [
        Step(
            f"Patched: {names}, with this phase and those before it. Deploy it as you deploy today; "
            "the commands below are what that comes to with Istio's own tools."
        )
    ]
    back = [Step(f"Deploy {names} as before this phase (your own copy, or the phase before).")]
    for file in manifests:
        steps.append(Step("Apply.", (f"kubectl apply -f {_path(folder, file)}",)))
    for file in operators:
        steps.append(
            Step(
                "istioctl of the release that runs.",
                (f"istioctl install -y -f {_path(folder, file)}",),
            )
        )
    if changed_values:
        layers = [f"{folder}/{f.path.name}" for f in written.files if _kind(f) is None]
        if phase in _OF_ISTIOD:
            command = helm_upgrade(
                "istiod", "istiod", "istio-system", layers,
                istio_version=istio_version, reuse=False,
            )  # fmt: skip
            others = " (leave out files of other charts)" if len(layers) > 1 else ""
            steps.append(Step(f"With Helm{others}:", (command,)))
            back.append(Step("Or:", (helm_back("istiod", "istio-system"),)))
        else:
            steps.append(
                Step("With Helm: helm upgrade of the release that these values belong to, with -f "
                     + " -f ".join(layers) + ".")
            )  # fmt: skip
    return steps, back


def _kind(file: PatchedFile) -> str | None:
    """Kind of the first Kubernetes object of a file; None for values."""
    if not re.search(r"^\s*[\"']?apiVersion[\"']?\s*:", file.text_after, re.MULTILINE):
        return None
    found = _KIND.search(file.text_after)
    return None if found is None else found.group(1)


def _path(folder: str, file: PatchedFile) -> str:
    return shlex.quote(f"{folder}/{file.path.name}")
