"""Waste against risk: where each policy stands, and the frontier."""

from __future__ import annotations

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from rightsize.errors import NoDataError
from rightsize.output.charts.style import COLOURS, TEXTS, entitle, new_axes, note_source
from rightsize.results import Resource
from rightsize.sizing.backtest import frontier
from rightsize.sizing.policies import History
from rightsize.sizing.profiles import profiles


def waste_against_risk(
    totals: pd.DataFrame, *, waste: str = "cpu_slack", risk: str = "cpu_above", source: str = ""
) -> Axes:
    """Each policy as a labelled point, the profiles marked, the frontier as a line.

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
        mark_policy(axes, str(name), left, up, ours=str(name).startswith(profiles()))
    axes.set_xlabel(_LABELS.get(waste, waste))
    axes.set_ylabel(_LABELS.get(risk, risk))
    axes.margins(x=0.15, y=0.12)
    axes.grid()
    entitle(
        axes,
        "Waste against risk, out of sample",
        "lower left is better; circles: profiles, squares: others; green: none is better in both",
    )
    note_source(axes, source or "fitted on the past, scored on what came next")
    return axes


def past_stretches(history: History, windows: pd.DataFrame, resource: Resource = "cpu") -> Axes:
    """One workload's history, and what each policy would have requested for each stretch of it.

    Parameters
    ----------
    windows : DataFrame
        The workload's rows of `Backtest.windows`.

    Raises
    ------
    NoDataError
        If the resource was never seen.
    """
    times, _, values = history.known(resource)
    if not values.size:
        raise NoDataError(f"no {resource} usage to draw")
    factor, unit = (1000.0, "CPU, millicores") if resource == "cpu" else (2**-20, "memory, MiB")
    hours = pd.Series(values * factor).groupby(times // 3600)
    spread = pd.DataFrame({"middle": hours.median(), "high": hours.max()})
    x = mdates.date2num(pd.to_datetime(spread.index.to_numpy() * 3600, unit="s").to_numpy())
    axes = new_axes(9.0, 4.6)
    axes.fill_between(x, 0, spread["high"], color=COLOURS["usage"], alpha=0.35, linewidth=0)
    axes.plot(x, spread["middle"], color=COLOURS["limit"], linewidth=0.6)
    names = list(dict.fromkeys(windows["policy"]))
    last: list[tuple[float, str, str]] = []
    for colour, name in zip(_CYCLE, names, strict=False):
        rows = windows[windows["policy"] == name].dropna(subset=[f"{resource}_request"])
        for row in rows.to_dict("records"):
            ends = mdates.date2num([row["start"], row["end"]])
            level = row[f"{resource}_request"] * factor
            axes.plot(ends, [level, level], color=colour, linewidth=1.8, alpha=0.9)
        if len(rows):
            last.append((float(level), str(name), colour))
    axes.xaxis_date()
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.set_ylim(bottom=0)
    _label_apart(axes, last)
    axes.set_ylabel(unit)
    first = windows.iloc[0]
    where = "/".join(str(first[name]) for name in ("namespace", "workload") if first[name])
    entitle(axes, f"{where}: requests each policy would have set, over what came next")
    note_source(axes, "area: highest of the hour, line: median, over all pods; UTC")
    return axes


def _label_apart(axes: Axes, levels: list[tuple[float, str, str]]) -> None:
    """Names at the right edge, each at its level or just above the one below."""
    gap, free = 0.045, 0.0
    top = axes.get_ylim()[1]
    for level, name, colour in sorted(levels):
        free = max(level / top, free)
        axes.text(
            1.005, free, name, transform=axes.transAxes, color=colour, va="center", fontsize=8
        )
        free += gap


_CYCLE = tuple(COLOURS[c] for c in ("recommended", "peak", "good", "other", "light", "limit",
                                    "request", "usage"))  # fmt: skip


def mark_policy(axes: Axes, name: str, x: float, y: float, *, ours: bool) -> None:
    """One labelled point: profiles as circles with the label below, others as squares, above."""
    tone = "recommended" if ours else "peak"
    axes.scatter(x, y, color=COLOURS[tone], marker="o" if ours else "s", s=36, zorder=2)
    axes.annotate(
        name, (x, y), xytext=(-4, -5) if ours else (5, 4), textcoords="offset points",
        ha="right" if ours else "left", va="top" if ours else "bottom", color=TEXTS[tone], fontsize=9,
    )  # fmt: skip


_LABELS = {
    "cpu_slack": "CPU request unused, % (mean over workloads)",
    "cpu_above": "5-minute windows above the CPU request, %",
    "memory_slack": "memory request unused, % (mean over workloads)",
    "memory_limit_slack": "memory limit unused, % (mean over workloads)",
    "memory_hit": "7-day windows of a pod with memory above its limit, %",
    "memory_above": "5-minute windows above the memory request, %",
}
