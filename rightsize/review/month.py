"""Which days of a snapshot make a month, and whether that is all of it."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from rightsize.errors import NoDataError, UsageError
from rightsize.snapshot import Snapshot


@dataclass(frozen=True)
class Month:
    """A calendar month (UTC) with the days of it that a snapshot holds."""

    year: int
    number: int
    days: tuple[date, ...]
    """Days the snapshot holds, oldest first."""

    @property
    def label(self) -> str:
        return f"{self.year}-{self.number:02d}"

    @property
    def name(self) -> str:
        return f"{calendar.month_name[self.number]} {self.year}"

    @property
    def length(self) -> int:
        """Days of the calendar month."""
        return calendar.monthrange(self.year, self.number)[1]

    @property
    def whole(self) -> bool:
        return len(self.days) == self.length

    @property
    def hours(self) -> float:
        """Hours of the days that are there; nothing is added for days that are not."""
        return 24.0 * len(self.days)

    @property
    def end(self) -> datetime:
        """Midnight after the last day held: ages of prices count to here, not to today."""
        last = self.days[-1] + timedelta(days=1)
        return datetime(last.year, last.month, last.day, tzinfo=UTC)

    @property
    def label_before(self) -> str:
        last = date(self.year, self.number, 1) - timedelta(days=1)
        return f"{last.year}-{last.month:02d}"


def month_of(snapshot: Snapshot, label: str | None = None) -> Month:
    """Return the month `label` (`2026-10`), or the snapshot's last one.

    Raises
    ------
    UsageError
        If the label is no month.
    NoDataError
        If the snapshot has no day of it.
    """
    chosen = snapshot.days[-1].strftime("%Y-%m") if label is None else label
    found = re.fullmatch(r"(\d{4})-(0[1-9]|1[0-2])", str(chosen))
    if found is None:
        raise UsageError(f"{chosen!r} is no month", hint="write it as YYYY-MM, such as 2026-10")
    days = tuple(day for day in snapshot.days if day.strftime("%Y-%m") == chosen)
    if not days:
        months = sorted({day.strftime("%Y-%m") for day in snapshot.days})
        raise NoDataError(
            f"the snapshot has no day of {chosen}", hint=f"it has {', '.join(months)}"
        )
    return Month(int(found[1]), int(found[2]), days)
