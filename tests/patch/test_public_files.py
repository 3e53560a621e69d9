"""Files of strangers and users, where RIGHTSIZE_PUBLIC_FILES names a folder of checkouts.

`python -m tests.patch.test_public_files` prints the table by kind of file and what became of each.
The files are not part of this repository.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rightsize.errors import RightsizeError
from rightsize.patch import PatchedFile, SizeChange, patch_set
from tests.patch.patching import change
from tests.patch.written import check_written

FOLDER = os.environ.get("RIGHTSIZE_PUBLIC_FILES")
SUFFIXES = {".yaml", ".yml", ".tf", ".hcl"}
CHANGES = [
    change("sidecar", "50m", "2", "96Mi", "1Gi"),
    change("istiod", "280m", None, "1Gi", of="istio-system/istiod", bounds=(2, 5, 50)),
    change("gateway", "100m", "2", "88Mi", "1Gi", of="istio-system/istio-ingressgateway"),
    change("ztunnel", "150m", "1", "256Mi", "512Mi"),
    change("istio-cni", "50m", "1", "64Mi", "128Mi"),
]
SIGNS = {
    "IstioOperator": "IstioOperator",
    "kind: HelmRelease": "Flux",
    "argoproj.io": "Argo CD",
    "ServiceMeshControlPlane": "OpenShift",
    "sailoperator.io": "Sail operator",
    "helm.cattle.io": "k3s",
    "kustomize.config.k8s.io": "Kustomize",
}


def public_files(folder: Path) -> Iterator[Path]:
    """Every file that may hold sizes."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in SUFFIXES and path.is_file():
            yield path


def kind_of_file(path: Path, text: str) -> str:
    """The row of the table that a file is counted in."""
    if path.suffix in (".tf", ".hcl"):
        return "Terraform" if "helm_release" in text else "other Terraform"
    named = "Helmfile" if path.name.startswith("helmfile") else None
    named = named or ("Kustomize" if path.name.startswith("kustomization") else None)
    named = named or next((kind for sign, kind in SIGNS.items() if sign in text), None)
    if named is None:
        named = "manifests" if "\nkind:" in f"\n{text}" else "values"
    return named if "istio" in text.lower() else f"{named} of others"


def outcome(path: Path, changes: Sequence[SizeChange], scratch: Path) -> tuple[str, str]:
    """What became of one file, and why; what is written must pass the check of every file."""
    place = scratch / path.parent.name
    if not place.exists():
        shutil.copytree(path.parent, place, dirs_exist_ok=True, ignore_dangling_symlinks=True)
    copy = place / path.name

    def patch() -> PatchedFile:
        return patch_set([copy], changes).given[0]

    content = copy.read_bytes()
    try:
        patched = patch()
        if not patched.changed:
            return "unchanged", patched.why_unchanged or "no reason"
        check_written(patched, patch)
    except RightsizeError as error:
        return "refused", error.what
    except AssertionError as error:
        return "wrong", str(error)[:300]
    except Exception as error:
        return "wrong", repr(error)[:300]
    finally:
        copy.write_bytes(content)
    return "patched", ""


def run(folder: Path) -> tuple[dict[str, Counter[str]], list[tuple[Path, str, str, str]]]:
    """Every file once: the table, and the rows behind it."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    rows = []
    for path in public_files(folder):
        kind = kind_of_file(path, path.read_text(errors="replace"))
        with tempfile.TemporaryDirectory() as scratch:
            status, why = outcome(path, CHANGES, Path(scratch))
        table[kind][status] += 1
        rows.append((path, kind, status, why))
    return table, rows


@pytest.mark.skipif(not FOLDER, reason="RIGHTSIZE_PUBLIC_FILES names no folder of checkouts")
def test_no_public_file_comes_out_wrong() -> None:
    _, rows = run(Path(FOLDER or ""))
    assert [row for row in rows if row[2] == "wrong"] == []


if __name__ == "__main__":
    found, every = run(Path(sys.argv[1] if len(sys.argv) > 1 else FOLDER or "."))
    for row in every:
        print(*row, sep="\t")
    for kind, counts in sorted(found.items()):
        print(kind, sum(counts.values()), dict(counts), file=sys.stderr)
