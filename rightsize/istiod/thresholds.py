"""When istiod outgrows its request, its limit and its node, and when service marks are passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from rightsize.errors import NoDataError
from rightsize.istiod.growth import HORIZON_DAYS, Floats, Growth, fit_growth
from rightsize.istiod.law import ENDS
from rightsize.istiod.model import FittedLaw, IstiodModel, MeshLoad
from rightsize.results import Interval, Resource, Sizes

SERVICE_MARKS = (1000.0, 3000.0)
"""Meshes above 1,000 services need scoping and a larger istiod, above 3,000 shards: rules of
thumb, which the fitted crossings above them replace."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Something the mesh may grow past; `value` in services, cores or bytes."""

    what: str
    quantity: str
    value: float


@dataclass(frozen=True, slots=True)
class Crossing:
    """When a threshold is crossed. A date of None lies beyond two years, or never comes."""

    threshold: Threshold
    now: Interval
    passed: bool
    earliest: date | None
    expected: date | None
    latest: date | None


@dataclass(frozen=True)
class Outlook:
    """Growth and crossings, and why a part of them is missing."""

    growth: tuple[Growth, ...]
    crossings: tuple[Crossing, ...]
    notes: tuple[str, ...]

    def of(self, what: str) -> Growth | None:
        return next((g for g in self.growth if g.what == what), None)


def daily_load(hours: pd.DataFrame) -> pd.DataFrame:
    """Services, proxies and endpoints of each UTC day (highest hour), indexed by day.

    Parameters
    ----------
    hours : DataFrame
        As `istiod_hours` gives.
    """
    grouped = hours.groupby("time")
    by_hour = pd.DataFrame(
        {
            "services": grouped["services"].max(),
            "proxies": grouped["proxies"].sum(min_count=1),
            "endpoints": grouped["endpoints"].max(),
        }
    )
    days = (pd.DatetimeIndex(by_hour.index) - pd.Timedelta(1, "s")).floor("D")
    return by_hour.groupby(days).max()


def outlook(
    hours: pd.DataFrame,
    model: IstiodModel | None,
    *,
    in_force: Sizes | None = None,
    node: tuple[float, float] | None = None,
    replicas: float | None = None,
) -> Outlook:
    """Project the mesh and the istiod that it needs.

    Parameters
    ----------
    hours : DataFrame
        As `istiod_hours` gives.
    model : IstiodModel or None
        Without it only the marks of services are projected.
    in_force : Sizes, optional
        Request and limit of one istiod pod.
    node : tuple of float, optional
        Allocatable cores and bytes of the node istiod runs on.
    replicas : float, optional
        Pods that share the proxies; those of the last day without.
    """
    notes: list[str] = []
    growth = _growth(hours, notes)
    by_name = {g.what: g for g in growth}
    crossings = []
    if "services" in by_name:
        services, start = by_name["services"].at(_AHEAD), by_name["services"].last_day
        crossings += [
            _crossing(Threshold(f"{mark:,.0f} services", "services", mark), services, start)
            for mark in SERVICE_MARKS
        ]
    if model is not None and {"services", "proxies"} <= set(by_name):
        pods = replicas or model.replicas
        paths = {
            law.resource: _usage_path(law, model.load, by_name, pods)
            for law in (model.memory, model.cpu)
        }
        crossings += [
            _crossing(threshold, path, by_name["services"].last_day)
            for resource, path in paths.items()
            for threshold in _istiod_thresholds(resource, in_force or Sizes(), node)
        ]
        if in_force is not None and in_force.memory_limit is None:
            notes.append("istiod has no memory limit: there is none to outgrow but the node's")
        if node is None:
            notes.append("the node istiod runs on is not known: not projected")
        if not model.trusted:
            notes.append("istiod's history follows another law (see its diagnoses): read with care")
    return Outlook(growth, tuple(crossings), tuple(notes))


def istiod_node(
    pods: pd.DataFrame, containers: pd.DataFrame, nodes: pd.DataFrame
) -> tuple[float, float] | None:
    """Allocatable cores and bytes of the smallest node an istiod ran on, on its last day."""
    ours = set(containers[containers["component"] == "istiod"]["pod"].astype(str))
    ran = pods[pods["pod"].astype(str).isin(ours)]
    if ran.empty or nodes.empty:
        return None
    newest = ran[ran["day"] == ran["day"].max()]["node"].astype(str)
    shapes = nodes[nodes["node"].astype(str).isin(set(newest))].dropna(
        subset=["allocatable_cpu", "allocatable_memory"]
    )
    if shapes.empty:
        return None
    return float(shapes["allocatable_cpu"].min()), float(shapes["allocatable_memory"].min())


def _growth(hours: pd.DataFrame, notes: list[str]) -> tuple[Growth, ...]:
    found = []
    for what, by_day in daily_load(hours).items():
        try:
            found.append(fit_growth(str(what), by_day))
        except NoDataError as error:
            notes.append(error.what)
    return tuple(found)


def _istiod_thresholds(
    resource: Resource, sizes: Sizes, node: tuple[float, float] | None
) -> list[Threshold]:
    if resource == "memory":
        request, limit, room = sizes.memory_request, sizes.memory_limit, node and node[1]
    else:
        request, limit, room = sizes.cpu_request, sizes.cpu_limit, node and node[0]
    return [
        Threshold(f"istiod {resource} {name}", resource, value)
        for name, value in (("request", request), ("limit", limit), ("of its node", room))
        if value is not None
    ]


_AHEAD = np.array([0, 7, 14, 30, 45, 60, 90, 120, 180, 240, 300, 365, 450, 540, 630, HORIZON_DAYS])
"""Days ahead at which paths are computed; between them they are straight."""


def _usage_path(
    law: FittedLaw, now: MeshLoad, growth: Mapping[str, Growth], replicas: float
) -> Floats:
    """istiod's usage ahead, shape (days, 3): the growth's band with the law's interval on top."""
    bands = {what: found.at(_AHEAD) for what, found in growth.items()}
    # The busiest hour of the week stands above the fitted line; it grows along with it.
    shares = bands["proxies"] / max(float(bands["proxies"][0, 1]), 1.0)
    path = np.zeros((len(_AHEAD), 3))
    for day, end in np.ndindex(path.shape):
        share = float(shares[day, end])
        load = MeshLoad(
            services=float(bands["services"][day, end]),
            proxies=now.proxies * share,
            pushes=now.pushes * share,
            endpoints=float(bands["endpoints"][day, end])
            if "endpoints" in bands
            else now.endpoints,
            pushed_mib=None if now.pushed_mib is None else now.pushed_mib * share,
        )
        path[day, end] = law.end_of(load, replicas, ENDS[end])
    return np.sort(path, axis=1)


def _crossing(threshold: Threshold, path: Floats, start: date) -> Crossing:
    low, mid, high = (_first_day(path[:, end], threshold.value) for end in range(3))
    now = Interval(*(float(value) for value in path[0]))
    dates = [None if day is None else start + timedelta(days=day) for day in (high, mid, low)]
    return Crossing(threshold, now, now.mid >= threshold.value, dates[0], dates[1], dates[2])


def _first_day(path: Floats, value: float) -> int | None:
    """First day from 0 to the horizon on which the path reaches `value`."""
    every_day = np.interp(np.arange(HORIZON_DAYS + 1), _AHEAD, path)
    reached = np.flatnonzero(every_day >= value)
    return int(reached[0]) if reached.size else None
