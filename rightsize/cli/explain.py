"""`rightsize explain`: why a workload gets what it gets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rightsize.border import path_part, write_files
from rightsize.cli.options import SettingsFile
from rightsize.cli.snapshots import open_snapshot
from rightsize.errors import NoDataError, UsageError
from rightsize.output.console import error_console, output_console, print_table

if TYPE_CHECKING:
    from rightsize.config import Settings
    from rightsize.results import Advice, Recommendation, Resource
    from rightsize.sizing.history import WindowHistory
    from rightsize.snapshot import Snapshot

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
def explain(
    workload: Annotated[str, typer.Argument(help="The workload, as NAMESPACE/NAME.")],
    snapshot: Annotated[Path | None, typer.Option(help="Snapshot folder.")] = None,
    settings_file: SettingsFile = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the charts.")] = Path(
        "rightsize-out"
    ),
) -> None:
    """Show history, evidence, the binding rule and the alternatives turned down.

    **Example**

    `rightsize explain shop/cart --snapshot snapshots/prod`
    """
    from rightsize.config import load_settings
    from rightsize.output.charts import image
    from rightsize.output.charts.history import usage_history
    from rightsize.recommend import recommend
    from rightsize.sizing.alternatives import alternatives

    namespace, slash, name = workload.partition("/")
    if not slash or not name:
        raise UsageError(f"{workload!r} is no workload", hint="write it as NAMESPACE/NAME")
    source = open_snapshot(snapshot)
    settings = load_settings(settings_file)
    advice = recommend(source, settings)
    rows = [r for r in advice.recommendations if r.workload and r.is_called(workload)]
    if not rows:
        raise NoDataError(
            f"the snapshot has no mesh container of {workload}", hint=_near(advice, namespace)
        )
    charts: dict[str, str | bytes] = {}
    for row in rows:
        history = _history(source, row)
        of = path_part(f"{row.key.replace('/', '-')}-{row.container}")
        _print(advice, row)
        for turned_down in alternatives(history, row, settings.policy):
            output_console().print(f"  not {turned_down.option}: {turned_down.reason}")
        for resource in ("cpu", "memory"):
            charts[f"{of}-{resource}.png"] = image(usage_history(history.usage, row, resource))
        past = _past(history, settings)
        if past is not None:
            charts[f"{of}-past.png"] = past
    for path in write_files(out, charts):
        error_console().print(f"Chart: {path}", markup=False)


def _history(source: Snapshot, row: Recommendation) -> WindowHistory:
    from rightsize.sizing.history import container_histories

    wanted = (row.namespace, row.workload, row.kind, row.container)
    return next(
        history
        for history in container_histories(source, namespaces=[str(row.namespace)])
        if (history.namespace, history.workload, history.kind, history.container) == wanted
    )


def _past(history: WindowHistory, settings: Settings) -> bytes | None:
    """Print how the profile and the known recommenders would have done before; the chart of it."""
    from rightsize.output.backtest_rows import stretches_table
    from rightsize.output.charts import image
    from rightsize.output.charts.backtest import past_stretches
    from rightsize.sizing.backtest import Workload, backtest_workloads
    from rightsize.sizing.policies.arrays import History
    from rightsize.sizing.profiles import baselines, policy_named

    workload = Workload(
        history.namespace,
        history.workload,
        history.container,
        History.of(history.usage),
        history.in_force,
    )
    names = (settings.policy.profile, *baselines())
    try:
        result = backtest_workloads([workload], {name: policy_named(name) for name in names})
    except NoDataError:
        output_console().print("  past: too short a history to walk forward through")
        return None
    print_table(stretches_table(result))
    return image(past_stretches(workload.history, result.windows))


def _near(advice: Advice, namespace: str) -> str:
    there = sorted({r.workload or "" for r in advice.recommendations if r.namespace == namespace})
    if there:
        return f"in {namespace} there are: {', '.join(there[:12])}"
    known = sorted({r.namespace or "" for r in advice.recommendations if r.workload})
    return f"its namespaces are: {', '.join(known)}"


def _count(count: int | None) -> str:
    return "unknown" if count is None else str(count)


def _print(advice: Advice, row: Recommendation) -> None:
    from rightsize.sizing.reasons import formatted

    console = output_console()
    evidence = row.evidence
    simulated = " (simulated)" if advice.simulated else ""
    console.print(f"{row.key}, container {row.container}, {row.component}{simulated}")
    if evidence is not None:
        console.print(
            f"  history: {evidence.start:%Y-%m-%d} to {evidence.end:%Y-%m-%d} UTC, "
            f"{evidence.days:.1f} days with data, {evidence.pods} pods, {evidence.windows} windows"
        )
        share = evidence.throttled_share
        throttled = "no CPU limit" if share is None else f"{share:.2%} of CFS periods throttled"
        console.print(
            f"  events: {throttled}, OOM kills: {_count(evidence.oom_kills)}, "
            f"restarts: {_count(evidence.restarts)}"
        )
    resources: tuple[Resource, ...] = ("cpu", "memory")
    for resource in resources:
        size = row.cpu if resource == "cpu" else row.memory
        usage = size.usage
        used = ", ".join(
            f"{label} {formatted(resource, value)}"
            for label, value in (
                ("p50", usage.p50),
                ("p95", usage.p95),
                ("p99", usage.p99),
                ("peak", usage.peak),
                *([] if usage.burst is None else [("over two scrapes", usage.burst)]),
            )
        )
        console.print(f"  {resource} used: {used}")
        console.print(
            f"  {resource} request: {formatted(resource, size.request)} now, "
            f"{formatted(resource, size.recommended_request)} this step, "
            f"{formatted(resource, size.target_request)} in the end; limit: "
            f"{formatted(resource, size.limit)} now, "
            f"{formatted(resource, size.recommended_limit)} recommended "
            f"(binding rule: {size.rule})" + (f"; policy: {size.basis}" if size.basis else "")
        )
    console.print(f"  written as: {row.written}")
    console.print(f"  reason: {row.reason}")
    for note in row.notes:
        console.print(f"  note: {note}", markup=False)
