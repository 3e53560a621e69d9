"""How many istiod pods, and what each must bear when one of them is lost.

The pods that are left carry the whole mesh, including the moment in which the lost one's proxies
reconnect and get everything anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rightsize.istiod.model import FittedLaw, IstiodModel, MeshLoad
from rightsize.istiod.pilot_settings import minor_release
from rightsize.prices.unit_price import UnitPrice
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Interval, Rejected

FLOOR_CPU = 0.1
FLOOR_MEMORY = 256 * 2**20
ASSUMED_MEMORY_START = 1.25
ASSUMED_CPU_BURST = 2.0
"""Peaks over the law where no start and no 5-minute window was seen: assumptions, said as such."""
_MOST_REPLICAS = 12
_FEWEST_REPLICAS = 2
CHART_MOST = 5
"""`autoscaleMax` of the istiod chart, in every release from 1.18 on."""
OWN_BUDGET = "PodDisruptionBudget"
"""Path of a budget that is a manifest of its own, beside the chart."""
_MOST_UTILIZATION = 80
"""Target of istiod's chart, CPU in percent of the request."""


@dataclass(frozen=True, slots=True)
class Need:
    """Middle and upper end of what a law says, in cores or bytes."""

    mid: float
    high: float


@dataclass(frozen=True, slots=True)
class ReplicaPlan:
    """Needs of one pod at a number of replicas. CPU in cores, memory in bytes."""

    replicas: int
    memory: Need
    cpu: Need
    cpu_peak: float
    target: int

    @property
    def cpu_request(self) -> float:
        return self.cpu.high / (self.target / 100)


@dataclass(frozen=True, slots=True)
class DisruptionBudget:
    """What to write for istiod's PodDisruptionBudget, and from which release it is read."""

    path: str
    value: str
    releases: str
    reason: str


def replica_plans(
    known: pd.DataFrame, model: IstiodModel | None, replicas_now: float, margin: float
) -> list[ReplicaPlan]:
    """What each number of replicas asks of one pod.

    Without a model the peaks seen stand, with `margin` on top, at the number of today.
    """
    if model is None:
        replicas = max(_FEWEST_REPLICAS, round(replicas_now))
        # One of them lost: what is left carries its share, for memory at most in full.
        factor = replicas / (replicas - 1)
        memory, cpu = float(known["memory"].max()), float(known["cpu"].max())
        return [
            ReplicaPlan(
                replicas,
                Need(memory, memory * factor * (1 + margin)),
                Need(cpu, cpu),
                cpu * ASSUMED_CPU_BURST * factor,
                _target(replicas),
            )
        ]
    return [_plan(known, model, n) for n in range(_FEWEST_REPLICAS, _MOST_REPLICAS + 1)]


def _plan(known: pd.DataFrame, model: IstiodModel, replicas: int) -> ReplicaPlan:
    plan = plan_for(model, model.load, replicas)
    peaks = model.peaks
    # What the law does not explain was needed by one pod, and nothing shows that more pods share it.
    memory, cpu = peaks.memory_seen, peaks.cpu_seen
    if replicas <= model.replicas:
        # As many pods as today, or fewer: what was seen was really needed.
        memory = max(memory, float(known["memory"].max()))
        cpu = max(cpu, float(known["cpu_burst"].fillna(0.0).max()))
    return replace(
        plan,
        memory=replace(plan.memory, high=max(plan.memory.high, memory)),
        cpu_peak=max(plan.cpu_peak, cpu),
    )


def plan_for(model: IstiodModel, load: MeshLoad, replicas: int) -> ReplicaPlan:
    """What one of `replicas` pods (two or more) needs under `load`, one of them lost.

    A storm that was seen can come again: one pod then carries the share of all proxies that it
    carried then, whatever the number of replicas. What stood above the law grows with the proxies.
    """
    peaks = model.peaks
    burst = max(peaks.cpu_burst or ASSUMED_CPU_BURST, peaks.cpu_start or 1.0)
    left = _left(model, replicas - 1.0)
    cpu = _need(model.cpu, load, replicas)
    middle = model.cpu.middle(load, left)
    peak = max(middle * burst, middle + peaks.cpu_excess * _grown(model, load), cpu.high)
    memory = needs_of_those_left(model, load, replicas - 1.0)
    return ReplicaPlan(replicas, memory, cpu, peak, _target(replicas))


def expected(
    plan: ReplicaPlan, model: IstiodModel | None, load: MeshLoad | None = None
) -> tuple[Interval, Interval]:
    """Memory and CPU of one pod of `plan` with their lower ends, under today's load or another."""
    memory, cpu = plan.memory.mid, plan.cpu.mid
    if model is not None:
        load, left = load or model.load, _left(model, plan.replicas - 1.0)
        memory = model.memory.end_of(load, left, "low")
        cpu = model.cpu.end_of(load, plan.replicas, "low")
    return (
        Interval(memory, plan.memory.mid, plan.memory.high),
        Interval(cpu, plan.cpu.mid, plan.cpu.high),
    )


def _need(law: FittedLaw, load: MeshLoad, replicas: float) -> Need:
    return Need(law.end_of(load, replicas, "mid"), law.end_of(load, replicas, "high"))


def needs_of_those_left(model: IstiodModel, load: MeshLoad, left: float) -> Need:
    """Memory in bytes of each of `left` pods while the proxies of the lost ones reconnect."""
    peaks = model.peaks
    start = max(peaks.memory_start or ASSUMED_MEMORY_START, 1.0)
    lost = _need(model.memory, load, _left(model, left))
    excess = peaks.memory_excess * _grown(model, load)
    return replace(lost, high=max(lost.high, lost.mid * start, lost.mid + excess))


def _left(model: IstiodModel, left: float) -> float:
    """Pods that share the proxies: fewer where a storm put a larger share of them on one."""
    share = model.peaks.storm_share
    return min(left, 1 / share if share else np.inf)


def _grown(model: IstiodModel, load: MeshLoad) -> float:
    return load.proxies / model.load.proxies if model.load.proxies > 0 else 1.0


def quick_plan(model: IstiodModel, load: MeshLoad, price: UnitPrice, most: int) -> int:
    """Number of replicas, 2 to `most`, with the cheapest middle needs."""

    def worth(replicas: int) -> float:
        cpu = model.cpu.middle(load, replicas) / (_target(replicas) / 100)
        memory = model.memory.middle(load, replicas - 1)
        return replicas * (
            max(cpu, FLOOR_CPU) * price.usd_per_core_hour
            + max(memory, FLOOR_MEMORY) * price.usd_per_byte_hour
        )

    return min(range(_FEWEST_REPLICAS, most + 1), key=worth)


def _target(replicas: int) -> int:
    """CPU target, in percent, at which the pods left after a loss stay within their request."""
    return min(_MOST_UTILIZATION, 100 * (replicas - 1) // replicas // 5 * 5)


def cheapest(plans: list[ReplicaPlan], price: UnitPrice) -> ReplicaPlan:
    """The plan with the cheapest requests; a split of node prices ranks CPU against memory."""
    return min(plans, key=lambda plan: hourly_worth(plan, price))


def as_many(plans: list[ReplicaPlan], replicas: float) -> ReplicaPlan:
    """The plan with as many pods as now, or the nearest with more; the largest where none has."""
    enough = [plan for plan in plans if plan.replicas >= round(replicas)]
    if not enough:
        return max(plans, key=lambda plan: plan.replicas)
    return min(enough, key=lambda plan: plan.replicas)


def hourly_worth(plan: ReplicaPlan, price: UnitPrice) -> float:
    """Requests of all replicas at unit prices: ranks plans, and is no sum on a bill."""
    return plan.replicas * (
        max(plan.cpu_request, FLOOR_CPU) * price.usd_per_core_hour
        + max(plan.memory.high, FLOOR_MEMORY) * price.usd_per_byte_hour
    )


def rejected(plans: list[ReplicaPlan], best: ReplicaPlan) -> tuple[Rejected, ...]:
    """Numbers of replicas turned down: one, and the neighbours of the chosen one."""
    others = [p for p in plans if abs(p.replicas - best.replicas) == 1]
    lone = Rejected("1 replica", "its loss leaves no control plane, and its budget blocks drains")
    return (
        lone,
        *(
            Rejected(
                f"{p.replicas} replicas",
                f"{format_cpu(p.cpu_request)} and {format_memory(p.memory.high)} each against "
                f"{format_cpu(best.cpu_request)} and {format_memory(best.memory.high)}: dearer "
                "together, by the prices of CPU and memory",
            )
            for p in others
        ),
    )


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of istiod's autoscaler; None where unknown."""

    least: float | None = None
    most: float | None = None
    memory_target: float | None = None
    """Target of a memory metric, in percent of the request; None where it has none."""


def most_replicas(best: ReplicaPlan, now: Bounds) -> int:
    """Enough pods for a full push of the whole mesh within their requests, and one spare.

    A larger minimum takes the maximum with it, so that the room between them stays; the maximum in
    force, or the chart's own where it is unknown, is never lowered.
    """
    pushing = best.cpu_peak * (best.replicas - 1) / max(best.cpu_request, FLOOR_CPU)
    most = now.most or CHART_MOST
    grown = most * best.replicas / now.least if now.least else most
    return max(best.replicas + 1, math.ceil(pushing), math.ceil(max(grown, most)))


def disruption_budget(replicas: int, istio_version: str | None) -> DisruptionBudget:
    """Return the budget that allows no more loss at once than the sizes survive: one pod.

    `pdb` is a key of the istiod chart from 1.28 on (not of 1.26 and before), where
    `global.defaultPodDisruptionBudget.enabled` with its fixed `minAvailable: 1` is all there is:
    of more than two pods it would let all but one go. Two budgets over the same pods block every
    eviction, so that the chart's is switched off where another takes its place.
    """
    release = minor_release(istio_version)
    drains = "drains take one pod at a time, so that only one pod's proxies reconnect at once"
    if replicas > 2 and release is not None and release >= (1, 28):
        return DisruptionBudget("pdb.maxUnavailable", "1", "1.28 and later", drains)
    if replicas > 2:
        return DisruptionBudget(
            OWN_BUDGET,
            "maxUnavailable 1",
            "all releases from 1.18",
            f"{drains}; the chart's own allows {replicas - 1} of {replicas} to go and is off",
        )
    return DisruptionBudget(
        "global.defaultPodDisruptionBudget.enabled",
        "true",
        "all releases from 1.18",
        f"minAvailable 1 with {replicas} replicas: a drain can go on, and one pod always answers",
    )


def peaks_text(model: IstiodModel) -> str:
    """What starts and bursts rest on, as a clause."""
    peaks = model.peaks
    if peaks.memory_start is None:
        start = f"no start was seen, {ASSUMED_MEMORY_START:g} times the law is assumed for it"
    else:
        start = f"{peaks.starts} starts were seen, up to {peaks.memory_start:.2f} times the law"
    if peaks.cpu_burst is None:
        return f"{start}; no 5-minute CPU was seen, bursts of {ASSUMED_CPU_BURST:g} are assumed"
    return f"{start}; CPU of full pushes is {peaks.cpu_burst:.1f} times the law's hourly mean"
