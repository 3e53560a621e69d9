"""Steps for the user's own files follow from what the files are."""

from __future__ import annotations

from pathlib import Path

import pytest

from rightsize.patch import PatchedFile
from rightsize.rollout.given_files import deploy_steps
from rightsize.rollout.values_files import Written

RELEASE = "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\n"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [("main.tf", "x = 1\n", "terraform plan"), ("istiod.yaml", RELEASE, "Commit istiod.yaml")],
)
def test_terraform_and_gitops_files_are_not_applied_by_hand(
    name: str, text: str, expected: str
) -> None:
    file = PatchedFile(Path(name), "old", text)
    steps, _ = deploy_steps(Written((file,), (file,)), "out", "1.28", "istiod")
    assert any(expected in step.text for step in steps)
    assert not any("kubectl" in c or "helm" in c for step in steps for c in step.commands)
