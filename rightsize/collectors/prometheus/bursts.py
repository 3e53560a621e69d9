"""CPU of less than a minute, which means of 5 minutes hide: asked where there can be much of it.

Rates over two scrapes, all day long, cost a server about twenty times what a pod's windows do. So
they are asked for one pod of each workload, the one with the busiest window, and of these for the
pods that stand out most from their own median: `_PODS` a day at most, which take a server as much as
the CPU windows of 800 pods (0.26 s). Where scrapes are further apart than half a minute nothing is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from rightsize.collectors.prometheus.connection import quoted
from rightsize.collectors.prometheus.days import Day
from rightsize.collectors.prometheus.inventory import Pod
from rightsize.collectors.prometheus.labels import ContainerKey, PodKey, container_key
from rightsize.collectors.prometheus.machine_bounds import Bounds
from rightsize.collectors.prometheus.parse import Answer
from rightsize.collectors.prometheus.queries import short_rates
from rightsize.collectors.prometheus.source import Source, joined
from rightsize.collectors.prometheus.usage import DayUsage
from rightsize.snapshot.schema import WINDOW_SECONDS

_LONGEST_INTERVAL = 31.0
"""Seconds between scrapes; a minute's mean says little more than that of five."""
_WORTH_ASKING = 0.5
"""Cores that a burst of two scrapes must be able to reach, by its window's mean."""
_PODS = 200
_LATE = 1.1
"""A sample may stand for an earlier moment."""


@dataclass(frozen=True)
class _Candidate:
    key: ContainerKey
    interval: int
    peak: float
    stands_out: float
    """Its busiest window over its median one."""


def bursts_of(
    usage: DayUsage,
    counts: Answer,
    pods: Mapping[PodKey, Pod],
    bounds: Mapping[ContainerKey, Bounds],
    day: Day,
    source: Source,
) -> dict[ContainerKey, float]:
    """Cores of the highest rate over two scrapes, of the containers that were asked for.

    Parameters
    ----------
    usage : DayUsage
        Of mesh containers.
    counts : Answer
        Samples of the day, to `queries.SAMPLE_COUNTS`.
    pods : mapping of pod to Pod
        With the workloads.
    """
    chosen: dict[tuple[str, ...], _Candidate] = {}
    for one in _candidates(usage, counts):
        pod = pods.get(one.key[:2])
        owner = pod.workload if pod is not None and pod.workload else one.key[1]
        group = (one.key[0], owner, one.key[2])
        if group not in chosen or one.peak > chosen[group].peak:
            chosen[group] = one
    asked = sorted(chosen.values(), key=lambda one: -one.stands_out)[:_PODS]
    found: dict[ContainerKey, float] = {}
    for interval in sorted({one.interval for one in asked}):
        keys = {one.key for one in asked if one.interval == interval}
        names = "|".join(re.escape(name) for name in sorted({key[1] for key in keys}))
        futures = source.ask(short_rates(quoted(names), interval), day)
        answer = joined([future.result() for future in futures])
        for labels, value in zip(answer.labels, answer.column, strict=True):
            key = container_key(labels)
            bound = bounds.get(key, Bounds())
            if key in keys and value <= bound.node_cpu * _LATE:
                # The groups below a container's own have less, its duplicates the same.
                found[key] = max(found.get(key, 0.0), min(float(value), bound.cpu_limit))
    return found


def _candidates(usage: DayUsage, counts: Answer) -> Iterator[_Candidate]:
    """Containers scraped often enough, with a window that can hide a burst."""
    samples: dict[ContainerKey, float] = {}
    for labels, count in zip(counts.labels, counts.column, strict=True):
        key = container_key(labels)
        samples[key] = max(samples.get(key, 0.0), float(count))
    mesh = set(usage.keys)
    rates = usage.cpu.values / usage.cpu.seconds
    lived = usage.cpu.sampled.sum(axis=1) * WINDOW_SECONDS
    for row, key in enumerate(usage.cpu.keys):
        known = rates[row][np.isfinite(rates[row])]
        interval = lived[row] / samples[key] if samples.get(key) else np.inf
        if key not in mesh or not known.size or interval > _LONGEST_INTERVAL:
            continue
        peak, scrape = float(known.max()), max(10, round(interval / 5) * 5)
        if peak * WINDOW_SECONDS / scrape >= _WORTH_ASKING:
            usual = max(float(np.median(known)), 1e-6)
            yield _Candidate(key, scrape, peak, peak / usual)
