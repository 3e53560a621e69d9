"""What istiod used above its law: starts, bursts, and the rare events behind them.

A law describes ordinary hours. Requests must also hold in the others: a reconnect storm in which
one pod takes the proxies of all, a full push of the whole mesh, a pod's start. Each of them that was
seen counts at every number of replicas; none is averaged away because it is rare.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from rightsize.quantity import format_cpu, format_memory

START_HOURS = 2.0
"""Hours after a pod's start that count as its start."""
_EXPLAINED = 1.10
"""A figure up to this factor above the law's middle, or within its interval, is explained by it."""
_APART = pd.Timedelta(6, "h")
"""Hours above the law that are closer together than this are one event."""
_RARE_SHARE = 0.05
"""An event that fills more of the history than this is no event but an ordinary state."""
_STORM_SHARE = 1.25
"""Share of the proxies on one pod, over what the loss of one other pod explains: a storm."""
_AROUND = 25
"""Hours of which the median is the usual number of proxies."""
_AS_USUAL = 1.1
_PUSHES = 3.0
"""Pushes over their median from which an hour counts as a full push."""
_SHOWN = 5
_PUSHED = ("pushes", "pushed_mib")
"""Drivers that peaks come with: beyond their ordinary hours they explain no peak away."""

EventKind = Literal["start", "reconnect storm", "full push", "unexplained"]
Floats = npt.NDArray[np.float64]


class Law(Protocol):
    """What is needed here of a fitted law."""

    @property
    def drivers(self) -> tuple[str, ...]: ...

    def predict(self, X: Floats) -> tuple[Floats, Floats]:
        """Middle and upper end for rows of drivers."""
        ...


@dataclass(frozen=True, slots=True)
class PeakEvent:
    """A run of hours in which a pod stood above its law. CPU in cores, memory in bytes."""

    kind: EventKind
    start: datetime
    end: datetime
    memory: float | None
    cpu: float | None
    """Busiest 5 minutes."""


@dataclass(frozen=True, slots=True)
class Peaks:
    """How far what was seen stands above the law."""

    memory_start: float | None
    cpu_start: float | None
    """Busiest 5 minutes of a pod's first two hours, as a factor on the law's value."""
    cpu_burst: float | None
    """Busiest 5 minutes of an hour, as a factor on the law's value: full pushes are in it."""
    starts: int
    """Starts of a pod within the window, on which the two start figures rest."""
    memory_seen: float = 0.0
    cpu_seen: float = 0.0
    """Highest figures that the law does not explain at that pod's own load; 0 where it does."""
    memory_excess: float = 0.0
    cpu_excess: float = 0.0
    """Highest distance from the law's middle at that pod's own load."""
    storm_share: float = 0.0
    """Largest share of all proxies on one pod while the others were there; 0 where that is no more
    than the loss of one pod brings."""
    events: tuple[PeakEvent, ...] = ()
    """Rare events, the oldest first."""


def peaks_of(hours: pd.DataFrame, memory: Law, cpu: Law) -> Peaks:
    """Measure what stands above the law.

    Parameters
    ----------
    hours : DataFrame
        As `rightsize.istiod.observations.istiod_hours` gives.
    memory, cpu : Law
        Fitted on the same hours.
    """
    first_hour = hours["time"].min()
    ordinary = hours.assign(
        **{c: hours[c].clip(upper=float(hours[c].quantile(0.99))) for c in _PUSHED}
    )
    starting = (hours["age_hours"] <= START_HOURS) & (
        hours["time"] - pd.to_timedelta(hours["age_hours"], "h") >= first_hour
    )
    of_memory = _against(ordinary, memory, "memory")
    of_cpu = _against(ordinary, cpu, "cpu_burst")
    burst = of_cpu["ratio"].quantile(0.99)
    shares = _shares(hours)
    return Peaks(
        memory_start=_highest(of_memory["ratio"][starting]),
        cpu_start=_highest(of_cpu["ratio"][starting]),
        cpu_burst=None if pd.isna(burst) else float(burst),
        starts=int(hours["pod"][starting].nunique()),
        memory_seen=_most(hours["memory"][~of_memory["explained"]]),
        cpu_seen=_most(hours["cpu_burst"][~of_cpu["explained"]]),
        memory_excess=_most(of_memory["excess"]),
        cpu_excess=_most(of_cpu["excess"]),
        storm_share=_most(shares[_is_storm(hours, shares)]),
        events=_events(hours, of_memory, of_cpu, starting, shares),
    )


def events_text(events: tuple[PeakEvent, ...], written: str) -> tuple[str, ...]:
    """One sentence for each kind of event: how often, when last, and what it took.

    Parameters
    ----------
    written : str
        What is done about them: "covered at every number of replicas".
    """
    found = []
    for kind in dict.fromkeys(event.kind for event in events):
        group = [event for event in events if event.kind == kind]
        days = [f"{event.start:%Y-%m-%d}" for event in group]
        listed = ", ".join(days[-_SHOWN:])
        took = [
            f"up to {format_memory(max(e.memory for e in group if e.memory is not None))}"
            if any(e.memory is not None for e in group)
            else "",
            f"up to {format_cpu(max(e.cpu for e in group if e.cpu is not None))}"
            if any(e.cpu is not None for e in group)
            else "",
        ]
        sizes = " and ".join(text for text in took if text)
        times = "once" if len(group) == 1 else f"{len(group)} times"
        name = {"unexplained": "a peak without a known cause"}.get(kind, f"a {kind}")
        found.append(f"{name} was seen {times} ({listed}): {sizes}, {written}")
    return tuple(found)


def _against(hours: pd.DataFrame, law: Law, column: str) -> pd.DataFrame:
    """Each row against the law at its own load: ratio, excess, and whether the law explains it.

    A row of unknown load is not explained.
    """
    found = pd.DataFrame(
        {"ratio": np.nan, "excess": np.nan, "explained": hours[column].isna()}, index=hours.index
    )
    rows = hours.dropna(subset=[*law.drivers, column])
    if rows.empty:
        return found
    middle, high = law.predict(rows[list(law.drivers)].to_numpy(dtype=float))
    value = rows[column].to_numpy(dtype=float)
    found.loc[rows.index, "ratio"] = value / np.maximum(middle, 1e-9)
    found.loc[rows.index, "excess"] = value - middle
    found.loc[rows.index, "explained"] = value <= np.maximum(high, middle * _EXPLAINED)
    return found


def _shares(hours: pd.DataFrame) -> pd.Series:
    """Share of all proxies on each pod.

    A gauge is the highest of its hour, so that proxies which move within the hour count on both pods.
    Where one pod gained while the others together have no more than usual, the total is that of the
    hours around.
    """
    by_hour = hours.groupby("time")["proxies"]
    total, pods = by_hour.transform("sum"), by_hour.transform("size")
    usual = by_hour.sum().rolling(_AROUND, center=True, min_periods=1).median()
    around = hours["time"].map(usual)
    moved = total - hours["proxies"] <= _AS_USUAL * around * (pods - 1) / pods
    true = total.where(~moved, np.minimum(total, np.maximum(around, hours["proxies"])))
    return (hours["proxies"] / true.where(true > 0)).astype(float)


def _is_storm(hours: pd.DataFrame, shares: pd.Series) -> pd.Series:
    """Hours in which one pod held more proxies than the loss of one other pod explains."""
    pods = hours.groupby("time")["pod"].transform("nunique")
    return (pods >= 2) & (shares > _STORM_SHARE / (pods - 1).clip(lower=1)) | (
        (pods == 2) & (shares > 1 / _STORM_SHARE)
    )


def _events(
    hours: pd.DataFrame,
    of_memory: pd.DataFrame,
    of_cpu: pd.DataFrame,
    starting: pd.Series,
    shares: pd.Series,
) -> tuple[PeakEvent, ...]:
    """Runs of hours above the law, over all pods; none where such hours are ordinary."""
    far = _far(of_memory) | _far(of_cpu)
    marked = hours[far].sort_values("time")
    if marked.empty or marked["time"].nunique() > _RARE_SHARE * hours["time"].nunique():
        return ()
    storm, median = _is_storm(hours, shares), hours["pushes"].median()
    number = (marked["time"].diff() > _APART).cumsum()
    found = []
    for _, rows in marked.groupby(number):
        kind: EventKind = "unexplained"
        if storm[rows.index].any():
            kind = "reconnect storm"
        elif starting[rows.index].all():
            kind = "start"
        elif median > 0 and rows["pushes"].max() > _PUSHES * median:
            kind = "full push"
        memory, cpu = rows["memory"].max(), rows["cpu_burst"].max()
        found.append(
            PeakEvent(
                kind,
                rows["time"].iloc[0].to_pydatetime(),
                rows["time"].iloc[-1].to_pydatetime(),
                None if pd.isna(memory) else float(memory),
                None if pd.isna(cpu) else float(cpu),
            )
        )
    return tuple(found)


def _far(against: pd.DataFrame) -> pd.Series:
    """Above the law by half as much again as ninety-nine in a hundred hours stand above it."""
    usual = against["ratio"].quantile(0.9)
    return ~against["explained"] & (against["ratio"] > max(1.25, 1.25 * usual))


def _highest(ratios: pd.Series) -> float | None:
    known = ratios.dropna()
    return None if known.empty else max(1.0, float(known.max()))


def _most(values: pd.Series) -> float:
    most = values.max()
    return 0.0 if pd.isna(most) else max(0.0, float(most))
