"""Clusters side by side: what the mesh costs, and what of the bill could go."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from rightsize.output.charts.style import COLOURS, entitle, new_axes

_MOST_CLUSTERS = 12


def clusters_chart(clusters: pd.DataFrame) -> Axes:
    """Two bars for each of the dearest clusters.

    Parameters
    ----------
    clusters : DataFrame
        `cluster`, `mesh_usd`, `available_usd` (USD a month, NaN is unknown), the dearest first.
    """
    rows = clusters.head(_MOST_CLUSTERS).iloc[::-1]
    places = np.arange(len(rows), dtype=float)
    axes = new_axes(9.0, 0.36 * len(rows) + 1.6)
    for shift, name, label, colour in (
        (0.2, "mesh_usd", "mesh cost", "peak"),
        (-0.2, "available_usd", "saving available", "usage"),
    ):
        usd = rows[name].fillna(0.0)
        axes.barh(places + shift, usd, height=0.36, color=COLOURS[colour], label=label)
    axes.set_yticks(places, [str(name) for name in rows["cluster"]])
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("${x:,.0f}"))
    # Beside the bars: they may reach the edge.
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    more = len(clusters) - len(rows)
    entitle(axes, "Mesh cost and saving by cluster",
            "USD in the month" + (f"; {more} smaller clusters are in the table" if more else ""))  # fmt: skip
    return axes
