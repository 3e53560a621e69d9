"""What a recommendation rests on, as marks that live metrics can be held against."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import get_args

import pandas as pd

from rightsize.config import PolicySettings
from rightsize.errors import NoDataError
from rightsize.istiod.growth import fit_growth
from rightsize.istiod.propagation import SLOW_SECONDS
from rightsize.istiod.source import read_istiod
from rightsize.istiod.thresholds import daily_load
from rightsize.results import Advice, Component, Interval, Resource
from rightsize.snapshot import Snapshot
from rightsize.snapshot.views import usage_by_workload

USUAL_DAYS = 7
"""A week: workdays and weekend count as they are."""
_OLD_DAYS = 45
"""A month and a half: one monthly run was missed and the next is not in sight."""
_AHEAD_DAYS = 30
_LEAST_THROTTLED = 0.05


@dataclass(frozen=True, slots=True)
class UsualUse:
    """95th percentile over the last week of the mean use of a component's workloads.

    `value` is in cores or bytes for one pod; each workload counts alike.
    """

    component: Component
    resource: Resource
    value: float


@dataclass(frozen=True, slots=True)
class AlertMarks:
    """Where each alert begins."""

    advice: Advice
    usual: tuple[UsualUse, ...]
    services: Interval | None
    """Services projected for the end of `services_until`; None without istiod's metrics."""
    services_until: date | None
    near_limit: float
    """Share of the memory limit: half-way between the highest peak admitted and the limit."""
    throttled_share: float
    """Share of CFS periods."""
    new_days: int
    """A workload younger than this is new: nothing of it is cut."""
    slow_seconds: float
    old_after: datetime
    rate_seconds: int
    """Range of rates: four scrapes at least."""


def alert_marks(snapshot: Snapshot, advice: Advice, settings: PolicySettings) -> AlertMarks:
    """Derive the marks from a recommendation and the snapshot it was made from.

    Parameters
    ----------
    advice : Advice
        As `recommend` gives for this snapshot.
    settings : PolicySettings
        Those the advice was made with.
    """
    services, until = _services(snapshot)
    scrape = snapshot.manifest.scrape_interval_seconds or 60.0
    return AlertMarks(
        advice=advice,
        usual=tuple(_usual(snapshot)),
        services=services,
        services_until=until,
        near_limit=round((1 + 1 / (1 + settings.limit_margin)) / 2, 3),
        throttled_share=max(_LEAST_THROTTLED, 5 * settings.max_throttled_share),
        new_days=max(1, math.ceil(settings.min_days)),
        slow_seconds=SLOW_SECONDS,
        old_after=advice.end + timedelta(days=_OLD_DAYS),
        rate_seconds=max(300, math.ceil(4 * scrape / 60) * 60),
    )


def _services(snapshot: Snapshot) -> tuple[Interval | None, date | None]:
    """Services of the mesh 30 days after the snapshot, and that day."""
    by_day = daily_load(read_istiod(snapshot).hours)["services"]
    try:
        growth = fit_growth("services", by_day)
    except NoDataError:
        return None, None
    low, mid, high = (float(value) for value in growth.at(_AHEAD_DAYS)[0])
    return Interval(low, mid, high), growth.last_day + timedelta(days=_AHEAD_DAYS)


def _usual(snapshot: Snapshot) -> Iterator[UsualUse]:
    days = snapshot.days[-USUAL_DAYS:]
    parts = [_component_means(snapshot, day) for day in days]
    means = pd.concat(parts, ignore_index=True)
    for component in get_args(Component):
        group = means[means["component"] == component]
        for resource in get_args(Resource):
            value = float(group[resource].quantile(0.95))
            if value > 0:
                yield UsualUse(component, resource, value)


def _component_means(snapshot: Snapshot, day: date) -> pd.DataFrame:
    """Mean over workloads of the mean over their pods; columns time, component, cpu, memory."""
    joined = usage_by_workload(snapshot, [day], ["cpu", "memory"])
    by_workload = joined.groupby(["time", "component", "namespace", "workload"])[["cpu", "memory"]]
    return by_workload.mean().groupby(["time", "component"]).mean().reset_index()
