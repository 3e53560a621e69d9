"""The whole answer: obstacles, waypoints, costs against right-sized sidecars, an order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from rightsize.ambient.cost import (
    AmbientPlanner,
    NamespaceCost,
    NodeChange,
    Request,
    namespace_cost,
    node_change,
)
from rightsize.ambient.figures import Figure, Part
from rightsize.ambient.order import Measurement, Wave, measurements, plan_waves, ranked
from rightsize.ambient.own_proxies import figures, proxy_usage, sidecar_law
from rightsize.ambient.rates import Rates, read_rates
from rightsize.ambient.running import RunningAmbient, running_ambient, with_waypoints
from rightsize.ambient.study import AmbientStudy, study_ambient
from rightsize.audit.model import Sources
from rightsize.config import Settings
from rightsize.errors import NoDataError, UsageError
from rightsize.files.known import Version
from rightsize.istiod.model import fit_istiod
from rightsize.istiod.source import read_istiod
from rightsize.namespaces.traffic import namespace_labels
from rightsize.nodes.demand import scheduled_pods
from rightsize.nodes.plan import NodeSet
from rightsize.nodes.requests import with_advice
from rightsize.prices.book import snapshot_book
from rightsize.prices.node_kinds import runs_daemonsets
from rightsize.prices.shapes import catalogue_of
from rightsize.prices.unit_price import unit_price
from rightsize.recommend import recommend
from rightsize.results import Advice, Interval
from rightsize.review.review import at_end_state
from rightsize.simulate.simulate import AMBIENT_HEADROOM
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import newest_rows, plain_text

_KEY = ["namespace", "pod"]
_PLANNED_ALONE = 20
"""Namespaces that the node planner is asked about one by one; each takes three plans."""


@dataclass(frozen=True, eq=False)
class AmbientCosts:
    """Costs against sidecars that request what the end state of `rightsize recommend` says."""

    base: NodeSet | None
    """Nodes with right-sized sidecars everywhere; None where no plan can be made."""
    namespaces: tuple[NamespaceCost, ...]
    together: NodeChange | None
    """Every namespace that can go, in ambient mode."""
    waves: tuple[Wave, ...]
    figures: Mapping[Part, Figure]
    ztunnel: Request
    """What the ztunnel of each node requests then, at the high end."""
    istiod_memory: Interval
    """Bytes that istiod gives back when all namespaces that can go have gone."""
    measure: tuple[Measurement, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class AmbientAnswer:
    """What `rightsize ambient` says."""

    study: AmbientStudy
    costs: AmbientCosts | None
    """None without sidecars."""
    running: RunningAmbient | None = None
    """None where neither a ztunnel nor a waypoint runs."""


def answer_ambient(
    snapshot: Snapshot,
    settings: Settings,
    sources: Sources | None = None,
    release: Version | None = None,
    *,
    advice: Advice | None = None,
    alone: bool = True,
) -> AmbientAnswer:
    """Obstacles, waypoints, costs and an order for a snapshot.

    Parameters
    ----------
    sources : Sources, optional
        Objects, rules and dashboards.
    advice : Advice, optional
        Recommendations, where they are at hand.
    alone : bool
        Ask the node planner about each namespace alone, too.

    Raises
    ------
    NoDataError
        If the snapshot has no mesh.
    """
    rates = read_rates(snapshot)
    study = study_ambient(snapshot, sources, release, rates=rates)
    found = advice or recommend(snapshot, settings)
    usage = with_waypoints(proxy_usage(snapshot), sources)
    running = running_ambient(snapshot, usage, rates, found, sources)
    if study.sidecars.empty:
        return AmbientAnswer(study, None, running)
    costs = _costs(snapshot, settings, study, (rates, usage), found, alone)
    return AmbientAnswer(study, costs, running)


def _costs(
    snapshot: Snapshot,
    settings: Settings,
    study: AmbientStudy,
    measured: tuple[Rates, pd.DataFrame],
    advice: Advice,
    alone: bool,
) -> AmbientCosts:
    notes: list[str] = []
    planner = _planner(snapshot, settings, study, measured, at_end_state(advice), notes)
    hours = settings.prices.hours_per_month
    price = unit_price(snapshot.manifest.region)
    nodes = max(int(runs_daemonsets(planner.nodes).sum()), 1)
    costs = [namespace_cost(planner, n.namespace, price.price, hours, nodes) for n in study.needs]
    base = _base(planner, notes)
    if base is not None and alone:
        largest = sorted(costs, key=lambda one: -abs(one.usd.mid))[:_PLANNED_ALONE]
        changes = {
            one.namespace: node_change(planner, [one.namespace], base, hours) for one in largest
        }
        costs = [replace(one, alone=changes.get(one.namespace)) for one in costs]
    order = ranked(study, costs)
    labels = namespace_labels(snapshot.read("namespaces"))
    waves = plan_waves(planner, order, base, hours, labels)
    notes += [
        "against sidecars with the requests of the end state of rightsize recommend, not today's",
        f"requests are {AMBIENT_HEADROOM:g} times the figures' usage, and two pods for each waypoint: "
        "assumptions",
        "waypoints: the low end of costs has those for routes, policies and gRPC, the middle those "
        "for metrics that are read as well, the high end one wherever HTTP is not ruled out",
        f"USD by namespace is the worth of requests at the price of a core and a byte ({price.source}, "
        f"{price.as_of}); nodes and USD of waves are plans of nodes on the types in use, not replayed",
    ]
    gone = sum(planner.sidecars(name)[0] for name in order)
    left = gone - nodes - 2 * sum(len(wave.waypoints) for wave in waves)
    return AmbientCosts(
        base=base,
        namespaces=tuple(costs),
        together=waves[-1].saving if waves else None,
        waves=waves,
        figures=planner.figures,
        ztunnel=planner.ztunnel(order, "high"),
        istiod_memory=planner.istiod_memory.scaled(max(left, 0)),
        measure=measurements(order[0]) if order else (),
        notes=tuple(notes),
    )


def _planner(
    snapshot: Snapshot,
    settings: Settings,
    study: AmbientStudy,
    measured: tuple[Rates, pd.DataFrame],
    end: Advice,
    notes: list[str],
) -> AmbientPlanner:
    rates, usage = measured
    rules = settings.nodes.model_copy(update={"time_limit": min(settings.nodes.time_limit, 1.0)})
    pods, containers = snapshot.read("pods"), snapshot.read("containers")
    placed = scheduled_pods(pods, containers, at=rules.demand, advice=end)
    for column in ("namespace", "workload", "workload_kind", "pod"):
        placed[column] = placed[column].astype(object)
    sized = plain_text(with_advice(containers, pods, end))
    newest = sized.drop_duplicates([*_KEY, "container"], keep="last")
    sidecars = newest[newest["component"].eq("sidecar")].fillna(
        {"cpu_request": 0.0, "memory_request": 0.0}
    )
    own = sidecars.groupby(_KEY, as_index=False)[["cpu_request", "memory_request"]].sum()
    own = own.rename(columns={"cpu_request": "own_cpu", "memory_request": "own_memory"})
    own[_KEY] = own[_KEY].astype(object)
    table = placed.merge(own, on=_KEY, how="left")
    istiod = newest.loc[newest["component"].eq("istiod"), _KEY].astype(object).drop_duplicates()
    marked = table[_KEY].merge(istiod.assign(istiod=True), on=_KEY, how="left")["istiod"]
    table["istiod"] = marked.eq(True).to_numpy(dtype=bool)
    book = snapshot_book(snapshot, snapshot.manifest.region, settings.prices.machines)
    law = sidecar_law(usage, rates)
    return AmbientPlanner(
        pods=table,
        nodes=newest_rows(snapshot, "nodes"),
        catalogue=catalogue_of(book)[0],
        settings=rules,
        rates=rates,
        needs={one.namespace: one for one in study.needs},
        figures=figures(snapshot, usage, rates, law),
        istiod_memory=_istiod_memory(snapshot, notes),
        has=frozenset(newest["component"].dropna().astype(str)),
    )


def _istiod_memory(snapshot: Snapshot, notes: list[str]) -> Interval:
    """Bytes of istiod for a connected proxy, by the law fitted on this mesh."""
    try:
        model = fit_istiod(read_istiod(snapshot).hours)
    except NoDataError as error:
        notes.append(f"istiod with fewer clients is not counted: {error.what}")
        return Interval.exactly(0.0)
    found = next((c.value for c in model.memory.coefficients if c.driver == "proxies"), None)
    notes.append(
        "istiod is taken to keep for a ztunnel or waypoint what it keeps for a sidecar, a law of "
        "sidecars; ztunnel learns of all workloads, so its own share may be larger"
    )
    return Interval.exactly(0.0) if found is None else found


def _base(planner: AmbientPlanner, notes: list[str]) -> NodeSet | None:
    try:
        if planner.nodes.empty:
            raise NoDataError("the snapshot holds no nodes")
        return planner.node_set((), "mid")
    except (NoDataError, UsageError) as error:
        notes.append(f"nodes and dollars are not computed: {error.what}")
        return None


def costs_frame(answer: AmbientAnswer) -> pd.DataFrame:
    """One row for each namespace: cores, bytes, USD a month; low and high bound the saving."""
    needs = {one.namespace: one for one in answer.study.needs}
    costs = {} if answer.costs is None else {c.namespace: c for c in answer.costs.namespaces}
    waves = () if answer.costs is None else answer.costs.waves
    number = {name: wave.number for wave in waves for name in wave.namespaces}
    rows = []
    for name, need in needs.items():
        row: dict[str, object] = {
            "namespace": name,
            "sidecars": int(answer.study.sidecars.get(name, 0)),
            "requests_per_second": need.requests_per_second,
            "waypoint": need.need,
            "obstacles": len(answer.study.obstacles_of(name)),
            "stays_on_sidecars": answer.study.stopped(name),
            "wave": number.get(name, np.nan),
        }
        cost = costs.get(name)
        if cost is not None:
            row |= {
                "sidecar_cpu": cost.before.cpu,
                "sidecar_memory": cost.before.memory,
                "ambient_cpu": cost.after["mid"].cpu,
                "ambient_memory": cost.after["mid"].memory,
                "usd_saved_low": cost.usd.low,
                "usd_saved": cost.usd.mid,
                "usd_saved_high": cost.usd.high,
                "cheaper": cost.break_even.cheaper,
                "break_even": None if cost.break_even.rate is None else cost.break_even.rate.mid,
            }
        rows.append(row)
    return pd.DataFrame(rows)
