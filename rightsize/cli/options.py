"""Options that several commands share, each written once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from rightsize.errors import UsageError
from rightsize.output.tables import FORMATS, OF_FINDINGS, OF_MESSAGES, OF_SIZES, format_named


def _parser(of: Literal["everything", "findings", "messages", "sizes"]) -> Callable[[str], str]:
    def _format(text: str) -> str:
        try:
            return format_named(text, of)
        except UsageError as error:
            names = (error.hint or "").removeprefix("one of ")
            raise typer.BadParameter(f"{text!r} is none of {names}") from error

    return _format


FormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        parser=_parser("everything"),
        metavar=f"[{'|'.join(FORMATS)}]",
        help="Form of the answer on stdout.",
    ),
]
SizesFormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        parser=_parser("sizes"),
        metavar=f"[{'|'.join((*FORMATS, *OF_SIZES))}]",
        help="Form of the answer on stdout; vpa is VerticalPodAutoscaler objects that act on nothing.",
    ),
]
FindingsFormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        parser=_parser("findings"),
        metavar=f"[{'|'.join((*FORMATS, *OF_FINDINGS))}]",
        help="Form of the answer on stdout; sarif for code scanning, junit for test reports.",
    ),
]
MessageFormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        parser=_parser("messages"),
        metavar=f"[{'|'.join((*FORMATS, *OF_MESSAGES))}]",
        help="With --summary: its form; slack is Block Kit, teams an Adaptive Card.",
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
