"""Value types that cross modules: every figure with its unit, its interval and its evidence.

CPU is in cores, memory in bytes, money in USD (per hour unless the name says `per_month`). `None`
means unknown or not set; it never means zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Resource = Literal["cpu", "memory"]
Component = Literal["sidecar", "istiod", "gateway", "waypoint", "ztunnel", "istio-cni"]

Written = Literal["values", "mesh default", "annotations"]
"""Where the size of a container is written: chart values, `global.proxy.resources`, annotations."""

HOURS_PER_MONTH = 730.0
"""Hours AWS counts to a month in its own calculators."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An uncertain figure: low, mid and high, in one unit."""

    low: float
    mid: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.mid <= self.high:
            raise ValueError(f"not ordered: {self.low} <= {self.mid} <= {self.high}")

    @classmethod
    def exactly(cls, value: float) -> Interval:
        return cls(value, value, value)

    def scaled(self, factor: float) -> Interval:
        ends = sorted((self.low * factor, self.high * factor))
        return Interval(ends[0], self.mid * factor, ends[1])


@dataclass(frozen=True, slots=True)
class Sizes:
    """Requests and limits of one container; `None` is "not set"."""

    cpu_request: float | None = None
    cpu_limit: float | None = None
    memory_request: float | None = None
    memory_limit: float | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used of one resource: quantiles pool the 5-minute windows of all pods."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    peak: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a recommendation rests on."""

    start: datetime
    end: datetime
    days: float
    """Days with data, as windows seen / windows a day (fractions count)."""
    pods: int
    windows: int
    """5-minute windows of all pods together."""
    cpu: Usage
    memory: Usage
    throttled_share: float | None
    """Throttled CFS periods / CFS periods; None where no limit was ever in force."""
    oom_kills: int
    restarts: int


@dataclass(frozen=True, slots=True)
class ResourceAdvice:
    """One resource of one container: what is in force, this step, and the end state."""

    request: float | None
    limit: float | None
    recommended_request: float | None
    recommended_limit: float | None
    target_request: float | None
    target_limit: float | None
    usage: Usage
    rule: str
    """The rule that set `recommended_request`: `policy`, `floor`, `step`, `keep-thin`, …"""


@dataclass(frozen=True, slots=True)
class Rejected:
    """An alternative that was turned down, and why."""

    option: str
    reason: str


@dataclass(frozen=True, slots=True)
class Autoscaling:
    """Bounds and target of the HPA that a component's own chart makes."""

    min_replicas: int
    max_replicas: int
    target_cpu: int
    """Target CPU utilisation, in percent of the request."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What one container of one workload should request. `workload` None is the mesh default."""

    component: Component
    namespace: str | None
    workload: str | None
    kind: str | None
    container: str
    native: bool
    replicas: float
    """Mean number of pods at once, over the window."""
    cpu: ResourceAdvice
    memory: ResourceAdvice
    evidence: Evidence | None
    reason: str
    written: Written = "values"
    needs: Sizes | None = None
    """What this workload alone should have; differs where the mesh default covers it."""
    notes: tuple[str, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    autoscaling: Autoscaling | None = None
    """Written together with the sizes, which were found for it; istiod only."""

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.workload}" if self.workload else "mesh default"

    @property
    def current(self) -> Sizes:
        return Sizes(self.cpu.request, self.cpu.limit, self.memory.request, self.memory.limit)

    @property
    def recommended(self) -> Sizes:
        return Sizes(
            self.cpu.recommended_request,
            self.cpu.recommended_limit,
            self.memory.recommended_request,
            self.memory.recommended_limit,
        )

    @property
    def changes(self) -> bool:
        return self.current != self.recommended


@dataclass(frozen=True, slots=True)
class ScalePoint:
    """How a new request moves an HPA that targets the utilisation of a whole pod."""

    namespace: str
    hpa: str
    workload: str
    resource: Resource
    target_utilization: float
    """Percent of the pod's requests, as set today."""
    pod_request: float
    """Sum of the requests of the pod's containers today, in cores or bytes."""
    recommended_pod_request: float
    kept_target_utilization: int
    """Percent that keeps the usage at which the HPA scales."""

    @property
    def usage_at_scale_point(self) -> float:
        return self.pod_request * self.target_utilization / 100

    @property
    def moved_scale_point(self) -> float:
        """Usage at which the HPA would scale if its target were left as it is."""
        return self.recommended_pod_request * self.target_utilization / 100


@dataclass(frozen=True, slots=True)
class OverridesCurve:
    """What all sidecars request costs, by the number of workloads with sizes of their own."""

    chosen: int
    usd_per_month: tuple[float | None, ...]
    """Position `k`: the least cost with `k` exceptions; None where `k` are too few."""
    price_source: str


@dataclass(frozen=True, slots=True)
class Advice:
    """All recommendations from one snapshot, with what they assume."""

    cluster: str
    simulated: bool
    """True for the demo mesh: no figure of it was measured."""
    start: datetime
    end: datetime
    policy: str
    parameters: Mapping[str, object]
    recommendations: tuple[Recommendation, ...]
    scale_points: tuple[ScalePoint, ...] = ()
    overrides: OverridesCurve | None = None
    warnings: tuple[str, ...] = field(default=())

    @property
    def mesh_default(self) -> Recommendation | None:
        return next((r for r in self.recommendations if r.workload is None), None)

    def of(self, component: Component) -> tuple[Recommendation, ...]:
        return tuple(r for r in self.recommendations if r.component == component)
