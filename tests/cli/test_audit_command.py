"""`rightsize audit`: forms, exit codes, bad files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from rightsize.cli.audit import app
from rightsize.cli.prices import app as prices_app
from rightsize.errors import AmbiguousChartError, FindingsError, InputFileError, UsageError
from tests.cli.run import rightsize

ROOT = Path(__file__).parents[2]
FAULTY = "pilot:\n  autoscaleMin: 1\n  sharding: {strategy: isolation}\n"


@pytest.fixture
def values(tmp_path):
    path = tmp_path / "values.yaml"
    path.write_text(FAULTY)
    return path


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_json_lists_rule_file_line_path_and_severity(values):
    found = run(values, "--format", "json")
    assert found.exit_code == 0
    body = json.loads(found.stdout)
    assert body["schema_version"] == 1
    assert body["summary"] == {"error": 1, "warning": 1, "info": 0}
    last = body["findings"][-1]
    assert {key: last[key] for key in ("rule", "file", "line", "path", "severity")} == {
        "rule": "value-ignored",
        "file": str(values),
        "line": 3,
        "path": "pilot.sharding",
        "severity": "error",
    }
    assert last["evidence"]
    assert last["why"]
    assert last["versions"] == "every release"
    assert "revision" in last["fix"]


def test_a_line_of_the_table_begins_with_file_and_line(values):
    lines = run(values).stdout.splitlines()
    assert f"{values}:3: error: pilot.sharding is set  [value-ignored]" in lines
    assert lines[-1] == "1 file: 1 error, 1 warning, 0 info"


def test_markdown_has_a_section_for_the_file_and_the_corrected_text(values):
    page = run(values, "--format", "markdown").stdout
    assert f"## `{values}`" in page
    assert "```\nautoscaleMin: 2\n```" in page


@pytest.mark.parametrize(
    ("text", "severity", "fails"),
    [
        (FAULTY, "error", True),
        ("pilot: {autoscaleMin: 1}\n", "error", False),
        ("pilot: {autoscaleMin: 1}\n", "warning", True),
        ("pilot: {autoscaleMin: 2}\n", "info", False),
    ],
)
def test_fail_on_ends_with_its_exit_code_for_that_severity_or_worse(values, text, severity, fails):
    values.write_text(text)
    found = run(values, "--fail-on", severity)
    if fails:
        assert isinstance(found.exception, FindingsError)
        assert found.exception.exit_code == 11
    else:
        assert found.exit_code == 0


def test_a_bad_file_is_reported_after_the_findings_of_the_others(values, tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: [1\nb: 2\n")
    found = run(bad, values)
    assert "[value-ignored]" in found.stdout
    assert isinstance(found.exception, InputFileError)
    assert str(found.exception).startswith(f"{bad}:2:")


def test_an_unknown_release_or_chart_is_a_usage_error(values):
    assert isinstance(run(values, "--istio-version", "newest").exception, UsageError)
    assert isinstance(run(values, "--chart", "kiali").exception, UsageError)


def test_the_chart_given_decides_where_keys_do_not(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("resources: {requests: {cpu: 1}}\n")
    refused = run(path)
    assert isinstance(refused.exception, AmbiguousChartError)
    assert "nothing proves that it holds values of Istio's" in refused.stdout
    reported = run(path, "--chart", "istiod", "--istio-version", "1.22").stdout
    assert "[top-level-resources-ignored]" in reported


def test_absence_is_a_finding_of_complete_files_only(tmp_path):
    path = tmp_path / "values.yaml"
    path.write_text("pilot: {autoscaleMax: 3}\n")
    assert "not seen in these files" in run(path).stdout
    assert "missing: autoscaleMin" in run(path, "--complete").stdout


def test_formats_of_findings_are_audits_alone(values, tmp_path):
    assert json.loads(run(values, "--format", "sarif").stdout)["version"] == "2.1.0"
    assert run(values, "--format", "junit").stdout.startswith("<?xml")
    refused = CliRunner().invoke(prices_app, ["--format", "sarif"])
    assert refused.exit_code == 2


def test_the_hook_for_pre_commit_runs_and_fails_on_an_error(values, tmp_path):
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    program, *words = [*hook["entry"].split(), *hook["args"]]
    assert (program, hook["language"]) == ("rightsize", "python")
    done = rightsize(*words, cwd=tmp_path)
    assert done.returncode == 11, done.stderr
    assert "value-ignored" in done.stdout
