"""Real Helm renders the patched files: the recommended numbers changed, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rightsize.errors import InputFileError, ToolMissingError, VerificationError
from rightsize.patch import (
    SizeChange,
    VerificationReport,
    patch_files,
    verify_chart,
    verify_patched,
    write_patched,
)
from tests.patch.patching import CHARTS, GATEWAY, ISTIOD, SIDECAR, change
from tests.servers.require import require_program

pytestmark = pytest.mark.servers


@pytest.fixture(params=["helm", "helm3"])
def helm(request: pytest.FixtureRequest) -> str:
    return require_program(request.param)


def rendered(
    folder: Path, helm: str, chart: str, texts: list[str], *changes: SizeChange, **flags: str
) -> VerificationReport:
    """Patch overlays for one of the tests' charts and verify them by rendering."""
    files = []
    for number, text in enumerate(texts):
        files.append(folder / f"values-{number}.yaml")
        files[-1].write_text(text)
    patched = patch_files(files, changes, **flags)
    written = write_patched(patched, folder / "out")
    return verify_chart(CHARTS / chart, files, written, changes, helm=helm)


def numbers(report: VerificationReport) -> dict[str, str]:
    return {row.where: row.after for row in report.rendered}


DISCOVERY = "Deployment istiod spec.template.spec.containers.discovery.resources"
INJECTOR = "ConfigMap istio-sidecar-injector data.values.global.proxy.resources"


@pytest.mark.parametrize(
    ("chart", "text"),
    [
        ("istiod", "pilot:\n  env: {}\n"),
        ("istiod", "pilot:\n  resources:\n"),
        ("istiod", "autoscaleMin: 1\nresources: {requests: {cpu: 1, memory: 4Gi}}\n"),
        ("istiod", "resources: {requests: {cpu: 1}}\npilot: {resources: {requests: {cpu: 2}}}\n"),
        ("istiod", "profile: demo\nautoscaleMin: 1\nresources: {requests: {cpu: 11m}}\n"),
        ("istiod", (CHARTS / "istiod" / "values.yaml").read_text()),
        ("istiod", "profile: demo\n" + (CHARTS / "istiod" / "values.yaml").read_text()),
        ("istiod-nested", "pilot: {resources: {requests: {cpu: 1}}}\n"),
        ("istiod-nested", "pilot: {env: {}}\nresources: {requests: {cpu: 1}}\n"),
        ("istiod-nested", (CHARTS / "istiod-nested" / "values.yaml").read_text()),
    ],
)
def test_whatever_the_file_sets_helm_renders_the_recommended_numbers(
    tmp_path: Path, helm: str, chart: str, text: str
) -> None:
    version = "1.30" if chart == "istiod" else "1.20"
    report = rendered(tmp_path, helm, chart, [text], ISTIOD, SIDECAR, istio_version=version)
    found = numbers(report)
    assert found[f"{DISCOVERY}.requests.cpu"] == "250m"
    assert found[f"{DISCOVERY}.requests.memory"] == "1Gi"
    assert found[f"{INJECTOR}.requests.cpu"] == "35m"
    assert found[f"{INJECTOR}.limits.memory"] in ("256Mi", "1024Mi")


def test_overlays_render_the_recommended_numbers(tmp_path: Path, helm: str) -> None:
    texts = [
        "pilot: {resources: {requests: {cpu: 1, memory: 4Gi}}, autoscaleMin: 1}\n",
        "pilot: {resources: {requests: {cpu: 2}}}\n",
        "pilot: {autoscaleMax: 9}\n",
    ]
    bounded = change("istiod", "250m", None, "1Gi", of="istio-system/istiod", bounds=(2, 4, 70))
    found = numbers(rendered(tmp_path, helm, "istiod", texts, bounded))
    assert found[f"{DISCOVERY}.requests.cpu"] == "250m"
    scaler = "HorizontalPodAutoscaler istiod spec"
    assert found[f"{scaler}.minReplicas"] == "2"
    assert found[f"{scaler}.maxReplicas"] == "9"  # A ceiling is not lowered.
    assert found[f"{scaler}.metrics[0].resource.target.averageUtilization"] == "70"


def test_the_gateway_schema_takes_what_is_written(tmp_path: Path, helm: str) -> None:
    report = rendered(tmp_path, helm, "gateway", ["labels: {istio: gateway}\n"], GATEWAY)
    container = "Deployment gw spec.template.spec.containers.istio-proxy.resources"
    assert numbers(report)[f"{container}.limits.cpu"] == "1000m"


def test_an_umbrella_chart_renders_the_recommended_numbers(tmp_path: Path, helm: str) -> None:
    chart = tmp_path / "umbrella"
    (chart / "charts").mkdir(parents=True)
    for name in ("istiod", "gateway"):
        shutil.copytree(CHARTS / name, chart / "charts" / name)
    (chart / "Chart.yaml").write_text(
        "apiVersion: v2\nname: mesh\nversion: 1.0.0\ndependencies:\n"
        "- {name: istiod, version: 1.30.3}\n- {name: gateway, version: 1.30.3, alias: edge}\n"
    )
    values = chart / "values.yaml"
    values.write_text(
        "global: {proxy: {resources: {requests: {cpu: 70m}}}}\n"
        "istiod: {global: {proxy: {resources: {requests: {cpu: 80m, memory: 1Gi}}}}}\n"
        "edge: {name: gw, resources: {requests: {cpu: 60m}}}\n"
    )
    changes = [SIDECAR, ISTIOD, GATEWAY]
    patched = patch_files([values], changes)
    report = verify_patched(chart, patched, changes, helm=helm)
    assert numbers(report)[f"{INJECTOR}.requests.cpu"] == "35m"
    assert {row.component for row in report.rendered} == {"sidecar", "istiod", "gateway"}


def test_a_number_that_did_not_reach_the_cluster_is_an_error(tmp_path: Path, helm: str) -> None:
    before, after = tmp_path / "a.yaml", tmp_path / "b.yaml"
    before.write_text("traceSampling: 1\n")
    after.write_text("traceSampling: 1\nresources: {requests: {cpu: 250m, memory: 1Gi}}\n")
    with pytest.raises(VerificationError, match="recommended was 0.25"):
        verify_chart(CHARTS / "istiod-nested", [before], [after], [ISTIOD], helm=helm)


def test_anything_else_that_changed_is_an_error(tmp_path: Path, helm: str) -> None:
    before, after = tmp_path / "a.yaml", tmp_path / "b.yaml"
    before.write_text("pilot: {resources: {requests: {cpu: 500m, memory: 2Gi}}}\n")
    after.write_text(
        "pilot: {resources: {requests: {cpu: 250m, memory: 1Gi}}}\nautoscaleEnabled: false\n"
    )
    with pytest.raises(VerificationError, match="not recommended: HorizontalPodAutoscaler istiod"):
        verify_chart(CHARTS / "istiod", [before], [after], [ISTIOD], helm=helm)


def test_another_number_than_the_recommended_one_is_an_error(tmp_path: Path, helm: str) -> None:
    before, after = tmp_path / "a.yaml", tmp_path / "b.yaml"
    before.write_text("pilot: {resources: {requests: {cpu: 500m, memory: 2Gi}}}\n")
    after.write_text("pilot: {resources: {requests: {cpu: 255m, memory: 1Gi}}}\n")
    with pytest.raises(VerificationError, match="255m"):
        verify_chart(CHARTS / "istiod", [before], [after], [ISTIOD], helm=helm)


def test_files_of_other_charts_are_left_out(tmp_path: Path, helm: str) -> None:
    files = [tmp_path / "istiod.yaml", tmp_path / "gw.yaml"]
    files[0].write_text("pilot: {env: {}}\n")
    files[1].write_text('networkGateway: ""\nresources: {requests: {cpu: 1m}}\n')
    changes = [ISTIOD, GATEWAY]
    patched = patch_files(files, changes)
    report = verify_patched(CHARTS / "istiod", patched, changes, helm=helm)
    assert report.elsewhere == ("gateway istio-ingress/gw",)
    assert "Not part of this chart: gateway istio-ingress/gw" in str(report)


def test_a_chart_that_does_not_render_at_all_says_so(tmp_path: Path, helm: str) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("service: {}\nresources: {requests: {cpu: 1}}\n")
    with pytest.raises(
        VerificationError, match=r"(?s)before any change.*requests.cpu|requests/cpu"
    ):
        verify_chart(CHARTS / "gateway", [file], [file], [GATEWAY], helm=helm)


def test_a_folder_without_a_chart_is_refused(tmp_path: Path, helm: str) -> None:
    (tmp_path / "values.yaml").write_text("pilot: {}\n")
    with pytest.raises(InputFileError, match="no Chart.yaml"):
        verify_chart(tmp_path, [tmp_path / "values.yaml"], [tmp_path / "values.yaml"], [], helm)


def test_a_missing_helm_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(ToolMissingError, match="Install Helm"):
        verify_chart(CHARTS / "istiod", [], [], [], helm="no-such-helm")
