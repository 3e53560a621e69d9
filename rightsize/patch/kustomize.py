"""A Kustomize component for the sidecars without a given manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rightsize.border import path_part
from rightsize.files.yaml_text import Document, Quoted, to_yaml
from rightsize.patch.manifests import POD_TEMPLATES, TEMPLATE, annotation_values
from rightsize.patch.model import PatchedFile, SizeChange

FOLDER = Path("sidecar-annotations")
LISTING = FOLDER / "kustomization.yaml"
MARK = "# Sidecar sizes by annotation."
"""How the listing begins: a folder with it was written by an earlier run."""
_HOW = (
    "Add this folder to `components:` of your kustomization.\n"
    "# Patches apply to manifests that state their namespace: a `namespace:` of the outer\n"
    "# kustomization is set only afterwards."
)
_SETTLED = ("Job", "Pod")
API_VERSIONS = {"Rollout": "argoproj.io/v1alpha1", "CronJob": "batch/v1"}


def by_hand(change: SizeChange) -> str | None:
    """What to put into the pod template of a workload that no patch can change; else None.

    Of a kind not known here the API group, the place of its pod template and the patches it takes are
    its controller's own; the template of a Job and the annotations of a running pod are settled.
    """
    if change.kind in POD_TEMPLATES and change.kind not in _SETTLED:
        return None
    lines = ", ".join(f'{key}: "{text}"' for key, text in annotation_values(change).items())
    kind = f"kind {change.kind}" if change.kind else "a workload of unknown kind"
    if change.kind in _SETTLED:
        return f"no patch changes a {change.kind} that is there: put into the next one's manifest {lines}"
    return f"no patch is written for {kind}: put into its pod template {lines}"


def kustomize_folder(changes: Sequence[SizeChange]) -> list[PatchedFile]:
    """A `kustomization.yaml` and one patch a workload, to list under `components:`.

    Parameters
    ----------
    changes : sequence of SizeChange
        Sidecars with a workload of their own.
    """
    changes = [c for c in changes if annotation_values(c) and by_hand(c) is None]
    if not changes:
        return []
    files = [_patch(change) for change in changes]
    listing: Document = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "patches": [
            {"path": file.path.name, "target": _target(change)}
            for change, file in zip(changes, files, strict=True)
        ],
    }
    return [PatchedFile(LISTING, "", f"{MARK} {_HOW}\n{to_yaml([listing])}"), *files]


def _target(change: SizeChange) -> Document:
    target = {"kind": change.kind, "name": change.workload}
    return target | ({"namespace": change.namespace} if change.namespace else {})


def _patch(change: SizeChange) -> PatchedFile:
    kind = str(change.kind)
    metadata = {"name": change.workload}
    metadata |= {"namespace": change.namespace} if change.namespace else {}
    body: object = {key: Quoted(text) for key, text in annotation_values(change).items()}
    for key in ("annotations", "metadata", *reversed(POD_TEMPLATES.get(kind, TEMPLATE))):
        body = {key: body}
    assert isinstance(body, dict)
    document = {
        "apiVersion": API_VERSIONS.get(kind, "apps/v1"),
        "kind": kind,
        "metadata": metadata,
        **body,
    }
    name = "-".join(filter(None, (change.namespace, change.workload, kind.lower())))
    return PatchedFile(
        FOLDER / f"{path_part(name)}.yaml",
        "",
        to_yaml([document]),
        added=(
            f"a patch with the sidecar annotations of {change.key}; its manifest was not given",
        ),
    )
