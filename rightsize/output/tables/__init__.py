"""What a command answers, described once and written in every format."""

from rightsize.output.tables.code_scanning import junit_text, sarif_document
from rightsize.output.tables.focus import focus_csv, focus_parquet
from rightsize.output.tables.formats import (
    FORMATS,
    OF_FINDINGS,
    OF_MESSAGES,
    OF_SIZES,
    SIMULATED,
    Answer,
    Messages,
    Of,
    format_named,
    formats_of,
    records_frame,
    register_format,
    show,
)
from rightsize.output.tables.kustomize_component import component
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
    "Of",
    "Table",
    "component",
    "focus_csv",
    "focus_parquet",
    "format_named",
    "formats_of",
    "junit_text",
    "records_frame",
    "register_format",
    "sarif_document",
    "show",
    "vertical_autoscalers",
]
