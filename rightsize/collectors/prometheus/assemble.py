"""From one day's answers to its tables. Nothing is asked here but the times of OOM kills."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pandas as pd

from rightsize.collectors.objects import Objects
from rightsize.collectors.prometheus.cluster import (
    hpas_frame,
    namespaces_frame,
    nodes_frame,
    pdbs_frame,
    proxies_frame,
)
from rightsize.collectors.prometheus.control_plane import control_plane_frame
from rightsize.collectors.prometheus.days import Day
from rightsize.collectors.prometheus.facts import istio_version
from rightsize.collectors.prometheus.inventory import (
    containers_frame,
    containers_of,
    pods_frame,
    pods_of,
    start_times,
)
from rightsize.collectors.prometheus.labels import cgroup_of, container_key
from rightsize.collectors.prometheus.parse import Answer
from rightsize.collectors.prometheus.query import Shape
from rightsize.collectors.prometheus.restarts import count_day
from rightsize.collectors.prometheus.source import Source
from rightsize.collectors.prometheus.traffic import traffic_frame
from rightsize.collectors.prometheus.usage import DayUsage, day_usage
from rightsize.collectors.prometheus.windows import Starts, highest, increases


@dataclass(frozen=True)
class Assembled:
    """One day: its tables, and what they tell of the mesh."""

    tables: Mapping[str, pd.DataFrame]
    usage: DayUsage
    """The largest table, which becomes rows only as it is written."""
    pods: int
    regions: tuple[str, ...]
    istio_version: str | None
    inferred_types: bool
    stats: Mapping[str, float]


def assemble(
    answers: Mapping[str, Answer],
    day: Day,
    objects: Objects,
    gateways: Collection[str],
    source: Source,
) -> Assembled:
    """Put one day's tables together.

    Parameters
    ----------
    answers : mapping of str to Answer
        By the name of the query, all of `queries.DAILY`.
    day : Day
    objects : Objects
    gateways : collection of str
        `namespace/workload` that are gateways though they do not look like it.
    source : Source
        Asked once more where there were OOM kills.
    """
    started = start_times(answers["pod_starts"])
    usage, resets = _usage(answers, day, started)
    pods = pods_of(answers, day, usage)
    containers = containers_of(answers, pods, usage, objects, gateways)
    counts = count_day(answers, day, started, source)
    hours = day.grid(Shape.HOURS)
    mesh = {key for key, container in containers.items() if container.component is not None}
    nodes = nodes_frame(answers, day, objects)
    tables = {
        "pods": pods_frame(pods, objects),
        "containers": containers_frame(containers, counts),
        "nodes": nodes,
        "namespaces": namespaces_frame(answers, pods, objects),
        "hpas": hpas_frame(answers, objects),
        "pdbs": pdbs_frame(answers, objects),
        "control_plane": control_plane_frame(answers, hours, started),
        "traffic": traffic_frame(answers, hours),
        "proxies": proxies_frame(answers, pods),
    }
    regions = tuple(nodes["region"].dropna().unique()) if len(nodes) else ()
    inferred = len(nodes) > 0 and bool((nodes["instance_type_source"] == "inferred").any())
    stats = {
        "counter_resets": float(resets),
        "infinite_samples": float(sum(answer.faults for answer in answers.values())),
    }
    version = istio_version(answers["containers"])
    # An application may well call a container `discovery`.
    usage = usage.only(mesh)
    return Assembled(tables, usage, len(pods), regions, version, inferred, stats)


def _usage(
    answers: Mapping[str, Answer], day: Day, started: Mapping[tuple[str, str], float]
) -> tuple[DayUsage, int]:
    grid = day.grid(Shape.WINDOWS)
    starts = answers["container_starts"]
    runs = {
        (container_key(labels), cgroup_of(labels)): float(value)
        for labels, value in zip(starts.labels, starts.column, strict=True)
        # Without a cgroup's name the newest run's start would stand for all runs of the day.
        if value > 0 and cgroup_of(labels)
    }
    known = Starts(runs, started)
    cpu, periods, throttled = (
        increases(answers[name], grid, known) for name in ("cpu", "periods", "throttled")
    )
    usage = day_usage(grid, cpu, highest(answers["memory"]), periods, throttled)
    return usage, cpu.resets
