"""Pods and containers of one day."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from rightsize.collectors.objects import Objects
from rightsize.collectors.prometheus.components import GATEWAY_CLASS, component
from rightsize.collectors.prometheus.days import Day
from rightsize.collectors.prometheus.labels import (
    ContainerKey,
    PodKey,
    container_key,
    kubelet_of,
    node_of,
    pod_key,
)
from rightsize.collectors.prometheus.machine_bounds import LeftOut
from rightsize.collectors.prometheus.parse import Answer, Labels
from rightsize.collectors.prometheus.queries import MESH_CONTAINERS
from rightsize.collectors.prometheus.restarts import DayCounts
from rightsize.collectors.prometheus.source import Source
from rightsize.collectors.prometheus.undescribed import ends_of, other_containers
from rightsize.collectors.prometheus.usage import DayUsage
from rightsize.collectors.prometheus.workloads import owners
from rightsize.results import Component
from rightsize.snapshot.schema import WINDOW_SECONDS

MESH_NAMES = frozenset(MESH_CONTAINERS.split("|"))
Answers = Mapping[str, Answer]
"""The day's answers by the name of their query."""


@dataclass
class Pod:
    """One pod of the day; times are epoch seconds."""

    first_seen: float
    last_seen: float
    uid: str = ""
    node: str | None = None
    host_network: bool | None = None
    started: float | None = None
    ended: float | None = None
    described: bool = True
    phase: str | None = None
    qos_class: str | None = None
    workload: str = ""
    workload_kind: str = ""


@dataclass
class Container:
    """One container of the day."""

    init: bool
    native: bool = False
    sizes: dict[str, float] = field(default_factory=dict)
    requests_known: bool = False
    limits_known: bool = False
    component: Component | None = None


def pods_of(answers: Answers, day: Day, usage: DayUsage, source: Source) -> dict[PodKey, Pod]:
    """Every pod that ran by `kube_pod_info` or its own usage, with its workload.

    A pod that was made anew under its old name counts as the newest one. Pods that had ended
    before the day are not among them.

    Parameters
    ----------
    source : Source
        Asked when pods ended that did so during the day.
    """
    pods: dict[PodKey, Pod] = {}
    info = answers["pod_info"]
    newest: dict[PodKey, float] = {}
    for labels, row in zip(info.labels, info.values[:, 1:], strict=True):
        seen = np.flatnonzero(~np.isnan(row))
        if not len(seen):
            continue
        key = pod_key(labels)
        first, last = (float(day.start + WINDOW_SECONDS * (seen[i] + 1)) for i in (0, -1))
        pod = pods.setdefault(key, Pod(first, last))
        pod.first_seen, pod.last_seen = min(pod.first_seen, first), max(pod.last_seen, last)
        if last >= newest.get(key, 0.0):
            newest[key] = last
            pod.uid = labels.get("uid", "")
            pod.node = node_of(labels) or pod.node
            if "host_network" in labels:
                pod.host_network = labels["host_network"] == "true"
    _add_unseen(pods, usage)
    for labels in answers["cpu"].labels:
        found = pods.get(pod_key(labels))
        if found is not None and found.node is None:
            found.node = kubelet_of(labels) or None
    _add_states(pods, answers)
    _without_ended(pods, usage, ends_of(pods, answers, day, source), day)
    chain = owners(answers["pod_owners"], info, answers["replicaset_owners"], answers["job_owners"])
    for key, pod in pods.items():
        pod.workload_kind, pod.workload = chain.workload(key, pod.node or "")
    return pods


def start_times(answer: Answer) -> dict[PodKey, float]:
    """Start times of pods, the newest where a name was used twice."""
    starts: dict[PodKey, float] = {}
    for labels, value in zip(answer.labels, answer.column, strict=True):
        key = pod_key(labels)
        if not np.isnan(value):
            starts[key] = max(float(value), starts.get(key, 0.0))
    return starts


def containers_of(
    answers: Answers,
    pods: Mapping[PodKey, Pod],
    usage: DayUsage,
    objects: Objects,
    gateways: Collection[str],
    day: Day,
    source: Source,
) -> dict[ContainerKey, Container]:
    """Every container of `pods`, with its sizes at the end of the day and its component.

    Parameters
    ----------
    gateways : collection of str
        `namespace/workload` that are gateways though they do not look like it.
    source : Source
        Asked for the other containers of pods that kube-state-metrics does not describe.
    """
    containers: dict[ContainerKey, Container] = {}
    for prefix in ("init_", ""):
        init = prefix == "init_"
        for labels in answers[f"{prefix}containers"].labels:
            key = container_key(labels)
            if _current(labels, pods):
                container = containers.setdefault(key, Container(init))
                container.native |= init and labels.get("restart_policy") == "Always"
        for kind in ("request", "limit"):
            answer = answers[f"{prefix}{kind}s"]
            for labels, value in zip(answer.labels, answer.column, strict=True):
                if _current(labels, pods) and not np.isnan(value):
                    container = containers.setdefault(container_key(labels), Container(init))
                    container.sizes[f"{labels.get('resource')}_{kind}"] = float(value)
    listed = {key[:2] for key, one in containers.items() if not one.init}
    _mark_known(containers, answers, usage)
    for key in usage.used():
        if key[:2] in pods and key not in containers:
            # It runs beside containers that are listed and is none of them: an init container.
            beside = key[:2] in listed
            containers[key] = Container(init=beside, native=beside)
    unlisted = {key[:2] for key in usage.used() if key[:2] in pods} - listed
    shown = other_containers(unlisted, day, source)
    for key in shown:
        containers.setdefault(key, Container(init=False))
    # A server that keeps the mesh's series alone says nothing of what runs beside a proxy.
    silent = unlisted if all(key[2] in MESH_NAMES for key in shown) else set()
    _add_written(containers, pods, objects)
    _set_components(containers, pods, objects, gateways, silent)
    return containers


def _mark_known(
    containers: Mapping[ContainerKey, Container], answers: Answers, usage: DayUsage
) -> None:
    """A size that is not reported is one that is not set, if such sizes are reported at all.

    Some pod always requests CPU and memory, and limits memory; that none limits CPU is common. A
    container with CFS periods has such a limit.
    """
    reported = {
        kind: {labels.get("resource") for labels in answers[kind].labels}
        for kind in ("requests", "limits", "init_requests", "init_limits")
    }
    limited = usage.with_cpu_limit()
    for key, container in containers.items():
        prefix = "init_" if container.init else ""
        requests, limits = reported[f"{prefix}requests"], reported[f"{prefix}limits"]
        both = requests | (reported["requests"] if requests else set())
        container.requests_known = both >= {"cpu", "memory"}
        container.limits_known = bool(limits) and "memory" in limits | reported["limits"]
        if "cpu_limit" not in container.sizes and (key in limited or "cpu" not in both):
            container.limits_known = False


def _add_written(
    containers: Mapping[ContainerKey, Container], pods: Mapping[PodKey, Pod], objects: Objects
) -> None:
    """Where no metric reports sizes, those that the objects have."""
    for (namespace, name, called), container in containers.items():
        if container.requests_known and container.limits_known:
            continue
        pod = pods[namespace, name]
        known = objects.pod(namespace, name, pod.workload_kind, pod.workload).sizes.get(called)
        if known is not None:
            container.sizes = {**known, **container.sizes}
            container.requests_known = container.limits_known = True


def pods_frame(pods: Mapping[PodKey, Pod], objects: Objects) -> pd.DataFrame:
    """Return the rows of table `pods`."""
    rows = []
    for (namespace, name), pod in pods.items():
        known = objects.pod(namespace, name, pod.workload_kind, pod.workload)
        rows.append(
            {
                "namespace": namespace,
                "pod": name,
                "workload": pod.workload,
                "workload_kind": pod.workload_kind,
                "node": pod.node or known.node,
                "phase": pod.phase,
                "qos_class": pod.qos_class,
                "started": _moment(pod.started),
                "ended": _moment(pod.ended),
                "described": pod.described,
                "first_seen": _moment(pod.first_seen),
                "last_seen": _moment(pod.last_seen),
                "host_network": (
                    pod.host_network if pod.host_network is not None else known.host_network
                ),
                "privileged": known.privileged,
                "scheduling": known.scheduling,
                "labels": known.labels_json,
                "annotations": known.annotations_json,
            }
        )
    return pd.DataFrame(rows)


def containers_frame(
    containers: Mapping[ContainerKey, Container],
    counts: DayCounts,
    left_out: Mapping[ContainerKey, LeftOut],
    bursts: Mapping[ContainerKey, float],
) -> pd.DataFrame:
    """Return the rows of table `containers`."""
    rows = [
        {
            "namespace": key[0],
            "pod": key[1],
            "container": key[2],
            "component": container.component,
            "init": container.init,
            "native": container.native,
            "cpu_request": container.sizes.get("cpu_request"),
            "cpu_limit": container.sizes.get("cpu_limit"),
            "memory_request": container.sizes.get("memory_request"),
            "memory_limit": container.sizes.get("memory_limit"),
            "requests_known": container.requests_known,
            "limits_known": container.limits_known,
            "restarts": counts.restarts.get(key),
            "oom_kills": counts.kills(key),
            "cpu_burst": bursts.get(key),
            "left_out": left_out[key].windows if key in left_out else 0,
            "left_out_cause": left_out[key].cause if key in left_out else None,
        }
        for key, container in containers.items()
    ]
    return pd.DataFrame(rows)


def _add_unseen(pods: dict[PodKey, Pod], usage: DayUsage) -> None:
    """Add pods that only their usage shows, as where kube-state-metrics is missing."""
    for key, (first, last) in usage.spans().items():
        pods.setdefault(key, Pod(first, last, described=False))


def _add_states(pods: dict[PodKey, Pod], answers: Answers) -> None:
    for key, started in start_times(answers["pod_starts"]).items():
        if key in pods:
            pods[key].started = started
    for labels, value in _valued(answers["qos"]):
        if value == 1 and _current(labels, pods):
            pods[pod_key(labels)].qos_class = labels.get("qos_class")
    for labels, value in _valued(answers["phases"]):
        if value == 1 and _current(labels, pods):
            pod, phase = pods[pod_key(labels)], labels.get("phase", "")
            # Where phases that are over keep their last value, no pod comes back from its end.
            if pod.phase is None or _PHASES.index(phase) > _PHASES.index(pod.phase):
                pod.phase = phase


_PHASES = ("", "Unknown", "Pending", "Running", "Succeeded", "Failed")


def _valued(answer: Answer) -> Iterator[tuple[Labels, float]]:
    return zip(answer.labels, (float(value) for value in answer.column), strict=True)


def _without_ended(
    pods: dict[PodKey, Pod], usage: DayUsage, ends: Mapping[PodKey, float], day: Day
) -> None:
    """Cut pods that ended to the time in which they ran; drop those that did not run that day."""
    used = usage.spans()
    for key, ended in ends.items():
        pod, last_used = pods[key], used[key][1] if key in used else 0.0
        pod.ended = max(ended, last_used)
        if pod.ended <= day.start:
            del pods[key]
            continue
        until = -(-pod.ended // WINDOW_SECONDS) * WINDOW_SECONDS
        pod.last_seen = max(pod.first_seen, min(pod.last_seen, until))


def _current(labels: Labels, pods: Mapping[PodKey, Pod]) -> bool:
    """The series speaks of a pod of the day, and not of one that had the same name before."""
    pod = pods.get(pod_key(labels))
    if pod is None:
        return False
    return not pod.uid or labels.get("uid", pod.uid) == pod.uid


def _set_components(
    containers: Mapping[ContainerKey, Container],
    pods: Mapping[PodKey, Pod],
    objects: Objects,
    gateways: Collection[str],
    silent: Collection[PodKey],
) -> None:
    """Set each container's component; of `silent` pods the other containers are unknown."""
    mains: dict[PodKey, set[str]] = {}
    for (namespace, name, container), one in containers.items():
        if not one.init:
            mains.setdefault((namespace, name), set()).add(container)
    for (namespace, name, container), one in containers.items():
        pod = pods[namespace, name]
        known = objects.pod(namespace, name, pod.workload_kind, pod.workload)
        beside = mains.get((namespace, name), set())
        one.native |= one.init and container == "istio-proxy"
        one.component = component(
            container,
            init=one.init,
            namespace=namespace,
            workload=pod.workload,
            others=None if (namespace, name) in silent else beside - {container},
            gateway_class=known.labels.get(GATEWAY_CLASS),
            gateways=gateways,
        )


def _moment(seconds: float | None) -> pd.Timestamp | None:
    return None if seconds is None else pd.Timestamp(seconds, unit="s", tz="UTC")


def as_json(value: object) -> str:
    """JSON of a snapshot's text column: sorted, so that equal facts are equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
