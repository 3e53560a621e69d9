"""Value types that cross modules: every figure with its unit, its interval and its evidence.

CPU is in cores, memory in bytes, money in USD (per hour unless the name says `per_month`). `None`
means unknown or not set; it never means zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal

Resource = Literal["cpu", "memory"]
Component = Literal["sidecar", "istiod", "gateway", "waypoint", "ztunnel", "istio-cni"]

Written = Literal["values", "mesh default", "annotations"]
"""Where the size of a container is written: chart values, `global.proxy.resources`, annotations."""

HOURS_PER_MONTH = 730.0
"""Hours AWS counts to a month in its own calculators."""


class Rule(StrEnum):
    """What set a recommended request."""

    POLICY = "policy"
    FLOOR = "floor"
    STEP = "step"
    """Half of the way: no more than `max_cut` at a time."""
    THIN = "keep-thin"
    CLOSE = "keep-close"
    HOLD = "hold"
    """An autoscaler or a policy that would not predict forbids a cut."""
    EVENT = "event"
    """OOM kills or throttling."""
    BOUND = "bound"
    MESH_DEFAULT = "mesh-default"
    UNKNOWN = "unknown"
    """What is in force is not known, so nothing is written."""
    GONE = "gone"
    NODE = "node"
    VPA = "vpa"
    """A VerticalPodAutoscaler sets the sizes itself."""


class ShapeKind(StrEnum):
    """How usage runs over time, where that matters for its size."""

    STEP_UP = "step-up"
    STEP_DOWN = "step-down"
    LEAK = "leak"
    DAILY_BURST = "daily-burst"
    SHORT_BURST = "short-burst"
    UNEVEN_POD = "uneven-pod"
    START_UP = "start-up"
    FEW_DAYS = "few-days"
    """Usage far above the request on too little history to size from."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape of one resource, with the sentence that names its figures."""

    kind: ShapeKind
    resource: Resource
    text: str


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


_MISSING_SHOWN = 3
SizeField = Literal["cpu_request", "cpu_limit", "memory_request", "memory_limit"]


@dataclass(frozen=True, slots=True)
class Amounts:
    """Request and limit of one resource; `None` is "not set"."""

    request: float | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Sizes:
    """Requests and limits of one container; `None` is "not set", or "unknown" where named so."""

    cpu_request: float | None = None
    cpu_limit: float | None = None
    memory_request: float | None = None
    memory_limit: float | None = None
    unknown: frozenset[SizeField] = field(default=frozenset(), compare=False, kw_only=True)
    """Fields that no source reported: their None says nothing."""

    @classmethod
    def of_both(
        cls, cpu: Amounts, memory: Amounts, unknown: frozenset[SizeField] = frozenset()
    ) -> Sizes:
        return cls(cpu.request, cpu.limit, memory.request, memory.limit, unknown=unknown)

    def of(self, resource: Resource) -> Amounts:
        """Request and limit of one resource."""
        if resource == "cpu":
            return Amounts(self.cpu_request, self.cpu_limit)
        return Amounts(self.memory_request, self.memory_limit)


@dataclass(frozen=True, slots=True)
class Usage:
    """What was used of one resource: quantiles pool all pods' 5-minute windows, each by the time it covers."""

    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    peak: float | None = None
    burst: float | None = None
    """Highest CPU over two scrapes, where these are at most 30 seconds apart and it was asked for."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a recommendation rests on."""

    start: datetime
    end: datetime
    days: float
    """Calendar days from the first to the last time it was seen (fractions count)."""
    pods: int
    windows: int
    """5-minute windows of all pods together."""
    cpu: Usage
    memory: Usage
    throttled_share: float | None
    """Throttled CFS periods / CFS periods; None where no limit was ever in force."""
    oom_kills: int | None
    """Those that were reported; None where no day reported any count."""
    restarts: int | None
    """The same for restarts."""
    coverage: float = 1.0
    """Share of the windows in which its pods existed that hold a sample."""
    runs: int | None = None
    """Runs of a job: their peaks are its samples; None for what runs all the time."""


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
    rule: Rule
    """What set `recommended_request`."""
    basis: str = ""
    """The policy's own words for what it wants."""
    unknown: frozenset[Literal["request", "limit"]] = frozenset()
    """Sizes in force that no source reported: their None does not say "not set"."""

    @property
    def now(self) -> Amounts:
        return Amounts(self.request, self.limit)

    @property
    def step(self) -> Amounts:
        return Amounts(self.recommended_request, self.recommended_limit)

    @property
    def end(self) -> Amounts:
        return Amounts(self.target_request, self.target_limit)


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
    running: bool = True
    """It was there at the end of the window, or pauses no longer than it did before."""
    shapes: tuple[Shape, ...] = ()
    under_provisioned: float | None = None
    """Usage as a multiple of the request it exceeds; None where the request covers it."""
    same_name: bool = False
    """A workload of another kind has its name in its namespace."""

    @property
    def key(self) -> str:
        if not self.workload:
            return "mesh default"
        kind = f"{self.kind}/" if self.same_name else ""
        return f"{self.namespace}/{kind}{self.workload}"

    @property
    def identity(self) -> tuple[str | None, str | None, str | None]:
        """Namespace, name, and the kind where the name alone is not enough."""
        return self.namespace, self.workload, self.kind if self.same_name else None

    def is_called(self, name: str) -> bool:
        """Whether `name`, `namespace/name` or `namespace/Kind/name` means it."""
        return name in (self.workload, f"{self.namespace}/{self.workload}", self.key)

    @property
    def current(self) -> Sizes:
        return Sizes.of_both(self.cpu.now, self.memory.now, self.unknown)

    @property
    def recommended(self) -> Sizes:
        return Sizes.of_both(self.cpu.step, self.memory.step)

    @property
    def unknown(self) -> frozenset[SizeField]:
        """Sizes in force that no source reported."""
        found: list[SizeField] = []
        found += ["cpu_request"] if "request" in self.cpu.unknown else []
        found += ["cpu_limit"] if "limit" in self.cpu.unknown else []
        found += ["memory_request"] if "request" in self.memory.unknown else []
        found += ["memory_limit"] if "limit" in self.memory.unknown else []
        return frozenset(found)

    @property
    def writable(self) -> bool:
        """Annotations go together: with a size unknown, the others would remove it."""
        return self.written != "annotations" or not self.unknown

    @property
    def changes(self) -> bool:
        return self.current != self.recommended


MOST_TARGET = 90
"""Percent of the request; an HPA with a higher target adds pods when the others are out of CPU."""


@dataclass(frozen=True, slots=True)
class ScalePoint:
    """How a new request moves an HPA that targets the utilisation of a whole pod."""

    namespace: str
    hpa: str
    workload: str
    kind: str | None
    """Kind of the workload."""
    resource: Resource
    target_utilization: float
    """Percent of the pod's requests, as set today."""
    pod_request: float
    """Sum of the requests of the pod's containers today, in cores or bytes."""
    recommended_pod_request: float
    kept_target_utilization: int | None
    """Percent that keeps the usage at which the HPA scales; None where that is above `MOST_TARGET`,
    at which an HPA scales only when all is used."""
    container: str | None = None
    """The container it looks at alone; None for all of the pod."""

    @property
    def usage_at_scale_point(self) -> float:
        return self.pod_request * self.target_utilization / 100

    @property
    def advice(self) -> str:
        """What to do about it, and what happens otherwise."""
        rises = self.recommended_pod_request > self.pod_request
        otherwise = (
            "or it scales at more usage than today, when pods are already short of it"
            if rises
            else "or it scales at less usage than today"
        )
        now = f"{self.target_utilization:g} %"
        if self.kept_target_utilization is None:
            return (
                f"let its {self.resource} target of {now} look at the application's container alone "
                f"(metric type ContainerResource), {otherwise}: a target that keeps its scale point "
                f"would be above {MOST_TARGET} %"
            )
        return (
            f"set its {self.resource} target from {now} to {self.kept_target_utilization} %, "
            f"{otherwise}"
        )

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
    missing: tuple[str, ...] = ()
    """What the snapshot lacks, with what that costs the answer, the most important first."""
    default_moves: bool | None = None
    """Whether the mesh default changes, where its row was left out; None: its row says it."""
    istiods_left_out: tuple[str, ...] = ()
    """Istiods that run and are not among the rows."""

    @property
    def missing_in_short(self) -> tuple[str, ...]:
        """The first lines of `missing`, and how many more there are."""
        rest = self.missing[_MISSING_SHOWN:]
        more = (
            (f"Missing beside these: {len(rest)} (rightsize doctor lists them).",) if rest else ()
        )
        return (*self.missing[:_MISSING_SHOWN], *more)

    @property
    def mesh_default(self) -> Recommendation | None:
        return next((r for r in self.recommendations if r.workload is None), None)

    @property
    def istiods(self) -> tuple[str, ...]:
        """Every istiod that runs, whatever becomes of its sizes: a mesh may have several revisions."""
        rows = (
            row.key for row in self.recommendations if row.component == "istiod" and row.running
        )
        return (*rows, *self.istiods_left_out)

    @property
    def to_write(self) -> tuple[Recommendation, ...]:
        """Rows that a file has to say.

        Workloads that the mesh default covers, that are gone, or of which a size is unknown are not
        among them; exceptions that change nothing are, where a moving default would take them along.
        """
        default = self.mesh_default
        moves = self.default_moves or (default is not None and default.changes)
        return tuple(
            row
            for row in self.recommendations
            if row.running
            and row.writable
            and not (row.workload is not None and row.written == "mesh default")
            and (row.changes or (moves and row.written == "annotations"))
        )

    def only(
        self,
        *,
        namespace: str | None = None,
        workload: str | None = None,
        component: Component | None = None,
    ) -> Advice:
        """The rows of one team: of a namespace, a workload (`name` or `namespace/name`), a component.

        The mesh default is found for all workloads together, so a part of them leaves it out.
        """
        part = namespace is not None or workload is not None
        rows = tuple(
            row
            for row in self.recommendations
            if (component is None or row.component == component)
            and (namespace is None or row.namespace == namespace)
            and (workload is None or row.is_called(workload))
            and not (part and row.workload is None)
        )
        named = {(row.namespace, row.workload, row.kind) for row in rows}
        default = self.mesh_default
        left_out = default is not None and default not in rows
        note = "the mesh default is found for all workloads together: it is not in this part"
        return replace(
            self,
            recommendations=rows,
            scale_points=tuple(
                p for p in self.scale_points if (p.namespace, p.workload, p.kind) in named
            ),
            warnings=(*self.warnings, *([note] if left_out else [])),
            default_moves=default.changes if left_out and default is not None else None,
            istiods_left_out=tuple(
                row.key for row in self.of("istiod") if row.running and row not in rows
            ),
        )

    @property
    def gone(self) -> tuple[Recommendation, ...]:
        """Workloads that were not there at the end of the window: nothing is written for them."""
        return tuple(row for row in self.recommendations if not row.running)

    def of(self, component: Component) -> tuple[Recommendation, ...]:
        return tuple(r for r in self.recommendations if r.component == component)
