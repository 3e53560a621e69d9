"""`rightsize backtest`: what each policy would have done on history it had not seen."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rightsize.analysis.backtest import (
    Backtest,
    HalfSplit,
    Rates,
    Walk,
    backtest_workloads,
    snapshot_workloads,
    trace_workloads,
)
from rightsize.analysis.policies import named
from rightsize.cli.console import error_console, output_console, progress_bar
from rightsize.cli.snapshots import open_snapshot
from rightsize.errors import UsageError
from rightsize.reporters.backtest_rows import (
    backtest_markdown,
    backtest_table,
    backtest_to_dict,
    remarks,
)
from rightsize.reporters.charts import save
from rightsize.reporters.charts.backtest import waste_against_risk
from rightsize.traces import read_traces

app = typer.Typer(rich_markup_mode="markdown")

_POLICIES = "cautious,balanced,lean,krr,vpa,autopilot,peak"


class Format(StrEnum):
    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"


@app.command()
def backtest(
    snapshot: Annotated[
        Path | None, typer.Option(help="Snapshot folder. Newest under ./snapshots/, else the demo.")
    ] = None,
    traces: Annotated[
        Path | None, typer.Option(help="Trace file instead: CSV, or CSV with gzip.")
    ] = None,
    policies: Annotated[
        str,
        typer.Option(help="Policies by comma: profiles, krr, vpa, autopilot, peak, percentile."),
    ] = _POLICIES,
    train_days: Annotated[float, typer.Option(help="Days that a policy is fitted on.")] = 14.0,
    test_days: Annotated[float, typer.Option(help="Days it is then scored on: 7 or 30.")] = 7.0,
    half: Annotated[
        bool, typer.Option("--half", help="Fit on the first half, score on the second.")
    ] = False,
    usd_per_core_hour: Annotated[
        float | None, typer.Option(min=0, help="Price of a core-hour. Unknown without.")
    ] = None,
    usd_per_gib_hour: Annotated[
        float | None, typer.Option(min=0, help="Price of a GiB-hour. Unknown without.")
    ] = None,
    chart: Annotated[
        Path | None, typer.Option(help="Draw waste against risk into this PNG or SVG.")
    ] = None,
    measure: Annotated[str, typer.Option(help="What the chart shows: cpu or memory.")] = "cpu",
    output_format: Annotated[
        Format, typer.Option("--format", help="Form of the result on stdout; csv is by workload.")
    ] = Format.table,
) -> None:
    """Fit policies on the past, score them on what came next, side by side.

    **Examples**

    `rightsize backtest` – the newest snapshot or the demo mesh, 14 days then 7

    `rightsize backtest --train-days 7 --chart waste.png`

    `rightsize backtest --traces usage.csv.gz --half --policies balanced,krr`

    `rightsize backtest --format csv > by-workload.csv`
    """
    if snapshot is not None and traces is not None:
        raise UsageError("--snapshot and --traces exclude each other")
    if measure not in ("cpu", "memory"):
        raise UsageError(f"--measure {measure}: is neither cpu nor memory")
    names = [name.strip() for name in policies.split(",") if name.strip()]
    if not names:
        raise UsageError("--policies names no policy", hint=f"--policies {_POLICIES}")
    chosen = {name: named(name) for name in names}
    split = HalfSplit() if half else Walk(train_days, test_days)
    with progress_bar() as bar:
        if traces is not None:
            workloads, source = trace_workloads(read_traces(traces)), traces.name
        else:
            opened = open_snapshot(snapshot)
            workloads = snapshot_workloads(opened)
            simulated = opened.manifest.simulated
            source = "simulated demo mesh" if simulated else f"cluster {opened.manifest.cluster}"
        task = bar.add_task("Back-testing workloads", total=None)
        result = backtest_workloads(
            workloads,
            chosen,
            split=split,
            rates=Rates(usd_per_core_hour, usd_per_gib_hour),
            progress=lambda name: bar.update(task, advance=1, description=name),
        )
    _show(result, output_format)
    error_console().print(f"Source: {source}", markup=False)
    for line in remarks(result):
        error_console().print(line, markup=False)
    if chart is not None:
        axes = (
            waste_against_risk(result.totals, source=f"{source}; {split}")
            if measure == "cpu"
            else waste_against_risk(
                result.totals,
                waste="memory_slack",
                risk="memory_hit",
                source=f"{source}; {split}",
            )
        )
        error_console().print(f"Chart: {save(axes, chart)}", markup=False)


def _show(result: Backtest, output_format: Format) -> None:
    if output_format is Format.json:
        json.dump(backtest_to_dict(result), sys.stdout, indent=2)
        sys.stdout.write("\n")
    elif output_format is Format.csv:
        result.workloads.to_csv(sys.stdout, index=False)
    elif output_format is Format.markdown:
        sys.stdout.write(backtest_markdown(result))
    else:
        output_console().print(backtest_table(result))
