"""Rules register themselves; the audit runs every one and `docs/audit.md` lists them."""

from __future__ import annotations

import functools
import importlib
import pkgutil
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rightsize.audit import rules
from rightsize.audit.model import Finding, Severity, Sources
from rightsize.audit.tree import Node, Place
from rightsize.data_files import data_file


@dataclass(frozen=True, slots=True)
class Hit:
    """What a rule yields: a place and its evidence; the rest defaults to the rule's own words.

    `absent` marks that something was not seen: a finding only of a complete set of files.
    """

    place: Place
    evidence: str
    fix: str
    severity: Severity | None = None
    why: str | None = None
    versions: str | None = None
    absent: bool = False


def at(
    where: Node | Place,
    evidence: str,
    fix: str,
    *,
    severity: Severity | None = None,
    why: str | None = None,
    versions: str | None = None,
) -> Hit:
    """A fault that stands in a file."""
    place = where.place if isinstance(where, Node) else where
    return Hit(place, evidence, fix, severity, why, versions)


def absent(where: Node | Place, evidence: str, fix: str) -> Hit:
    """What was not seen, reported at the place that would need it."""
    place = where.place if isinstance(where, Node) else where
    return Hit(place, evidence, fix, absent=True)


Check = Callable[[Sources], Iterator[Hit]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One fault that the audit looks for."""

    id: str
    group: str
    check: Check
    severity: Severity
    title: str
    why: str
    versions: str

    def findings(self, sources: Sources) -> Iterator[tuple[Finding, bool]]:
        """Each finding with whether it is about something absent."""
        for hit in self.check(sources):
            finding = Finding(
                self.id,
                hit.severity or self.severity,
                hit.place,
                hit.evidence,
                hit.why or self.why,
                hit.versions or self.versions,
                hit.fix,
            )
            yield finding, hit.absent


_RULES: dict[str, Rule] = {}


@functools.cache
def _words() -> Mapping[str, Mapping[str, Any]]:
    """Severity, title, reason and releases of every rule, by its identifier."""
    return tomllib.loads(data_file("audit_rules.toml").read_text(encoding="utf-8"))


def rule(identifier: str) -> Callable[[Check], Check]:
    """Register a check under the identifier that `data/audit_rules.toml` describes.

    Raises
    ------
    ValueError
        If the identifier is taken.
    KeyError
        If it is not described.
    """

    def register(check: Check) -> Check:
        if identifier in _RULES:
            raise ValueError(f"rule {identifier} is registered twice")
        words = {"versions": "every release", **_words()[identifier]}
        _RULES[identifier] = Rule(identifier, check.__module__.rpartition(".")[2], check, **words)
        return check

    return register


def all_rules() -> tuple[Rule, ...]:
    """Every rule, by group and in the order of its module."""
    for module in pkgutil.iter_modules(rules.__path__):
        importlib.import_module(f"{rules.__name__}.{module.name}")
    return tuple(sorted(_RULES.values(), key=lambda rule: rule.group))
