"""Evidence of two calm weeks, to be changed in one respect."""

from __future__ import annotations

from datetime import UTC, datetime

from rightsize.results import Evidence, Usage


def evidence(**changes: object) -> Evidence:
    plain: dict[str, object] = {
        "start": datetime(2026, 3, 2, tzinfo=UTC),
        "end": datetime(2026, 3, 16, tzinfo=UTC),
        "days": 14.0,
        "pods": 2,
        "windows": 8064,
        "cpu": Usage(0.01, 0.02, 0.03, 0.04),
        "memory": Usage(6e7, 7e7, 8e7, 9e7),
        "throttled_share": 0.0,
        "oom_kills": 0,
        "restarts": 0,
    }
    return Evidence(**{**plain, **changes})
