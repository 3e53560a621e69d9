"""Waste against risk: where each policy stands, and the frontier."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from rightsize.analysis.backtest import frontier
from rightsize.errors import NoDataError
from rightsize.reporters.charts.style import COLOURS, new_axes, note_source

_OURS = ("cautious", "balanced", "lean")


def waste_against_risk(
    totals: pd.DataFrame,
    *,
    waste: str = "cpu_slack",
    risk: str = "cpu_above",
    source: str = "",
) -> Axes:
    """Each policy as a labelled point, the profiles told apart, the frontier as a line.

    Parameters
    ----------
    totals : DataFrame
        `policy` and the two measures as shares, as `Backtest.totals` has them.
    waste, risk : str
        Columns for the two axes; lower is better in both.
    source : str
        Written under the chart.

    Raises
    ------
    NoDataError
        If no policy has both measures.
    """
    rows = totals.dropna(subset=[waste, risk])
    if rows.empty:
        raise NoDataError(f"no policy has both {waste} and {risk}")
    x, y = (rows[name].to_numpy(float) * 100 for name in (waste, risk))
    axes = new_axes(8.0, 5.0)
    best = np.flatnonzero(frontier(x, y))
    best = best[np.argsort(x[best])]
    axes.step(x[best], y[best], where="post", color=COLOURS["good"], linewidth=1.2, zorder=1)
    for name, left, up in zip(rows["policy"], x, y, strict=True):
        ours = str(name).startswith(_OURS)
        colour = COLOURS["recommended" if ours else "peak"]
        axes.scatter(left, up, color=colour, marker="o" if ours else "s", s=36, zorder=2)
        axes.annotate(
            str(name), (left, up), xytext=(6, 4), textcoords="offset points", color=colour,
            fontsize=8,
        )  # fmt: skip
    axes.set_xlabel(_LABELS.get(waste, waste))
    axes.set_ylabel(_LABELS.get(risk, risk))
    axes.margins(x=0.15, y=0.12)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.set_title("Waste against risk out of sample; green: no policy is better in both")
    note_source(axes, source or "circles: profiles; squares: other policies")
    return axes


_LABELS = {
    "cpu_slack": "CPU request unused, % (mean over workloads)",
    "cpu_above": "5-minute windows above the CPU request, %",
    "memory_slack": "memory request unused, % (mean over workloads)",
    "memory_limit_slack": "memory limit unused, % (mean over workloads)",
    "memory_hit": "7-day windows of a pod with memory above its limit, %",
    "memory_above": "5-minute windows above the memory request, %",
}
