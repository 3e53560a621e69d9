"""`rightsize doctor`: what a metrics server knows, before collecting."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated

import typer

from rightsize.cli.kube_options import OpenCluster, with_cluster
from rightsize.cli.moments import FORMS, parse_moment
from rightsize.cli.options import FormatOption, SettingsFile
from rightsize.cli.prometheus_options import (
    PrometheusSettingsOf,
    Through,
    through_cluster,
    with_prometheus,
)
from rightsize.errors import NoDataError
from rightsize.output.tables import Answer, Column, Table, show

if TYPE_CHECKING:
    from rightsize.collectors.prometheus import Diagnosis

app = typer.Typer()

_HELP = """Say what a metrics server knows, before collecting from it.

Product, retention, scrape interval, each metric with what its absence costs, labels that need
care, and what a collect would ask of the server.

**Examples**

`rightsize doctor --prometheus-url http://localhost:9090` – what is there, and what is missing

`rightsize doctor --prometheus-url https://mimir.example.com/prometheus --tenant team-a
--format json` – for a program
"""


@app.command(help=_HELP)
@with_prometheus
@with_cluster
def doctor(
    prometheus_settings: PrometheusSettingsOf,
    open_cluster: OpenCluster,
    days: Annotated[int, typer.Option(help="Days of the collect to estimate.", min=1)] = 30,
    end: Annotated[
        datetime | None,
        typer.Option(
            "--at",
            "--end",
            help=f"Look at this time rather than now: {FORMS}. Without, at the newest data.",
            parser=parse_moment,
        ),
    ] = None,
    output_format: FormatOption = "table",
    through: Through = None,
    settings_file: SettingsFile = None,
) -> None:
    from rightsize.collectors.prometheus import diagnose

    settings = through_cluster(prometheus_settings(settings_file), through, open_cluster())
    found = diagnose(settings, days=days, at=end)
    answer = Answer(
        document=lambda: {"schema_version": 1, "servers": [asdict(one) for one in found]},
        parts=lambda: [part for one in found for part in _parts(one)],
    )
    show(answer, output_format)
    if not any(one.usable for one in found):
        raise NoDataError(
            "no CPU or memory of a mesh container",
            hint="; ".join(
                [
                    *(one.matched for one in found[:1] if one.matched),
                    "does it scrape the kubelet's /metrics/cadvisor? --at looks at another time",
                ]
            ),
        )


def _parts(one: Diagnosis) -> list[str | Table]:
    facts = [("server", one.server), ("product", f"{one.product} {one.version}")]
    if one.retention:
        facts.append(("retention", one.retention))
    if one.newest is not None:
        age = (datetime.now(UTC) - one.newest).total_seconds() / 86400
        facts.append(
            (
                "newest data",
                f"{one.newest:%Y-%m-%d %H:%M} UTC, {age:.1f} days old: shown as of then",
            )
        )
    if one.first_day is not None:
        facts.append(("mesh seen since", f"{one.first_day:%Y-%m-%d}"))
    if one.scrape_interval_seconds is not None:
        facts.append(("scrape interval", f"{one.scrape_interval_seconds:g} s"))
    if one.clusters:
        facts.append(("clusters", ", ".join(one.clusters)))
    if one.estimate is not None:
        guess = one.estimate
        facts.append(
            (
                f"collect of {guess.days} days",
                f"about {guess.requests} requests, {guess.bytes / 1e6:.0f} MB, "
                f"{max(guess.seconds, 1):.0f} s (estimated from one hour)",
            )
        )
    rows = [
        (
            m.metric,
            str(m.series),
            "ok" if m.series else "absent" if m.optional else "MISSING",
            m.costs,
        )
        for m in one.metrics
    ]
    rows += [(label.what, "", "ok" if label.good else "note", label.effect) for label in one.labels]
    columns = [
        Column(name, itemgetter(place))
        for place, name in enumerate(("metric", "series", "state", "without it"))
    ]
    return [*(f"{name:22}{value}" for name, value in facts), Table("", columns, rows)]
