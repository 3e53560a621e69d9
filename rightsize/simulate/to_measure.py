"""What to measure, so that the interval of an answer at another scale gets narrower."""

from __future__ import annotations

from dataclasses import dataclass

from rightsize.istiod.model import FittedLaw, MeshLoad
from rightsize.namespaces.proxy_memory import ProxyMemoryLaw
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Interval

WIDE = 2.0
"""Upper over lower end from which an interval is worth narrowing."""
_GAIN = 0.1
"""Smallest share of its width that a measurement must take away to be named."""
_HOW = {
    "proxies": "run istiod with one pod more for three days: proxies connect anew within half an hour, "
    "so that each pod holds fewer of them while services stay",
    "services": "add as many Services without pods as there are now, for a day, in a namespace that "
    'istiod watches, with the annotation networking.istio.io/exportTo: "~", so that no proxy gets them',
    "endpoints": "scale one Deployment without sidecars behind a Service by a tenth of the mesh's pods, "
    "for a day",
    "pushes": "restart the largest Deployments over one day: pushes rise while proxies and services stay",
    "pushed_mib": "restart the largest Deployments over one day: more configuration is sent while "
    "proxies and services stay",
}
_SCOPED = (
    "give a Sidecar (rightsize scope) to one namespace of ten pods or more and collect a day: proxies "
    "with fewer clusters beside the others show the memory of one"
)
_SCRAPED = (
    "scrape the proxies' port 15090 (envoy_cluster_manager_active_clusters) and collect a day"
)
AMBIENT = (
    "move one namespace with traffic to ambient mode, with a waypoint, and collect a week: published "
    "figures then give way to its ztunnels' and waypoint's own"
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the history does not show, and how it can."""

    of: str
    """Figure that it narrows: istiod memory, istiod CPU, data plane."""
    unknown: str
    """What is not known."""
    how: str
    now: Interval | None = None
    then: Interval | None = None
    """That figure, of all pods, with this and those listed before it known; None where it cannot be
    foretold."""

    @property
    def text(self) -> str:
        """The same as a sentence."""
        if self.now is None or self.then is None:
            return f"{self.of} rests on {self.unknown}: {self.how}"
        write = format_cpu if self.of == "istiod CPU" else format_memory
        now, then = (
            f"{write(one.low)} to {write(one.high)}" for one in (self.now, self.then)
        )  # fmt: skip
        return (
            f"{self.of} is {now}, since {self.unknown} is not known; with it, as narrow as {then}: "
            f"{self.how}"
        )


def istiod_measurements(law: FittedLaw, load: MeshLoad, replicas: int) -> tuple[Measurement, ...]:
    """Name drivers until the interval is narrow, the one that narrows it most first.

    Parameters
    ----------
    load : MeshLoad
        At the scale asked about.
    replicas : int
        Pods of istiod there.
    """
    name = "istiod memory" if law.resource == "memory" else "istiod CPU"
    open_ones = [c.driver for c in law.coefficients if not c.identified]
    first = now = law.at(load, replicas).scaled(replicas)
    known: tuple[str, ...] = ()
    found: list[Measurement] = []
    while open_ones and now.high > WIDE * max(now.low, 1e-9):
        tried = {
            driver: law.at(load, replicas, known=(*known, driver)).scaled(replicas)
            for driver in open_ones
        }
        best = min(tried, key=lambda driver: _width(tried[driver]))
        if _width(now) - _width(tried[best]) < _GAIN * _width(first):
            break
        what = f"{law.resource} of one {law.named(best)}"
        found.append(Measurement(name, what, _HOW[best], now, tried[best]))
        now, known = tried[best], (*known, best)
        open_ones.remove(best)
    return tuple(found)


def sidecar_measurement(law: ProxyMemoryLaw | None, grows: bool) -> tuple[Measurement, ...]:
    """What the memory of sidecars rests on where services grow; nothing where this mesh shows it."""
    if not grows or (law is not None and law.measured):
        return ()
    unknown = "memory of one active cluster, which this mesh does not show"
    return (Measurement("data plane", unknown, _SCRAPED if law is None else _SCOPED),)


def _width(found: Interval) -> float:
    return found.high - found.low
