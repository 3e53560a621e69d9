"""istiod settings that bear on propagation: which releases read them, and their defaults.

Checked in Istio's source from 1.4 to 1.30 (pilot/pkg/features).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PilotSetting:
    """One environment variable of istiod, written under `pilot.env` as a map."""

    name: str
    since: str
    default: str
    effect: str


PUSH_THROTTLE = PilotSetting(
    "PILOT_PUSH_THROTTLE",
    "1.1",
    "100 up to 1.20; from 1.21 automatic, min(15 + 5 x cores of istiod, 100)",
    "more pushes at once: shorter queue, more CPU and memory during a push",
)
DEBOUNCE_AFTER = PilotSetting(
    "PILOT_DEBOUNCE_AFTER",
    "1.1",
    "100ms",
    "a longer quiet time merges more changes: fewer pushes, each later by as much",
)
DEBOUNCE_MAX = PilotSetting(
    "PILOT_DEBOUNCE_MAX",
    "1.1",
    "10s",
    "a lower ceiling sends changes sooner under steady churn, with more pushes and more CPU",
)


def push_throttle(istio_version: str | None, cores: float | None) -> float | None:
    """Pushes istiod runs at once when nothing is set, by release and CPU limit (or node cores).

    From 1.21: `min(15 + 5 * GOMAXPROCS, 100)` (istio/istio, pilot/pkg/features/tuning.go); a
    limit counts in whole cores, rounded up. None where the release or, from 1.21, the cores are
    unknown.
    """
    release = minor_release(istio_version)
    if release is None:
        return None
    if release < (1, 21):
        return 100.0
    return None if cores is None else min(15.0 + 5.0 * max(1, math.ceil(cores)), 100.0)


def minor_release(istio_version: str | None) -> tuple[int, int] | None:
    """`1.28.3-eks` to `(1, 28)`; None for what is no release."""
    match = re.match(r"(\d+)\.(\d+)", istio_version or "")
    return (int(match[1]), int(match[2])) if match else None
