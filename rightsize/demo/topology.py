"""Who runs in the demo mesh: workloads, their pods over time, and the nodes they sit on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import pairwise

import numpy as np

from rightsize.demo.parameters import DemoParameters, midnight
from rightsize.demo.shapes import node_shape
from rightsize.results import Component, Sizes

MIB = 2**20
DEFAULT = Sizes(0.1, 2.0, 128 * MIB, 1024 * MIB)
"""Istio's own default for proxies (manifests/charts/istio-control/istio-discovery/values.yaml)."""
FILLED = 0.87
"""Share of the nodes' CPU that pods request: room for a rollout, and no node to spare."""
MEMORY_FILLED = 0.75
"""Most of the nodes' memory that pods request; pods are placed by CPU, so this one needs slack."""
_NAMES = (
    "cart", "catalog", "checkout", "customers", "delivery", "inventory", "ledger", "payments",
    "search", "support", "media", "pricing", "reviews", "routing",
)  # fmt: skip
_PARTS = ("api", "worker", "web", "sync", "store", "events", "auth", "cache", "jobs", "edge")
_AUTOSCALED = {"istiod": (2.0, 5.0, 80.0), "istio-ingressgateway": (3.0, 5.0, 80.0)}
_LETTERS = np.array(list("bcdfghjklmnpqrstvwxz2456789"))
_DAEMONS = (("aws-node", 0.05, 0), ("kube-proxy", 0.1, 0), ("ebs-csi-node", 0.03, 120 * MIB))


@dataclass(frozen=True)
class Workload:
    """One workload. `rps` is what each of its pods serves on average; `traits` name what is odd."""

    index: int
    namespace: str
    name: str
    kind: str
    component: Component | None
    container: str
    """The mesh container."""
    replicas: int
    sizes: Sizes
    app_cpu: float
    app_memory: float
    rps: float
    started: date
    deploys: tuple[datetime, ...] = ()
    resized: tuple[datetime, Sizes] | None = None
    traits: frozenset[str] = frozenset()

    @property
    def native(self) -> bool:
        return "native" in self.traits


@dataclass(frozen=True)
class Pod:
    """One pod: alive in (start, end], with the mesh container's sizes it was made with."""

    index: int
    workload: Workload
    name: str
    replica_set: str
    node: int
    start: datetime
    end: datetime
    sizes: Sizes
    annotated: bool


@dataclass(frozen=True)
class Mesh:
    """Everything that does not change from minute to minute."""

    parameters: DemoParameters
    workloads: tuple[Workload, ...]
    pods: tuple[Pod, ...]
    edges: tuple[tuple[int, int, float], ...]
    """Caller, called workload, share of the called one's requests."""

    def autoscaling(self, workload: Workload) -> tuple[float, float, float] | None:
        """Lower and upper bound and target CPU utilisation of a workload's HPA, if it has one."""
        if "hpa" in workload.traits:
            return float(workload.replicas), 2.0 * workload.replicas, 70.0
        return _AUTOSCALED.get(workload.name)

    def alive(self, day: date) -> list[Pod]:
        """Pods with at least one sample on a day."""
        first, last = midnight(day), midnight(day + timedelta(days=1))
        return [pod for pod in self.pods if pod.start < last and pod.end > first]


def build_mesh(parameters: DemoParameters) -> Mesh:
    """Make the mesh of a seed."""
    random = np.random.default_rng(parameters.seed)
    workloads = _sized(parameters, _workloads(parameters, random))
    pods = _pods(parameters, workloads, random)
    return Mesh(parameters, tuple(workloads), tuple(pods), tuple(_edges(workloads, random)))


def _workloads(p: DemoParameters, random: np.random.Generator) -> list[Workload]:
    found = [
        _system(p, 0, "istiod", "istiod", "discovery", 2, Sizes(0.5, None, 2048.0 * MIB, None)),
        _system(p, 1, "istio-ingressgateway", "gateway", "istio-proxy", 3, DEFAULT),
    ]
    share = random.dirichlet(np.full(p.workloads, 6.0))
    replicas = np.maximum(1, np.round(share * p.pods).astype(int))
    for n in range(p.workloads):
        namespace = _numbered(_NAMES, n % p.app_namespaces)
        part = _numbered(_PARTS, n // p.app_namespaces)
        resized = None
        if n % p.app_namespaces in (3, 7) and n >= p.app_namespaces:
            lower = Sizes(0.05, 2.0, 104.0 * MIB, 1024.0 * MIB)
            resized = (midnight(date(2026, 10, 1)) + timedelta(minutes=5 * n), lower)
        found.append(
            Workload(
                index=len(found),
                namespace=namespace,
                name=f"{namespace}-{part}",
                kind="StatefulSet" if part.startswith("store") else "Deployment",
                component="sidecar",
                container="istio-proxy",
                replicas=int(replicas[n]),
                sizes=DEFAULT,
                app_cpu=float(random.choice([0.05, 0.1, 0.15, 0.2, 0.3, 0.4])),
                app_memory=float(random.choice([192, 256, 384, 512, 768])) * MIB,
                rps=float(random.lognormal(1.2, 1.1)),
                started=p.start,
                deploys=_deploys(p, n, random),
                resized=resized,
                traits=frozenset({"native"} if n % p.app_namespaces == 1 else ()),
            )
        )
    return _with_traits(p, found)


def _numbered(words: tuple[str, ...], position: int) -> str:
    """A word of the list, with a number from the second round on."""
    turn, place = divmod(position, len(words))
    return words[place] + (f"{turn + 1}" if turn else "")


def _system(
    p: DemoParameters, index: int, name: str, component: Component, container: str, n: int, s: Sizes
) -> Workload:
    return Workload(
        index, "istio-system", name, "Deployment", component, container, n, s, 0.0, 0.0,
        40.0 if component == "gateway" else 0.0, p.start,
    )  # fmt: skip


def _deploys(p: DemoParameters, n: int, random: np.random.Generator) -> tuple[datetime, ...]:
    """Weekday mornings, every one to three weeks."""
    day = p.start + timedelta(days=int(random.integers(3, 18)))
    found = []
    while day < p.end:
        if day.weekday() < 5:
            found.append(midnight(day) + timedelta(hours=9, minutes=n))
            day += timedelta(days=int(random.integers(7, 22)))
        else:
            day += timedelta(days=1)
    return tuple(found)


def _with_traits(p: DemoParameters, workloads: list[Workload]) -> list[Workload]:
    """The odd ones: throttled, OOM-killed, under an HPA, three days old."""
    apps = [w for w in workloads if w.component == "sidecar" and w.kind == "Deployment"]
    plain = [w for w in apps if w.resized is None and not w.native]
    if len(plain) < 4:
        raise ValueError("the demo needs more workloads: four plain Deployments carry its odd ones")
    odd = (
        replace(
            plain[0],
            sizes=Sizes(0.05, 0.1, 128.0 * MIB, 512.0 * MIB),
            rps=260.0,
            traits=frozenset({"throttled", "annotated"}),
        ),
        replace(
            plain[1],
            sizes=Sizes(0.1, 2.0, 64.0 * MIB, 96.0 * MIB),
            traits=frozenset({"oom", "annotated"}),
        ),
        replace(plain[2], replicas=4, rps=60.0, traits=frozenset({"hpa"})),
        replace(plain[3], started=max(p.start, p.end - timedelta(days=2)), replicas=2, deploys=()),
    )
    by_index = {w.index: w for w in odd}
    return [by_index.get(w.index, w) for w in workloads]


def _sized(p: DemoParameters, workloads: list[Workload]) -> list[Workload]:
    """Scale what applications request until the nodes are as full as `FILLED`."""
    node = node_shape(p.instance_type)
    room = p.nodes * (node.cpu * FILLED - sum(cpu for _, cpu, _ in _DAEMONS))
    mesh = sum(_most(w) * (w.sizes.cpu_request or 0.0) for w in workloads)
    apps = sum(_most(w) * w.app_cpu for w in workloads)
    factor = (room - mesh) / apps
    memory_room = p.nodes * (node.memory * MEMORY_FILLED - sum(memory for _, _, memory in _DAEMONS))
    memory_mesh = sum(_most(w) * (w.sizes.memory_request or 0.0) for w in workloads)
    memory_apps = sum(_most(w) * w.app_memory for w in workloads)
    shrunk = min(1.0, (memory_room - memory_mesh) / memory_apps)
    return [
        replace(
            w,
            app_cpu=max(0.01, round(w.app_cpu * factor, 2)),
            app_memory=max(16, w.app_memory * shrunk // MIB) * MIB,
        )
        if w.app_cpu
        else w
        for w in workloads
    ]


def _most(workload: Workload) -> int:
    """Most pods at once: an HPA may double the replicas."""
    return workload.replicas * (2 if "hpa" in workload.traits else 1)


def _pods(p: DemoParameters, workloads: list[Workload], random: np.random.Generator) -> list[Pod]:
    """Pods of every generation; a new one takes its forerunner's node, so it always fits."""
    seats = _place(p, workloads)
    pods: list[Pod] = []
    for workload in workloads:
        for slot in range(_most(workload)):
            for start, end in _lives(p, workload, slot):
                # Half a minute off the scrapes, as pods start when they like.
                shift = timedelta(minutes=slot % 4, seconds=30)
                resized = workload.resized is not None and start >= workload.resized[0]
                sizes = workload.resized[1] if resized and workload.resized else workload.sizes
                replica_set = f"{workload.name}-{_hash(p.seed, workload.index, start, 10)}"
                suffix = str(slot) if workload.kind == "StatefulSet" else _word(random, 5)
                base = workload.name if workload.kind == "StatefulSet" else replica_set
                pods.append(
                    Pod(
                        len(pods), workload, f"{base}-{suffix}", replica_set,
                        seats[workload.index, slot], start + shift, end + shift, sizes,
                        resized or "annotated" in workload.traits,
                    )
                )  # fmt: skip
    return pods


def _lives(p: DemoParameters, workload: Workload, slot: int) -> list[tuple[datetime, datetime]]:
    """Start and end of each generation of one replica."""
    begin = (
        p.begins - timedelta(days=3) if workload.started == p.start else midnight(workload.started)
    )
    if slot >= workload.replicas:
        # What the HPA adds: business hours of weekdays.
        return [
            (midnight(day) + timedelta(hours=8), midnight(day) + timedelta(hours=19))
            for day in p.days
            if day.weekday() < 5
        ]
    marks = {begin, *(d for d in workload.deploys if d > begin)}
    if workload.resized is not None and p.begins < workload.resized[0] < p.ends:
        marks.add(workload.resized[0])
    edges = [*sorted(marks), p.ends + timedelta(days=1)]
    return list(pairwise(edges))


def _place(p: DemoParameters, workloads: list[Workload]) -> dict[tuple[int, int], int]:
    """Largest pods first, each on the node with most CPU left that has room for it."""
    node = node_shape(p.instance_type)
    free = np.tile([node.cpu, node.memory, float(node.pods)], (p.nodes, 1))
    for _, cpu, memory in _DAEMONS:
        free -= [cpu, memory, 1.0]
    wanted = [(w, slot) for w in workloads for slot in range(_most(w))]
    wanted.sort(key=lambda item: (-item[0].app_cpu, item[0].index, item[1]))
    seats = {}
    for workload, slot in wanted:
        need = np.array(
            [
                workload.app_cpu + (workload.sizes.cpu_request or 0.0),
                workload.app_memory + (workload.sizes.memory_request or 0.0),
                1.0,
            ]
        )
        fits = (free >= need - 1e-9).all(axis=1)
        if not fits.any():
            raise ValueError("the demo's pods do not fit its nodes: give more nodes or fewer pods")
        seat = int(np.argmax(np.where(fits, free[:, 0], -np.inf)))
        free[seat] -= need
        seats[workload.index, slot] = seat
    return seats


def _edges(workloads: list[Workload], random: np.random.Generator) -> list[tuple[int, int, float]]:
    """Every application is called by the gateway or by one to three others."""
    apps = [w.index for w in workloads if w.component == "sidecar"]
    edges: list[tuple[int, int, float]] = []
    for position, called in enumerate(apps):
        callers = [1] if position % 6 == 0 else []
        others = random.choice(apps, size=int(random.integers(1, 4)), replace=False)
        callers += [int(c) for c in others if c != called]
        if callers:
            shares = random.dirichlet(np.full(len(callers), 2.0))
            edges += [(c, called, float(s)) for c, s in zip(callers, shares, strict=True)]
    return edges


def replica_set_of(pod: Pod) -> str | None:
    """The ReplicaSet a Deployment's pod belongs to."""
    return pod.replica_set if pod.workload.kind == "Deployment" else None


def daemon_pods() -> tuple[tuple[str, float, int], ...]:
    """Name, CPU and memory request of the DaemonSets of every node."""
    return _DAEMONS


def _word(random: np.random.Generator, length: int) -> str:
    return "".join(random.choice(_LETTERS, length))


def _hash(seed: int, index: int, start: datetime, length: int) -> str:
    words = np.random.default_rng([seed, index, int(start.timestamp()) // 60])
    return _word(words, length)
