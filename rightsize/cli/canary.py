"""`rightsize canary`: a size tried on running pods, without a restart, and what became of it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rightsize.cli.kube_options import OpenCluster, with_cluster
from rightsize.cli.moments import FORMS, parse_moment
from rightsize.cli.options import FormatOption, SettingsFile, SnapshotOption
from rightsize.cli.prometheus_options import (
    PrometheusSettingsOf,
    Through,
    through_cluster,
    with_prometheus,
)
from rightsize.cli.snapshots import open_snapshot
from rightsize.errors import ChangesFoundError, UsageError
from rightsize.output.console import error_console
from rightsize.output.tables import Answer, Column, Table, show

if TYPE_CHECKING:
    from rightsize.rollout.canary_verdict import CanaryVerdict, Difference

app = typer.Typer(rich_markup_mode="markdown", invoke_without_command=True, add_completion=False)
_FOLDER = Path("rightsize-out/canary")


@app.callback()
def canary(
    context: typer.Context,
    workload: Annotated[
        str | None, typer.Option(help="The workload, as NAMESPACE/NAME; needed.")
    ] = None,
    snapshot: SnapshotOption = None,
    pods: Annotated[int, typer.Option(help="Pods to resize.", min=1)] = 1,
    step: Annotated[
        bool, typer.Option("--step/--end", help="Try this step, or the end state at once.")
    ] = True,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to write.")] = _FOLDER,
    settings_file: SettingsFile = None,
) -> None:
    """Write a script that resizes running pods in place, what to watch, and the way back.

    Needs Kubernetes 1.33 or later; nothing is restarted. `rightsize canary verify` says afterwards
    whether the size holds.

    **Examples**

    `rightsize canary --workload shop/cart`

    `rightsize canary --workload shop/cart --pods 2 --end -o try`

    `rightsize canary verify rightsize-out/canary --prometheus-url http://localhost:9090`
    """
    if context.invoked_subcommand is not None:
        return
    if workload is None:
        raise UsageError("which workload?", hint="add --workload NAMESPACE/NAME")
    from rightsize.border import write_files
    from rightsize.config import load_settings
    from rightsize.recommend import recommend
    from rightsize.rollout.canary import plan_canary
    from rightsize.rollout.canary_scripts import canary_files

    source = open_snapshot(snapshot)
    advice = recommend(source, load_settings(settings_file))
    found = plan_canary(source, advice, workload, count=pods, end=not step)
    console = error_console()
    for path in write_files(out, canary_files(found)):
        console.print(f"Written: {path}", markup=False)
    for said in found.said:
        console.print(f"Note: {said}.", markup=False)
    console.print(f"Next: read {out / 'README.md'}, then sh {out / 'resize.sh'}", markup=False)


_VERIFY = """Compare resized pods with their siblings over the same hours, live from Prometheus.

Answers *holds*, *worse* (exit code 10: take it back) or *too early*, with the hours still needed.

**Example**

`rightsize canary verify rightsize-out/canary --prometheus-url http://localhost:9090`
"""


@app.command(help=_VERIFY)
@with_prometheus
@with_cluster
def verify(
    prometheus_settings: PrometheusSettingsOf,
    open_cluster: OpenCluster,
    folder: Annotated[Path, typer.Argument(help="Folder that `rightsize canary` wrote.")] = _FOLDER,
    at: Annotated[
        datetime | None,
        typer.Option(help=f"Look back from this time, now without: {FORMS}.", parser=parse_moment),
    ] = None,
    output_format: FormatOption = "table",
    through: Through = None,
    settings_file: SettingsFile = None,
) -> None:
    from rightsize.collectors.prometheus.pods_by_hour import Proxies, pods_by_hour
    from rightsize.rollout.canary_folder import read_canary
    from rightsize.rollout.canary_verdict import judge, made_anew, marked

    settings = through_cluster(prometheus_settings(settings_file), through, open_cluster())
    tried = read_canary(folder)
    proxies = Proxies(
        tried.namespace, tried.workload, tried.kind, tried.component, tried.container, tried.native
    )
    hours = pods_by_hour(settings, proxies, tried.since, at)
    verdict = judge(marked(hours, tried))
    anew = made_anew(hours, tried)
    name = f"{tried.namespace}/{tried.workload}"
    remarks = [_sentence(verdict)]
    if anew:
        remarks.append(
            f"Made anew since, with its template's sizes: {', '.join(anew)}. resize.sh tries again."
        )
    answer = Answer(
        document=lambda: {
            "schema_version": 2,
            "workload": name,
            "pods": [pod.name for pod in tried.pods],
            "made_anew": list(anew),
            "since": tried.since.isoformat(),
            **asdict(verdict),
        },
        parts=lambda: [_table(verdict, f"Canary of {name} since {tried.since:%Y-%m-%d %H:%M} UTC")],
        remarks=tuple(remarks),
    )
    show(answer, output_format)
    if verdict.answer == "worse":
        raise ChangesFoundError(f"worse: {verdict.reason}", hint=f"sh {folder / 'way-back.sh'}")


def _sentence(verdict: CanaryVerdict) -> str:
    if verdict.answer == "too early":
        return (
            f"Too early: needs {verdict.more_hours} more hours at this traffic; {verdict.reason}."
        )
    return f"{verdict.answer.capitalize()}: {verdict.reason}."


def _table(verdict: CanaryVerdict, title: str) -> Table:
    columns = [
        Column("signal", lambda d: d.signal),
        Column("resized", lambda d: _figure(d, d.resized), whole=True),
        Column("siblings", lambda d: _figure(d, d.siblings), whole=True),
        Column("answer", _answer, whole=True),
    ]
    return Table(title, columns, verdict.differences)


def _answer(difference: Difference) -> str:
    return "not measured" if difference.resized is None else difference.answer


def _figure(difference: Difference, value: float | None) -> str:
    if value is None:
        return "unknown"
    milliseconds = difference.signal in ("latency", "CPU per request")
    return f"{value * 1000:.2f} ms" if milliseconds else f"{value:.2%}"
