"""`rightsize report`: the monthly cost review."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rightsize.cli.options import SettingsFile, SnapshotOption
from rightsize.cli.snapshots import open_snapshot
from rightsize.output.console import error_console

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
    settings_file: SettingsFile = None,
) -> None:
    """Write the month's cost review: a page, a workbook, Markdown, CSV and JSON.

    Earlier months' results are found in the folders beside it, and compared: what was promised,
    and what came of it.

    **Examples**

    `rightsize report` – the last month of the newest snapshot, or of the demo mesh

    `rightsize report --month 2026-10 --snapshot snapshots/prod -o reports/2026-10`

    `rightsize report --summary` – ten lines for a message
    """
    from rightsize.config import load_settings
    from rightsize.output.report import write_report
    from rightsize.output.report.build import build_report
    from rightsize.output.report.earlier import earlier_reports
    from rightsize.output.report.files import make_folder
    from rightsize.output.report.summary import summary_text
    from rightsize.review import month_of, review_month

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
        made = build_report(review, settings)
        if summary:
            sys.stdout.write(summary_text(made))
            return
        files = write_report(made, folder)
    error_console().print(f"Report: {files[0]} ({len(files)} files)", markup=False)
