"""Growth of the mesh against the marks it will pass."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.ticker import StrMethodFormatter

from rightsize.errors import NoDataError
from rightsize.istiod.thresholds import Crossing, Outlook
from rightsize.output.charts.style import COLOURS, TEXTS, entitle, new_axes, note_source

_AHEAD_DAYS = 365


def growth_with_thresholds(
    ahead: Outlook, *, quantity: str = "services", cluster: str, simulated: bool
) -> Axes:
    """Projected growth of one quantity with its nine-in-ten band, and the marks it passes.

    Parameters
    ----------
    quantity : str
        `services`, `proxies` or `endpoints`.
    simulated : bool
        The source line says so.

    Raises
    ------
    NoDataError
        If the growth of `quantity` is not known.
    """
    growth = ahead.of(quantity)
    if growth is None:
        raise NoDataError(f"growth of {quantity} is not known", hint="; ".join(ahead.notes) or None)
    days = np.linspace(0, _AHEAD_DAYS, 60)
    band = growth.at(days)
    last = datetime(growth.last_day.year, growth.last_day.month, growth.last_day.day)
    times = np.array([date2num(last + timedelta(days=float(d))) for d in days])
    axes = new_axes()
    axes.fill_between(times, band[:, 0], band[:, 2], color=COLOURS["light"], alpha=0.35, lw=0)
    axes.plot(times, band[:, 1], color=COLOURS["recommended"])
    axes.annotate(
        quantity, (times[-1], band[-1, 1]), xytext=(4, 0), textcoords="offset points",
        color=TEXTS["recommended"], va="center", fontsize=9,
    )  # fmt: skip
    top = float(band[:, 2].max())
    marks = [c for c in ahead.crossings if c.threshold.quantity == quantity]
    for crossing in marks:
        if crossing.threshold.value <= top * 1.3:
            _mark(axes, crossing, times[0])
    axes.xaxis.set_major_locator(AutoDateLocator())
    axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.set_ylim(bottom=0)
    axes.set_ylabel(quantity)
    axes.grid(axis="y")
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    entitle(
        axes,
        f"{band[0, 1]:,.0f} {quantity} now, {band[-1, 1]:,.0f} expected in a year",
        f"{quantity}; the band holds nine in ten; red: marks and when they are passed",
    )
    name = "simulated demo mesh" if simulated else f"cluster {cluster}"
    note_source(axes, f"{name}, fitted on {growth.days} days up to {growth.last_day} UTC")
    return axes


def _mark(axes: Axes, crossing: Crossing, left: float) -> None:
    axes.axhline(crossing.threshold.value, color=COLOURS["peak"], linewidth=0.9, linestyle="--")
    when = "passed" if crossing.passed else f"expected {crossing.expected or 'beyond two years'}"
    axes.annotate(
        f"{crossing.threshold.what}: {when}", (left, crossing.threshold.value), xytext=(4, 3),
        textcoords="offset points", color=COLOURS["peak"], fontsize=8,
    )  # fmt: skip
