"""The named policies a user can choose, and how their parameters are overridden."""

from __future__ import annotations

from collections.abc import Mapping

from rightsize.analysis.policies.base import SizingPolicy
from rightsize.analysis.policies.percentile import PercentilePolicy
from rightsize.errors import UsageError

PROFILES: Mapping[str, SizingPolicy] = {
    "cautious": PercentilePolicy(cpu_percentile=99.0, cpu_margin=0.3, memory_margin=0.2),
    "balanced": PercentilePolicy(),
    "lean": PercentilePolicy(cpu_percentile=90.0, cpu_margin=0.1, memory_percentile=99.0),
}


def profile(name: str, parameters: Mapping[str, float | int | bool]) -> SizingPolicy:
    """Return an unfitted policy: the profile's, with some parameters changed.

    Raises
    ------
    UsageError
        For a name or a parameter that does not exist.
    """
    if name not in PROFILES:
        raise UsageError(f"no profile {name!r}", hint=f"one of {', '.join(PROFILES)}")
    chosen = PROFILES[name]
    known = chosen.get_params()
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise UsageError(
            f"profile {name} has no parameter {', '.join(unknown)}",
            hint=f"its parameters are {', '.join(sorted(known))}",
        )
    return type(chosen)(**{**known, **parameters})
