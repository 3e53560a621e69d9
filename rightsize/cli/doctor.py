"""`rightsize doctor`: what a metrics server knows, before collecting."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from rightsize.cli.console import output_console, print_table
from rightsize.cli.moments import FORMS, parse_moment
from rightsize.cli.prometheus_options import (
    AllowPartial,
    BearerTokenEnv,
    BearerTokenFile,
    CaFile,
    ClientCert,
    ClientKey,
    Compress,
    Header,
    InFlight,
    Insecure,
    Matcher,
    PasswordEnv,
    PasswordFile,
    Proxy,
    SettingsFile,
    Sigv4Region,
    Tenant,
    Timeout,
    Url,
    Username,
    settings_from,
)
from rightsize.collectors.prometheus import Diagnosis, diagnose
from rightsize.errors import NoDataError

app = typer.Typer()

_HELP = """Say what a metrics server knows, before collecting from it.

Product, retention, scrape interval, each metric with what its absence costs, labels that need
care, and what a collect would ask of the server.

**Examples**

`rightsize doctor --prometheus-url http://localhost:9090` – what is there, and what is missing

`rightsize doctor --prometheus-url https://mimir.example.com/prometheus --tenant team-a
--format json` – for a program
"""


class Format(StrEnum):
    table = "table"
    json = "json"


@app.command(help=_HELP)
def doctor(
    prometheus_url: Url = None,
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
    output_format: Annotated[Format, typer.Option("--format", help="Form on stdout.")] = (
        Format.table
    ),
    matcher: Matcher = None,
    tenant: Tenant = None,
    header: Header = None,
    bearer_token_env: BearerTokenEnv = None,
    bearer_token_file: BearerTokenFile = None,
    username: Username = None,
    password_env: PasswordEnv = None,
    password_file: PasswordFile = None,
    sigv4_region: Sigv4Region = None,
    ca_file: CaFile = None,
    client_cert: ClientCert = None,
    client_key: ClientKey = None,
    insecure: Insecure = None,
    proxy: Proxy = None,
    in_flight: InFlight = None,
    timeout: Timeout = None,
    compress: Compress = None,
    allow_partial: AllowPartial = None,
    settings_file: SettingsFile = None,
) -> None:
    settings = settings_from(
        file=settings_file,
        url=prometheus_url,
        gateways=None,
        matchers=matcher,
        tenant=tenant,
        headers=header,
        bearer_token_env=bearer_token_env,
        bearer_token_file=bearer_token_file,
        username=username,
        password_env=password_env,
        password_file=password_file,
        sigv4_region=sigv4_region,
        ca_file=ca_file,
        client_cert=client_cert,
        client_key=client_key,
        insecure=insecure,
        proxy=proxy,
        in_flight=in_flight,
        timeout_seconds=timeout,
        compress=compress,
        allow_partial=allow_partial,
    )
    found = diagnose(settings, days=days, at=end)
    if output_format is Format.json:
        servers = [asdict(one) for one in found]
        typer.echo(json.dumps({"schema_version": 1, "servers": servers}, indent=2, default=str))
    else:
        for one in found:
            _print(one)
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


def _print(one: Diagnosis) -> None:
    console = output_console()
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
    for name, value in facts:
        console.print(f"{name:22}{value}", markup=False)
    table = Table("metric", "series", "state", "without it")
    for metric in one.metrics:
        state = "ok" if metric.series else "absent" if metric.optional else "MISSING"
        table.add_row(metric.metric, str(metric.series), state, metric.costs)
    for label in one.labels:
        table.add_row(label.what, "", "ok" if label.good else "note", label.effect)
    print_table(table)
