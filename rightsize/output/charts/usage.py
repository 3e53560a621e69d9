"""Requests against what was used."""

from __future__ import annotations

from statistics import median

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from rightsize.output.charts.style import COLOURS, TEXTS, entitle, halo, new_axes, note_source
from rightsize.results import Advice, Recommendation, Resource, ResourceAdvice

_UNITS = {"cpu": (1000.0, "millicores"), "memory": (1 / 2**20, "MiB")}
_LOG_FROM = 10.0
"""Ratio of the highest to the lowest value from which a log scale shows more."""


def request_against_usage(
    advice: Advice, resource: Resource = "cpu", *, component: str = "sidecar"
) -> Axes:
    """Request now, recommended and used (p50, p95, peak) of each workload, sorted by p95.

    Parameters
    ----------
    component : str
        Component of the workloads that are drawn.
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
    ends = [(s.usage.p50 or 0.0, s.usage.peak or 0.0) for s, _ in pairs]
    for x, (low, high) in zip(where, ends, strict=True):
        axes.vlines(
            x, low * factor, high * factor, color=COLOURS["usage"], linewidth=1.2, alpha=0.55
        )
    # Each label stands at its own place along the row, so that none covers another.
    series = {
        "p50": ([s.usage.p50 for s, _ in pairs], ".", "light", 18, 0.85, -12),
        "p95": ([s.usage.p95 for s, _ in pairs], "o", "usage", 14, 0.6, 6),
        "peak": ([s.usage.peak for s, _ in pairs], "v", "peak", 12, 0.45, 6),
        "request now": ([s.request for s, _ in pairs], "_", "request", 60, 0.06, 6),
        "this step": ([s.recommended_request for s, _ in pairs], "_", "recommended", 60, 0.22, -13),
    }
    highest = 0.0
    for label, (values, marker, colour, size_of_marker, place, up) in series.items():
        known = [(x, v * factor) for x, v in zip(where, values, strict=True) if v]
        if not known:
            continue
        xs, ys = zip(*known, strict=True)
        highest = max(highest, *ys)
        axes.scatter(xs, ys, marker=marker, s=size_of_marker, color=COLOURS[colour], zorder=3)
        at = round(place * (len(xs) - 1))
        words = axes.annotate(
            label, (xs[at], ys[at]), xytext=(0, up), textcoords="offset points",
            color=TEXTS[colour], ha="center", fontweight="bold", zorder=4,
        )  # fmt: skip
        halo(words)
    scale = ""
    lows = [low for low, _ in ends if low > 0]
    if lows and highest > _LOG_FROM * min(lows) * factor:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
        scale = ", log scale"
    else:
        axes.set_ylim(0, max(highest, 1e-9) * 1.12)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.grid(axis="y")
    axes.set_xticks([])
    axes.set_xlabel(f"{len(pairs)} workloads, sorted by p95")
    axes.margins(x=0.02)
    what = resource if resource == "memory" else "CPU"
    entitle(axes, _finding(pairs, what, component), f"{what}, {unit} of one pod{scale}")
    simulated = "simulated demo mesh" if advice.simulated else f"cluster {advice.cluster}"
    note_source(
        axes,
        f"{simulated}, {advice.start:%Y-%m-%d} to {advice.end:%Y-%m-%d} UTC, 5-minute windows of "
        "all pods",
    )
    return axes


def _finding(pairs: list[tuple[ResourceAdvice, Recommendation]], what: str, component: str) -> str:
    """The chart in one line: how far requests and usage are apart in the middle workload."""
    times = [s.request / s.usage.p95 for s, _ in pairs if s.request and s.usage.p95]
    if not times:
        return f"What {component}s use of {what}"
    middle = median(times)
    amount = f"{middle:.0f}" if middle >= 10 else f"{middle:.1f}"
    return f"Half of the {component}s request at least {amount} times the {what} of their p95"
