"""`scope`, `shards` and `simulate` on the demo mesh: answers, files, and honest refusals."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from rightsize.audit.audit import audit
from rightsize.audit.reading import read_files
from rightsize.cli.control_plane import app as control_plane
from rightsize.cli.scope import app as scope
from rightsize.cli.shards import app as shards
from rightsize.cli.simulate import app as simulate
from rightsize.demo import demo_snapshot
from rightsize.errors import InputFileError, NoDataError, UsageError
from rightsize.namespaces import covers
from rightsize.namespaces.traffic import read_edges
from rightsize.snapshot import Snapshot
from tests.tiny_mesh import Tiny, tiny_snapshot


@pytest.fixture(scope="module")
def demo():
    return str(demo_snapshot())


def run(app, *arguments: str):
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


@pytest.fixture(scope="module")
def scoped(demo, tmp_path_factory):
    """One run of `scope`: its JSON and its folder."""
    out = tmp_path_factory.mktemp("scope")
    asked = ["--host", "monitoring/*", "--keep", "kube-system", "--format", "json"]
    found = run(scope, "--snapshot", demo, "-o", str(out), *asked)
    return json.loads(found.stdout), out


def test_no_call_of_the_demo_mesh_is_cut_by_its_sidecars(demo, scoped):
    _, out = scoped
    hosts = {
        path.stem: YAML(typ="safe").load(path.read_text())["spec"]["egress"][0]["hosts"]
        for path in (out / "3-sidecars").glob("*.yaml")
    }
    assert len(hosts) >= 5
    for row in read_edges(Snapshot(demo)).to_dict("records"):
        caller = row["source_namespace"]
        if caller in hosts:
            service, home = row["destination_service"], row["destination_namespace"]
            assert covers(hosts[caller], service, home, caller)
    labels = (out / "1-label-namespaces.sh").read_text()
    assert all(f"kubectl label namespace {name} " in labels for name in hosts)


def test_scope_as_json_keeps_what_is_asked_for(scoped):
    answer, _ = scoped
    assert answer["schema_version"] == 1
    assert all("monitoring/*" in e["hosts"] for e in answer["egress"])
    assert "kube-system" in answer["discovery"]["selected"]
    assert any("31 VirtualServices" in note for note in answer["notes"])
    assert any("extensionProviders" in note for note in answer["notes"])
    usd = answer["saving"]["usd_per_month"]
    assert usd["low"] <= usd["mid"] <= usd["high"]
    assert answer["saving"]["nodes"]["high"] >= 0


def test_scope_keeps_the_routes_of_files(demo, tmp_path):
    service = Snapshot(demo).read("traffic")["destination_service"].astype(str)
    called = service[service.str.endswith(".svc.cluster.local")].iloc[0]
    spec = f"{{hosts: [old.example.com], http: [{{route: [{{destination: {{host: {called}}}}}]}}]}}"
    file = tmp_path / "istio.yaml"
    file.write_text(
        "kind: List\nitems:\n- {apiVersion: networking.istio.io/v1, kind: VirtualService, "
        f"metadata: {{name: a, namespace: routing}}, spec: {spec}}}\n"
    )
    answer = json.loads(run(scope, "--snapshot", demo, "-f", str(file), "--format", "json").stdout)
    assert any("routing/old.example.com" in e["routed"] for e in answer["egress"])
    assert "routing" in answer["discovery"]["selected"]
    assert any(
        "the files hold 1 VirtualServices and routes, istiod knows 31" in note
        for note in answer["notes"]
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [b\n", "istio.yaml:2:1: malformed YAML"), ("- 1\n", "no Kubernetes object")],
)
def test_scope_refuses_a_file_that_holds_no_objects(text, said, demo, tmp_path):
    file = tmp_path / "istio.yaml"
    file.write_text(text)
    with pytest.raises(InputFileError, match=said):
        run(scope, "--snapshot", demo, "-f", str(file))


def test_scope_refuses_a_host_that_is_none():
    with pytest.raises(UsageError, match="expected NAMESPACE/NAME"):
        run(scope, "--host", "monitoring")


def test_scope_without_traffic_says_so(tmp_path):
    tiny_snapshot(tmp_path / "s", Tiny(), days=1)
    with pytest.raises(NoDataError, match="no traffic between workloads"):
        run(scope, "--snapshot", str(tmp_path / "s"))


def test_shards_asked_for_come_with_their_files(demo, tmp_path):
    found = run(shards, "--snapshot", demo, "--shards", "2", "-o", str(tmp_path))
    assert "2 shards were asked for" in found.stdout
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "1-label-watched.sh", "2-shard-1-values.yaml", "2-shard-2-values.yaml", "3-migration.md",
    ]  # fmt: skip


def test_the_audit_finds_nothing_in_what_is_written(demo, tmp_path):
    for name, app, asked in (
        ("scope", scope, ()),
        ("shards", shards, ("--shards", "2")),
        ("istiod", control_plane, ()),
    ):
        run(app, "--snapshot", demo, *asked, "-o", str(tmp_path / name))
    result = audit(read_files([tmp_path]), now=datetime(2026, 1, 1, tzinfo=UTC))
    assert len(result.files) > 10
    assert not result.problems
    assert [(f.place.file, f.rule) for f in result.findings] == []


def test_simulate_tells_nodes_and_dollars_of_a_larger_mesh(demo):
    arguments = ["--services", "3000", "--pods", "10000", "--ambient", "--format", "json"]
    answer = json.loads(run(simulate, "--snapshot", demo, *arguments).stdout)
    assert answer["simulated"] is True
    assert [found["mode"] for found in answer["outcomes"]] == ["sidecar", "ambient"]
    sidecar = answer["outcomes"][0]
    assert sidecar["nodes"]["mid"] > 10 * answer["today"]["nodes"]
    assert sidecar["usd_per_month"]["mid"] > 10_000


@pytest.mark.parametrize("app", [shards, simulate], ids=["shards", "simulate"])
def test_without_istiods_metrics_there_is_no_answer(app, tmp_path):
    tiny_snapshot(tmp_path / "s", Tiny(), days=1)
    with pytest.raises(NoDataError, match="without pilot_xds and pilot_services"):
        run(app, "--snapshot", str(tmp_path / "s"))
