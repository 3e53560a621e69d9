"""How the user's own files are deployed: detected from what they are."""

from __future__ import annotations

import re
import shlex

from rightsize.files.classify import RELEASE_KINDS
from rightsize.patch import PatchedFile
from rightsize.patch.given import HCL_SUFFIXES
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
    terraform = [f for f in written.changed if _is_terraform(f)]
    yamls = [f for f in written.changed if not _is_terraform(f)]
    gitops = [f for f in yamls if _kind(f) in RELEASE_KINDS]
    operators = [f for f in yamls if _kind(f) == "IstioOperator"]
    changed_values = [f for f in yamls if _kind(f) is None]
    manifests = [f for f in yamls if f not in (*gitops, *operators, *changed_values)]
    names = ", ".join(written.name(file) for file in written.changed)
    steps = [
        Step(
            f"Patched: {names}, with this phase and those before it. Deploy it as you deploy today; "
            "the commands below are what that comes to with Istio's own tools."
        )
    ]
    back = [Step(f"Deploy {names} as before this phase (your own copy, or the phase before).")]
    if terraform:
        named = ", ".join(written.name(file) for file in terraform)
        steps.append(Step(f"Terraform: put {named} into its module; `terraform plan` shows these "
                          "sizes alone; then `terraform apply`."))  # fmt: skip
    if gitops:
        named = ", ".join(f"{written.name(file)} ({_kind(file)})" for file in gitops)
        steps.append(Step(f"Commit {named}: its controller rolls it out, and would take back what "
                          "is applied by hand."))  # fmt: skip
    for file in manifests:
        steps.append(Step("Apply.", (f"kubectl apply -f {_path(folder, written.name(file))}",)))
    for file in operators:
        steps.append(
            Step(
                "istioctl of the release that runs.",
                (f"istioctl install -y -f {_path(folder, written.name(file))}",),
            )
        )
    if changed_values:
        layers = [
            f"{folder}/{written.name(f)}"
            for f in written.files
            if _kind(f) is None and not _is_terraform(f)
        ]
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


def _is_terraform(file: PatchedFile) -> bool:
    return file.path.suffix in HCL_SUFFIXES


def _path(folder: str, name: str) -> str:
    return shlex.quote(f"{folder}/{name}")
