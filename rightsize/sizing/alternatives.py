"""The alternatives to a recommendation, each with the reason it was turned down."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rightsize.config import PolicySettings
from rightsize.results import Recommendation, Rejected, Resource
from rightsize.sizing.history import WindowHistory
from rightsize.sizing.policies.base import finite
from rightsize.sizing.profiles import POLICIES, policy_named
from rightsize.sizing.reasons import formatted


def alternatives(
    history: WindowHistory, row: Recommendation, settings: PolicySettings
) -> tuple[Rejected, ...]:
    """What today's sizes, the other profiles and the known recommenders would have meant on the
    same history."""
    if history.usage.empty:
        return ()
    return (*_today(history, row), *_profiles(history, settings))


def _today(history: WindowHistory, row: Recommendation) -> Iterator[Rejected]:
    resources: tuple[Resource, ...] = ("cpu", "memory")
    for resource in resources:
        size = row.cpu if resource == "cpu" else row.memory
        if size.request is None or size.request == size.recommended_request:
            continue
        used = finite(history.usage[resource])
        unused = float(np.maximum(0, 1 - used / size.request).mean())
        above = float((used > size.request).mean())
        yield Rejected(
            f"today's {resource} request of {formatted(resource, size.request)}",
            f"{unused:.0%} of it is unused on average and {above:.1%} of the windows exceed it",
        )


def _profiles(history: WindowHistory, settings: PolicySettings) -> Iterator[Rejected]:
    cpu, memory = finite(history.usage["cpu"]), finite(history.usage["memory"])
    for name, known in POLICIES.items():
        if name == settings.profile:
            continue
        sizes = policy_named(name).fit(history.usage).sizes_
        parts = []
        if sizes.cpu_request is not None and cpu.size:
            above = float((cpu > sizes.cpu_request).mean())
            wanted = formatted("cpu", sizes.cpu_request)
            parts.append(f"CPU {wanted}, exceeded in {above:.1%} of the windows seen")
        if sizes.memory_request is not None and memory.size:
            above = float((memory > sizes.memory_request).mean())
            wanted = formatted("memory", sizes.memory_request)
            parts.append(f"memory {wanted}, exceeded in {above:.1%} of the windows seen")
        kind = "baseline" if known.promise is None else "profile"
        yield Rejected(f"{kind} {name}", "; ".join(parts) + f" (chosen: {settings.profile})")
