"""`rightsize simulate`: the mesh at another scale, or without sidecars."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rightsize.analysis.control_plane.model import fit_istiod
from rightsize.analysis.control_plane.source import read_istiod
from rightsize.analysis.mesh_today import mesh_today
from rightsize.analysis.scope.study import fitted_proxies
from rightsize.analysis.simulate import Scale
from rightsize.analysis.simulate import simulate as carried_to
from rightsize.analysis.unit_price import unit_price
from rightsize.cli.console import error_console, output_console
from rightsize.cli.snapshots import open_snapshot
from rightsize.config import load_settings
from rightsize.reporters.simulation_rows import simulation_lines, simulation_to_dict

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
        model = fit_istiod(read_istiod(source).hours)
        proxies, law, _ = fitted_proxies(source)
        now = mesh_today(source, proxies, model.load.services, settings.nodes)
        many = now.scale.pods if pods is None else pods
        scale = Scale(
            services=now.scale.services if services is None else services,
            pods=many,
            requests_per_second=now.scale.requests_per_second * many / now.scale.pods
            if rps is None
            else rps,
            waypoint_share=waypoint_share,
        )
        price = unit_price(source.manifest.region).price
        found = [carried_to(now, scale, model, law, price)]
        if ambient:
            found.append(carried_to(now, scale, model, law, price, mode="ambient"))
    if output_format is Format.json:
        answer = simulation_to_dict(now, found, simulated=source.manifest.simulated)
        json.dump(answer, sys.stdout, indent=2)
        sys.stdout.write("\n")
        return
    if source.manifest.simulated:
        output_console().print("The demo mesh is simulated: no figure of it was measured.")
    for line in simulation_lines(now, found):
        output_console().print(line, markup=False, soft_wrap=True)
