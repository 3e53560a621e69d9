"""Usage that no machine can have: such windows are missing, counted and named.

After a restart of the kubelet a whole counter can look like one window's increase, and an exporter
that underflows writes 2**64 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from rightsize.collectors.prometheus.labels import ContainerKey
from rightsize.collectors.prometheus.usage import DayUsage
from rightsize.snapshot.schema import LARGEST_CPU, LARGEST_MEMORY

_LATE_SHARE = 0.1
"""A sample may stand for an earlier moment: cAdvisor reads cgroups every 10 to 15 s, and adds up to
half as much again (housekeeping interval and jitter)."""


@dataclass(frozen=True)
class Bounds:
    """What one container can use at most; `cpu_limit` is infinite where it is unknown or unset."""

    node_cpu: float = LARGEST_CPU
    node_memory: float = LARGEST_MEMORY
    cpu_limit: float = np.inf


@dataclass(frozen=True)
class LeftOut:
    """Windows of one container without a value, and the cause of most of them."""

    windows: int
    cause: str


def within_bounds(
    usage: DayUsage, bounds: Mapping[ContainerKey, Bounds]
) -> tuple[DayUsage, dict[ContainerKey, LeftOut]]:
    """Return usage without what no machine can do, and what was left out of which container.

    The CPU limit is enforced every 100 ms, so a window passes it only by what its samples are late.

    Parameters
    ----------
    bounds : mapping of container to Bounds
        A container that is absent is bounded by the largest machine there is.
    """
    found = {key: {"start time moved": windows} for key, windows in usage.cpu.moved.items()}
    seconds = usage.cpu.seconds * (1 + _LATE_SHARE)
    cpu, memory = usage.cpu.values.copy(), usage.memory.values.copy()
    for row, key in enumerate(usage.cpu.keys):
        bound = bounds.get(key, Bounds())
        above_node = cpu[row] > bound.node_cpu * seconds[row]
        above_limit = (cpu[row] > bound.cpu_limit * seconds[row]) & ~above_node
        cpu[row, above_node | above_limit] = np.nan
        _count(found, key, "cpu above node", above_node)
        _count(found, key, "cpu above limit", above_limit)
    for row, key in enumerate(usage.memory.keys):
        above_node = memory[row] > bounds.get(key, Bounds()).node_memory
        memory[row, above_node] = np.nan
        _count(found, key, "memory above node", above_node)
    kept = replace(
        usage,
        cpu=replace(usage.cpu, values=cpu),
        memory=replace(usage.memory, values=memory),
    )
    return kept, {
        key: LeftOut(sum(causes.values()), max(causes, key=lambda cause: causes[cause]))
        for key, causes in found.items()
    }


def _count(
    found: dict[ContainerKey, dict[str, int]], key: ContainerKey, cause: str, windows: np.ndarray
) -> None:
    number = int(windows.sum())
    if number:
        found.setdefault(key, {})[cause] = number
