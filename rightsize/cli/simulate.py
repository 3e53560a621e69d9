"""`rightsize simulate`: the mesh at another scale, or without sidecars."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rightsize.cli.console import error_console, print_lines
from rightsize.cli.snapshots import open_snapshot
from rightsize.config import load_settings
from rightsize.output.simulation_rows import simulation_lines, simulation_to_dict
from rightsize.simulate.what_if import what_if

app = typer.Typer(rich_markup_mode="markdown")


class Format(StrEnum):
    text = "text"
    json = "json"


@app.command()
def simulate(
    snapshot: Annotated[
        Path | None, typer.Option(help="Snapshot folder. Newest under ./snapshots/, else the demo.")
    ] = None,
    services: Annotated[float | None, typer.Option(help="Services. As many as today.")] = None,
    pods: Annotated[float | None, typer.Option(help="Pods in the mesh. As many as today.")] = None,
    rps: Annotated[
        float | None, typer.Option(help="Requests/s at the busiest. Grows with the pods.")
    ] = None,
    ambient: Annotated[
        bool, typer.Option(help="Also without sidecars: ztunnel and waypoints, published figures.")
    ] = False,
    waypoint_share: Annotated[
        float, typer.Option(help="Share of requests through a waypoint, in ambient mode.")
    ] = 1.0,
    settings_file: Annotated[
        Path | None, typer.Option("--config", help="Settings file. ./rightsize.toml where it is.")
    ] = None,
    output_format: Annotated[
        Format, typer.Option("--format", help="Form of the answer on stdout.")
    ] = Format.text,
) -> None:
    """Say what the mesh needs at another scale: requests, replicas, nodes, dollars.

    **Examples**

    `rightsize simulate --services 3000 --pods 10000`

    `rightsize simulate --ambient --waypoint-share 0.4` – the mesh of today without sidecars

    `rightsize simulate --services 1500 --pods 4000 --rps 90000 --format json`
    """
    source = open_snapshot(snapshot)
    settings = load_settings(settings_file)
    with error_console().status("Fitting the mesh and planning nodes"):
        now, found = what_if(
            source,
            settings,
            services=services,
            pods=pods,
            requests_per_second=rps,
            ambient=ambient,
            waypoint_share=waypoint_share,
        )
    if output_format is Format.json:
        answer = simulation_to_dict(now, found, simulated=source.manifest.simulated)
        json.dump(answer, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    if source.manifest.simulated:
        print_lines(["The demo mesh is simulated: no figure of it was measured."])
    print_lines(simulation_lines(now, found))
