"""A few pods as a Prometheus would have scraped them: every sample is this module's own.

`PodSeries` writes the series of one pod; `Clock` gives the scrape times. Counters are made from
a function of time, so that a test can state what each window must hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.servers.prometheus import Series

DAY = int(datetime(2026, 9, 14, tzinfo=UTC).timestamp())
"""Midnight at which the day under test starts."""
MIB = 2**20
HOUR = 3600

Samples = list[tuple[float, float]]


def every(step: float, start: float, end: float) -> list[float]:
    """Scrape times from `start` up to and including `end`."""
    return [start + step * i for i in range(int((end - start) // step) + 1)]


def counter(
    times: Sequence[float], rate: Callable[[float], float] | float, since: float
) -> Samples:
    """Counter samples whose value at t is the integral of a constant rate, or `rate(t)` itself."""
    if callable(rate):
        return [(t, rate(t)) for t in times]
    return [(t, rate * (t - since)) for t in times]


@dataclass
class Pod:
    """One pod with its containers, as the exporters describe it."""

    name: str
    namespace: str = "shop"
    owner: tuple[str, str] = ("ReplicaSet", "web-6d4cf56db6")
    node: str = "ip-10-0-0-1.ec2.internal"
    uid: str = ""
    started: float = DAY - 2 * HOUR
    end: float = DAY + 26 * HOUR
    step: float = 60.0
    containers: Sequence[str] = ("app", "istio-proxy")
    native: bool = False
    requests: dict[str, tuple[float, float]] = field(
        default_factory=lambda: {"app": (0.2, 256 * MIB), "istio-proxy": (0.1, 128 * MIB)}
    )
    limits: dict[str, tuple[float, float]] = field(
        default_factory=lambda: {"istio-proxy": (2.0, 1024 * MIB)}
    )

    @property
    def times(self) -> list[float]:
        """Scrapes of this pod, from its start to its end."""
        first = -(-self.started // self.step) * self.step
        return every(self.step, first, self.end)

    def labels(self, **more: str) -> dict[str, str]:
        return {"namespace": self.namespace, "pod": self.name, **more}

    def described(self) -> list[Series]:
        """What kube-state-metrics tells of the pod."""
        flat = [(t, 1.0) for t in self.times]
        uid = self.uid or f"uid-{self.name}"
        kind, owner = self.owner
        own = self.labels(uid=uid)
        info = own | {"node": self.node, "host_network": "false", "created_by_kind": kind}
        series = [
            Series("kube_pod_info", info | {"created_by_name": owner}, flat),
            Series(
                "kube_pod_owner",
                own | {"owner_kind": kind, "owner_name": owner, "owner_is_controller": "true"},
                flat,
            ),
            Series("kube_pod_start_time", own, [(t, self.started) for t in self.times]),
            Series("kube_pod_status_phase", own | {"phase": "Running"}, flat),
            Series("kube_pod_status_qos_class", own | {"qos_class": "Burstable"}, flat),
        ]
        for name in self.containers:
            series += self._container(name, own, flat)
        return series

    def _container(self, name: str, own: dict[str, str], flat: Samples) -> list[Series]:
        init = "init_" if self.native and name == "istio-proxy" else ""
        about = own | {"container": name}
        policy = {"restart_policy": "Always"} if init else {}
        image = {"image": f"docker.io/istio/proxyv2:1.24.6-{name}"}
        series = [
            Series(f"kube_pod_{init}container_info", about | image | policy, flat),
            Series(
                f"kube_pod_{init}container_status_restarts_total",
                about,
                [(t, 0.0) for t, _ in flat],
            ),
        ]
        for kind, sizes in (("requests", self.requests), ("limits", self.limits)):
            for resource, unit, value in zip(
                ("cpu", "memory"), ("core", "byte"), sizes.get(name, ()), strict=False
            ):
                labels = about | {"resource": resource, "unit": unit, "node": self.node}
                series.append(
                    Series(
                        f"kube_pod_{init}container_resource_{kind}",
                        labels,
                        [(t, value) for t, _ in flat],
                    )
                )
        return series

    def used(
        self,
        container: str = "istio-proxy",
        cpu: Samples | float = 0.01,
        memory: Samples | float = 60 * MIB,
        cgroup: str | None = None,
        **more: str,
    ) -> list[Series]:
        """What cAdvisor tells of one container."""
        labels = self.labels(container=container, image="proxyv2", **more)
        labels["id"] = cgroup if cgroup is not None else f"/kubepods/{self.name}/{container}"
        if not isinstance(cpu, list):
            cpu = counter(self.times, cpu, self.started)
        if not isinstance(memory, list):
            memory = [(t, float(memory)) for t in self.times]
        return [
            Series("container_cpu_usage_seconds_total", labels, cpu),
            Series("container_memory_working_set_bytes", labels, memory),
        ]


def node(
    name: str = "ip-10-0-0-1.ec2.internal",
    end: float = DAY + 26 * HOUR,
    provider_id: str = "aws:///us-east-1c/i-0a1b2c",
) -> list[Series]:
    """One m5.xlarge as kube-state-metrics tells it."""
    times = every(60, DAY - 2 * HOUR, end)
    about = {"node": name}
    sizes = {
        "capacity": (("cpu", 4.0), ("memory", 15.5 * 2**30)),
        "allocatable": (("cpu", 3.92), ("memory", 14.5 * 2**30), ("pods", 58.0)),
    }
    series = [
        Series(
            "kube_node_info",
            about
            | {"kernel_version": "5.10.226-214.880.amzn2.x86_64"}
            | {"provider_id": provider_id},
            [(t, 1.0) for t in times],
        )
    ]
    for family, values in sizes.items():
        series += [
            Series(
                f"kube_node_status_{family}",
                about | {"resource": resource},
                [(t, value) for t in times],
            )
            for resource, value in values
        ]
    return series
