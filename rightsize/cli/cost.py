"""`rightsize cost`: the month's bill, what plans save, and who causes it."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from rightsize.cli.options import (
    Commitment,
    FormatOption,
    PricesRegion,
    SettingsFile,
    SnapshotOption,
)
from rightsize.cli.snapshots import open_snapshot
from rightsize.output.console import error_console
from rightsize.output.tables import Answer, show

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
def cost(
    snapshot: SnapshotOption = None,
    plans: Annotated[bool, typer.Option(help="Price node plans before and after.")] = True,
    changes: Annotated[
        bool, typer.Option(help="Say what each recommendation is worth; plans nodes many times.")
    ] = False,
    region: PricesRegion = None,
    hours: Annotated[
        float | None,
        typer.Option(help="Hours of the month. 730, or 744 for a real one of 31 days."),
    ] = None,
    commitment: Commitment = None,
    discount: Annotated[
        float | None, typer.Option(help="Its discount on on-demand prices, as a share.")
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option(help="Work for each node plan, in seconds of one idle core.")
    ] = None,
    allocation: Annotated[
        Literal["requests", "larger"] | None,
        typer.Option(help="Split machines by requests, or by the larger of request and use."),
    ] = None,
    workloads: Annotated[int, typer.Option(min=1, help="Causes listed in the table.")] = 15,
    output_format: FormatOption = "table",
    settings_file: SettingsFile = None,
) -> None:
    """Show the monthly bill, line by line, what each node plan saves, and who causes the bill.

    Prices are those of the snapshot (`rightsize collect` with AWS credentials), else the bundled
    ones with their date. A price nobody gave is unknown, and so is every sum it belongs to.

    **Examples**

    `rightsize cost` – of the newest snapshot or the demo mesh

    `rightsize cost --commitment 0 --changes` – no Savings Plan is held; value each change

    `rightsize cost --no-plans --format csv > allocation.csv`
    """
    from rightsize.beside import second_process
    from rightsize.config import load_settings
    from rightsize.cost.answer import price_answer
    from rightsize.cost.levers import find_levers
    from rightsize.nodes.answer import answer as plan_answer
    from rightsize.output.money_rows import (
        allocation_rows,
        allocation_rule,
        money_tables,
        money_to_dict,
    )
    from rightsize.recommend import recommend as recommend_sizes

    settings = load_settings(
        settings_file,
        flags={
            "prices": {
                "hours_per_month": hours,
                "commitment_usd_per_hour": commitment,
                "commitment_discount": discount,
                "allocation": allocation,
            },
            "nodes": {"time_limit": time_limit},
        },
    )
    source = open_snapshot(snapshot)
    messages = error_console()
    nodes = advice = None
    if plans or changes:
        with messages.status("Sizing workloads"):
            advice = recommend_sizes(source, settings)
    if plans:
        with messages.status("Planning nodes"), second_process() as beside:
            nodes = plan_answer(
                source,
                settings.nodes,
                advice=advice,
                region=region,
                prices=settings.prices,
                graviton=True,
                beside=beside,
            )
    with messages.status("Pricing"):
        found = price_answer(
            source,
            nodes,
            settings.prices,
            region=region,
            advice=advice if changes else None,
            node_settings=settings.nodes,
        )
        ways = find_levers(
            source, nodes, found.in_use, found.terms, settings.nodes, settings.prices
        )
    answer = Answer(
        document=lambda: money_to_dict(found, ways),
        parts=lambda: money_tables(found, ways, workloads=workloads),
        rows=lambda: allocation_rows(found),
    )
    show(answer, output_format)
    for note in (*found.notes, allocation_rule(found)):
        messages.print(f"Note: {note}", markup=False)
