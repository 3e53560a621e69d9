"""A Kustomize component for the sidecars whose manifests were not given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rightsize.patch.manifests import POD_TEMPLATES, annotation_values
from rightsize.patch.model import PatchedFile, SizeChange

FOLDER = Path("sidecar-annotations")
LISTING = FOLDER / "kustomization.yaml"
MARK = "# Sidecar sizes by annotation."
"""How the listing begins: a folder with it was written by an earlier run."""
API_VERSIONS = {"Rollout": "argoproj.io/v1alpha1", "Job": "batch/v1", "CronJob": "batch/v1"}


def kustomize_folder(changes: Sequence[SizeChange]) -> list[PatchedFile]:
    """A `kustomization.yaml` and one patch a workload, to list under `components:`.

    Parameters
    ----------
    changes : sequence of SizeChange
        Sidecars with a workload of their own.
    """
    changes = [change for change in changes if annotation_values(change)]
    if not changes:
        return []
    files = [_patch(change) for change in changes]
    lines = [
        f"{MARK} Add this folder to `components:` of your kustomization.",
        "# Patches apply to manifests that state their namespace: a `namespace:` of the outer",
        "# kustomization is set only afterwards.",
        "apiVersion: kustomize.config.k8s.io/v1alpha1",
        "kind: Component",
        "patches:",
    ]
    for change, file in zip(changes, files, strict=True):
        lines += [f"  - path: {file.path.name}", "    target:"]
        lines += [f"      kind: {change.kind or '|'.join(POD_TEMPLATES)}"]
        lines += [f"      name: {change.workload}"]
        lines += [f"      namespace: {change.namespace}"] if change.namespace else []
    listing = PatchedFile(LISTING, "", "\n".join(lines) + "\n")
    return [listing, *files]


def _patch(change: SizeChange) -> PatchedFile:
    kind = change.kind or "Deployment"
    indent = 0
    lines = [
        f"apiVersion: {API_VERSIONS.get(kind, 'apps/v1')}",
        f"kind: {kind}",
        "metadata:",
        f"  name: {change.workload}",
    ]
    lines += [f"  namespace: {change.namespace}"] if change.namespace else []
    for key in (*POD_TEMPLATES.get(kind, POD_TEMPLATES["Deployment"]), "metadata", "annotations"):
        lines.append(" " * indent + f"{key}:")
        indent += 2
    annotations = annotation_values(change)
    lines += [" " * indent + f"{key}: {json.dumps(value)}" for key, value in annotations.items()]
    name = "-".join(filter(None, (change.namespace, change.workload, kind.lower())))
    return PatchedFile(
        FOLDER / f"{name}.yaml",
        "",
        "\n".join(lines) + "\n",
        added=(
            f"a patch with the sidecar annotations of {change.key}; its manifest was not given",
        ),
    )
