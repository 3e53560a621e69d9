"""Pods and containers of one day."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
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
from rightsize.collectors.prometheus.parse import Answer, Labels
from rightsize.collectors.prometheus.restarts import DayCounts
from rightsize.collectors.prometheus.usage import DayUsage
from rightsize.collectors.prometheus.workloads import owners
from rightsize.results import Component
from rightsize.snapshot.schema import WINDOW_SECONDS

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
    component: Component | None = None


def pods_of(answers: Answers, day: Day, usage: DayUsage) -> dict[PodKey, Pod]:
    """Every pod that `kube_pod_info` or its own usage shows, with its workload.

    A pod that was made anew under its old name counts as the newest one.
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
) -> dict[ContainerKey, Container]:
    """Every container of `pods`, with its sizes at the end of the day and its component."""
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
    for key in usage.used():
        containers.setdefault(key, Container(init=False))
    _tell_components(containers, pods, objects, gateways)
    return containers


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
                "first_seen": _moment(pod.first_seen),
                "last_seen": _moment(pod.last_seen),
                "host_network": (
                    pod.host_network if pod.host_network is not None else known.host_network
                ),
                "scheduling": known.scheduling,
                "labels": known.labels_json,
                "annotations": known.annotations_json,
            }
        )
    return pd.DataFrame(rows)


def containers_frame(
    containers: Mapping[ContainerKey, Container], counts: DayCounts
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
            "restarts": counts.restarts.get(key),
            "oom_kills": counts.oom_kills.get(key, counts.no_kill(key)),
        }
        for key, container in containers.items()
    ]
    return pd.DataFrame(rows)


def _add_unseen(pods: dict[PodKey, Pod], usage: DayUsage) -> None:
    """Add pods that only their usage shows, as where kube-state-metrics is missing."""
    for key, (first, last) in usage.spans().items():
        pods.setdefault(key, Pod(first, last))


def _add_states(pods: dict[PodKey, Pod], answers: Answers) -> None:
    for key, started in start_times(answers["pod_starts"]).items():
        if key in pods:
            pods[key].started = started
    for name, attribute in (("phases", "phase"), ("qos", "qos_class")):
        label = "phase" if name == "phases" else "qos_class"
        answer = answers[name]
        for labels, value in zip(answer.labels, answer.column, strict=True):
            if value == 1 and _current(labels, pods):
                setattr(pods[pod_key(labels)], attribute, labels.get(label))


def _current(labels: Labels, pods: Mapping[PodKey, Pod]) -> bool:
    """The series speaks of a pod of the day, and not of one that had the same name before."""
    pod = pods.get(pod_key(labels))
    if pod is None:
        return False
    return not pod.uid or labels.get("uid", pod.uid) == pod.uid


def _tell_components(
    containers: Mapping[ContainerKey, Container],
    pods: Mapping[PodKey, Pod],
    objects: Objects,
    gateways: Collection[str],
) -> None:
    mains: dict[PodKey, set[str]] = {}
    for (namespace, name, container), one in containers.items():
        if not one.init:
            mains.setdefault((namespace, name), set()).add(container)
    for (namespace, name, container), one in containers.items():
        pod = pods[namespace, name]
        known = objects.pod(namespace, name, pod.workload_kind, pod.workload)
        one.native |= one.init and container == "istio-proxy"
        one.component = component(
            container,
            init=one.init,
            namespace=namespace,
            workload=pod.workload,
            others=mains.get((namespace, name), set()) - {container},
            gateway_class=known.labels.get(GATEWAY_CLASS),
            gateways=gateways,
        )


def _moment(seconds: float | None) -> pd.Timestamp | None:
    return None if seconds is None else pd.Timestamp(seconds, unit="s", tz="UTC")


def as_json(value: object) -> str:
    """JSON of a snapshot's text column: sorted, so that equal facts are equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
