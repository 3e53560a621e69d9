"""From one day's answers to its tables. Nothing is asked here but the times of OOM kills."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rightsize.collectors.objects import Objects
from rightsize.collectors.prometheus.bursts import bursts_of
from rightsize.collectors.prometheus.cluster import (
    hpas_frame,
    namespaces_frame,
    nodes_frame,
    pdbs_frame,
    proxies_frame,
)
from rightsize.collectors.prometheus.control_plane import control_plane_frame, dns_frame
from rightsize.collectors.prometheus.days import Day
from rightsize.collectors.prometheus.facts import istio_version
from rightsize.collectors.prometheus.inventory import (
    Container,
    Pod,
    containers_frame,
    containers_of,
    pods_frame,
    pods_of,
    start_times,
)
from rightsize.collectors.prometheus.labels import (
    ContainerKey,
    PodKey,
    cgroup_of,
    container_key,
    kubelet_of,
)
from rightsize.collectors.prometheus.machine_bounds import Bounds, within_bounds
from rightsize.collectors.prometheus.parse import Answer
from rightsize.collectors.prometheus.query import Shape
from rightsize.collectors.prometheus.restarts import count_day
from rightsize.collectors.prometheus.sample_times import times_of_samples
from rightsize.collectors.prometheus.source import Source
from rightsize.collectors.prometheus.traffic import traffic_frame
from rightsize.collectors.prometheus.usage import DayUsage, day_usage
from rightsize.collectors.prometheus.windows import Starts, highest, increases
from rightsize.snapshot.in_force import UNDESCRIBED, UNSIZED
from rightsize.snapshot.schema import LARGEST_CPU, LARGEST_MEMORY


@dataclass(frozen=True)
class Assembled:
    """One day: its tables, and what they show of the mesh."""

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
    gateways : collection of str
        `namespace/workload` that are gateways though they do not look like it.
    source : Source
        Asked once more where there were OOM kills.
    """
    started = start_times(answers["pod_starts"])
    usage, resets = _usage(answers, day, started, source)
    pods = pods_of(answers, day, usage, source)
    containers = containers_of(answers, pods, usage, objects, gateways, day, source)
    counts = count_day(answers, day, started, source)
    hours = day.grid(Shape.HOURS)
    mesh = {key for key, container in containers.items() if container.component is not None}
    nodes = nodes_frame(answers, day, objects)
    bounds = _bounds(answers, pods, containers, nodes)
    usage, left_out = within_bounds(usage, bounds)
    # An application may well call a container `discovery`.
    usage = usage.only(mesh)
    bursts = bursts_of(usage, answers["sample_counts"], pods, bounds, day, source)
    tables = {
        "pods": pods_frame(pods, objects),
        "containers": containers_frame(containers, counts, left_out, bursts),
        "nodes": nodes,
        "namespaces": namespaces_frame(answers, pods, objects),
        "hpas": hpas_frame(answers, objects),
        "pdbs": pdbs_frame(answers, objects),
        "limit_ranges": pd.DataFrame(objects.rules.limit_ranges),
        "resource_quotas": pd.DataFrame(objects.rules.resource_quotas),
        "vpas": pd.DataFrame(objects.rules.vpas),
        "control_plane": control_plane_frame(answers, hours, started),
        "dns": dns_frame(answers, hours, started),
        "traffic": traffic_frame(answers, hours),
        "proxies": proxies_frame(answers, pods),
    }
    regions = tuple(nodes["region"].dropna().unique()) if len(nodes) else ()
    inferred = len(nodes) > 0 and bool((nodes["instance_type_source"] == "inferred").any())
    stats = {
        "counter_resets": float(resets),
        "infinite_samples": float(sum(answer.faults for answer in answers.values())),
        UNDESCRIBED: float(sum(not pod.described for pod in pods.values())),
        UNSIZED: float(
            sum(
                key in mesh and not (container.requests_known and container.limits_known)
                for key, container in containers.items()
            )
        ),
        "impossible_samples": float(sum(answer.impossible for answer in answers.values())),
    }
    version = istio_version(answers["containers"])
    return Assembled(tables, usage, len(pods), regions, version, inferred, stats)


def _usage(
    answers: Mapping[str, Answer],
    day: Day,
    started: Mapping[tuple[str, str], float],
    source: Source,
) -> tuple[DayUsage, int]:
    grid = day.grid(Shape.WINDOWS)
    runs, latest = (_run_starts(answers[name]) for name in ("container_starts", "latest_starts"))
    moved = {
        run: start for run, start in latest.items() if start > runs.get(run, start) + grid.step
    }
    known = Starts(runs, started, moved)
    cpu = increases(answers["cpu"], grid, known, times_of_samples(answers, day, source))
    periods, throttled = (
        increases(answers[name], grid, known) for name in ("periods", "throttled")
    )
    usage = day_usage(grid, cpu, highest(answers["memory"]), periods, throttled)
    return usage, cpu.resets


def _run_starts(answer: Answer) -> dict[tuple[ContainerKey, str], float]:
    return {
        (container_key(labels), cgroup_of(labels)): float(value)
        for labels, value in zip(answer.labels, answer.column, strict=True)
        # Without a cgroup's name one run's start would stand for all runs of the day.
        if value > 0 and cgroup_of(labels)
    }


def _bounds(
    answers: Mapping[str, Answer],
    pods: Mapping[PodKey, Pod],
    containers: Mapping[ContainerKey, Container],
    nodes: pd.DataFrame,
) -> dict[ContainerKey, Bounds]:
    """What each container can use at most; a node of unknown size is as large as the largest."""
    cores, memory = (_machines(answers, nodes, resource) for resource in ("cpu", "memory"))
    most = Bounds(
        max(cores.values(), default=LARGEST_CPU), max(memory.values(), default=LARGEST_MEMORY)
    )
    return {
        key: Bounds(
            cores.get(pods[key[:2]].node or "", most.node_cpu),
            memory.get(pods[key[:2]].node or "", most.node_memory),
            container.sizes.get("cpu_limit", np.inf),
        )
        for key, container in containers.items()
    }


def _machines(
    answers: Mapping[str, Answer], nodes: pd.DataFrame, resource: str
) -> dict[str, float]:
    """Cores or bytes of each node, by the kubelet where nothing else says so."""
    answer = answers[f"machine_{resource}"]
    found = {
        kubelet_of(labels): float(value)
        for labels, value in zip(answer.labels, answer.column, strict=True)
    }
    if len(nodes):
        known = nodes.set_index("node")[f"capacity_{resource}"].astype(float).dropna()
        found |= {str(node): float(size) for node, size in known.items()}
    return {node: size for node, size in found.items() if size > 0}
