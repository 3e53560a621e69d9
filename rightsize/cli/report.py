"""`rightsize report`: the monthly cost review."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rightsize.cli.options import MessageFormatOption, SettingsFile, SnapshotOption
from rightsize.cli.snapshots import open_snapshot
from rightsize.errors import UsageError
from rightsize.output.console import error_console
from rightsize.output.tables import show

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
def report(
    snapshot: SnapshotOption = None,
    month: Annotated[
        str | None, typer.Option(help="Month as YYYY-MM. The snapshot's last one.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder. reports/<month>.")
    ] = None,
    summary: Annotated[
        bool, typer.Option(help="Print ten lines for a message, and write nothing.")
    ] = False,
    ambient: Annotated[
        bool, typer.Option("--ambient", help="Also a chapter on ambient mode; takes longer.")
    ] = False,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "-f", "--file", help="For --ambient: objects, alert rules, dashboards; repeat for more."
        ),
    ] = None,
    settings_file: SettingsFile = None,
    output_format: MessageFormatOption = "table",
) -> None:
    """Write the month's cost review: a page, a workbook, Markdown, CSV and JSON.

    Earlier months' results are found in the folders beside it, and compared: what was promised,
    and what came of it.

    **Examples**

    `rightsize report` – the last month of the newest snapshot, or of the demo mesh

    `rightsize report --month 2026-10 --snapshot snapshots/prod -o reports/2026-10`

    `rightsize report --ambient -f istio.yaml` – with a chapter on ambient mode

    `rightsize report --summary` – ten lines for a message

    `rightsize report --summary --format slack` – the JSON for a webhook of Slack
    """
    from rightsize.ambient.answer import answer_ambient
    from rightsize.audit.reading import read_files
    from rightsize.config import load_settings
    from rightsize.output.report import write_report
    from rightsize.output.report.ambient import ambient_section
    from rightsize.output.report.build import build_report
    from rightsize.output.report.earlier import earlier_reports
    from rightsize.output.report.files import make_folder
    from rightsize.output.report.model import Section
    from rightsize.output.report.summary import summary_answer, summary_of, summary_text
    from rightsize.review import month_of, review_month

    if output_format != "table" and not summary:
        raise UsageError(f"--format {output_format} is of the summary", hint="add --summary")
    if files and not ambient:
        raise UsageError("--file is for the chapter on ambient mode", hint="add --ambient")
    settings = load_settings(settings_file)
    source = open_snapshot(snapshot)
    chosen = month_of(source, month)
    folder = out or Path("reports") / chosen.label
    earlier = earlier_reports(folder.parent, source.manifest.cluster, chosen.label)
    if not summary:
        make_folder(folder)
    for line in earlier.skipped:
        error_console().print(f"Note: {line}", markup=False)
    with error_console().status(f"Reviewing {chosen.name}"):
        review = review_month(
            source, chosen.label, settings, earlier=earlier.promises, results=earlier.results
        )
        chapters: tuple[Section, ...] = ()
        if ambient and not summary:
            sources = read_files(files) if files else None
            found = answer_ambient(source, settings, sources, advice=review.advice, alone=False)
            chapters = (ambient_section(found),)
        made = build_report(review, settings, chapters=chapters)
        files = [] if summary else write_report(made, folder)
    if summary and output_format == "table":
        sys.stdout.write(summary_text(summary_of(made)))
        return
    if summary:
        show(summary_answer(summary_of(made)), output_format)
        return
    error_console().print(f"Report: {files[0]} ({len(files)} files)", markup=False)
