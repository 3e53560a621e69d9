"""Time that only work moves, so that a busy machine finds what an idle one does."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Pace:
    """Seconds of work done so far, shared by a clock and its parts."""

    now: float = 0.0


@dataclass
class Clock:
    """Work left, in seconds that it takes on one idle core of 2026.

    Nothing reads the wall's time: every search states what it did (`spend`), so the same input
    gives the same answer on every machine.
    """

    seconds: float
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        self._end = self.pace.now + self.seconds

    def spend(self, seconds: float) -> None:
        """Count work that takes so long on an idle core."""
        self.pace.now += seconds

    @property
    def left(self) -> float:
        return self._end - self.pace.now

    @property
    def out(self) -> bool:
        return self.left <= 0

    def part(self, share: float, most: float = float("inf")) -> Clock:
        """A clock for a share of what is left."""
        return Clock(max(min(self.left * share, most), 0.0), self.pace)
