"""The history of one container: what it used, what is in force, what is recommended."""

from __future__ import annotations

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from rightsize.output.charts.style import COLOURS, TEXTS, entitle, new_axes, note_source
from rightsize.results import Recommendation, Resource

_UNITS = {"cpu": (1000.0, "CPU, millicores"), "memory": (1 / 2**20, "memory, MiB")}


def usage_history(usage: pd.DataFrame, row: Recommendation, resource: Resource = "cpu") -> Axes:
    """Hourly median and highest use over all pods, with request and limit lines.

    Parameters
    ----------
    usage : DataFrame
        Columns time, pod, cpu (cores), memory (bytes): 5-minute windows.
    row : Recommendation
        Its sizes are drawn as lines.
    """
    factor, label = _UNITS[resource]
    values = usage[["time", resource]].dropna()
    hours = values.groupby(values["time"].dt.floor("1h"))[resource]
    spread = pd.DataFrame({"middle": hours.median(), "high": hours.max()}) * factor
    axes = new_axes(9.0, 4.2)
    times = mdates.date2num(spread.index.to_numpy())
    axes.fill_between(times, 0, spread["high"], color=COLOURS["usage"], alpha=0.35, linewidth=0)
    axes.plot(times, spread["middle"], color=COLOURS["peak"], linewidth=0.9)
    axes.xaxis_date()
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(axes.xaxis.get_major_locator()))
    size = row.cpu if resource == "cpu" else row.memory
    lines = [
        ("request now", size.request, "request", "-"),
        ("this step", size.recommended_request, "recommended", "-"),
        ("end state", size.target_request, "good", "--"),
    ]
    if len(spread):
        _label(axes, times[-1], float(spread["high"].iloc[-1]), "highest", "usage")
        _label(axes, times[-1], float(spread["middle"].iloc[-1]), "median", "peak")
    for text, value, colour, style in lines:
        if value is not None:
            axes.axhline(value * factor, color=COLOURS[colour], linestyle=style, linewidth=1.2)
            _label(axes, times[-1] if len(times) else 0.0, value * factor, text, colour)
    top = float(np.nanmax(spread["high"])) if len(spread) else 1.0
    axes.set_ylim(0, 1.1 * max(top, *(v * factor for _, v, _, _ in lines if v is not None), 1e-9))
    axes.set_ylabel(label)
    entitle(axes, f"{row.key}, container {row.container}")
    start, end = usage["time"].min(), usage["time"].max()
    note_source(axes, f"{start:%Y-%m-%d} to {end:%Y-%m-%d} UTC, by hour, over all pods")
    return axes


def _label(axes: Axes, x: float, y: float, text: str, colour: str) -> None:
    axes.annotate(
        text, (x, y), xytext=(4, 0), textcoords="offset points", color=TEXTS[colour],
        va="center", fontsize=9, annotation_clip=False,
    )  # fmt: skip
