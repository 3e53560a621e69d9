"""`rightsize shards`: namespaces divided over several istiods, and the way there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rightsize.border import write_files
from rightsize.cli.kube_options import OpenCluster, say_missing, with_cluster
from rightsize.cli.options import FormatOption, SnapshotOption
from rightsize.cli.snapshots import open_snapshot
from rightsize.output.console import error_console
from rightsize.output.tables import SIMULATED, Answer, records_frame, show

if TYPE_CHECKING:
    from rightsize.namespaces.configuration import Configuration
    from rightsize.namespaces.shard_loads import Namespaces

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
@with_cluster
def shards(
    open_cluster: OpenCluster,
    snapshot: SnapshotOption = None,
    count: Annotated[
        int | None, typer.Option("--shards", min=1, help="Number of shards; the model chooses.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for values, commands and runbook.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="Namespace that every shard watches; repeat for more.")
    ] = None,
    objects: Annotated[
        list[Path] | None,
        typer.Option(
            "-f",
            "--file",
            help="Istio's objects, from kubectl get -A -o yaml: shards watch the namespaces that hold "
            "what their calls need; repeat for more.",
        ),
    ] = None,
    output_format: FormatOption = "table",
) -> None:
    """Divide namespaces over several istiods so that load is even and few calls are cut.

    **Examples**

    `rightsize shards` – how many pay, by the model fitted on this mesh

    `rightsize shards -f istio.yaml` – namespaces that hold configuration stay watched

    `rightsize shards --kube-context prod` – the same, read from the cluster

    `rightsize shards --shards 3 -o out` – values, labels, tags and the order of the move
    """
    from rightsize.collectors.istio_objects import read_istio_objects
    from rightsize.istiod.model import fit_istiod
    from rightsize.istiod.propagation import propagation
    from rightsize.istiod.source import read_istiod
    from rightsize.istiod.thresholds import istiod_node
    from rightsize.namespaces.configuration import configuration_of
    from rightsize.namespaces.shard_delay import predicted_delay
    from rightsize.namespaces.shard_files import shard_files, shard_lines, shards_to_dict
    from rightsize.namespaces.shard_loads import namespaces_of
    from rightsize.namespaces.shards import choose_shards
    from rightsize.namespaces.traffic import namespace_labels, read_edges
    from rightsize.prices.unit_price import unit_price
    from rightsize.sizing.node_bound import largest_node

    given = read_istio_objects(objects or ())
    cluster, whole = open_cluster(), frozenset[str]()
    if cluster is not None:
        from rightsize.collectors.kube import configuration_objects

        read = configuration_objects(cluster)
        say_missing(read.missing)
        whole = read.whole
        given += read.objects
    configuration = configuration_of(given, whole)
    source = open_snapshot(snapshot)
    messages = error_console()
    with messages.status("Fitting istiod and dividing namespaces"):
        tables = read_istiod(source)
        model = fit_istiod(tables.hours)
        containers = source.read("containers")
        delays = propagation(tables.control_plane, istio_version=source.manifest.istio_version)
        mesh = namespaces_of(
            read_edges(source), tables.pods, containers, model.load.services, configuration
        )
        advice = choose_shards(
            mesh,
            model,
            unit_price(source.manifest.region).price,
            shards=count,
            node=istiod_node(tables.pods, tables.containers, tables.nodes),
            kept=tuple(dict.fromkeys((*(keep or ()), *_alone(configuration, mesh)))),
        )
    expected = {
        shard.number: predicted_delay(delays, model.load, model.replicas, shard)
        for shard in advice.chosen.shards
    }
    simulated = source.manifest.simulated
    document = shards_to_dict(advice, expected, simulated=simulated)
    answer = Answer(
        document=lambda: document,
        parts=lambda: [*([SIMULATED] if simulated else []), *shard_lines(advice, expected)],
        rows=lambda: records_frame(document["shards"]),
    )
    show(answer, output_format)
    if out is not None and len(advice.chosen.shards) == 1:
        messages.print("One istiod: nothing to move, no file written. Ask for more with --shards")
    elif out is not None:
        files = shard_files(
            advice,
            mesh,
            istio_version=source.manifest.istio_version,
            labels=namespace_labels(source.read("namespaces")),
            most=largest_node(source),
        )
        write_files(out, files)
        messages.print(f"{len(files)} files in {out}", markup=False)


def _alone(configuration: Configuration, mesh: Namespaces) -> list[str]:
    """Namespaces with configuration that neither have proxies nor are called."""
    return [name for name in configuration.namespaces if name not in mesh.names]
