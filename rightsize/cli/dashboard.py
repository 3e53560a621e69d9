"""`rightsize dashboard`: a Grafana dashboard on the series that the alerts record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from rightsize.cli.alerts import MatcherOption, NoMatchersOption, marks_and_matchers, written
from rightsize.cli.options import OutFile, SettingsFile, SnapshotOption
from rightsize.errors import UsageError

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
def dashboard(
    snapshot: SnapshotOption = None,
    out: OutFile = None,
    output_format: Annotated[
        Literal["json", "configmap"],
        typer.Option("--format", help="JSON to import, or a ConfigMap for Grafana's sidecar."),
    ] = "json",
    namespace: Annotated[
        str | None, typer.Option(help="Namespace of the ConfigMap. That of kubectl.")
    ] = None,
    canary: Annotated[
        Path | None,
        typer.Option(help="Folder of `rightsize canary`: the comparison opens on these pods."),
    ] = None,
    matcher: MatcherOption = None,
    no_matchers: NoMatchersOption = False,
    settings_file: SettingsFile = None,
) -> None:
    """Write a Grafana dashboard: requested, used and recommended by workload, istiod, the canary.

    It reads the series that the rules of `rightsize alerts` record: load both, and write them anew
    with each recommendation.

    **Examples**

    `rightsize dashboard -o rightsize-dashboard.json` – to import in Grafana

    `rightsize dashboard --format configmap --namespace monitoring` – for kubectl apply

    `rightsize dashboard --canary rightsize-out/canary` – with the pods that were resized
    """
    from rightsize.output.dashboard import config_map_text, dashboard_text
    from rightsize.output.dashboard import dashboard as dashboard_of
    from rightsize.rollout.canary_folder import read_canary

    if namespace and output_format == "json":
        raise UsageError("JSON to import has no namespace", hint="--format configmap")
    tried = None if canary is None else read_canary(canary)
    marks, matchers = marks_and_matchers(snapshot, settings_file, matcher, no_matchers)
    found = dashboard_of(marks, matchers, tried)
    text = (
        dashboard_text(found)
        if output_format == "json"
        else config_map_text(found, namespace=namespace)
    )
    written(text, out, "Dashboard")
