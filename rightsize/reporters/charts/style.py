"""The one style of all charts: fonts, colours, source line, deterministic files."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rightsize.errors import OutputError

COLOURS = MappingProxyType(
    {
        "request": "#999999",
        "recommended": "#0072B2",
        "usage": "#E69F00",
        "peak": "#D55E00",
        "good": "#009E73",
        "limit": "#000000",
        "other": "#CC79A7",
        "light": "#56B4E9",
    }
)
_RC: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.grid": False,
    "svg.hashsalt": "rightsize",
    "svg.fonttype": "none",
    "figure.constrained_layout.use": True,
}


def new_axes(width: float = 8.0, height: float = 4.5) -> Axes:
    """A fresh Axes in the house style, on a figure of its own (inches), drawn without a screen."""
    with mpl.rc_context(_RC):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        return figure.add_subplot()


def figure_of(axes: Axes) -> Figure:
    """The figure an Axes is drawn on."""
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("the Axes belongs to no figure any more")
    return figure


def note_source(axes: Axes, text: str) -> None:
    """Write window and source of the figures under the chart."""
    figure_of(axes).supxlabel(text, fontsize=7, color="#555555", x=0.01, ha="left")


def save(axes: Axes, path: Path) -> Path:
    """Write the chart as PNG or SVG by its suffix, with the same bytes every time.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with mpl.rc_context(_RC):
            figure_of(axes).savefig(path, dpi=144, metadata=metadata)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error
    return path
