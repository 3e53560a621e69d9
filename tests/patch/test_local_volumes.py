"""The injector's annotation that lets Cluster Autoscaler drain nodes, in the user's own values."""

from __future__ import annotations

from pathlib import Path

import pytest

from rightsize.errors import VerificationError
from rightsize.files.charts import Hints
from rightsize.nodes.holds import EVICT_LOCAL_VOLUMES, LOCAL_VOLUMES
from rightsize.patch import patch_set, verify_patched
from rightsize.patch.model import PatchedFile
from tests.patch.patching import CHARTS, SIDECAR
from tests.servers.require import require_program

SIZES = "global: {proxy: {resources: {requests: {cpu: 100m, memory: 128Mi}}}}\n"


def drainable(folder: Path, text: str, name: str = "values.yaml") -> PatchedFile:
    file = folder / name
    file.write_text(text)
    hints = Hints.of("istiod", "1.26", None)
    (patched,) = patch_set([file], [SIDECAR], hints, evict_local_volumes=True).files
    return patched


def test_the_annotation_is_added_beside_those_that_are_there(tmp_path):
    text = SIZES + "sidecarInjectorWebhook:\n  injectedAnnotations:\n    team: mesh # ours\n"
    after = drainable(tmp_path, text).text_after
    assert f'    team: mesh # ours\n    {EVICT_LOCAL_VOLUMES}: "{LOCAL_VOLUMES}"\n' in after


def test_volumes_that_are_named_stay_named_and_all_named_is_right(tmp_path):
    block = f"sidecarInjectorWebhook: {{injectedAnnotations: {{{EVICT_LOCAL_VOLUMES}: cache}}}}\n"
    after = drainable(tmp_path, SIZES + block).text_after
    assert f'"cache,{LOCAL_VOLUMES}"' in after
    again = drainable(tmp_path, after, "again.yaml")
    assert again.text_after == after


@pytest.mark.servers
@pytest.mark.parametrize("program", ["helm", "helm3"])
@pytest.mark.parametrize("text", [SIZES, SIZES + "sidecarInjectorWebhook: {}\n"])
def test_real_helm_renders_the_annotation_and_nothing_else_beside_the_sizes(
    tmp_path, program, text
):
    patched = drainable(tmp_path, text)
    helm = require_program(program)
    report = verify_patched(CHARTS / "istiod", [patched], [SIDECAR], helm)
    assert any(row.after == "35m" for row in report.rendered)
    wrong = patched.text_after.replace(f'"{LOCAL_VOLUMES}"', '"cache"')
    broken = PatchedFile(patched.path, patched.text_before, wrong)
    with pytest.raises(VerificationError, match="not recommended"):
        verify_patched(CHARTS / "istiod", [broken], [SIDECAR], helm)
