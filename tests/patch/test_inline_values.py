"""Values inside Argo CD Applications and Flux HelmReleases."""

from __future__ import annotations

from pathlib import Path

import pytest

from rightsize.errors import InputFileError
from tests.patch.patching import GATEWAY, ISTIOD, SIDECAR, change, differences, patch_text

HEAD = """\
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {name: istiod}
spec:
  source:
    chart: istiod
    targetRevision: 1.30.3
    helm:
"""
BLOCK = """\
      values: |
        # sizes
        pilot:
          resources:
            requests:
              cpu: 500m  # was 1

        global: {proxy: {}}
  destination: {}
"""


def test_a_values_object_is_patched_in_place(tmp_path: Path) -> None:
    text = (
        HEAD
        + "      valuesObject:\n        autoscaleMin: 1\n        resources:\n          requests: {cpu: 1}\n"
    )
    patched = patch_text(tmp_path, text, ISTIOD)
    assert differences(patched) == [
        "-          requests: {cpu: 1}",
        "+          requests: {cpu: 250m, memory: 1Gi}",
    ]


def test_a_literal_block_of_values_is_patched_line_by_line(tmp_path: Path) -> None:
    patched = patch_text(tmp_path, HEAD + BLOCK, ISTIOD, SIDECAR)
    assert patched.text_after == HEAD + BLOCK.replace(
        "cpu: 500m  # was 1\n", "cpu: 250m  # was 1\n              memory: 1Gi\n"
    ).replace(
        "{proxy: {}}",
        "{proxy: {resources: {requests: {cpu: 35m, memory: 64Mi}, "
        "limits: {cpu: 1000m, memory: 256Mi}}}}",
    )
    assert patched.changes[0].path.startswith("spec.source.helm.values: ")


def test_several_sources_are_each_for_their_own_chart(tmp_path: Path) -> None:
    text = (
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: mesh}\nspec:\n"
        "  sources:\n  - chart: istiod\n    helm: {valuesObject: {global: {hub: x}}}\n"
        "  - chart: gateway\n    helm: {releaseName: gw, valuesObject: {labels: {}}}\n"
    )
    patched = patch_text(tmp_path, text, ISTIOD, GATEWAY)
    assert {c.path.split(".valuesObject")[0] for c in patched.changes} == {
        "spec.sources[0].helm",
        "spec.sources[1].helm",
    }


def test_a_parameter_that_outranks_the_values_is_patched(tmp_path: Path) -> None:
    text = HEAD + (
        "      parameters:\n      - name: global.proxy.resources.requests.cpu\n"
        "        value: 100m\n      valuesObject: {global: {}}\n"
    )
    patched = patch_text(tmp_path, text, change("sidecar", "35m"))
    assert differences(patched) == ["-        value: 100m", "+        value: 35m"]


def test_values_in_quotes_are_patched_in_their_quotes(tmp_path: Path) -> None:
    text = (
        HEAD + '      values: "pilot:\\n  resources:\\n    requests: {cpu: 500m, memory: 2Gi}\\n"\n'
    )
    patched = patch_text(tmp_path, text, ISTIOD)
    assert patched.text_after == text.replace("500m", "250m").replace("2Gi", "1Gi")


def test_an_error_in_a_block_has_the_place_in_the_file(tmp_path: Path) -> None:
    text = HEAD + BLOCK.replace("500m", '"abc"')
    with pytest.raises(InputFileError, match=r"values.yaml:14:20: .*'abc'"):
        patch_text(tmp_path, text, ISTIOD)


def test_windows_line_endings_stay_in_a_block(tmp_path: Path) -> None:
    text = (HEAD + BLOCK).replace("\n", "\r\n")
    patched = patch_text(tmp_path, text, ISTIOD)
    assert patched.text_after == text.replace(
        "500m  # was 1", "250m  # was 1\r\n              memory: 1Gi"
    )


def test_a_flux_helm_release_is_patched_in_place(tmp_path: Path) -> None:
    text = (
        "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata:\n  name: gw\nspec:\n"
        "  chart: {spec: {chart: gateway, version: 1.30.3}}\n  values:\n    resources:\n"
        "      requests:\n        cpu: 100m\n"
    )
    assert "cpu: 50m\n" in patch_text(tmp_path, text, GATEWAY).text_after


def test_value_files_outside_the_checkout_are_named(tmp_path: Path) -> None:
    text = HEAD + "      valueFiles: [$values/istiod.yaml]\n"
    patched = patch_text(tmp_path, text, ISTIOD)
    assert not patched.changed
    assert "valueFiles are not in this checkout" in patched.notes[0]
