"""What the demo's proxies use, minute by minute. Everything follows from the seed and the day.

Sample `k` of a day (0 to 1439) lies `k + 1` minutes after midnight, so that the last one is the
next midnight, which belongs to this day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from rightsize.demo.parameters import DemoParameters, midnight
from rightsize.demo.topology import MIB, Mesh, Pod, Workload

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
MINUTES = 1440
PAGE = 4096
_CORE_PER_RPS = 0.25 / 1000
"""Cores for one request a second: istio.io's "Performance and Scalability" page (Istio 1.24) gives
0.20 for 1000, istio/tools' benchmark of 2020 0.19 to 0.25."""
_IDLE = (0.001, 0.004)
_BASE_MEMORY = 47 * MIB
_MEMORY_PER_SERVICE = 0.1 * MIB
"""Hitachi/istio-bench at 100, 500 and 1000 services: 57, 103 and 162 MiB."""
_CFS_PERIODS = 600
"""CFS periods of 100 ms in a minute."""
_OOM_HOURS = 31


@dataclass(frozen=True)
class DaySamples:
    """One day of every pod alive: arrays of shape (pods, 1440).

    `cpu` in whole microseconds used in the minute, `memory` in bytes, `throttled` in CFS periods;
    `alive` marks the minutes with a sample, `killed` an OOM kill in that minute.
    """

    pods: tuple[Pod, ...]
    alive: npt.NDArray[np.bool_]
    cpu: Ints
    memory: Ints
    throttled: Ints
    killed: npt.NDArray[np.bool_]


def services_on(p: DemoParameters, day: date) -> int:
    """Services in the mesh on a day."""
    first, last = p.services
    return first + round((last - first) * (day - p.start).days / max(len(p.days) - 1, 1))


def rps_of(p: DemoParameters, workload: Workload, day: date, minutes: Floats) -> Floats:
    """Requests a second for each pod of a workload: daily and weekly cycles and a slow drift."""
    phase = (workload.index % 5) * 0.25
    daily = 1 + 0.6 * np.sin(2 * np.pi * (minutes / MINUTES) - 2.3 + phase)
    weekly = 0.55 if day.weekday() >= 5 else 1.0
    elapsed = (day - p.start).days + minutes / MINUTES
    drift = 1 + 0.0015 * elapsed * (1 if workload.index % 3 else -0.5)
    shaped: Floats = workload.rps * p.usage_scale * weekly * daily * drift
    return shaped


def day_samples(mesh: Mesh, day: date) -> DaySamples:
    """All samples of one day."""
    p = mesh.parameters
    pods = tuple(mesh.alive(day))
    random = np.random.default_rng([p.seed, day.toordinal()])
    minutes = np.arange(1, MINUTES + 1, dtype=float)
    times = midnight(day).timestamp() + 60 * minutes
    starts = np.array([pod.start.timestamp() for pod in pods])[:, None]
    ends = np.array([pod.end.timestamp() for pod in pods])[:, None]
    alive = (times > starts) & (times <= ends)
    rps = np.array([rps_of(p, pod.workload, day, minutes) for pod in pods])
    demand = _cpu_demand(p, pods, rps, times - starts, random)
    limits = np.array([pod.sizes.cpu_limit or np.inf for pod in pods])[:, None]
    used = np.minimum(demand, limits)
    # Demand beyond the limit shows as periods in which the quota ran out.
    short = np.clip((demand - 0.8 * limits) / np.maximum(demand, 1e-9), 0, 1)
    throttled = np.where(np.isfinite(limits), np.round(short * _CFS_PERIODS), 0).astype(np.int64)
    memory, killed = _memory(mesh, pods, day, rps, times - starts, alive, random)
    return _joined(
        DaySamples(
            pods=pods,
            alive=alive,
            cpu=np.round(used * 60e6).astype(np.int64) * alive,
            memory=memory,
            throttled=throttled * alive,
            killed=killed & alive,
        )
    )


def _joined(samples: DaySamples) -> DaySamples:
    """One row for each pod name: a StatefulSet's pod keeps its name through a rollout.

    The row stands for the last of its pods; `alive` marks the minutes of any of them.
    """
    names = [(pod.workload.namespace, pod.name) for pod in samples.pods]
    last = {name: row for row, name in enumerate(names)}
    if len(last) == len(names):
        return samples
    rows = sorted(last.values())
    place = {row: position for position, row in enumerate(rows)}
    into = np.array([place[last[name]] for name in names])

    def added(values: Ints) -> Ints:
        total = np.zeros((len(rows), MINUTES), dtype=np.int64)
        np.add.at(total, into, values)
        return total

    return DaySamples(
        pods=tuple(samples.pods[row] for row in rows),
        alive=added(samples.alive.astype(np.int64)) > 0,
        cpu=added(samples.cpu),
        memory=added(samples.memory * samples.alive),
        throttled=added(samples.throttled),
        killed=added(samples.killed.astype(np.int64)) > 0,
    )


def _cpu_demand(
    p: DemoParameters, pods: tuple[Pod, ...], rps: Floats, age: Floats, random: np.random.Generator
) -> Floats:
    noise = random.lognormal(0.0, 0.35, rps.shape)
    idle = np.array([_IDLE[0] + (pod.workload.index % 4) * 0.001 for pod in pods])[:, None]
    demand = idle * p.usage_scale + _CORE_PER_RPS * rps * noise
    # Start-up: configuration arrives and is compiled.
    demand += np.where((age > 0) & (age <= 180), 0.08, 0.0) * p.usage_scale
    for row, pod in enumerate(pods):
        if pod.workload.component == "gateway":
            bursts = random.random(MINUTES) < 0.012
            height = random.lognormal(0.4, 0.5, MINUTES) * 0.25
            demand[row] += np.where(bursts, height, 0.0) * p.usage_scale
        elif pod.workload.component == "istiod":
            pushes = random.gamma(2.0, 0.03, MINUTES)
            demand[row] = (0.06 + pushes) * p.usage_scale
    return demand


def _memory(
    mesh: Mesh,
    pods: tuple[Pod, ...],
    day: date,
    rps: Floats,
    age: Floats,
    alive: npt.NDArray[np.bool_],
    random: np.random.Generator,
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Working sets: configuration, connections, a slow creep with age; one runs into its limit."""
    p = mesh.parameters
    services = services_on(p, day)
    hours = age / 3600
    level = _BASE_MEMORY + _MEMORY_PER_SERVICE * services + 0.03 * MIB * rps
    level = level + 4 * MIB * (1 - np.exp(-np.clip(hours, 0, None) / 48))
    spread = np.array([0.9 + 0.05 * (pod.workload.index % 5) for pod in pods])[:, None]
    level = level * spread * p.usage_scale**0.5
    level = level + random.normal(0, 0.8 * MIB, level.shape)
    killed = np.zeros(level.shape, dtype=bool)
    is_istiod = np.array([pod.workload.component == "istiod" for pod in pods])
    connected = alive[~is_istiod].sum(axis=0) / max(int(is_istiod.sum()), 1)
    for row, pod in enumerate(pods):
        if pod.workload.component == "istiod":
            level[row] = (180 + 0.55 * connected + 0.4 * services) * MIB * p.usage_scale**0.5
            level[row] += random.gamma(2.0, 6 * MIB, MINUTES)
        elif "oom" in pod.workload.traits:
            # A leak: the limit is reached every `_OOM_HOURS`, then the container starts again.
            cycle = (hours[row] + 7 * pod.index) % _OOM_HOURS / _OOM_HOURS
            level[row] = (58 + 37.5 * cycle) * MIB
            killed[row] = np.diff(cycle, prepend=cycle[0]) < 0
    pages = np.round(level / PAGE).astype(np.int64) * PAGE
    return pages, killed
