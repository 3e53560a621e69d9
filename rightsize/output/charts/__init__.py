"""Charts: each takes a frame or a result and returns matplotlib Axes, in one consistent style.

Colours are those of Okabe and Ito ("Color Universal Design", 2008), kept apart by colour-blind
readers and in print.
"""

from rightsize.output.charts.backtest import past_stretches, waste_against_risk
from rightsize.output.charts.control_plane import growth_with_thresholds
from rightsize.output.charts.history import usage_history
from rightsize.output.charts.money import (
    bill_parts,
    cost_by_namespace,
    exceptions_curve,
    saving_waterfall,
)
from rightsize.output.charts.nodes import nodes_over_time, packed_nodes
from rightsize.output.charts.style import (
    COLOURS,
    draw,
    entitle,
    image,
    label_end,
    new_axes,
    note_source,
    save,
)
from rightsize.output.charts.usage import request_against_usage

__all__ = [
    "COLOURS",
    "bill_parts",
    "cost_by_namespace",
    "draw",
    "entitle",
    "exceptions_curve",
    "growth_with_thresholds",
    "image",
    "label_end",
    "new_axes",
    "nodes_over_time",
    "note_source",
    "packed_nodes",
    "past_stretches",
    "request_against_usage",
    "save",
    "saving_waterfall",
    "usage_history",
    "waste_against_risk",
]
