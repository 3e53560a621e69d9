"""Machines: nodes over the month, and how full each is."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from rightsize.output.charts.style import (
    COLOURS,
    INK,
    SOFT,
    TEXTS,
    entitle,
    label_end,
    new_axes,
    note_source,
)

_LINES: Mapping[str, tuple[str, str]] = {
    "seen": ("seen", "request"),
    "before": ("today's requests", "light"),
    "after": ("recommended", "recommended"),
}


def nodes_over_time(hours: pd.DataFrame, source: str, promised: float | None = None) -> Axes:
    """Nodes at once over the month: those seen, and those a replayed autoscaler would have run.

    Parameters
    ----------
    hours : DataFrame
        `time` (UTC) and any of `seen`, `before`, `after`: nodes at once; NaN where not known.
    promised : float, optional
        Nodes promised for the recommended requests: enough for the busiest hour and a rollout.
    """
    axes = new_axes(9.0, 4.0)
    levels = []
    top = 1.0
    for name, (words, colour) in _LINES.items():
        rows = hours.dropna(subset=[name]) if name in hours.columns else hours.iloc[:0]
        if not len(rows):
            continue
        values = rows[name].to_numpy(dtype=float)
        times = mdates.date2num(rows["time"].to_numpy())
        axes.step(times, values, where="pre", color=COLOURS[colour], linewidth=1.6)
        levels.append((float(values[-1]), f"{words}: {values.mean():.1f}", colour))
        top = max(top, float(values.max()))
    if promised is not None:
        axes.axhline(promised, color=COLOURS["good"], linestyle="--", linewidth=1.2)
        levels.append((promised, f"promised: {promised:g}", "good"))
        top = max(top, promised)
    axes.set_ylim(0, top * 1.12)
    label_end(axes, levels)
    axes.xaxis_date()
    axes.xaxis.set_major_locator(mdates.DayLocator(interval=_days_apart(hours["time"])))
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%d %b"))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y")
    entitle(
        axes,
        _count_title(hours),
        "nodes at once by hour, with their mean; promised: enough for the busiest hour and a rollout",
    )
    note_source(axes, source)
    return axes


def packed_nodes(before: pd.DataFrame, after: pd.DataFrame, source: str) -> Axes:
    """Each node's CPU and memory requests as shares of what it offers, before and after.

    Parameters
    ----------
    before, after : DataFrame
        One row a node: `cpu_mesh`, `cpu_other`, `memory_mesh`, `memory_other` (shares, 0 to 1).
    """
    axes = new_axes(9.0, 4.4)
    gap = max(2, round(0.04 * (len(before) + len(after))))
    offset = 0
    for label, nodes in (("now", before), ("planned", after)):
        full = nodes["cpu_mesh"] + nodes["cpu_other"]
        rows = nodes.loc[full.sort_values(ascending=False, kind="stable").index]
        x = offset + np.arange(len(rows), dtype=float)
        for shift, resource, tone in ((-0.21, "cpu", 1.0), (0.21, "memory", 0.5)):
            other = rows[f"{resource}_other"].to_numpy(float)
            mesh = rows[f"{resource}_mesh"].to_numpy(float)
            axes.bar(x + shift, other, 0.38, color=COLOURS["light"], alpha=tone)
            axes.bar(x + shift, mesh, 0.38, bottom=other, color=COLOURS["peak"], alpha=tone)
        idle = 1 - float(full.mean()) if len(rows) else 0.0
        axes.text(
            offset + (len(rows) - 1) / 2, -0.03,
            f"{label}: {len(rows)} nodes\n{idle:.0%} of CPU not requested",
            ha="center", va="top", color=INK,
        )  # fmt: skip
        offset += len(rows) + gap
    axes.axhline(1.0, color=SOFT, linewidth=0.8)
    axes.set_xticks([])
    axes.set_xlim(-1.2, offset - gap + 0.2)
    axes.set_ylim(0, 1.14)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    for place, words, colour in ((1.0, "the mesh", "peak"), (0.87, "everything else", "light")):
        axes.text(
            place, 0.995, words, transform=axes.transAxes, ha="right", va="top",
            color=TEXTS[colour], fontweight="bold",
        )  # fmt: skip
    entitle(
        axes,
        f"{len(before)} nodes now, {len(after)} planned",
        "requests as share of what each node offers; left bar CPU, pale right bar memory",
    )
    note_source(axes, source)
    return axes


def _count_title(hours: pd.DataFrame) -> str:
    means = {name: hours[name].mean() for name in _LINES if name in hours.columns}
    now = means.get("seen", means.get("before"))
    after = means.get("after")
    if now is None or after is None or pd.isna(now) or pd.isna(after):
        return "Nodes over the month"
    return f"{now:.0f} nodes ran; {after:.0f} would have served the recommended requests"


def _days_apart(times: pd.Series) -> int:
    """Days between labels, eight of them at most."""
    days = (times.max() - times.min()).days + 1 if len(times) else 1
    return -(-days // 8)
