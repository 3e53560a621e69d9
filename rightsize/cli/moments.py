"""Times on the command line: a day, a time with its zone, or one relative to now."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

_RELATIVE = re.compile(r"-(\d+)(m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
FORMS = "2026-09-01, 2026-09-01T12:00Z, 2026-09-01T12:00+02:00 or -7d"


def parse_moment(text: str) -> datetime:
    """Read a time as UTC: RFC 3339, a date, or `-30m`, `-12h`, `-30d`, `-2w` before now.

    A time without a zone is UTC.

    Raises
    ------
    typer.BadParameter
        If it is none.

    Examples
    --------
    >>> parse_moment("2026-09-01T12:00+02:00")
    datetime.datetime(2026, 9, 1, 10, 0, tzinfo=datetime.timezone.utc)
    """
    if text == "now":
        return datetime.now(UTC)
    try:
        if match := _RELATIVE.fullmatch(text):
            return datetime.now(UTC) - timedelta(**{_UNITS[match.group(2)]: int(match.group(1))})
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{text!r} is no time: write {FORMS}") from error
