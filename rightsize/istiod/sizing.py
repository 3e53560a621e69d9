"""Requests, limits, replicas and disruption budget of istiod.

The rule: the pods that are left after one is lost carry the whole mesh, including the moment in
which the lost one's proxies reconnect and get everything anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from rightsize.config import PolicySettings
from rightsize.errors import NoDataError
from rightsize.istiod.istiod_guards import (
    Holds,
    events_of_istiod,
    evidence_of_hours,
    guard_istiod,
    out_of_memory,
)
from rightsize.istiod.model import IstiodModel, fit_istiod
from rightsize.istiod.observations import IstiodTables
from rightsize.istiod.peaks import events_text
from rightsize.istiod.propagation import Propagation, propagation
from rightsize.istiod.replicas import (
    Bounds,
    DisruptionBudget,
    ReplicaPlan,
    as_many,
    cheapest,
    disruption_budget,
    expected,
    most_replicas,
    peaks_text,
    rejected,
    replica_plans,
)
from rightsize.istiod.runtime import runtime_limits, runtime_text
from rightsize.istiod.slow_propagation import IstiodCpu
from rightsize.istiod.thresholds import istiod_node
from rightsize.istiod.zones import ZoneSpread, zone_spread
from rightsize.prices.unit_price import unit_price
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Interval, Rejected, ResourceAdvice, Sizes
from rightsize.sizing.node_bound import Largest, bounded


@dataclass(frozen=True)
class IstiodAdvice:
    """What istiod should request, how many replicas, and why.

    Sizes are for one pod. `cpu` and `memory` hold this step and the end state, after the same
    guards as every other recommendation.
    """

    cpu: ResourceAdvice
    memory: ResourceAdvice
    revision: str
    """Workload of this istiod; empty where the snapshot knows no owners."""
    replicas_now: float
    autoscale_min: int
    autoscale_max: int
    target_utilization: int
    budget: DisruptionBudget
    expected_memory: Interval
    """Of one pod after one of `autoscale_min` is lost, in bytes, reconnecting included."""
    expected_cpu: Interval
    """Of one pod with all of `autoscale_min` at work, busiest hours, in cores."""
    model: IstiodModel | None
    """None where the history is too short; sizes then rest on the peaks seen."""
    propagation: Propagation
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    rejected: tuple[Rejected, ...] = ()
    spread: ZoneSpread | None = None
    """None where the zones of the nodes are not known."""

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


def recommend_istiod(
    tables: IstiodTables,
    *,
    region: str | None = None,
    istio_version: str | None = None,
    settings: PolicySettings | None = None,
) -> IstiodAdvice:
    """Size one istiod from its own history, and from that of the revisions before it.

    Parameters
    ----------
    region : str, optional
        Ranks replicas against size by the region's prices of CPU and memory.
    istio_version : str, optional
        For defaults and for the releases that read a setting.

    Raises
    ------
    NoDataError
        Where neither the mesh's usage nor istiod's metrics hold an istiod.
    """
    rules = settings or PolicySettings()
    hours, containers = tables.hours, tables.containers
    known = hours.dropna(subset=["cpu", "memory"], how="all")
    if known.empty:
        raise NoDataError(
            "no usage of istiod in the snapshot",
            hint="collect with a Prometheus that scrapes istiod or the cluster's kubelets",
        )
    sizes = in_force(containers)
    cpu = _cpu_of(tables.usage, containers, tables.own_hours, sizes)
    delays = propagation(tables.control_plane, cpu=cpu, istio_version=istio_version)
    model, warnings = _model(hours)
    replicas_now = _replicas(known)
    thin = _thin(known, rules)
    plans = replica_plans(known, model, replicas_now, rules.limit_margin)
    if delays.hold is not None or thin is not None:
        # Fewer pods are a cut, too; more of them at sizes that stay would only cost.
        plans = [as_many(plans, replicas_now)]
    best = cheapest(plans, unit_price(region).price)
    expected_memory, expected_cpu = expected(best, model)
    bounds = _bounds(tables)
    unsafe = events_of_istiod(containers).unsafe(rules.max_gap_share)
    memory_hold = delays.hold or _leak(model) or _memory_hold(bounds) or unsafe
    advised = guard_istiod(
        best,
        sizes,
        evidence_of_hours(known, containers, cpu.throttled_share),
        out_of_memory(containers),
        hold=Holds(cpu=delays.hold, memory=memory_hold),
        thin=thin,
        rules=rules,
    )
    cpu_advice, memory_advice, beyond = bounded(*advised, Largest.of(tables.nodes))
    return IstiodAdvice(
        cpu=cpu_advice,
        memory=memory_advice,
        revision=tables.revision,
        replicas_now=replicas_now,
        autoscale_min=best.replicas,
        autoscale_max=most_replicas(best, bounds),
        target_utilization=best.target,
        budget=disruption_budget(best.replicas, istio_version),
        expected_memory=expected_memory,
        expected_cpu=expected_cpu,
        model=model,
        propagation=delays,
        reasons=(
            *beyond,
            *_reasons(best, model, Holds(delays.hold, memory_hold), thin),
            *_runtime(tables, model, advised, istio_version),
            *_carried(tables),
        ),
        warnings=warnings,
        rejected=rejected(plans, best),
        spread=zone_spread(tables, best, model, istio_version),
    )


def _model(hours: pd.DataFrame) -> tuple[IstiodModel | None, tuple[str, ...]]:
    try:
        model = fit_istiod(hours)
    except NoDataError as error:
        return None, (f"{error.what}: sizes rest on the peaks seen, replicas stay",)
    return model, (*model.memory.notes, *model.cpu.notes)


def _leak(model: IstiodModel | None) -> str | None:
    """Why memory is not cut where it grows with the age of a pod, whatever the load."""
    if model is None or all(found.kind != "leak" for found in model.memory.diagnoses):
        return None
    return "memory grows with the age of the pod, whatever the load; what it will need is not known"


def _replicas(known: pd.DataFrame) -> float:
    """Mean number of pods over the last day."""
    last_day = known[known["time"] > known["time"].max() - pd.Timedelta(1, "D")]
    return float(last_day.groupby("time")["pod"].nunique().mean())


def in_force(containers: pd.DataFrame) -> Sizes:
    """Sizes of istiod's container on the last day it was seen."""
    rows = containers[containers["component"] == "istiod"]
    if rows.empty:
        return Sizes()
    newest = (rows.sort_values("day") if "day" in rows else rows).iloc[-1]
    names = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")
    return Sizes(*(None if pd.isna(newest[n]) else float(newest[n]) for n in names))


def _cpu_of(
    usage: pd.DataFrame, containers: pd.DataFrame, hours: pd.DataFrame, sizes: Sizes
) -> IstiodCpu:
    ours = containers[containers["component"] == "istiod"]["pod"].astype(str).unique()
    rows = usage[usage["pod"].astype(str).isin(ours)]
    periods = float(rows["periods"].sum()) if len(rows) else 0.0
    p95 = hours["cpu_burst"].quantile(0.95)
    return IstiodCpu(
        throttled_share=float(rows["throttled_periods"].sum()) / periods if periods else None,
        used_of_request=None
        if sizes.cpu_request is None or pd.isna(p95)
        else float(p95) / sizes.cpu_request,
        limit=sizes.cpu_limit,
    )


def _bounds(tables: IstiodTables) -> Bounds:
    """What this istiod's own autoscaler says."""
    if tables.hpas.empty:
        return Bounds()
    owners = tables.hpas["workload"].astype(str)
    ours = tables.hpas[
        owners == tables.revision if tables.revision else owners.str.startswith("istiod")
    ]
    targets = ours[ours["metric"].astype(str) == "memory"]["target_utilization"]

    def known(values: pd.Series) -> float | None:
        most = values.max()
        return None if pd.isna(most) else float(most)

    return Bounds(known(ours["min_replicas"]), known(ours["max_replicas"]), known(targets))


def _memory_hold(bounds: Bounds) -> str | None:
    if bounds.memory_target is None:
        return None
    return (
        f"its HPA adds pods at {bounds.memory_target:.0f} % of the memory request, which a smaller "
        "request would reach sooner"
    )


def _runtime(
    tables: IstiodTables,
    model: IstiodModel | None,
    advised: tuple[ResourceAdvice, ResourceAdvice],
    istio_version: str | None,
) -> tuple[str, ...]:
    """What the recommended limits do to pushes, reconnecting proxies and Go's heap."""
    node = istiod_node(tables.pods, tables.containers, tables.nodes)
    proxies = None if model is None else model.load.proxies
    sizes = Sizes(cpu_limit=advised[0].recommended_limit, memory_limit=advised[1].recommended_limit)
    found = runtime_limits(
        sizes,
        istio_version=istio_version,
        proxies=proxies,
        node_cores=None if node is None else node[0],
    )
    return runtime_text(found, sizes, proxies)


def _carried(tables: IstiodTables) -> tuple[str, ...]:
    if not tables.carried:
        return ()
    own = tables.own_hours["time"].nunique() / 24
    return (
        f"history: {own:.1f} days of {tables.revision} and, before them, "
        f"{tables.hours['time'].nunique() / 24 - own:.1f} of {' and '.join(tables.carried)}",
    )


def _thin(known: pd.DataFrame, rules: PolicySettings) -> str | None:
    days = known["time"].nunique() / 24
    if days >= rules.min_days:
        return None
    return f"{days:.1f} days of istiod's history, {rules.min_days:g} are needed"


def _reasons(
    best: ReplicaPlan, model: IstiodModel | None, hold: Holds, thin: str | None
) -> tuple[str, ...]:
    reasons = [
        f"memory {format_memory(best.memory.high)}: what each pod left needs after one of "
        f"{best.replicas} is lost, while that one's proxies reconnect",
        f"CPU {format_cpu(best.cpu_request)}: busiest hours of one of {best.replicas} pods at a "
        f"target of {best.target} %, so that those left after a loss stay within their request",
    ]
    if model is not None:
        reasons.append(peaks_text(model))
        reasons.append(
            f"error on later hours than those fitted: memory {model.memory.cv_error:.1%}, "
            f"CPU {model.cpu.cv_error:.1%} (median)"
        )
        reasons += events_text(model.peaks.events, "covered at every number of replicas")
    if hold.cpu is not None:
        reasons.append(f"nothing is cut: {hold.cpu}")
    elif hold.memory is not None:
        reasons.append(f"memory is not cut: {hold.memory}")
    if thin is not None:
        reasons.append(f"nothing is changed: {thin}")
    return tuple(reasons)
