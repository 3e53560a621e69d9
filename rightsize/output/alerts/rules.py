"""A rule of Prometheus: a recorded series, or an alert with what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True)
class Record:
    """A series that Prometheus computes and keeps under a name of its own."""

    name: str
    expression: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        rule: dict[str, object] = {"record": self.name, "expr": self.expression}
        return rule | ({"labels": dict(self.labels)} if self.labels else {})


@dataclass(frozen=True)
class Alert:
    """An alert: `lasting` is how long the expression must hold, as Prometheus writes it."""

    name: str
    expression: str
    severity: Severity
    lasting: str
    summary: str
    description: str
    next_step: str

    def as_dict(self) -> dict[str, object]:
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.lasting,
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "next": self.next_step,
            },
        }
