"""The values of a rollout plan: phases, what each saves, and the checks that say it worked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from rightsize.results import Interval

PhaseName = Literal[
    "baseline",
    "findings",
    "propagation",
    "sidecar-exceptions",
    "mesh-default",
    "gateways",
    "other-proxies",
    "istiod",
    "fewer-nodes",
    "discovery-selectors",
    "sidecar-scopes",
    "destination-rules",
    "injection-off",
    "shards",
    "next-step",
    "cut-after-scope",
    "buy-nodes",
]
"""In the order in which they are carried out."""

Certainty = Literal["counted", "predicted"]
"""`counted`: from requests that this plan writes. `predicted`: only once usage has been measured
again, by a plan made anew."""


@dataclass(frozen=True, slots=True)
class Check:
    """A PromQL expression that gives one series: 1 when it holds, 0 when it does not.

    No series at all is neither: the metrics behind it are missing.
    """

    name: str
    """Unique within its phase, of lower-case letters, digits and hyphens."""
    says: str
    expression: str


@dataclass(frozen=True, slots=True)
class PhaseMoney:
    """What a phase frees, with everything before it done; USD per month.

    `saving` is on-demand equivalent; `cumulative` counts from today to the end of the phase, and
    is never the sum of more than the nodes that go. `promised` is the cumulative fall of the bill;
    None where commitments are unknown, and for what is only predicted.
    """

    nodes_before: int
    nodes_after: int
    saving: Interval | None
    cumulative: Interval | None
    promised: Interval | None
    certainty: Certainty
    note: str = ""


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of the rollout, without its files and commands."""

    name: PhaseName
    title: str
    what: str
    preconditions: tuple[str, ...]
    risk: str
    checks: tuple[Check, ...]
    wait: str
    """How long to wait before the checks are read and the next phase begins."""
    money: PhaseMoney | None
    """None where no node plan can be made; the reason is among the plan's notes."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that is not in the plan, and why or until when."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """Phases in order, and what was left out."""

    cluster: str
    simulated: bool
    start: datetime
    end: datetime
    istio_version: str | None
    region: str | None
    nodes_today: int | None
    bill_today: Interval | None
    """Known lines of the month's bill, USD."""
    prices: str
    """Where the prices come from."""
    phases: tuple[Phase, ...]
    waiting: tuple[Waiting, ...]
    ahead: tuple[str, ...]
    """Dates on which something is outgrown."""
    notes: tuple[str, ...]

    def phase(self, name: PhaseName) -> Phase | None:
        return next((phase for phase in self.phases if phase.name == name), None)

    def folder(self, phase: Phase) -> str:
        """Folder of the phase's files: its place in the order and its name."""
        return f"{self.phases.index(phase) + 1:02d}-{phase.name}"
