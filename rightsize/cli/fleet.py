"""`rightsize fleet`: many clusters at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rightsize.cli.options import SettingsFile
from rightsize.cli.prometheus_options import PrometheusSettingsOf, with_prometheus
from rightsize.errors import UsageError
from rightsize.output.console import error_console

app = typer.Typer(rich_markup_mode="markdown", no_args_is_help=True, add_completion=False)


@app.callback()
def fleet() -> None:
    """Do for every cluster of a fleet what the other commands do for one.

    `fleet.toml` lists the clusters; docs/fleet.md shows one. A cluster that fails is a row with its
    reason, the others finish, and the next run does what is missing.

    **Examples**

    `rightsize fleet discover --prometheus-url https://thanos.example.com --label cluster`
    """


@app.command()
@with_prometheus
def discover(
    prometheus_settings: PrometheusSettingsOf,
    label: Annotated[
        str, typer.Option(help="Label whose values are the clusters.", show_default=True)
    ] = "cluster",
    out: Annotated[
        Path, typer.Option("-o", "--out", help="File to write; one that is there is kept.")
    ] = Path("fleet.toml"),
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
