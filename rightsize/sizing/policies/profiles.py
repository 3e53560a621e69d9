"""The named policies: profiles that a user can choose, and the baselines they are judged by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sklearn.base import clone

from rightsize.errors import UsageError
from rightsize.sizing.policies.base import SizingPolicy
from rightsize.sizing.policies.baselines import (
    AutopilotPolicy,
    KRRPolicy,
    PeakMarginPolicy,
    VPAPolicy,
)
from rightsize.sizing.policies.calibrated import CalibratedPolicy
from rightsize.sizing.policies.percentile import PercentilePolicy

PROFILES: Mapping[str, SizingPolicy] = {
    "cautious": CalibratedPolicy(
        cpu_price=14.0,
        cpu_risk=0.02,
        busiest_pod_risk=0.06,
        memory_price=100.0,
        memory_request_risk=0.002,
        memory_risk=0.04,
        kill_price=4.0,
        memory_blur=0.7,
    ),
    "balanced": CalibratedPolicy(),
    "lean": CalibratedPolicy(
        cpu_price=2.8,
        cpu_risk=0.15,
        busiest_pod_risk=0.3,
        memory_price=15.0,
        memory_request_risk=0.02,
        memory_risk=0.12,
        kill_price=1.0,
        memory_blur=0.25,
    ),
}


@dataclass(frozen=True, slots=True)
class Promise:
    """The risks a profile keeps on history it has not seen, on average over pods."""

    cpu_above: float
    """Share of a pod's 5-minute windows above its CPU request."""
    memory_hit: float
    """Share of 7-day windows in which a pod's memory passes its limit."""


PROMISES: Mapping[str, Promise] = {
    "cautious": Promise(cpu_above=0.02, memory_hit=0.05),
    "balanced": Promise(cpu_above=0.05, memory_hit=0.08),
    "lean": Promise(cpu_above=0.15, memory_hit=0.12),
}
"""Tested on bitbrains (14 days fitted, 7 ahead) and synthetic laws; see `docs/policies.md`."""

BASELINES: Mapping[str, SizingPolicy] = {
    "krr": KRRPolicy(),
    "vpa": VPAPolicy(),
    "autopilot": AutopilotPolicy(),
    "peak": PeakMarginPolicy(),
    "percentile": PercentilePolicy(),
}
"""What the profiles are compared with: known recommenders without their floors."""


def named(name: str, parameters: Mapping[str, float | int | bool] | None = None) -> SizingPolicy:
    """Return an unfitted policy by name: a profile or a baseline, with some parameters changed.

    Raises
    ------
    UsageError
        For a name or a parameter that does not exist.
    """
    known = {**PROFILES, **BASELINES}
    if name not in known:
        raise UsageError(f"no policy {name!r}", hint=f"one of {', '.join(known)}")
    return _changed("policy", name, known[name], parameters or {})


def profile(name: str, parameters: Mapping[str, float | int | bool]) -> SizingPolicy:
    """Return an unfitted policy: the profile's, with some parameters changed.

    Raises
    ------
    UsageError
        For a name or a parameter that does not exist.
    """
    if name not in PROFILES:
        raise UsageError(f"no profile {name!r}", hint=f"one of {', '.join(PROFILES)}")
    return _changed("profile", name, PROFILES[name], parameters)


def _changed(
    kind: str, name: str, chosen: SizingPolicy, parameters: Mapping[str, float | int | bool]
) -> SizingPolicy:
    known = chosen.get_params()
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise UsageError(
            f"{kind} {name} has no parameter {', '.join(unknown)}",
            hint=f"its parameters are {', '.join(sorted(known))}",
        )
    changed: SizingPolicy = clone(chosen)
    changed.set_params(**parameters)
    return changed
