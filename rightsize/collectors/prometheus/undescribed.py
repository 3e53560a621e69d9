"""What kube-state-metrics leaves open and further questions answer: who runs beside a proxy, and
when a pod ended."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Protocol

import numpy as np

from rightsize.collectors.prometheus.connection import quoted
from rightsize.collectors.prometheus.days import Day
from rightsize.collectors.prometheus.labels import ContainerKey, PodKey, container_key, pod_key
from rightsize.collectors.prometheus.parse import Answer
from rightsize.collectors.prometheus.queries import phase_windows, pod_containers
from rightsize.collectors.prometheus.query import Query
from rightsize.collectors.prometheus.source import Source, joined
from rightsize.snapshot.schema import WINDOW_SECONDS

_PODS_AT_ONCE = 100
_ENDED = ("Succeeded", "Failed")


class _HasPhase(Protocol):
    phase: str | None


def other_containers(pods: Collection[PodKey], day: Day, source: Source) -> set[ContainerKey]:
    """Containers that cAdvisor shows of these pods."""
    return {
        container_key(labels)
        for answer in _asked(pod_containers, pods, day, source)
        for labels in answer.labels
        if pod_key(labels) in pods
    }


def ends_of(
    pods: Mapping[PodKey, _HasPhase], answers: Mapping[str, Answer], day: Day, source: Source
) -> dict[PodKey, float]:
    """When the pods ended that had done so by the end of the day, epoch seconds.

    By `kube_pod_completion_time`, which evicted pods lack; else the end of the first window in
    which their phase was one of the end.
    """
    ended = {key for key, pod in pods.items() if pod.phase in _ENDED}
    completed = answers["completions"]
    ends = {
        pod_key(labels): float(value)
        for labels, value in zip(completed.labels, completed.column, strict=True)
        if value > 0 and pod_key(labels) in ended
    }
    for answer in _asked(phase_windows, ended - set(ends), day, source):
        for labels, values in zip(answer.labels, answer.values, strict=True):
            key = pod_key(labels)
            over = np.flatnonzero(values > 0)
            if key in ended and len(over):
                first = float(day.start + WINDOW_SECONDS * over[0])
                ends[key] = min(first, ends.get(key, np.inf))
    return ends


def _asked(
    query: Callable[[str], Query], pods: Collection[PodKey], day: Day, source: Source
) -> Iterator[Answer]:
    names = sorted({name for _, name in pods})
    for first in range(0, len(names), _PODS_AT_ONCE):
        part = quoted("|".join(re.escape(name) for name in names[first : first + _PODS_AT_ONCE]))
        yield joined([future.result() for future in source.ask(query(part), day)])
