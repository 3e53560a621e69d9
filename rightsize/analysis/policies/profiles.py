"""The named policies: profiles that a user can choose, and the baselines they are judged by."""

from __future__ import annotations

from collections.abc import Mapping

from sklearn.base import clone

from rightsize.analysis.policies.base import SizingPolicy
from rightsize.analysis.policies.baselines import (
    AutopilotPolicy,
    KRRPolicy,
    PeakMarginPolicy,
    VPAPolicy,
)
from rightsize.analysis.policies.percentile import PercentilePolicy
from rightsize.errors import UsageError

PROFILES: Mapping[str, SizingPolicy] = {
    "cautious": PercentilePolicy(cpu_percentile=99.0, cpu_margin=0.3, memory_margin=0.2),
    "balanced": PercentilePolicy(),
    "lean": PercentilePolicy(cpu_percentile=90.0, cpu_margin=0.1, memory_percentile=99.0),
}

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
