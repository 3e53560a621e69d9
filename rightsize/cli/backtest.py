"""`rightsize backtest`: what each policy would have done on history it had not seen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rightsize.cli.options import FormatOption, SnapshotOption
from rightsize.cli.snapshots import open_snapshot
from rightsize.errors import NoDataError, UsageError
from rightsize.output.console import error_console, progress_bar
from rightsize.output.tables import Answer, show
from rightsize.sizing.profiles import POLICIES, compared, policy_named

if TYPE_CHECKING:
    from rightsize.sizing.backtest import Backtest, Workload

app = typer.Typer(rich_markup_mode="markdown")

_MEASURES = {"cpu": ("cpu_slack", "cpu_above"), "memory": ("memory_slack", "memory_hit")}


@app.command()
def backtest(
    snapshot: SnapshotOption = None,
    traces: Annotated[
        Path | None, typer.Option(help="Trace file instead: CSV, or CSV with gzip.")
    ] = None,
    workload: Annotated[
        str | None,
        typer.Option(help="Only this one, as NAMESPACE/NAME or series; shows each stretch."),
    ] = None,
    policies: Annotated[
        str, typer.Option(help=f"Policies by comma, of {', '.join(POLICIES)}.")
    ] = ",".join(compared()),
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
    output_format: FormatOption = "table",
) -> None:
    """Fit policies on the past, score them on what came next, side by side.

    **Examples**

    `rightsize backtest` – the newest snapshot or the demo mesh, 14 days then 7

    `rightsize backtest --train-days 7 --chart waste.png`

    `rightsize backtest --traces usage.csv.gz --half --policies balanced,krr`

    `rightsize backtest --format csv > by-workload.csv`

    `rightsize backtest --workload shop/cart --chart cart.png` – one workload, stretch by stretch
    """
    from rightsize.output.backtest_rows import remarks
    from rightsize.sizing.backtest import HalfSplit, Rates, Walk, backtest_workloads

    if snapshot is not None and traces is not None:
        raise UsageError("--snapshot and --traces exclude each other")
    if measure not in _MEASURES:
        raise UsageError(f"--measure {measure}: is neither cpu nor memory")
    names = [name.strip() for name in policies.split(",") if name.strip()]
    if not names:
        raise UsageError("--policies names no policy", hint=f"--policies {','.join(compared())}")
    chosen = {name: policy_named(name) for name in names}
    split = HalfSplit() if half else Walk(train_days, test_days)
    with progress_bar() as bar:
        workloads, source = _workloads(snapshot, traces, workload)
        one = list(workloads) if workload is not None else None
        task = bar.add_task("Back-testing workloads", total=None)
        result = backtest_workloads(
            workloads if one is None else one,
            chosen,
            split=split,
            rates=Rates(usd_per_core_hour, usd_per_gib_hour),
            progress=lambda name: bar.update(task, advance=1, description=name),
        )
    show(_answer(result, by_stretch=workload is not None), output_format)
    error_console().print(f"Source: {source}", markup=False)
    for line in remarks(result):
        error_console().print(line, markup=False)
    if chart is not None:
        from rightsize.output.charts import save
        from rightsize.output.charts.backtest import past_stretches, waste_against_risk

        if one is None:
            waste, risk = _MEASURES[measure]
            about = f"{source}; {split}"
            axes = waste_against_risk(result.totals, waste=waste, risk=risk, source=about)
        else:
            kept = result.windows[result.windows["container"] == one[0].container]
            axes = past_stretches(one[0].history, kept, "cpu" if measure == "cpu" else "memory")
        error_console().print(f"Chart: {save(axes, chart)}", markup=False)


def _workloads(
    snapshot: Path | None, traces: Path | None, only: str | None
) -> tuple[Iterator[Workload], str]:
    """What to back-test, and a line that says where it comes from."""
    from rightsize.sizing.backtest import snapshot_workloads, trace_workloads
    from rightsize.sizing.backtest.traces import read_traces

    if traces is not None:
        found, source = trace_workloads(read_traces(traces)), traces.name
    else:
        opened = open_snapshot(snapshot)
        namespace = None if only is None else only.partition("/")[0]
        found = snapshot_workloads(opened, namespaces=None if namespace is None else [namespace])
        simulated = opened.manifest.simulated
        source = "simulated demo mesh" if simulated else f"cluster {opened.manifest.cluster}"
    if only is None:
        return found, source
    chosen = [one for one in found if only in (one.workload, f"{one.namespace}/{one.workload}")]
    if not chosen:
        raise NoDataError(
            f"{source} has no usage of {only}", hint="write it as NAMESPACE/NAME, or as the series"
        )
    return iter(chosen), source


def _answer(result: Backtest, *, by_stretch: bool) -> Answer:
    from rightsize.output.backtest_rows import (
        backtest_markdown,
        backtest_table,
        backtest_to_dict,
        stretches_table,
    )

    return Answer(
        document=lambda: backtest_to_dict(result),
        parts=lambda: [backtest_table(result), *([stretches_table(result)] if by_stretch else [])],
        rows=lambda: result.windows if by_stretch else result.workloads,
        markdown=lambda: backtest_markdown(result),
    )
