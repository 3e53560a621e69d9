"""What a command answers, described once and written in every format."""

from rightsize.output.tables.formats import (
    FORMATS,
    SIMULATED,
    Answer,
    format_named,
    records_frame,
    register_format,
    show,
)
from rightsize.output.tables.table import Column, Table

__all__ = [
    "FORMATS",
    "SIMULATED",
    "Answer",
    "Column",
    "Table",
    "format_named",
    "records_frame",
    "register_format",
    "show",
]
