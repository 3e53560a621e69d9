"""`rightsize simulate`: the mesh at another scale, or without sidecars."""

from __future__ import annotations

from typing import Annotated

import typer

from rightsize.cli.options import FormatOption, SettingsFile, SnapshotOption
from rightsize.cli.snapshots import open_snapshot
from rightsize.output.console import error_console
from rightsize.output.tables import SIMULATED, Answer, show

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
def simulate(
    snapshot: SnapshotOption = None,
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
    settings_file: SettingsFile = None,
    output_format: FormatOption = "table",
) -> None:
    """Say what the mesh needs at another scale: requests, replicas, nodes, dollars.

    **Examples**

    `rightsize simulate --services 3000 --pods 10000`

    `rightsize simulate --ambient --waypoint-share 0.4` – the mesh of today without sidecars

    `rightsize simulate --services 1500 --pods 4000 --rps 90000 --format json`
    """
    from rightsize.config import load_settings
    from rightsize.output.simulation_rows import (
        simulation_lines,
        simulation_to_dict,
        simulation_to_frame,
    )
    from rightsize.simulate.what_if import what_if

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
    simulated = source.manifest.simulated
    answer = Answer(
        document=lambda: simulation_to_dict(now, found, simulated=simulated),
        parts=lambda: [*([SIMULATED] if simulated else []), *simulation_lines(now, found)],
        rows=lambda: simulation_to_frame(now, found),
    )
    show(answer, output_format)
