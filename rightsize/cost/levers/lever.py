"""One way to lower the bill beside the sidecars, as `find_levers` answers it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rightsize.results import Interval

LeverKind = Literal["graviton", "commitment", "spot", "extended-support", "fargate"]
NAMES: Mapping[LeverKind, str] = {
    "graviton": "Graviton beside x86",
    "commitment": "commitment that is safe after the change",
    "spot": "Spot for pods that qualify",
    "extended-support": "EKS standard support",
    "fargate": "recommended requests on Fargate",
}


@dataclass(frozen=True, slots=True)
class Lever:
    """One way to pay less a month.

    `figures` are what its dollars come from, as `docs/money.md` lists them; None is unknown.
    """

    kind: LeverKind
    usd: Interval | None
    """None is unknown."""
    condition: str
    figures: Mapping[str, float | None]
    realisable: bool = False
    """Whether the bill falls by it; else it is an on-demand equivalent, since commitments, or what
    they cover, are unknown."""
    namespaces: Mapping[str, int] | None = None
    """Pods by namespace for which it could be done."""

    @property
    def name(self) -> str:
        return NAMES[self.kind]
