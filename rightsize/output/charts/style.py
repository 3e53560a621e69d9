"""The one style of all charts: fonts, colours, title, source line, deterministic files."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FuncFormatter

from rightsize.border import printable_lines, write_bytes

INK, SOFT, LINE, PAPER = "#1b1f24", "#57606a", "#d0d7de", "#ffffff"
COLOURS = MappingProxyType(
    {
        "request": "#999999",
        "recommended": "#0072b2",
        "usage": "#e69f00",
        "peak": "#d55e00",
        "good": "#009e73",
        "limit": INK,
        "other": "#cc79a7",
        "light": "#56b4e9",
    }
)
TEXTS = MappingProxyType(
    {
        "request": SOFT,
        "recommended": "#005a8e",
        "usage": "#8a5a00",
        "peak": "#b34700",
        "good": "#00734f",
        "limit": INK,
        "other": "#a34f7f",
        "light": "#1f6f9f",
    }
)
"""The same colours for words: dark enough to be read on white, at least 4.5 to 1."""
ON_DARK = MappingProxyType(
    {
        INK: "#e6edf3",
        SOFT: "#a3adb8",
        LINE: "#30363d",
        PAPER: "#161b22",
        "#999999": "#8b949e",
        "#0072b2": "#4a9fdc",
        "#005a8e": "#79bdf2",
        "#8a5a00": "#f0b64a",
        "#b34700": "#ff9a57",
        "#00734f": "#3fcf9f",
        "#a34f7f": "#e39cc4",
        "#1f6f9f": "#7cc7f2",
    }
)
"""What a page with a dark ground puts in a colour's place; those not named stay."""
_RC: dict[Any, Any] = {
    "font.size": 9.5,
    "text.color": INK,
    "text.parse_math": False,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "svg.hashsalt": "rightsize",
    "svg.fonttype": "none",
    # Where a figure's layout is known, no other is to be found.
    "figure.autolayout": False,
    "figure.constrained_layout.use": False,
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


def entitle(axes: Axes, title: str, how: str = "") -> None:
    """Write the chart's title and, softer and below it, how to read it."""
    axes.set_title(
        title, loc="left", fontsize=12, fontweight="bold", color=INK, pad=24 if how else 8
    )
    if how:
        axes.annotate(
            how, (0, 1), xycoords="axes fraction", xytext=(0, 9), textcoords="offset points",
            fontsize=9, color=SOFT, va="bottom",
        )  # fmt: skip


def note_source(axes: Axes, text: str) -> None:
    """Write window and source of the figures under the chart; the last touch to it."""
    figure = figure_of(axes)
    figure.supxlabel(text, fontsize=8, color=SOFT, x=0.01, ha="left")
    # Dollars and names from a cluster are words, never formulas.
    for words in figure.findobj(Text):
        words.set_parse_math(False)


def label_end(axes: Axes, levels: list[tuple[float, str, str]], gap: float = 0.055) -> None:
    """Write words at the right edge, each at its level or just above the one below.

    Parameters
    ----------
    axes : Axes
        Its limits are final.
    levels : list of (float, str, str)
        Level in the units of the y axis, words, name of a colour.
    gap : float
        Least distance, as a share of the axis.
    """
    bottom, top = axes.get_ylim()
    free = -1.0
    for level, words, name in sorted(levels):
        free = max((level - bottom) / (top - bottom), free)
        axes.text(
            1.01, free, words, transform=axes.transAxes, color=TEXTS[name], va="center", fontsize=9
        )
        free += gap * (1 + words.count("\n"))


def halo(text: Any) -> None:
    """Keep words readable over what they cover."""
    text.set_path_effects([withStroke(linewidth=3, foreground=PAPER)])


def _printed(written: Callable[..., str]) -> Callable[..., str]:
    return lambda *place: printable_lines(written(*place))


def _readable(figure: Figure) -> Figure:
    """Names in a chart are data: what a reader does not see is drawn as an escape."""
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            formatter = axis.get_major_formatter()
            if isinstance(formatter, FixedFormatter):
                formatter.seq = [printable_lines(text) for text in formatter.seq]
            elif isinstance(formatter, FuncFormatter):  # Names that were given with their places.
                formatter.func = _printed(formatter.func)
    for words in figure.findobj(Text):
        if isinstance(words, Text):
            words.set_text(printable_lines(words.get_text()))
    return figure


@contextmanager
def laid_out(axes: Axes) -> Iterator[None]:
    """Find the chart's layout once for all files drawn within: it takes as long as drawing one."""
    figure = _readable(figure_of(axes))
    engine = figure.get_layout_engine()
    with mpl.rc_context(_RC):
        figure.draw_without_rendering()
        figure.set_layout_engine(None)
    try:
        yield
    finally:
        figure.set_layout_engine(engine)


def draw(axes: Axes, out: IO[str], *, salt: str) -> None:
    """Write the chart as SVG with letters as outlines, the same bytes every time.

    `salt` names the chart, so that no two on one page share an id.
    """
    with mpl.rc_context(_RC | {"svg.hashsalt": salt, "svg.fonttype": "path"}):
        _readable(figure_of(axes)).savefig(out, format="svg", metadata={"Date": None})


def save(axes: Axes, path: str | os.PathLike[str]) -> Path:
    """Write the chart as PNG or SVG by its suffix, with the same bytes every time.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    return write_bytes(path, image(axes, path.suffix))


def image(axes: Axes, suffix: str = ".png") -> bytes:
    """The chart as the bytes of a PNG or SVG, the same every time."""
    metadata = {"Date": None} if suffix == ".svg" else {"Software": None}
    out = io.BytesIO()
    with mpl.rc_context(_RC):
        _readable(figure_of(axes)).savefig(out, format=suffix[1:], dpi=144, metadata=metadata)
    return out.getvalue()
