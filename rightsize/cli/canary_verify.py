"""`rightsize canary-verify`: does the size that was tried hold?"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rightsize.cli.moments import FORMS, parse_moment
from rightsize.cli.options import FormatOption, SettingsFile
from rightsize.cli.prometheus_options import PrometheusSettingsOf, with_prometheus
from rightsize.errors import ChangesFoundError
from rightsize.output.tables import Answer, Column, Table, show

if TYPE_CHECKING:
    from rightsize.rollout.canary_verdict import CanaryVerdict, Difference

app = typer.Typer(rich_markup_mode="markdown")
_HELP = """Compare resized pods with their siblings over the same hours, live from Prometheus.

Answers *holds*, *worse* (exit code 10: take it back) or *too early*, with the hours still needed.

**Example**

`rightsize canary-verify rightsize-out/canary --prometheus-url http://localhost:9090`
"""


@app.command(help=_HELP)
@with_prometheus
def canary_verify(
    prometheus_settings: PrometheusSettingsOf,
    folder: Annotated[Path, typer.Argument(help="Folder that `rightsize canary` wrote.")] = Path(
        "rightsize-out/canary"
    ),
    at: Annotated[
        datetime | None,
        typer.Option(help=f"Look back from this time, now without: {FORMS}.", parser=parse_moment),
    ] = None,
    output_format: FormatOption = "table",
    settings_file: SettingsFile = None,
) -> None:
    from rightsize.collectors.prometheus.pods_by_hour import pods_by_hour
    from rightsize.rollout.canary_folder import read_canary
    from rightsize.rollout.canary_verdict import judge, with_limits

    settings = prometheus_settings(settings_file)
    tried = read_canary(folder)
    found = pods_by_hour(
        settings,
        tried.namespace, tried.workload, tried.container, tried.since, at,
    )  # fmt: skip
    hours = with_limits(found.hours, tried.pods, tried.memory_before, tried.memory_after)
    verdict = judge(hours, found.busiest)
    name = f"{tried.namespace}/{tried.workload}"
    answer = Answer(
        document=lambda: {
            "schema_version": 1,
            "workload": name,
            "pods": list(tried.pods),
            "since": tried.since.isoformat(),
            **asdict(verdict),
        },
        parts=lambda: [_table(verdict, f"Canary of {name} since {tried.since:%Y-%m-%d %H:%M} UTC")],
        remarks=(_sentence(verdict),),
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
        Column("answer", lambda d: d.answer, whole=True),
    ]
    return Table(title, columns, verdict.differences)


def _figure(difference: Difference, value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value * 1000:.1f} ms" if difference.signal == "latency" else f"{value:.2%}"
