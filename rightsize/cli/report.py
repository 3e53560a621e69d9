"""`rightsize report`: the monthly cost review."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rightsize.border import write_bytes
from rightsize.cli.options import NoCache, ReportFormatOption, SettingsFile, SnapshotOption
from rightsize.cli.snapshots import open_snapshot
from rightsize.errors import UsageError
from rightsize.output.console import error_console
from rightsize.output.tables import Answer, focus_csv, focus_parquet, show

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
def report(
    snapshot: SnapshotOption = None,
    month: Annotated[
        str | None, typer.Option(help="Month as YYYY-MM. The snapshot's last one.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", help="Folder. reports/<month>. With --format focus: a .csv or .parquet."
        ),
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
    bill: Annotated[
        str | None,
        typer.Option(
            help="Cost export to hold the estimate against: file, folder or s3://bucket/prefix of "
            "CUR or FOCUS."
        ),
    ] = None,
    billing_account: Annotated[
        str | None,
        typer.Option(help="For --format focus: the account that is billed, which FOCUS demands."),
    ] = None,
    settings_file: SettingsFile = None,
    no_cache: NoCache = False,
    output_format: ReportFormatOption = "table",
) -> None:
    """Write the month's cost review: a page, a workbook, Markdown, CSV and JSON.

    Earlier months' results are found in the folders beside it, and compared: what was promised,
    and what came of it.

    **Examples**

    `rightsize report` – the last month of the newest snapshot, or of the demo mesh

    `rightsize report --month 2026-10 --snapshot snapshots/prod -o reports/2026-10`

    `rightsize report --ambient -f istio.yaml` – with a chapter on ambient mode

    `rightsize report --bill s3://bucket/exports/cur2` – held against CUR 2.0 or FOCUS

    `rightsize report --summary` – ten lines for a message

    `rightsize report --summary --format slack` – the JSON for a webhook of Slack

    `rightsize report --format focus --billing-account 123456789012 -o october.parquet` – the month's
    charges by day, machine and workload, as FOCUS 1.2
    """
    from rightsize.beside import second_process
    from rightsize.config import load_settings
    from rightsize.output.report import write_report
    from rightsize.output.report.build import build_report
    from rightsize.output.report.earlier import earlier_reports
    from rightsize.output.report.files import make_folder
    from rightsize.output.report.model import Section
    from rightsize.output.report.summary import summary_answer, summary_of, summary_text
    from rightsize.review import month_of, review_month
    from rightsize.review.charges import left_out, month_charges

    charges = output_format == "focus"
    if output_format != "table" and not summary and not charges:
        raise UsageError(f"--format {output_format} is of the summary", hint="add --summary")
    if charges and (summary or ambient):
        raise UsageError("--format focus is of the charges", hint="leave out --summary, --ambient")
    if files and not ambient:
        raise UsageError("--file is for the chapter on ambient mode", hint="add --ambient")
    settings = load_settings(
        settings_file, flags={"review": {"billing_account": billing_account, "bill": bill}}
    )
    source = open_snapshot(snapshot, no_cache=no_cache)
    chosen = month_of(source, month)
    if charges:
        rows, money = month_charges(source, chosen, settings)
        _write_charges(rows, left_out(money, chosen), out)
        return
    folder = out or Path("reports") / chosen.label
    earlier = earlier_reports(folder.parent, source.manifest.cluster, chosen.label)
    if not summary:
        make_folder(folder)
    for line in earlier.skipped:
        error_console().print(f"Note: {line}", markup=False)
    with error_console().status(f"Reviewing {chosen.name}"):
        with second_process() as beside:
            review = review_month(
                source,
                chosen.label,
                settings,
                earlier=earlier.promises,
                results=earlier.results,
                beside=beside,
            )
        chapters: tuple[Section, ...] = ()
        if ambient and not summary:
            from rightsize.ambient.answer import answer_ambient
            from rightsize.audit.reading import read_files
            from rightsize.output.report.ambient import ambient_section

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


def _write_charges(rows: pd.DataFrame, remarks: Sequence[str], out: Path | None) -> None:
    """Rows of FOCUS to stdout, or into a file of the kind that its name says."""
    if out is None:
        nothing: list[str] = []
        answer = Answer(rows.to_dict, lambda: nothing, charges=lambda: rows, remarks=remarks)
        show(answer, "focus")
        return
    if out.suffix not in (".csv", ".parquet"):
        raise UsageError(f"{out}: charges are .csv or .parquet", hint="name the file so with -o")
    content = focus_parquet(rows) if out.suffix == ".parquet" else focus_csv(rows).encode()
    write_bytes(out, content)
    for remark in remarks:
        error_console().print(remark, markup=False)
    error_console().print(f"Charges: {out} ({len(rows)} rows)", markup=False)
