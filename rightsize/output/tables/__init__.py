"""What a command answers, described once and written in every format."""

from rightsize.output.tables.code_scanning import junit_text, sarif_document
from rightsize.output.tables.formats import (
    FORMATS,
    OF_FINDINGS,
    OF_MESSAGES,
    OF_SIZES,
    SIMULATED,
    Answer,
    Messages,
    format_named,
    records_frame,
    register_format,
    show,
)
from rightsize.output.tables.table import Column, Table
from rightsize.output.tables.vertical_autoscalers import vertical_autoscalers

__all__ = [
    "FORMATS",
    "OF_FINDINGS",
    "OF_MESSAGES",
    "OF_SIZES",
    "SIMULATED",
    "Answer",
    "Column",
    "Messages",
    "Table",
    "format_named",
    "junit_text",
    "records_frame",
    "register_format",
    "sarif_document",
    "show",
    "vertical_autoscalers",
]
