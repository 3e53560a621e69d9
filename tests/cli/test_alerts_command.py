"""`rightsize alerts`, as its user types it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from rightsize.errors import UsageError
from tests.cli.run import rightsize
from tests.servers.require import require_program
from tests.tiny_mesh import Tiny, tiny_snapshot


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("mesh") / "snapshot"
    return Path(tiny_snapshot(folder, Tiny(), Tiny(workload="api", cpu=(0.08,))).path)


def promtool_accepts(path: Path) -> bool:
    command = [require_program("promtool"), "check", "rules", str(path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.servers
def test_a_rules_file_passes_promtool(snapshot, tmp_path):
    done = rightsize(
        "alerts", "--snapshot", snapshot, "--format", "rules", "-o", tmp_path / "r.yaml"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert promtool_accepts(tmp_path / "r.yaml")


@pytest.mark.servers
def test_the_operators_object_holds_rules_that_pass_promtool(snapshot, tmp_path):
    labels = ["--namespace", "monitoring", "--label", "release=prometheus"]
    done = rightsize("alerts", "--snapshot", snapshot, *labels)
    assert done.returncode == 0, done.stderr
    (found,) = yaml.safe_load_all(done.stdout)
    assert (found["apiVersion"], found["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert found["metadata"]["namespace"] == "monitoring"
    assert found["metadata"]["labels"]["release"] == "prometheus"
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(found["spec"]))
    assert promtool_accepts(tmp_path / "rules.yaml")


def test_the_sizes_are_those_that_are_recommended(snapshot):
    advice = json.loads(rightsize("recommend", "--snapshot", snapshot, "--format", "json").stdout)
    api = next(row for row in advice["recommendations"] if row["workload"] == "api")
    done = rightsize("alerts", "--snapshot", snapshot, "--format", "rules")
    records = [
        rule["expr"]
        for group in yaml.safe_load(done.stdout)["groups"]
        for rule in group["rules"]
        if rule.get("record") == "rightsize:recommended_request"
    ]
    cpu = next(expr for expr in records if 'workload=~"api",resource="cpu"' in expr)
    assert cpu.endswith(f"* {api['cpu']['recommended_request']:g}")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--format", "rules", "--label", "a=b"], "neither labels nor namespace"),
        (["--label", "release"], "expected name=value"),
        (["--matcher", "cluster=prod", "--no-matchers"], "contradict each other"),
    ],
)
def test_options_that_make_no_sense_together_are_refused(snapshot, options, said):
    done = rightsize("alerts", "--snapshot", snapshot, *options)
    assert done.returncode == UsageError.exit_code
    assert said in done.stderr
    assert done.stdout == ""


def test_matchers_are_in_every_query_of_the_clusters_metrics(snapshot):
    done = rightsize("alerts", "--snapshot", snapshot, "--matcher", "cluster=prod")
    for line in done.stdout.splitlines():
        if "container_cpu_usage_seconds_total{" in line:
            assert 'cluster="prod"' in line
