"""`rightsize fleet`: many clusters at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rightsize.cli.fleet_options import Work, with_fleet
from rightsize.cli.moments import parse_moment
from rightsize.cli.options import FormatOption, NewFile, SettingsFile
from rightsize.cli.prometheus_options import PrometheusSettingsOf, with_prometheus
from rightsize.errors import FleetError, UsageError
from rightsize.output.console import error_console
from rightsize.output.tables import show

if TYPE_CHECKING:
    from rightsize.fleet.analysing import ClusterAnswer
    from rightsize.fleet.collecting import CollectedCluster

app = typer.Typer(rich_markup_mode="markdown", no_args_is_help=True, add_completion=False)

Days = Annotated[int, typer.Option(min=1, help="Whole days (UTC) before the end.")]
End = Annotated[
    datetime | None,
    typer.Option(help="The day after the last one; today by default.", parser=parse_moment),
]


@app.callback()
def fleet() -> None:
    """Do for every cluster of a fleet what the other commands do for one.

    `fleet.toml` lists the clusters; docs/fleet.md shows one. A cluster that fails is a row with its
    reason, the others finish, and the next run does what is missing.

    **Examples**

    `rightsize fleet discover --prometheus-url https://thanos.example.com --label cluster`

    `rightsize fleet collect --days 14` – every cluster's days that the store lacks

    `rightsize fleet recommend --store s3://bucket/fleet --scheduler tcp://dask:8786`

    `rightsize fleet nodes --team payments`

    `rightsize fleet report --month 2026-10 -o reports/fleet`
    """


@app.command()
@with_prometheus
def discover(
    prometheus_settings: PrometheusSettingsOf,
    label: Annotated[
        str, typer.Option(help="Label with the names of the clusters.", show_default=True)
    ] = "cluster",
    out: NewFile = Path("fleet.toml"),
    settings_file: SettingsFile = None,
) -> None:
    """Write fleet.toml from a store that holds many clusters (Thanos, Mimir, Managed Prometheus).

    **Examples**

    `rightsize fleet discover --prometheus-url https://thanos.example.com --label cluster`

    `rightsize fleet discover --prometheus-url https://mimir.example.com/prometheus --tenant ops
    --bearer-token-env MIMIR_TOKEN --label k8s_cluster --out fleets/prod.toml`
    """
    from rightsize.border import write_text
    from rightsize.fleet.discover import clusters_in, fleet_text

    if out.exists():
        raise UsageError(f"{out} is there already", hint="choose another file with --out")
    settings = prometheus_settings(settings_file)
    found = clusters_in(settings, label)
    write_text(out, fleet_text(settings, label, found))
    error_console().print(f"{len(found)} clusters (label {label})", markup=False)
    typer.echo(out)


@app.command()
@with_fleet
def collect(
    work: Work, days: Days = 30, end: End = None, output_format: FormatOption = "table"
) -> None:
    """Collect the days that the store lacks: two requests at once for each server, not more.

    A task is a cluster and a day. A cluster that fails is a row with its reason, and the exit code is
    12; what is in the store is not fetched again.

    **Examples**

    `rightsize fleet collect` – the last 30 whole days of every cluster in fleet.toml

    `rightsize fleet collect --days 1 --store s3://bucket/fleet` – every night

    `rightsize fleet collect --cluster prod-eu --scheduler tcp://dask:8786`
    """
    from rightsize.fleet.collecting import collect_fleet
    from rightsize.fleet.tables import collected_answer

    with work.running() as (client, progress):
        rows = collect_fleet(client, work.fleet, work.store, _days(days, end), progress)
    show(collected_answer(rows), output_format)
    _refuse_failures(rows)


@app.command()
@with_fleet
def recommend(
    work: Work,
    days: Days = 30,
    end: End = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder for the values files with sizes that suit all."),
    ] = None,
    settings_file: SettingsFile = None,
    output_format: FormatOption = "table",
) -> None:
    """Size every cluster, and values files that clusters share so that they suit each of them.

    **Examples**

    `rightsize fleet recommend` – a row for each cluster

    `rightsize fleet recommend --team payments -o patched` – also writes the values files

    `rightsize fleet recommend --store s3://bucket/fleet --format csv > sizes.csv`
    """
    from rightsize.config import load_settings
    from rightsize.fleet.analysing import recommend_fleet
    from rightsize.fleet.shared_files import patched_files, shared_files
    from rightsize.fleet.tables import sizes_answer

    settings = load_settings(settings_file)
    with work.running() as (client, progress):
        answers = recommend_fleet(
            client, work.fleet, work.store, settings, _days(days, end), progress=progress
        )
    shared = shared_files(work.fleet, answers, settings.prices.hours_per_month)
    show(sizes_answer(answers, shared, settings.prices.hours_per_month), output_format)
    if out is not None:
        for path in patched_files(shared, out):
            error_console().print(f"Patched file: {path}", markup=False)
    _refuse_failures(answers)


@app.command()
@with_fleet
def nodes(
    work: Work,
    days: Days = 30,
    end: End = None,
    settings_file: SettingsFile = None,
    output_format: FormatOption = "table",
) -> None:
    """Plan the nodes of every cluster, today and with the recommended requests.

    **Examples**

    `rightsize fleet nodes` – a row for each cluster

    `rightsize fleet nodes --cluster prod-eu --cluster prod-us --format json`
    """
    from rightsize.config import load_settings
    from rightsize.fleet.analysing import nodes_fleet
    from rightsize.fleet.tables import nodes_answer

    settings = load_settings(settings_file)
    with work.running() as (client, progress):
        answers = nodes_fleet(
            client, work.fleet, work.store, settings, _days(days, end), progress=progress
        )
    show(nodes_answer(answers), output_format)
    _refuse_failures(answers)


@app.command()
@with_fleet
def report(
    work: Work,
    month: Annotated[
        str | None, typer.Option(help="Month as YYYY-MM. That of yesterday (UTC).")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder. reports/fleet/<month>.")
    ] = None,
    settings_file: SettingsFile = None,
) -> None:
    """Write the fleet's page of a month, and each cluster's own page below it.

    Clusters by dollars, saving available and realised, the mesh's share of the bill, what is risky,
    how old the data is, the same size across clusters; page, workbook, Markdown, CSV, Parquet, JSON.

    **Examples**

    `rightsize fleet report` – of the month of yesterday, for every cluster

    `rightsize fleet report --month 2026-10 --team payments -o reports/payments`
    """
    from rightsize.config import load_settings
    from rightsize.fleet.analysing import report_fleet
    from rightsize.fleet.page import fleet_report, keeping, write_fleet_report
    from rightsize.fleet.shared_files import shared_files
    from rightsize.output.report.files import make_folder

    settings, now = load_settings(settings_file), datetime.now(UTC)
    label = (now - timedelta(days=1)).strftime("%Y-%m") if month is None else month
    if re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", label) is None:
        raise UsageError(f"{label!r} is no month", hint="write it as YYYY-MM, such as 2026-10")
    folder = out or Path("reports") / "fleet" / label
    make_folder(folder)
    with work.running() as (client, progress):
        answers = report_fleet(
            client, work.fleet, work.store, settings, label,
            keep=keeping(work.store, folder), progress=progress,
        )  # fmt: skip
    hours = settings.prices.hours_per_month
    shared = shared_files(work.fleet, answers, hours)
    files = write_fleet_report(fleet_report(answers, shared, label, now, hours), folder)
    error_console().print(f"Report: {files[0]} ({len(files)} files)", markup=False)
    _refuse_failures(answers)


def _days(count: int, end: datetime | None) -> list[date]:
    """Whole days in UTC, the last one before `end`."""
    last = (end or datetime.now(UTC)).date()
    return [last - timedelta(days=number) for number in range(1, count + 1)]


def _refuse_failures(rows: Sequence[CollectedCluster] | Sequence[ClusterAnswer]) -> None:
    failed = [row.cluster for row in rows if row.reason is not None]
    if failed:
        shown = ", ".join(failed[:5]) + (", …" if len(failed) > 5 else "")
        raise FleetError(
            f"{len(failed)} of {len(rows)} clusters failed: {shown}",
            hint="the table has the reasons; run it again: what is done is not done twice",
        )
