"""What a proxy of ambient mode uses: published, or measured where some run in this mesh."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from rightsize.data_files import data_file
from rightsize.istiod.law import Floats, NonNegativeQuantileLaw
from rightsize.results import Interval

Part = Literal["ztunnel", "waypoint", "sidecar"]
PARTS: tuple[Part, ...] = ("ztunnel", "waypoint", "sidecar")
RATE = 1000.0
"""Requests a second at which published figures were taken."""
PAYLOAD = 2000.0
"""Bytes of a request and its answer in them."""
_LEAST_UNITS = 3
_LEAST_FITTED = 6
"""Proxies below which a slope's interval holds the truth less often than it says."""
_RESAMPLES = 400


@dataclass(frozen=True, slots=True)
class Figure:
    """CPU in cores for one request a second, memory in bytes of one proxy."""

    part: Part
    cpu: Interval
    memory: Interval
    measured: bool
    sources: tuple[str, ...]

    @property
    def text(self) -> str:
        cpu, memory = self.cpu.scaled(RATE), self.memory.scaled(1e-6)
        kind = "measured on this mesh" if self.measured else "published"
        return (
            f"{self.part}, {kind}: {cpu.mid:.3g} vCPU for 1,000 requests/s ({cpu.low:.3g} to "
            f"{cpu.high:.3g}), {memory.mid:.0f} MB ({memory.low:.0f} to {memory.high:.0f}): "
            f"{'; '.join(dict.fromkeys(self.sources))}"
        )


@cache
def published() -> Mapping[Part, Figure]:
    """Figures of `data/ambient_figures.csv`."""
    with data_file("ambient_figures.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    found = {}
    for part in PARTS:
        row = next(one for one in rows if one["component"] == part)
        cpu, memory = (
            Interval(*(float(row[f"{name}_{end}"]) for end in ("low", "mid", "high")))
            for name in ("cpu", "memory")
        )
        sources = tuple(row[f"{end}_source"] for end in ("low", "mid", "high"))
        found[part] = Figure(part, cpu.scaled(1 / RATE), memory.scaled(1e6), False, sources)
    return found


def measured(
    part: Part, cpu: npt.ArrayLike, requests: npt.ArrayLike, memory: npt.ArrayLike, *, seed: int = 0
) -> Figure | None:
    """The figure of proxies that run here; None where too few have traffic.

    CPU for a request is the slope over the proxies, where their loads differ enough to separate it from
    what an idle one uses. Else it is the ratio of the sums, with 90 of 100 resamples of the proxies as
    its interval. With less traffic than published figures were taken at, idle CPU is a large part of that
    ratio, which then is only the upper end.

    Parameters
    ----------
    cpu, requests, memory : array-like of shape (n,)
        Mean cores, requests a second and p95 bytes of each proxy, or of each node's ztunnel.
    """
    used, rate, held = (np.asarray(v, dtype=np.float64) for v in (cpu, requests, memory))
    busy = np.isfinite(used) & np.isfinite(held) & (rate > 0)
    if busy.sum() < _LEAST_UNITS:
        return None
    used, rate, held = used[busy], rate[busy], held[busy]
    sizes = [float(value) for value in np.quantile(held, (0.05, 0.5, 0.95))]
    sources = [f"{len(used)} {part}s of this mesh"]
    price = _slope(rate, used)
    if price is None:
        price = _ratio(rate, used, np.random.default_rng(seed))
        if float(np.median(rate)) < RATE:
            known = published()[part]
            ends = min(price.low, known.cpu.low), min(price.mid, known.cpu.mid), price.high
            price = Interval(*ends)
            text = f"their idle CPU is in the high end, at {np.median(rate):.0f} requests/s each"
            sources += [text, *known.sources[:1]]
    return Figure(part, price, Interval(*sizes), True, tuple(sources))


def _slope(rate: Floats, used: Floats) -> Interval | None:
    """Cores of one request a second; None where proxies differ too little to determine it."""
    if used.max() <= 0 or len(used) < _LEAST_FITTED:
        return None
    law = NonNegativeQuantileLaw().fit(rate[:, None], used)
    mid = float(law.coef_[0])
    if not law.identified_[0] or mid <= 0:
        return None
    low, high = (float(end) for end in law.coef_range_[0])
    return Interval(min(low, mid), mid, max(high, mid))


def _ratio(rate: Floats, used: Floats, random: np.random.Generator) -> Interval:
    drawn = random.integers(0, len(used), (_RESAMPLES, len(used)))
    ratios = used[drawn].sum(axis=1) / rate[drawn].sum(axis=1)
    mid = float(used.sum() / rate.sum())
    low, high = (float(value) for value in np.quantile(ratios, (0.05, 0.95)))
    return Interval(min(low, mid), mid, max(high, mid))
