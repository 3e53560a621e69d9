"""Money and machines: waterfall, cost by namespace, exceptions, nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from rightsize.reporters.charts.style import COLOURS, new_axes, note_source
from rightsize.results import Interval


def saving_waterfall(steps: pd.DataFrame, source: str) -> Axes:
    """Machine cost at each stage, with its range, and what each stage takes off.

    Parameters
    ----------
    steps : DataFrame
        `label`, `usd_low`, `usd`, `usd_high` (USD a month), `nodes`.
    source : str
        Where prices are from, and the window.
    """
    axes = new_axes(9.0, 4.4)
    usd = steps["usd"].to_numpy(dtype=float)
    before = np.concatenate([usd[:1], usd[:-1]])
    for x, (low, high) in enumerate(
        zip(np.minimum(usd, before), np.maximum(usd, before), strict=True)
    ):
        if x == 0:
            axes.bar(x, usd[0], color=COLOURS["request"], width=0.6)
            continue
        rises = usd[x] > before[x]
        axes.bar(x, usd[x], color=COLOURS["light"], width=0.6)
        axes.bar(
            x,
            high - low,
            bottom=low,
            width=0.6,
            color=COLOURS["peak" if rises else "good"],
            alpha=0.45,
        )
        axes.text(x, high, f"{usd[x] - before[x]:+,.0f}", ha="center", va="bottom", fontsize=8)
    spread = [usd - steps["usd_low"].to_numpy(float), steps["usd_high"].to_numpy(float) - usd]
    axes.errorbar(
        range(len(usd)),
        usd,
        yerr=np.clip(spread, 0, None),
        fmt="none",
        ecolor=COLOURS["limit"],
        capsize=4,
        linewidth=1,
    )
    labels = [
        f"{t}\n{n} nodes, ${u:,.0f}"
        for t, n, u in zip(steps["label"], steps["nodes"], usd, strict=True)
    ]
    axes.set_xticks(range(len(usd)), labels, fontsize=8)
    axes.set_ylabel("USD a month, machines and root volumes")
    axes.set_title("From today's machines to the end state; black: range", loc="left")
    axes.margins(y=0.12)
    note_source(axes, source)
    return axes


def cost_by_namespace(costs: pd.DataFrame, source: str) -> Axes:
    """What sidecars cost, by namespace, largest on top.

    Parameters
    ----------
    costs : DataFrame
        `namespace`, `usd` (USD a month).
    source : str
    """
    rows = costs.sort_values("usd").tail(20)
    axes = new_axes(8.0, max(2.2, 0.32 * len(rows) + 1.2))
    axes.barh(range(len(rows)), rows["usd"], color=COLOURS["recommended"])
    for y, value in enumerate(rows["usd"]):
        axes.text(value, y, f" ${value:,.2f}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [_short(str(n)) for n in rows["namespace"]])
    axes.set_xlabel("USD a month")
    axes.set_title("What sidecars cost, by namespace", loc="left")
    axes.margins(x=0.12)
    note_source(axes, source)
    return axes


def exceptions_curve(usd_per_month: Sequence[float | None], chosen: int, source: str) -> Axes:
    """Cost of all sidecars' requests by the number of workloads with sizes of their own.

    Parameters
    ----------
    usd_per_month : sequence of float or None
        Position `k`: the least cost with `k` exceptions; None where `k` are too few.
    chosen : int
        The number recommended.
    source : str
    """
    known = [(k, v) for k, v in enumerate(usd_per_month) if v is not None]
    axes = new_axes(7.5, 3.8)
    if known:
        xs, ys = zip(*known, strict=True)
        axes.step(xs, ys, where="post", color=COLOURS["recommended"])
        at = min(chosen, len(usd_per_month) - 1)
        value = usd_per_month[at]
        if value is not None:
            axes.plot([at], [value], "o", color=COLOURS["peak"])
            axes.annotate(
                f"chosen: {at}",
                (at, value),
                xytext=(6, 8),
                textcoords="offset points",
                color=COLOURS["peak"],
            )
        axes.set_ylim(0, max(ys) * 1.1)
    axes.set_xlabel("workloads with annotations of their own")
    axes.set_ylabel("USD a month, sidecar requests")
    axes.set_title("One default or many exceptions", loc="left")
    note_source(axes, source)
    return axes


def nodes_over_time(days: pd.DataFrame, planned: Interval | float | None, source: str) -> Axes:
    """Nodes that ran on each day, and those the recommended requests would need.

    Parameters
    ----------
    days : DataFrame
        `day`, `nodes` (mean over the day), and where replayed `nodes_after`.
    planned : float, optional
        Nodes promised for the recommended requests at the busiest hour.
    source : str
    """
    axes = new_axes(8.5, 3.6)
    axes.step(days["day"], days["nodes"], where="mid", color=COLOURS["request"], linewidth=2)
    _end_label(
        axes,
        days["day"].iloc[-1],
        float(days["nodes"].iloc[-1]),
        "today's requests",
        COLOURS["request"],
    )
    if "nodes_after" in days:
        axes.step(
            days["day"], days["nodes_after"], where="mid", color=COLOURS["recommended"], linewidth=2
        )
        _end_label(
            axes,
            days["day"].iloc[-1],
            float(days["nodes_after"].iloc[-1]),
            "recommended",
            COLOURS["recommended"],
        )
    if isinstance(planned, float | int):
        axes.axhline(planned, color=COLOURS["good"], linestyle="--")
        _end_label(
            axes, days["day"].iloc[-1], float(planned), "promised, busiest hour", COLOURS["good"]
        )
    axes.set_ylim(bottom=0)
    axes.set_ylabel("nodes")
    axes.set_title("Nodes over the month", loc="left")
    axes.tick_params(axis="x", labelrotation=30)
    note_source(axes, source)
    return axes


def packed_nodes(before: pd.DataFrame, after: pd.DataFrame, source: str) -> Axes:
    """Each node's CPU and memory requests as shares of what it offers, before and after.

    Parameters
    ----------
    before, after : DataFrame
        One row a node: `cpu_mesh`, `cpu_other`, `memory_mesh`, `memory_other` (shares, 0 to 1).
    source : str
    """
    axes = new_axes(9.0, 4.2)
    gap = 2
    offset = 0
    ticks = []
    for label, nodes in (("now", before), ("planned", after)):
        x = offset + np.arange(len(nodes), dtype=float)
        for shift, resource, tone in ((-0.2, "cpu", 1.0), (0.2, "memory", 0.55)):
            other = nodes[f"{resource}_other"].to_numpy(float)
            mesh = nodes[f"{resource}_mesh"].to_numpy(float)
            axes.bar(x + shift, other, 0.36, color=COLOURS["light"], alpha=tone)
            axes.bar(x + shift, mesh, 0.36, bottom=other, color=COLOURS["peak"], alpha=tone)
        ticks.append((offset + (len(nodes) - 1) / 2, f"{label}: {len(nodes)} nodes"))
        offset += len(nodes) + gap
    axes.axhline(1.0, color=COLOURS["limit"], linewidth=0.8)
    axes.set_xticks([t for t, _ in ticks], [name for _, name in ticks])
    axes.set_ylim(0, 1.12)
    axes.set_ylabel("share of allocatable requested")
    axes.set_title(
        "Requests on each node: left bar CPU, right bar memory; red: the mesh", loc="left"
    )
    note_source(axes, source)
    return axes


def _end_label(axes: Axes, x: object, y: float, text: str, colour: str) -> None:
    axes.annotate(
        text,
        (x, y),
        xytext=(4, 4),
        textcoords="offset points",
        color=colour,
        fontsize=8,
        annotation_clip=False,
    )


def _short(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:37]}…"
