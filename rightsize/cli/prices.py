"""`rightsize prices`: what AWS charges, for a region and for the cluster."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from rightsize.border import csv_cell, write_files
from rightsize.cli.options import AwsProfile, AwsRole, FormatOption, SettingsFile
from rightsize.errors import UsageError
from rightsize.output.console import error_console
from rightsize.output.tables import Answer, show

if TYPE_CHECKING:
    import pandas as pd

    from rightsize.collectors.aws import AwsFacts, Month

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
def prices(
    region: Annotated[
        str | None,
        typer.Option(help="AWS region. The snapshot's, or that of the profile or environment."),
    ] = None,
    profile: AwsProfile = None,
    role_arn: AwsRole = None,
    cluster: Annotated[
        str | None, typer.Option(help="EKS cluster: its machines, scaling events and support.")
    ] = None,
    instance_type: Annotated[
        list[str] | None, typer.Option(help="Type to show; repeat for more. All priced ones.")
    ] = None,
    spot_days: Annotated[
        float, typer.Option(min=0, max=90, help="Days of Spot history for its range; 0 is now.")
    ] = 0,
    bill: Annotated[
        str | None,
        typer.Option(help="Month of the real bill: YYYY-MM or last. AWS charges $0.01 a request."),
    ] = None,
    bill_by_tag: Annotated[
        bool, typer.Option(help="Only what carries the cluster's cost-allocation tag.")
    ] = False,
    output_format: FormatOption = "table",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for every table, as CSV.")
    ] = None,
    snapshot: Annotated[
        Path | None, typer.Option(help="Snapshot to store the tables in, for later commands.")
    ] = None,
    refresh: Annotated[bool, typer.Option(help="Ask again what is stored on disk.")] = False,
    live: Annotated[bool, typer.Option(help="Fail rather than serve the bundled prices.")] = False,
    show_iam_policy: Annotated[
        bool, typer.Option("--iam-policy", help="Print the least-privilege IAM policy and stop.")
    ] = False,
    settings_file: SettingsFile = None,
) -> None:
    """Show EC2 prices: on-demand, Savings Plan and Spot, with their source and date.

    Without AWS credentials the bundled prices are shown, and said to be.

    **Examples**

    `rightsize prices --region us-east-1 --instance-type m5.large`

    `rightsize prices --cluster shop --profile prod --bill last --format json`

    `rightsize prices --cluster shop --snapshot snapshots/shop` – for cost and nodes

    `rightsize prices --iam-policy --region us-east-1 --cluster shop > policy.json`
    """
    from rightsize.collectors.aws import (
        Cache,
        Wanted,
        collect_aws,
        iam_policy,
        iam_policy_text,
        partition_of,
        refuse_other_region,
        region_of,
        store_aws,
    )
    from rightsize.config import load_settings

    if show_iam_policy:
        partition = "aws" if region is None else partition_of(region)
        policy = iam_policy(region or "REGION", cluster=cluster or "CLUSTER", partition=partition)
        sys.stdout.write(iam_policy_text(policy))
        return
    if bill_by_tag and cluster is None:
        raise UsageError("--bill-by-tag needs --cluster", hint="the tag's value is its name")
    settings = load_settings(settings_file).prices
    if snapshot is not None:
        # Fails before AWS is asked for minutes.
        region = region or region_of(snapshot)
        if region is not None:
            refuse_other_region(snapshot, region)
    wanted = Wanted(cluster, spot_days, _month(bill), bill_by_tag)
    with error_console().status("Asking AWS"):
        facts = collect_aws(
            region,
            wanted,
            profile=profile,
            role_arn=role_arn,
            settings=settings,
            cache=Cache(refresh=refresh),
            live=live,
        )
    show(_answer(facts, instance_type or _types_in(facts)), output_format)
    if out is not None:
        _write(facts, out)
    if snapshot is not None:
        store_aws(snapshot, facts)
        error_console().print(f"Stored in {snapshot}", markup=False)
    _tell_sources(facts)


def _month(text: str | None) -> Month | None:
    from rightsize.collectors.aws import Month

    if text is None:
        return None
    if text == "last":
        return Month.before(datetime.now(UTC).date())
    try:
        start = date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise UsageError(f"--bill {text}: is no month", hint="write 2026-10 or last") from error
    return Month(start, (start + timedelta(days=31)).replace(day=1))


def _types_in(facts: AwsFacts) -> list[str]:
    machines = facts.tables.get("instances")
    return [] if machines is None else sorted(machines["instance_type"].astype(str).unique())


def _answer(facts: AwsFacts, types: list[str]) -> Answer:
    from rightsize.output.price_rows import records, rows_by_type

    table = rows_by_type(facts.tables["prices"], facts.tables["instance_types"], types)

    def document() -> dict[str, object]:
        others = {
            name: records(rows)
            for name, rows in facts.tables.items()
            if name not in ("prices", "instance_types")
        }
        return {
            "schema_version": 1,
            "region": facts.region,
            "eks_support": facts.eks_support,
            "prices": records(table),
            **others,
            "asked": [
                {
                    "source": one.source,
                    "rows": one.rows,
                    "fetched_at": one.fetched_at.isoformat(),
                    "age_hours": round(one.age.total_seconds() / 3600, 1),
                    "stored": one.stored,
                }
                for one in facts.asked
            ],
            "missing": [{"what": one.what, "costs": one.costs} for one in facts.missing],
        }

    return Answer(
        document=document, parts=lambda: [_as_table(table, facts.region)], rows=lambda: table
    )


def _as_table(table: pd.DataFrame, region: str) -> Table:
    from rightsize.output.price_rows import records

    shown = Table(title=f"Linux, {region}, USD per hour", title_justify="left")
    for name in ("type", "vCPU", "GiB", "arch", "on-demand", "Savings Plan", "Spot", "source"):
        number = name in ("vCPU", "GiB", "on-demand", "Savings Plan", "Spot")
        shown.add_column(name, justify="right" if number else "left", no_wrap=name == "type")
    shown.add_column("as of", no_wrap=True)
    for row in records(table):
        low, high = _usd(row["spot_lowest_zone"]), _usd(row["spot_highest_zone"])
        shown.add_row(
            row["instance_type"],
            _number(row["vcpu"]),
            _number(row["memory_gib"]),
            row["arch"] or "unknown",
            _usd(row["on_demand"]),
            _usd(row["savings_plan"]),
            low if low == high else f"{low}-{high}",
            row["source"] or "",
            (row["as_of"] or "")[:10],
        )
    return shown


def _usd(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"


def _write(facts: AwsFacts, out: Path) -> None:
    texts = {
        f"{name}.csv": rows.map(csv_cell).to_csv(index=False, lineterminator="\n")
        for name, rows in facts.tables.items()
    }
    write_files(out, texts)
    error_console().print(f"Tables: {out}", markup=False)


def _tell_sources(facts: AwsFacts) -> None:
    messages = error_console()
    for one in facts.asked:
        hours = one.age.total_seconds() / 3600
        age = f"{hours / 24:.0f} days old" if hours >= 48 else f"{hours:.1f} h old"
        kept = ", stored" if one.stored else ""
        messages.print(f"{one.source}: {one.rows} rows, {age}{kept}", markup=False)
    for gap in facts.missing:
        messages.print(f"Missing: {gap.what}; so {gap.costs}.", markup=False)
