"""What istiod needs, as laws fitted on its own history, with their error and their doubts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from rightsize.errors import NoDataError
from rightsize.istiod.diagnoses import Diagnosis, diagnose
from rightsize.istiod.law import End, Floats, NonNegativeQuantileLaw, quick_fit
from rightsize.istiod.observations import known_drivers
from rightsize.istiod.peaks import START_HOURS, Peaks, peaks_of
from rightsize.istiod.published import CPU_PRIORS, MEMORY_PRIORS, prior_source
from rightsize.results import Interval, Resource

MEMORY_DRIVERS = ("services", "proxies", "endpoints", "pushes")
CPU_DRIVERS = ("proxies", "services", "pushes", "pushed_mib")
_UNITS: Mapping[Resource, tuple[float, str]] = {"memory": (2**20, "MiB"), "cpu": (1e-3, "mCPU")}
_NAMES = {
    "services": "service",
    "proxies": "connected proxy",
    "endpoints": "endpoint",
    "pushes": "push/s",
    "pushed_mib": "MiB/s of configuration",
}
_LEAST_HOURS = 24
_FOLDS = 5


@dataclass(frozen=True, slots=True)
class MeshLoad:
    """What the whole control plane has to do.

    `pushes` in 1/s and `pushed_mib` in MiB/s are sums over all istiod pods. `endpoints` and
    `pushed_mib` are None where they were not seen.
    """

    services: float
    proxies: float
    pushes: float
    endpoints: float | None = None
    pushed_mib: float | None = None

    def of_one(self, replicas: float, drivers: Sequence[str]) -> list[float]:
        """Drivers of one of `replicas` pods: every pod knows all services, and shares proxies."""
        shared = {"proxies": self.proxies, "pushes": self.pushes, "pushed_mib": self.pushed_mib}
        whole = {"services": self.services, "endpoints": self.endpoints}
        return [
            (shared[d] or 0.0) / replicas if d in shared else (whole[d] or 0.0) for d in drivers
        ]


@dataclass(frozen=True, slots=True)
class Coefficient:
    """Price of one unit of a driver, in cores or bytes."""

    driver: str
    value: Interval
    identified: bool


@dataclass(frozen=True)
class FittedLaw:
    """CPU or memory of one istiod pod."""

    resource: Resource
    drivers: tuple[str, ...]
    estimator: NonNegativeQuantileLaw
    level: float
    coefficients: tuple[Coefficient, ...]
    cv_error: float
    """Median absolute error, as a share, on later hours than those fitted (time-series CV)."""
    rows: int
    diagnoses: tuple[Diagnosis, ...]

    def at(self, load: MeshLoad, replicas: float, known: Sequence[str] = ()) -> Interval:
        """What one of `replicas` pods uses under `load`: 90 of 100 hours are within.

        The prices of the drivers in `known` are taken for certain.
        """
        certain = tuple(self.drivers.index(driver) for driver in known)
        row = self.estimator.predict_interval([load.of_one(replicas, self.drivers)], certain)[0]
        return Interval(float(row[0]), float(row[1]), float(row[2]))

    def end_of(self, load: MeshLoad, replicas: float, end: End) -> float:
        """One end of `at`, or its middle, alone."""
        return float(self.estimator.predict_end([load.of_one(replicas, self.drivers)], end)[0])

    def middle(self, load: MeshLoad, replicas: float) -> float:
        """The middle of `at` alone: many times faster, for ranking."""
        return float(self.estimator.predict([load.of_one(replicas, self.drivers)])[0])

    def predict(self, X: Floats) -> tuple[Floats, Floats]:
        """Middle and usual upper end for rows of `drivers`, shape (rows, drivers): noise alone."""
        middle = self.estimator.predict(X)
        return middle, middle * (1 + max(float(self.estimator.noise_[1]), 0.0))

    @staticmethod
    def named(driver: str) -> str:
        """One unit of a driver, for people."""
        return _NAMES[driver]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know before trusting the law, as sentences."""
        factor, unit = _UNITS[self.resource]
        notes = []
        for c in self.coefficients:
            if not c.identified:
                notes.append(
                    f"{self.resource} of one {_NAMES[c.driver]} is not identified by this history "
                    f"(between {c.value.low / factor:.3g} and {c.value.high / factor:.3g} {unit}: "
                    f"too little spread of its own); {c.value.mid / factor:.3g} {unit} is used, as "
                    f"far as the history allows it: {prior_source(self.resource, c.driver)}"
                )
        return (*notes, *(f"{self.resource}: {d.text}" for d in self.diagnoses))


@dataclass(frozen=True)
class IstiodModel:
    """Laws of istiod's memory and CPU, the load they were fitted on, and its peaks."""

    memory: FittedLaw
    cpu: FittedLaw
    load: MeshLoad
    """Highest of the last 7 days; push rates: p99 of the hours."""
    replicas: float
    """Mean number of pods over the last day."""
    peaks: Peaks
    start: datetime
    end: datetime
    hours: int

    @property
    def trusted(self) -> bool:
        """No diagnosis says that the history follows another law."""
        return not (self.memory.diagnoses or self.cpu.diagnoses)


def fit_istiod(hours: pd.DataFrame, *, coverage: float = 0.9) -> IstiodModel:
    """Fit memory and CPU of one istiod pod on the hours seen.

    Parameters
    ----------
    hours : DataFrame
        As `rightsize.istiod.observations.istiod_hours` gives.
    coverage : float
        Share of new hours that an interval holds.

    Raises
    ------
    NoDataError
        With fewer than 24 hours of istiod's metrics and usage.
    """
    memory = _fit("memory", hours, MEMORY_DRIVERS, MEMORY_PRIORS, coverage)
    cpu = _fit("cpu", hours, CPU_DRIVERS, CPU_PRIORS, coverage)
    last_day = hours[hours["time"] > hours["time"].max() - pd.Timedelta(1, "D")]
    return IstiodModel(
        memory=memory,
        cpu=cpu,
        load=load_of(hours),
        replicas=float(last_day.groupby("time")["pod"].nunique().mean()),
        peaks=peaks_of(hours, memory, cpu),
        start=hours["time"].min().to_pydatetime(),
        end=hours["time"].max().to_pydatetime(),
        hours=int(hours["time"].nunique()),
    )


def load_of(hours: pd.DataFrame) -> MeshLoad:
    """The highest load of the last seven days, over all istiod pods."""
    recent = hours[hours["time"] > hours["time"].max() - pd.Timedelta(7, "D")]
    by_hour = recent.groupby("time")
    pushed = by_hour["pushed_mib"].sum(min_count=1)
    endpoints = recent["endpoints"].max()
    return MeshLoad(
        services=float(recent["services"].max()),
        proxies=float(by_hour["proxies"].sum().max()),
        pushes=float(by_hour["pushes"].sum().quantile(0.99)),
        endpoints=None if pd.isna(endpoints) else float(endpoints),
        pushed_mib=None if pushed.isna().all() else float(pushed.quantile(0.99)),
    )


def _fit(
    resource: Resource,
    hours: pd.DataFrame,
    wanted: Sequence[str],
    priors: Mapping[str, float],
    coverage: float,
) -> FittedLaw:
    drivers = known_drivers(hours, wanted)
    rows = hours.dropna(subset=[*drivers, resource, "age_hours"])
    # A pod that just started is not the law: its peak is measured apart.
    steady = rows[rows["age_hours"] > START_HOURS]
    hint = "scrape istiod's port 15014 and collect at least a day, then run again"
    if "proxies" not in drivers or "services" not in drivers:
        raise NoDataError(
            f"istiod's {resource} cannot be modelled without pilot_xds and pilot_services",
            hint=hint,
        )
    if len(steady) < _LEAST_HOURS:
        raise NoDataError(
            f"istiod's {resource} cannot be modelled: {len(steady)} hours of it, "
            f"{_LEAST_HOURS} are needed",
            hint=hint,
        )
    if not (steady[resource] > 0).any():
        raise NoDataError(f"istiod's {resource} cannot be modelled: it is never above 0", hint=hint)
    X, y = steady[drivers].to_numpy(dtype=float), steady[resource].to_numpy(dtype=float)
    pods = steady["pod"].to_numpy()
    law = NonNegativeQuantileLaw(coverage=coverage, priors=tuple(priors[d] for d in drivers))
    law.fit(X, y, groups=pods)
    return FittedLaw(
        resource=resource,
        drivers=tuple(drivers),
        estimator=law,
        level=law.intercept_,
        coefficients=_coefficients(drivers, law),
        cv_error=_forward_error(X, y),
        rows=len(steady),
        diagnoses=diagnose(steady, drivers, resource),
    )


def _coefficients(drivers: Sequence[str], law: NonNegativeQuantileLaw) -> tuple[Coefficient, ...]:
    found = []
    for number, driver in enumerate(drivers):
        low, high = (float(end) for end in law.coef_range_[number])
        value = float(law.coef_[number])
        interval = Interval(min(low, value), value, max(high, value))
        found.append(Coefficient(driver, interval, bool(law.identified_[number])))
    return tuple(found)


def _forward_error(X: Floats, y: Floats) -> float:
    """Median absolute relative error on later hours than those fitted."""
    errors = []
    folds = min(_FOLDS, len(y) - 1)
    size = len(y) // (folds + 1)
    for begin in range(len(y) - folds * size, len(y), size):
        if begin < 3:
            continue
        future = slice(begin, begin + size)
        found = quick_fit(X[:begin], y[:begin])
        known = y[future] > 0
        predicted = found[0] + X[future] @ found[1:]
        errors.append(np.abs(predicted - y[future])[known] / y[future][known])
    return float(np.median(np.concatenate(errors)))
