"""Options that several commands share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rightsize.errors import UsageError
from rightsize.output.tables import Of, format_named, formats_of


def _form(text: str, *of: Of) -> Any:
    """`--format` of a command: the formats of every answer, and those of its own."""

    def _format(text: str) -> str:
        try:
            return format_named(text, *of)
        except UsageError as error:
            names = (error.hint or "").removeprefix("one of ")
            raise typer.BadParameter(f"{text!r} is none of {names}") from error

    metavar = f"[{'|'.join(formats_of(*of))}]"
    return typer.Option("--format", parser=_format, metavar=metavar, help=text)


_FORM = "Form of the answer on stdout"
FormatOption = Annotated[str, _form(f"{_FORM}.")]
SizesFormatOption = Annotated[
    str,
    _form(
        f"{_FORM}; vpa is VerticalPodAutoscaler objects that act on nothing, kustomize a component.",
        "sizes",
    ),
]
FindingsFormatOption = Annotated[
    str, _form(f"{_FORM}; sarif for code scanning, junit for test reports.", "findings")
]
ReportFormatOption = Annotated[
    str,
    _form(
        "Instead of the report's files: focus writes the month's charges to stdout as CSV of FOCUS; "
        "with --summary any form, of which slack is Block Kit and teams an Adaptive Card.",
        "messages",
        "charges",
    ),
]
SnapshotOption = Annotated[
    Path | None,
    typer.Option(
        "--snapshot",
        help="Snapshot folder, or a cluster in a store (s3://bucket/fleet/prod). Newest under "
        "./snapshots/, else the demo.",
    ),
]
SettingsFile = Annotated[
    Path | None, typer.Option("--config", help="Settings file. ./rightsize.toml where it is.")
]
NoCache = Annotated[
    bool,
    typer.Option(
        "--no-cache",
        help="Compute anew, and keep nothing. What was computed for the same days, settings and release "
        "is found beside the snapshot else.",
    ),
]
ChartOption = Annotated[
    str | None, typer.Option(help="Chart of the file: istiod, gateway, ztunnel or cni.")
]
ReleaseOfIstio = Annotated[str | None, typer.Option(help="Istio release of the file.")]
GatewayOption = Annotated[
    str | None, typer.Option(help="Gateway a gateway chart's file is for, as ns/name.")
]
ReleaseOption = Annotated[
    str | None,
    typer.Option(help="Release, revision or cluster to patch, where a file holds several."),
]
PricesRegion = Annotated[
    str | None, typer.Option(help="Region of the prices. That of the snapshot.")
]
Commitment = Annotated[
    float | None, typer.Option(help="Savings Plans commitment in USD/h; 0 says none is held.")
]
FilesToPatch = Annotated[
    list[Path] | None,
    typer.Option("-f", "--values", help="File to patch; repeat for overlays, last one wins."),
]
OutFile = Annotated[Path | None, typer.Option("-o", "--out", help="File to write. stdout without.")]
NewFile = Annotated[
    Path, typer.Option("-o", "--out", help="File to write; one that is there is kept.")
]
AwsProfile = Annotated[str | None, typer.Option(help="Named AWS profile.")]
AwsRole = Annotated[str | None, typer.Option(help="Role to assume.")]
