"""An audit as lines, as Markdown and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rightsize.audit.audit import AuditResult
from rightsize.audit.model import SEVERITIES, Finding

if TYPE_CHECKING:
    import pandas as pd


def audit_to_dict(result: AuditResult) -> dict[str, object]:
    """The document that `--format json` prints; `docs/audit.md` describes it."""
    return {
        "schema_version": 1,
        "files": list(result.files),
        "summary": _counts(result),
        "findings": [_finding(finding) for finding in result.findings],
        "notes": [
            {"rule": note.rule, "file": note.file, "line": note.line, "text": note.text}
            for note in result.notes
        ],
        "problems": [
            {"file": p.file, "line": p.line, "column": p.column, "text": p.text}
            for p in result.problems
        ],
    }


def finding_rows(result: AuditResult) -> pd.DataFrame:
    """One row a finding, with the fields of the JSON."""
    import pandas as pd

    return pd.DataFrame([_finding(finding) for finding in result.findings])


def audit_table(result: AuditResult) -> Iterator[str]:
    """Lines for a terminal: each finding, then notes, then how many."""
    for finding in result.findings:
        place = finding.place
        yield f"{_where(finding)}: {finding.severity}: {finding.evidence}  [{finding.rule}]"
        if place.path:
            yield f"    at:  {place.path}"
        yield f"    why: {finding.why} ({finding.versions})"
        first, *rest = finding.fix.splitlines() or [""]
        yield f"    fix: {first}"
        yield from (f"         {line}" for line in rest)
    for note in result.notes:
        line = "" if note.line is None else f":{note.line}"
        yield f"{note.file}{line}: note: {note.text}  [{note.rule}]"
    yield _summary(result)


def audit_markdown(result: AuditResult) -> str:
    """A page: one section a file, one item a finding with its corrected text."""
    lines = ["# Audit", "", _summary(result)]
    for file in dict.fromkeys(finding.place.file for finding in result.findings):
        lines += ["", f"## `{file}`"]
        for finding in result.findings:
            if finding.place.file == file:
                lines += ["", *_item(finding)]
    if result.notes:
        lines += ["", "## Not known from these files", ""]
        lines += [f"- `{note.rule}`: {_plain(note.text)} (`{note.file}`)" for note in result.notes]
    if result.problems:
        lines += ["", "## Not read", ""]
        lines += [f"- `{problem.file}`: {problem.text}" for problem in result.problems]
    return "\n".join(lines) + "\n"


def _item(finding: Finding) -> list[str]:
    fence = "```" if "```" not in finding.fix else "````"
    return [
        f"### {finding.severity}: {_plain(finding.evidence)}",
        "",
        f"Line {finding.place.line}, `{finding.place.path}`, rule `{finding.rule}`, "
        f"{finding.versions}. {finding.why}",
        "",
        fence,
        *finding.fix.splitlines(),
        fence,
    ]


def _plain(text: str) -> str:
    return " ".join(text.split())


def _where(finding: Finding) -> str:
    return (
        f"{finding.place.file}:{finding.place.line}" if finding.place.line else finding.place.file
    )


def _finding(finding: Finding) -> dict[str, object]:
    place = finding.place
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "file": place.file,
        "line": place.line or None,
        "column": place.column if place.line else None,
        "path": place.path,
        "evidence": finding.evidence,
        "why": finding.why,
        "versions": finding.versions,
        "fix": finding.fix,
    }


def _counts(result: AuditResult) -> dict[str, int]:
    counted = Counter(finding.severity for finding in result.findings)
    return {severity: counted[severity] for severity in SEVERITIES}


def _summary(result: AuditResult) -> str:
    counts = ", ".join(f"{n} {severity}" for severity, n in _counts(result).items())
    many = "" if len(result.files) == 1 else "s"
    return f"{len(result.files)} file{many}: {counts}"
