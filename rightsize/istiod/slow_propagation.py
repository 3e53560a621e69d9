"""Why configuration reaches the proxies late, and what to change about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rightsize.istiod.pilot_settings import (
    DEBOUNCE_AFTER,
    DEBOUNCE_MAX,
    PUSH_THROTTLE,
    PilotSetting,
    push_throttle,
)

Stage = Literal["debounce", "queue", "push", "network"]

_THROTTLED = 0.05
"""Share of CFS periods."""
_BUSY = 0.8
"""p95 of CPU over the request."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something to change, with the setting behind it where there is one."""

    what: str
    expected: str
    setting: PilotSetting | None = None


@dataclass(frozen=True, slots=True)
class SlowPropagation:
    """The finding: configuration reaches the slowest proxies late."""

    cause: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class IstiodCpu:
    """What is known of istiod's CPU; None where it is not."""

    throttled_share: float | None = None
    used_of_request: float | None = None
    """p95 of use over request."""
    limit: float | None = None

    @property
    def starved(self) -> bool:
        """Throttled, or close to its request."""
        return (self.throttled_share or 0.0) > _THROTTLED or (self.used_of_request or 0.0) > _BUSY


_MORE_CPU = Change(
    "give istiod more CPU: raise its request, and raise or drop its limit",
    "pushes are computed faster; the part spent on push shrinks in proportion to the cores",
)
_SCOPE = Change(
    "scope the configuration (rightsize scope): discoverySelectors and Sidecar egress hosts",
    "each push is smaller and reaches fewer proxies: push and queue shrink with it",
)
_SPREAD = Change(
    "spread the load: more istiod replicas, or shards that watch less (rightsize shards)",
    "each istiod pushes to fewer proxies: the queue shrinks in proportion",
)
_LESS_CHURN = Change(
    "find what changes so often (pilot_k8s_cfg_events, pilot_inbound_updates) and scope it out of "
    "discovery",
    "fewer changes: debounce ends after the quiet time",
)
_LOWER_CEILING = Change(
    "lower PILOT_DEBOUNCE_MAX in steps, CPU permitting",
    "no change waits longer than this; more pushes, more CPU",
    DEBOUNCE_MAX,
)
_MERGE = Change(
    "raise PILOT_DEBOUNCE_AFTER while changes come in bursts", "fewer full pushes", DEBOUNCE_AFTER
)
_SLOW_PROXIES = Change(
    "look at the proxies that lag (istioctl proxy-status) and at their CPU limit",
    "a throttled Envoy acknowledges late; with CPU it keeps up",
)


def explain(
    longest: Stage | None, share: float, cpu: IstiodCpu, istio_version: str | None
) -> SlowPropagation:
    """Name the longest part of the way as the cause, and what shortens that part.

    Parameters
    ----------
    longest : Stage or None
        None where no histogram of the parts is known.
    share : float
        Its share of the known time.
    cpu : IstiodCpu
        Distinguishes a slow push for lack of CPU from one for sheer size.
    istio_version : str or None
        For the push throttle that nobody set.
    """
    known = f"{share:.0%} of the known time"
    if longest is None:
        return SlowPropagation(
            "not known: no histogram of its parts in the snapshot", (_MORE_CPU, _SCOPE)
        )
    if longest == "debounce":
        return SlowPropagation(
            f"{known} is debounce: changes come so often that istiod keeps waiting for quiet",
            (_LESS_CHURN, _LOWER_CEILING),
        )
    if longest == "queue":
        return _queue(
            f"{known} is the push queue: proxies wait for a push slot", cpu, istio_version
        )
    if longest == "push":
        why = "istiod is short of CPU" if cpu.starved else "the configuration is large"
        first = (_MORE_CPU, _SCOPE, _SPREAD) if cpu.starved else (_SCOPE, _MORE_CPU)
        return SlowPropagation(f"{known} is making the pushes: {why}", (*first, _MERGE))
    return SlowPropagation(
        f"{known} is sending to proxies: slow or overloaded proxies, or the network between",
        (_SLOW_PROXIES, _SCOPE),
    )


def _queue(cause: str, cpu: IstiodCpu, istio_version: str | None) -> SlowPropagation:
    if cpu.starved:
        return SlowPropagation(f"{cause}, and istiod is short of CPU", (_MORE_CPU, _SPREAD, _SCOPE))
    throttle = push_throttle(istio_version, cpu.limit)
    now = "" if throttle is None else f" (now {throttle:g} unless it is set)"
    change = Change(
        f"raise PILOT_PUSH_THROTTLE{now}, only while istiod's CPU has room",
        "more pushes at once: the queue shrinks in proportion, memory grows with it",
        PUSH_THROTTLE,
    )
    return SlowPropagation(cause, (change, _SPREAD, _SCOPE))
