"""An audit for machines that show findings beside the code: SARIF 2.1.0 and JUnit."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from rightsize.border import printable, printable_lines
from rightsize.output.console import Printer
from rightsize.output.tables.formats import Answer, register_format

if TYPE_CHECKING:
    from rightsize.audit.audit import AuditResult
    from rightsize.audit.model import Finding
    from rightsize.audit.replacement import Replacement, Text

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


@register_format("sarif", of="findings")
def _sarif(answer: Answer, printer: Printer) -> None:
    if answer.findings is not None:
        printer.write(json.dumps(sarif_document(answer.findings()), indent=2) + "\n")


@register_format("junit", of="findings")
def _junit(answer: Answer, printer: Printer) -> None:
    if answer.findings is not None:
        printer.write(junit_text(answer.findings()))


def sarif_document(result: AuditResult) -> dict[str, object]:
    """The audit as a SARIF log of one run, with every rule's help.

    A finding without a line is a measured one: its place is the snapshot's folder. What could not
    be read or is not known is a notification of the invocation. A fix is offered as a replacement
    only where `audit.replacement` proves it.
    """
    from rightsize import __version__

    rules = list(_rules())
    order = {str(rule["id"]): index for index, rule in enumerate(rules)}
    texts: dict[str, Text] = {}
    driver = {
        "name": "rightsize", "semanticVersion": __version__, "version": __version__, "rules": rules
    }  # fmt: skip
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": not result.problems,
                "toolExecutionNotifications": list(_notifications(result)),
            }
        ],
        "results": [_result(finding, order, texts) for finding in result.findings],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rules() -> Iterator[dict[str, object]]:
    from rightsize.audit.measured import MEASURED_RULES
    from rightsize.audit.registry import all_rules

    for rule in all_rules():
        yield _rule(rule.id, rule.severity, rule.title, f"{rule.why} ({rule.versions})", rule.group)
    for identifier, severity, title in MEASURED_RULES:
        yield _rule(identifier, severity, title, title, "measured")


def _rule(identifier: str, severity: str, title: str, why: str, group: str) -> dict[str, object]:
    return {
        "id": identifier,
        "shortDescription": {"text": title},
        "fullDescription": {"text": why},
        "help": {"text": f"{title}: {why}", "markdown": f"**{title}**\n\n{why}"},
        "defaultConfiguration": {"level": _LEVELS[severity]},
        "properties": {"tags": ["istio", group.replace("_", "-")]},
    }


def _result(finding: Finding, order: dict[str, int], texts: dict[str, Text]) -> dict[str, object]:
    from rightsize.audit.replacement import read_text, replacement

    place = finding.place
    physical: dict[str, object] = {"artifactLocation": {"uri": _uri(place.file)}}
    if place.line:
        physical["region"] = {"startLine": place.line, "startColumn": max(place.column, 1)}
    location: dict[str, object] = {"physicalLocation": physical}
    if place.path:
        location["logicalLocations"] = [{"fullyQualifiedName": printable(place.path)}]
    message = f"{finding.evidence}. {finding.why} ({finding.versions})\nInstead: {finding.fix}"
    body: dict[str, object] = {
        "ruleId": finding.rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": printable_lines(message)},
        "locations": [location],
        "partialFingerprints": {"finding/v1": _fingerprint(finding)},
    }
    if finding.rule in order:
        body["ruleIndex"] = order[finding.rule]
    if place.file not in texts:
        texts[place.file] = read_text(place.file)
    edit = replacement(texts[place.file], finding)
    if edit is not None:
        body["fixes"] = [_fix(finding, texts[place.file].text, edit)]
    return body


def _fingerprint(finding: Finding) -> str:
    """Stays the same when lines above the finding come and go."""
    place = finding.place
    parts = (finding.rule, _uri(place.file), place.subject, place.path, finding.evidence)
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()


def _fix(finding: Finding, text: str, edit: Replacement) -> dict[str, object]:
    from rightsize.files.tree import position

    (line, column), (end_line, end_column) = position(text, edit.start), position(text, edit.end)
    region = {
        "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column
    }  # fmt: skip
    change = {
        "artifactLocation": {"uri": _uri(finding.place.file)},
        "replacements": [{"deletedRegion": region, "insertedContent": {"text": edit.text}}],
    }
    return {"description": {"text": printable_lines(finding.fix)}, "artifactChanges": [change]}


def _notifications(result: AuditResult) -> Iterator[dict[str, object]]:
    for problem in result.problems:
        yield _notification("error", problem.file, problem.line, problem.text)
    for note in result.notes:
        yield _notification("note", note.file, note.line, f"{note.text} [{note.rule}]")


def _notification(level: str, file: str, line: int | None, text: str) -> dict[str, object]:
    physical: dict[str, object] = {"artifactLocation": {"uri": _uri(file)}}
    if line:
        physical["region"] = {"startLine": line}
    return {
        "level": level,
        "message": {"text": printable_lines(text)},
        "locations": [{"physicalLocation": physical}],
    }


def _uri(file: str) -> str:
    """Relative to the folder of the run, as code scanning wants it, where the file is below it."""
    path, start = Path(file), ""
    if path.is_absolute():
        here = Path.cwd()
        if path.is_relative_to(here):
            path = path.relative_to(here)
        else:
            start = "file://"
    return start + quote(os.fsencode(path.as_posix()))


def junit_text(result: AuditResult) -> str:
    """One suite of one test case a file and rule; a file without a finding is a case that passes.

    Errors and warnings are failures, `info` is not; a file that could not be read is an error.
    """
    from xml.etree import ElementTree as ET

    suites = ET.Element("testsuites", name="rightsize audit")
    problems = {problem.file for problem in result.problems}
    failures = errors = tests = 0
    suite = ET.SubElement(suites, "testsuite", name="rightsize audit")
    for finding in result.findings:
        tests += 1
        place = finding.place
        where = f"{place.file}:{place.line}" if place.line else place.file
        name = printable(f"{finding.rule} {where} {place.path}".strip())
        case = ET.SubElement(suite, "testcase", classname=printable(place.file), name=name)
        lines = f"{where}\n{finding.why} ({finding.versions})\nInstead:\n{finding.fix}"
        message = printable(finding.evidence)
        if finding.severity == "info":
            ET.SubElement(case, "system-out").text = printable_lines(f"{message}\n{lines}")
            continue
        failures += 1
        failure = ET.SubElement(case, "failure", type=finding.severity, message=message)
        failure.text = printable_lines(lines)
    for problem in result.problems:
        tests, errors = tests + 1, errors + 1
        case = ET.SubElement(suite, "testcase", classname=printable(problem.file), name="is read")
        ET.SubElement(case, "error", type="unreadable", message=printable(problem.text))
    for file in sorted(set(result.files) - problems - {f.place.file for f in result.findings}):
        tests += 1
        ET.SubElement(suite, "testcase", classname=printable(file), name="no finding")
    for element in (suites, suite):
        element.attrib |= {"tests": str(tests), "failures": str(failures), "errors": str(errors)}
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'
