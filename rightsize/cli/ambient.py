"""`rightsize ambient`: sidecars or ambient mode, namespace by namespace."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rightsize.border import write_files
from rightsize.cli.kube_options import OpenCluster, with_cluster
from rightsize.cli.options import FormatOption, SettingsFile, SnapshotOption
from rightsize.cli.snapshots import open_snapshot
from rightsize.output.console import error_console
from rightsize.output.tables import SIMULATED, Answer, show

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
@with_cluster
def ambient(
    open_cluster: OpenCluster,
    snapshot: SnapshotOption = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "-f",
            "--file",
            help="Objects, values, alert rules and dashboards, or folders of them; repeat for more.",
        ),
    ] = None,
    istio_version: Annotated[
        str | None, typer.Option(help="Istio's release, where the snapshot does not state it.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", help="Folder for scripts of each wave, checks, ztunnel's values."
        ),
    ] = None,
    settings_file: SettingsFile = None,
    output_format: FormatOption = "table",
) -> None:
    """Say what ambient mode would do for this mesh: obstacles, waypoints, costs, an order.

    **Examples**

    `rightsize ambient` – from traffic and pods alone

    `rightsize ambient -f istio.yaml -f monitoring/` – with Istio's objects, rules and dashboards

    `rightsize ambient -f istio.yaml -o out` – also scripts there and back, and their checks

    `rightsize ambient --kube-context prod --format json`
    """
    from rightsize.ambient.answer import answer_ambient, costs_frame
    from rightsize.ambient.order import wave_files
    from rightsize.ambient.running import autoscaler_manifests
    from rightsize.audit.reading import read_files
    from rightsize.cli.audit import release_of, running
    from rightsize.config import load_settings
    from rightsize.files.yaml_text import to_yaml
    from rightsize.output.ambient_rows import ambient_parts, ambient_to_dict
    from rightsize.sizing.node_bound import largest_node

    source = open_snapshot(snapshot)
    settings = load_settings(settings_file)
    release, cluster = release_of(istio_version), open_cluster()
    with error_console().status("Reading objects and traffic, planning nodes"):
        sources = None
        if files or cluster is not None:
            objects = () if cluster is None else running(cluster)
            sources = read_files(files or (), version=release, objects=objects)
        found = answer_ambient(source, settings, sources, release)
    simulated = source.manifest.simulated
    answer = Answer(
        document=lambda: ambient_to_dict(found, simulated=simulated),
        parts=lambda: [*([SIMULATED] if simulated else []), *ambient_parts(found)],
        rows=lambda: costs_frame(found),
    )
    show(answer, output_format)
    if out is not None:
        version = istio_version or source.manifest.istio_version
        made: dict[str, str] = {}
        if found.costs is not None:
            made = wave_files(found.costs.waves, found.costs.ztunnel, version, largest_node(source))
        scalers = autoscaler_manifests(found.running.waypoints) if found.running else []
        if scalers:
            made["waypoint-autoscalers.yaml"] = to_yaml(scalers)
        error_console().print(f"{len(write_files(out, made))} files in {out}", markup=False)
    for problem in sources.problems if sources else ():
        error_console().print(f"not read: {problem.file}: {problem.text}", markup=False)
