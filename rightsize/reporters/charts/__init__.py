"""Charts: each takes a frame or a result and returns matplotlib Axes, in one consistent style.

Colours are those of Okabe and Ito ("Color Universal Design", 2008), told apart by colour-blind
readers and in print.
"""

from rightsize.reporters.charts.style import (
    COLOURS,
    draw,
    entitle,
    label_end,
    new_axes,
    note_source,
    save,
)

__all__ = ["COLOURS", "draw", "entitle", "label_end", "new_axes", "note_source", "save"]
