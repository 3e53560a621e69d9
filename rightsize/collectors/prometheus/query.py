"""One question to a server, and when in the day it is evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Shape(Enum):
    """When a query is evaluated for one day."""

    WINDOWS = "every 5 minutes, the end of the day before included"
    HOURS = "every hour, the end of the day before included"
    DAY = "once, at the end of the day"
    MORNING = "once, at the start of the day"


@dataclass(frozen=True)
class Query:
    """One question a day. `metrics` lists what it reads, `costs` what is lost without."""

    name: str
    shape: Shape
    text: str
    metrics: tuple[str, ...]
    costs: str = ""
    optional: bool = False
    """Many a good set-up does not have it: no warning, a note."""
    most: float = 2.0**63
    """Largest value that a machine can produce; what is above it is no sample."""
