"""Options that several commands share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rightsize.errors import UsageError
from rightsize.output.tables import FORMATS, OF_FINDINGS, format_named


def _format(text: str) -> str:
    try:
        return format_named(text)
    except UsageError as error:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(FORMATS)}") from error


def _format_of_findings(text: str) -> str:
    try:
        return format_named(text, findings=True)
    except UsageError as error:
        raise typer.BadParameter(f"{text!r}: {error.hint}") from error


FormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        parser=_format,
        metavar=f"[{'|'.join(FORMATS)}]",
        help="Form of the answer on stdout.",
    ),
]
FindingsFormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        parser=_format_of_findings,
        metavar=f"[{'|'.join((*FORMATS, *OF_FINDINGS))}]",
        help="Form of the answer on stdout; sarif for code scanning, junit for test reports.",
    ),
]
SnapshotOption = Annotated[
    Path | None,
    typer.Option(
        "--snapshot",
        help="Snapshot folder. Newest under ./snapshots/, else the demo.",
    ),
]
SettingsFile = Annotated[
    Path | None, typer.Option("--config", help="Settings file. ./rightsize.toml where it is.")
]
