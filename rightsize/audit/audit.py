"""The audit: every rule over everything that was read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from rightsize.audit.model import NOT_SEEN, SEVERITIES, Finding, Note, Problem, Severity, Sources
from rightsize.audit.registry import all_rules


@dataclass(frozen=True, slots=True)
class AuditResult:
    """Findings by file and line, notes on what was not seen, and files that could not be read."""

    files: tuple[str, ...]
    findings: tuple[Finding, ...]
    notes: tuple[Note, ...]
    problems: tuple[Problem, ...]
    stranger: str | None = None
    """The first file, where nothing in any of them is anything that the rules look at."""

    def at_least(self, severity: Severity) -> tuple[Finding, ...]:
        """Findings of a severity or worse."""
        worst = SEVERITIES.index(severity)
        return tuple(f for f in self.findings if SEVERITIES.index(f.severity) <= worst)


def audit(
    sources: Sources, *, now: datetime, complete: bool = False, measured: tuple[Finding, ...] = ()
) -> AuditResult:
    """Run every rule.

    Parameters
    ----------
    sources : Sources
        What `read_files` read.
    now : datetime
        The time against which certificates are judged, with its time zone.
    complete : bool
        The files are all that configures the mesh: what is absent from them is a finding and
        not a note.
    measured : tuple of Finding
        Findings from a snapshot, listed first.
    """
    findings: list[Finding] = []
    notes = list(sources.notes)
    sources.now = now
    for rule in all_rules():
        for finding, is_absent in rule.findings(sources):
            if finding.place.file in sources.vendored and rule.group != "ignored_values":
                continue  # defaults of a copied chart are no choice of the user's
            if finding.place.file in sources.live:
                finding = replace(finding, place=replace(finding.place, line=0))
            if is_absent and not complete:
                text = f"{finding.evidence}: {NOT_SEEN}"
                notes.append(Note(rule.id, finding.place.file, text, finding.place.line or None))
            elif is_absent:
                findings.append(_as_missing(finding))
            else:
                findings.append(finding)
    unique = dict.fromkeys(findings)
    order = {name: position for position, name in enumerate(sources.files)}
    ordered = sorted(
        unique,
        key=lambda f: (
            order.get(f.place.file, -1),
            f.place.line,
            SEVERITIES.index(f.severity),
            f.rule,
            f.place.path,
        ),
    )
    return AuditResult(
        tuple(sources.files),
        (*measured, *ordered),
        tuple(dict.fromkeys(notes)),
        tuple(sources.problems),
        sources.strangers[0] if sources.is_strange else None,
    )


def _as_missing(finding: Finding) -> Finding:
    return Finding(
        finding.rule,
        finding.severity,
        finding.place,
        f"missing: {finding.evidence}",
        finding.why,
        finding.versions,
        finding.fix,
    )
