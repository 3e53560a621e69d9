"""Money: where the bill goes, the waterfall of the saving, cost by namespace, exceptions."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import StrMethodFormatter

from rightsize.output.charts.style import COLOURS, INK, SOFT, TEXTS, entitle, new_axes, note_source

_MOST_BARS = 20
_DOLLARS = StrMethodFormatter("${x:,.0f}")
_PART_COLOURS = {"mesh": "peak", "application": "light", "system": "other", "idle": "request",
                 "shared": "usage"}  # fmt: skip


def bill_parts(parts: pd.DataFrame, source: str) -> Axes:
    """The bill as one bar a cause: the mesh, the applications, what nobody asked for.

    Parameters
    ----------
    parts : DataFrame
        `part`, `low`, `usd`, `high` (USD a month), largest first.
    """
    rows = parts.iloc[::-1]
    axes = new_axes(9.0, 0.42 * len(rows) + 1.5)
    colours = [COLOURS[_PART_COLOURS.get(str(name), "request")] for name in rows["part"]]
    total = float(rows["usd"].sum())
    shares = [0.0 if total == 0 else usd / total for usd in rows["usd"]]
    words = [f"${usd:,.0f}, {share:.1%}" for usd, share in zip(rows["usd"], shares, strict=True)]
    _bars(axes, rows, words, colours)
    axes.set_yticks(range(len(rows)), [str(name) for name in rows["part"]])
    entitle(axes, f"Where ${total:,.0f} went", "USD in the month; whiskers: range")
    note_source(axes, source)
    return axes


def saving_waterfall(steps: pd.DataFrame, source: str) -> Axes:
    """Machine cost today, what each stage takes off, and what is left; ranges as whiskers.

    Parameters
    ----------
    steps : DataFrame
        `label`, `usd_low`, `usd`, `usd_high` (USD a month), `nodes`; the first row is today.
    source : str
        Where prices are from, and the window.
    """
    usd = steps["usd"].to_numpy(dtype=float)
    last = len(usd)
    axes = new_axes(9.0, 4.6)
    axes.bar(0, usd[0], color=COLOURS["request"], width=0.62)
    axes.bar(last, usd[-1], color=COLOURS["recommended"], width=0.62)
    for x in range(1, last):
        rises = usd[x] > usd[x - 1]
        axes.bar(
            x, abs(usd[x] - usd[x - 1]), bottom=min(usd[x], usd[x - 1]), width=0.62,
            color=COLOURS["peak" if rises else "good"],
        )  # fmt: skip
        words = f"{'+' if rises else '−'}${abs(usd[x] - usd[x - 1]):,.0f}"
        axes.text(
            x, max(usd[x], usd[x - 1]) + usd[0] * 0.015, words, ha="center", va="bottom",
            color=TEXTS["peak" if rises else "good"], fontweight="bold",
        )  # fmt: skip
    for x in range(last):
        axes.plot([x, x + 1], [usd[x], usd[x]], color=SOFT, linewidth=0.7, zorder=0)
    spread = np.clip([usd - steps["usd_low"], steps["usd_high"] - usd], 0, None)
    places = [*range(last), last]
    _whiskers(axes, places, [*usd, usd[-1]], np.column_stack([spread, spread[:, -1]]))
    for x in (0, last):
        axes.text(x, usd[x - (x == last)] * 0.04, f"${usd[x - (x == last)]:,.0f}", ha="center",
                  color="#ffffff", fontweight="bold")  # fmt: skip
    names = [*steps["label"], "what stays"]
    nodes = [*steps["nodes"], steps["nodes"].iloc[-1]]
    labels = [
        f"{textwrap.fill(str(t), 16)}\n{n:g} nodes" for t, n in zip(names, nodes, strict=True)
    ]
    axes.set_xticks(places, labels, fontsize=9, color=INK)
    axes.tick_params(axis="x", length=0)
    axes.yaxis.set_major_formatter(_DOLLARS)
    axes.set_ylim(0, float(max(steps["usd_high"].max(), usd.max())) * 1.12)
    change = usd[0] - usd[-1]
    title = (
        f"Machines: ${usd[0]:,.0f} now, ${usd[-1]:,.0f} when every step is taken"
        if change > 0
        else "No node set is cheaper than today's"
    )
    entitle(axes, title, "USD in the month, machines and root volumes; whiskers: range")
    note_source(axes, source)
    return axes


def cost_by_namespace(costs: pd.DataFrame, source: str) -> Axes:
    """What sidecars cost, by namespace, largest on top.

    Parameters
    ----------
    costs : DataFrame
        `namespace`, `usd` (USD a month) and, where known, its range `low`, `high`.
    """
    rows = costs.sort_values(["usd", "namespace"]).tail(_MOST_BARS)
    axes = new_axes(9.0, max(2.4, 0.32 * len(rows) + 1.5))
    _bars(axes, rows, [f"${usd:,.2f}" for usd in rows["usd"]], [COLOURS["peak"]] * len(rows))
    axes.set_yticks(range(len(rows)), [_short(str(n)) for n in rows["namespace"]])
    left = len(costs) - len(rows)
    more = f"; the {left} cheaper ones are in the table" if left else ""
    entitle(
        axes,
        f"Sidecars cost ${costs['usd'].sum():,.0f}, by namespace",
        f"USD in the month; whiskers: range from prices' age{more}",
    )
    note_source(axes, source)
    return axes


def exceptions_curve(curve: pd.DataFrame, chosen: int, source: str) -> Axes:
    """Cost of all sidecars' requests by the number of workloads with sizes of their own.

    Parameters
    ----------
    curve : DataFrame
        `exceptions` (a count), `usd` (USD a month, the least with so many; NaN where they are too
        few) and, where known, its range `low`, `high`.
    chosen : int
        The number recommended.
    """
    known = curve.dropna(subset=["usd"])
    axes = new_axes(9.0, 3.8)
    title = "One default or many exceptions"
    if len(known):
        if {"low", "high"} <= set(known.columns):
            axes.fill_between(known["exceptions"], known["low"], known["high"], step="post",
                              color=COLOURS["light"], alpha=0.3, linewidth=0)  # fmt: skip
        axes.step(known["exceptions"], known["usd"], where="post", color=COLOURS["recommended"])
        at = known[known["exceptions"] == min(chosen, int(curve["exceptions"].max()))]
        least, start = float(known["usd"].iloc[-1]), float(known["usd"].iloc[0])
        if len(at):
            x, usd = int(at["exceptions"].iloc[0]), float(at["usd"].iloc[0])
            axes.plot([x], [usd], "o", color=COLOURS["peak"])
            axes.annotate(
                f"chosen: {x}, ${usd:,.0f}", (x, usd), xytext=(8, 8), textcoords="offset points",
                color=TEXTS["peak"], fontweight="bold",
            )  # fmt: skip
            title = f"{x} exception{'' if x == 1 else 's'}: {_won(start, usd, least)}"
        axes.set_ylim(0, float(known.get("high", known["usd"]).max()) * 1.1)
    axes.yaxis.set_major_formatter(_DOLLARS)
    axes.grid(axis="y")
    axes.set_xlabel("workloads with annotations of their own")
    entitle(
        axes, title, "USD in the month that all sidecars' requests are worth; band: prices' age"
    )
    note_source(axes, source)
    return axes


def _won(start: float, usd: float, least: float) -> str:
    if start <= least:
        return "more of them would bring nothing"
    return f"{(start - usd) / (start - least):.0%} of what sizes of their own could bring"


def _bars(axes: Axes, rows: pd.DataFrame, words: list[str], colours: list[str]) -> None:
    """Horizontal bars with their range, each with its words at the end."""
    usd = rows["usd"].to_numpy(dtype=float)
    axes.barh(range(len(rows)), usd, color=colours, height=0.68)
    ends = usd
    if {"low", "high"} <= set(rows.columns):
        ends = rows["high"].fillna(rows["usd"]).to_numpy(dtype=float)
        spread = np.clip([usd - rows["low"], rows["high"] - usd], 0, None)
        axes.errorbar(usd, range(len(rows)), xerr=spread, fmt="none", ecolor=INK, capsize=3,
                      linewidth=1)  # fmt: skip
    for y, (end, text) in enumerate(zip(np.maximum(ends, usd), words, strict=True)):
        axes.annotate(text, (end, y), xytext=(6, 0), textcoords="offset points", va="center",
                      color=INK)  # fmt: skip
    axes.set_xlim(min(0.0, float(usd.min(initial=0.0))), float(ends.max(initial=1.0)) * 1.16)
    axes.xaxis.set_major_formatter(_DOLLARS)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(axis="x")


def _whiskers(axes: Axes, x: list[int], y: list[float], spread: np.ndarray) -> None:
    axes.errorbar(x, y, yerr=spread, fmt="none", ecolor=INK, capsize=4, linewidth=1, zorder=3)


def _short(name: str) -> str:
    return name if len(name) <= 40 else f"{name[:37]}…"
