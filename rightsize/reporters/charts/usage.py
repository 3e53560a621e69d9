"""Requests against what was used."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from rightsize.reporters.charts.style import COLOURS, new_axes, note_source
from rightsize.results import Advice, Resource

_UNITS = {"cpu": (1000.0, "millicores"), "memory": (1 / 2**20, "MiB")}


def request_against_usage(
    advice: Advice, resource: Resource = "cpu", *, component: str = "sidecar"
) -> Axes:
    """Request now, recommended and used (p50, p95, peak) of each workload, sorted by p95.

    Parameters
    ----------
    advice : Advice
    resource : {'cpu', 'memory'}
    component : str
        Component whose workloads are drawn.
    """
    factor, unit = _UNITS[resource]
    rows = [r for r in advice.recommendations if r.component == component and r.workload]
    sizes = [r.cpu if resource == "cpu" else r.memory for r in rows]
    pairs = sorted(
        ((s, r) for s, r in zip(sizes, rows, strict=True) if s.usage.p95 is not None),
        key=lambda pair: pair[0].usage.p95 or 0.0,
    )
    axes = new_axes(9.0, 4.8)
    where = range(len(pairs))
    for x, (size, _) in zip(where, pairs, strict=True):
        low, high = (size.usage.p50 or 0) * factor, (size.usage.peak or 0) * factor
        axes.vlines(x, low, high, color=COLOURS["usage"], linewidth=1.2, alpha=0.7)
    # Each label stands at its own place along the row, so that none covers another.
    series = {
        "peak": ([s.usage.peak for s, _ in pairs], "v", COLOURS["peak"], 10, 0.55),
        "p95": ([s.usage.p95 for s, _ in pairs], "o", COLOURS["usage"], 14, 0.35),
        "request now": ([s.request for s, _ in pairs], "_", COLOURS["request"], 60, 0.06),
        "this step": (
            [s.recommended_request for s, _ in pairs],
            "_",
            COLOURS["recommended"],
            60,
            0.2,
        ),
    }
    for label, (values, marker, colour, size_of_marker, place) in series.items():
        known = [(x, v * factor) for x, v in zip(where, values, strict=True) if v]
        if not known:
            continue
        xs, ys = zip(*known, strict=True)
        axes.scatter(xs, ys, marker=marker, s=size_of_marker, color=colour, zorder=3)
        at = round(place * (len(xs) - 1))
        axes.annotate(
            label, (xs[at], ys[at]), xytext=(0, 6), textcoords="offset points", color=colour,
            ha="center", fontsize=8, fontweight="bold",
        )  # fmt: skip
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xticks([])
    axes.set_xlabel(f"{len(pairs)} workloads, sorted by p95")
    axes.set_ylabel(f"{resource if resource == 'memory' else 'CPU'}, {unit} (log scale)")
    axes.set_title(f"What {component}s request and what they use", loc="left")
    axes.margins(x=0.02)
    simulated = "simulated demo mesh" if advice.simulated else f"cluster {advice.cluster}"
    note_source(
        axes,
        f"{simulated}, {advice.start:%Y-%m-%d} to {advice.end:%Y-%m-%d} UTC, 5-minute windows of "
        "all pods",
    )
    return axes
