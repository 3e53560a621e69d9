"""`rightsize plan` on a tiny mesh: folder, forms on stdout, given files, and honest refusals."""

from __future__ import annotations

import json

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from rightsize.cli.plan import app
from rightsize.errors import AmbiguousChartError, OutputError
from tests.cli.run import rightsize
from tests.rollout.plan_of_tiny_mesh import tiny_mesh

VALUES = """\
# of our team
global:
  proxy:
    resources:
      requests: {cpu: 100m, memory: 128Mi}
      limits: {cpu: "2", memory: 1Gi}
pilot:
  resources:
    requests: {cpu: 500m, memory: 2Gi}
"""


@pytest.fixture(scope="module")
def mesh(tmp_path_factory) -> str:
    return str(tiny_mesh(tmp_path_factory.mktemp("mesh") / "s").path)


def run(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def test_the_folder_holds_page_rules_and_files(mesh, tmp_path):
    found = run("--snapshot", mesh, "-o", tmp_path / "plan")
    assert found.exit_code == 0
    assert "03-mesh-default" in found.stdout
    assert (tmp_path / "plan" / "plan.md").read_text().startswith("# Rollout plan: tiny")
    assert (tmp_path / "plan" / "checks.yaml").exists()


def test_given_values_are_patched_phase_by_phase(mesh, tmp_path):
    values = tmp_path / "values.yaml"
    values.write_text(VALUES)
    out = tmp_path / "plan"
    found = run(
        "--snapshot", mesh, "-f", values, "--chart", "istiod", "-o", out, "--format", "markdown"
    )
    assert found.exit_code == 0
    assert found.stdout == (out / "plan.md").read_text()
    assert values.read_text() == VALUES
    (default,) = out.glob("*-mesh-default/values.yaml")
    text = default.read_text()
    assert text.startswith("# of our team\n")
    read = YAML(typ="safe").load(text)
    assert read["global"]["proxy"]["resources"]["requests"] == {"cpu": "50m", "memory": "64Mi"}
    assert read["pilot"]["resources"]["requests"] == {"cpu": "500m", "memory": "2Gi"}
    page = (out / "03-mesh-default" / "steps.md").read_text()
    assert "-f 03-mesh-default/values.yaml" in page
    # The gateway's sizes stand in no given file: they come as a file of their own.
    assert list(out.glob("*-gateways/gw-values.yaml"))


@pytest.fixture(scope="module")
def answer(mesh):
    return json.loads(run("--snapshot", mesh, "--format", "json", "--commitment", "0").stdout)


def test_json_on_stdout(answer):
    assert answer["schema_version"] == 1
    assert answer["simulated"] is True
    assert [p["name"] for p in answer["phases"]][:2] == ["baseline", "sidecar-exceptions"]
    first = answer["phases"][0]["money"]
    assert first["promised"] == {"low": 0.0, "mid": 0.0, "high": 0.0}
    assert any(one["what"] == "scope" for one in answer["not_in_this_plan"])


OBJECTS = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec: {hosts: [web.shop.svc.cluster.local], http: [{route: [{destination: {host: web}}]}]}
"""


def test_two_processes_plan_what_one_plans(mesh, tmp_path, monkeypatch):
    (tmp_path / "objects.yaml").write_text(OBJECTS)
    asked = ("--snapshot", mesh, "--istio-objects", tmp_path / "objects.yaml", "--no-cache")
    plans = []
    for processors in ("1", "2"):
        monkeypatch.setenv("PYTHON_CPU_COUNT", processors)
        done = rightsize("plan", *asked, "--format", "json")
        assert done.returncode == 0, done.stderr
        plans.append(done.stdout)
    assert plans[0] == plans[1]


def test_istiod_is_not_cut_while_nothing_tells_how_fast_it_pushes(answer):
    assert "istiod" not in [p["name"] for p in answer["phases"]]
    (held,) = [o for o in answer["not_in_this_plan"] if o["what"] == "a smaller istiod"]
    assert "pilot_proxy_convergence_time was not seen" in held["why"]


def test_a_folder_of_something_else_is_refused(mesh, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(OutputError, match="holds no plan") as error:
        run("--snapshot", mesh, "-o", tmp_path)
    assert error.value.hint is not None
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_of_an_unknown_chart_is_refused_and_nothing_is_written(mesh, tmp_path):
    values = tmp_path / "unknown.yaml"
    values.write_text("resources:\n  requests: {cpu: 1}\n")
    with pytest.raises(AmbiguousChartError):
        run("--snapshot", mesh, "-f", values, "-o", tmp_path / "plan")
    assert not (tmp_path / "plan").exists()


def test_two_files_of_one_name_keep_their_folders(mesh, tmp_path):
    paths = [tmp_path / part / "values.yaml" for part in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        path.write_text(VALUES)
    out = tmp_path / "plan"
    run("--snapshot", mesh, "-f", paths[0], "-f", paths[1], "-o", out)
    written = {path.relative_to(out).parts[-2:] for path in out.rglob("values.yaml")}
    assert written == {("a", "values.yaml"), ("b", "values.yaml")}
