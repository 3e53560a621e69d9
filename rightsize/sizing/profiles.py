"""Policies under a name: profiles that a user can choose, and the recommenders they are judged by.

A new one is one call of `register_policy`; commands, settings, back-tests, charts and reports offer
it from then on. Estimators are imported when one is made: a command's `--help` needs the names alone.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rightsize.errors import UsageError

if TYPE_CHECKING:
    from rightsize.sizing.policies.base import SizingPolicy


@dataclass(frozen=True, slots=True)
class Promise:
    """The risks a profile keeps on history it has not seen, on average over pods."""

    cpu_above: float
    """Share of a pod's 5-minute windows above its CPU request."""
    memory_hit: float
    """Share of 7-day windows in which a pod's memory passes its limit."""


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """How a policy is made, and what it promises."""

    make: Callable[[], SizingPolicy]
    promise: Promise | None
    """None for a baseline, which nobody can choose for a recommendation."""
    compared: bool
    """Whether a back-test and the report show it unasked."""


POLICIES: dict[str, NamedPolicy] = {}
"""By name, profiles first."""


def register_policy(
    name: str,
    make: Callable[[], SizingPolicy],
    promise: Promise | None = None,
    *,
    compared: bool = True,
) -> None:
    """Offer a policy to every command: as a profile with a promise, as a baseline without.

    Parameters
    ----------
    make : callable
        Returns an unfitted estimator.
    promise : Promise, optional
        Held against history that the policy has not seen, see `docs/policies.md`.

    Examples
    --------
    >>> register_policy("flat", PeakMarginPolicy, Promise(0.3, 0.3))  # doctest: +SKIP
    """
    POLICIES[name] = NamedPolicy(make, promise, compared)


def profiles() -> tuple[str, ...]:
    """Names that a recommendation can be asked for by."""
    return tuple(name for name, one in POLICIES.items() if one.promise is not None)


def baselines() -> tuple[str, ...]:
    """Names of the known recommenders, without their floors."""
    return tuple(name for name, one in POLICIES.items() if one.promise is None)


def compared() -> tuple[str, ...]:
    """What a back-test compares unless it is asked for others."""
    return tuple(name for name, one in POLICIES.items() if one.compared)


def promises() -> dict[str, Promise]:
    """The promise of each profile."""
    return {name: one.promise for name, one in POLICIES.items() if one.promise is not None}


def policy_named(
    name: str, parameters: Mapping[str, float | int | bool] | None = None
) -> SizingPolicy:
    """Return an unfitted policy: a profile or a baseline, with some parameters changed.

    Raises
    ------
    UsageError
        For a name or a parameter that does not exist.
    """
    if name not in POLICIES:
        raise UsageError(f"no policy {name!r}", hint=f"one of {', '.join(POLICIES)}")
    made = POLICIES[name].make()
    unknown = sorted(set(parameters or ()) - set(made.get_params()))
    if unknown:
        raise UsageError(
            f"{name} has no parameter {', '.join(unknown)}",
            hint=f"its parameters are {', '.join(sorted(made.get_params()))}",
        )
    made.set_params(**(parameters or {}))
    return made


def profile_named(name: str) -> str:
    """Return the profile's name.

    Raises
    ------
    UsageError
        If there is none of this name.
    """
    if name not in profiles():
        raise UsageError(f"no profile {name!r}", hint=f"one of {', '.join(profiles())}")
    return name


def profile_policy(
    name: str, parameters: Mapping[str, float | int | bool] | None = None
) -> SizingPolicy:
    """Return a profile's unfitted policy; the errors are those of the two functions above."""
    return policy_named(profile_named(name), parameters)


def _estimator(module: str, name: str, **parameters: float) -> Callable[[], SizingPolicy]:
    def make() -> SizingPolicy:
        home = importlib.import_module(f"rightsize.sizing.policies.{module}")
        made: SizingPolicy = getattr(home, name)(**parameters)
        return made

    return make


# Tested on bitbrains (14 days fitted, 7 ahead) and synthetic laws; see `docs/policies.md`.
register_policy(
    "cautious",
    _estimator(
        "calibrated",
        "CalibratedPolicy",
        cpu_price=14.0,
        cpu_risk=0.02,
        busiest_pod_risk=0.06,
        memory_price=100.0,
        memory_request_risk=0.002,
        memory_risk=0.04,
        kill_price=4.0,
        memory_blur=0.7,
    ),
    Promise(cpu_above=0.02, memory_hit=0.05),
)
register_policy(
    "balanced",
    _estimator("calibrated", "CalibratedPolicy"),
    Promise(cpu_above=0.05, memory_hit=0.08),
)
register_policy(
    "lean",
    _estimator(
        "calibrated",
        "CalibratedPolicy",
        cpu_price=2.8,
        cpu_risk=0.15,
        busiest_pod_risk=0.3,
        memory_price=15.0,
        memory_request_risk=0.02,
        memory_risk=0.12,
        kill_price=1.0,
        memory_blur=0.25,
    ),
    Promise(cpu_above=0.15, memory_hit=0.12),
)
register_policy("krr", _estimator("baselines", "KRRPolicy"))
register_policy("vpa", _estimator("baselines", "VPAPolicy"))
register_policy("autopilot", _estimator("baselines", "AutopilotPolicy"))
register_policy("peak", _estimator("baselines", "PeakMarginPolicy"))
register_policy("percentile", _estimator("percentile", "PercentilePolicy"), compared=False)
