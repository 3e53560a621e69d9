"""`rightsize scope`: what istiod and each proxy need to know, and manifests that say so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rightsize.border import write_files
from rightsize.cli.kube_options import OpenCluster, say_missing, with_cluster
from rightsize.cli.options import FormatOption, SettingsFile, SnapshotOption
from rightsize.cli.snapshots import open_snapshot
from rightsize.errors import UsageError
from rightsize.output.console import error_console
from rightsize.output.tables import SIMULATED, Answer, records_frame, show

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
@with_cluster
def scope(
    open_cluster: OpenCluster,
    snapshot: SnapshotOption = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for manifests, values and commands.")
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(help="Egress host for every namespace, as NAMESPACE/NAME; repeat for more."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Namespace to keep in discovery whatever was seen; repeat for more."),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "-f",
            "--file",
            help="Istio's objects, from kubectl get -A -o yaml: VirtualServices keep their hosts, "
            "namespaces that hold configuration stay in discovery; repeat for more.",
        ),
    ] = None,
    settings_file: SettingsFile = None,
    output_format: FormatOption = "table",
) -> None:
    """Scope the mesh to the calls that were seen: discovery, Sidecars, idle sidecars, rules.

    **Examples**

    `rightsize scope` – what could go, and how sure that is

    `rightsize scope -o out` – also Sidecars, DestinationRules, selectors and label commands

    `rightsize scope -f istio.yaml` – also keeps the routes of VirtualServices

    `rightsize scope --kube-context prod` – the same, read from the cluster

    `rightsize scope --host monitoring/* --keep payments-dr --format json`
    """
    from rightsize.collectors.istio_objects import read_istio_objects
    from rightsize.config import load_settings
    from rightsize.cost.other import other_costs
    from rightsize.namespaces.configuration import configuration_of
    from rightsize.namespaces.scope_files import scope_files
    from rightsize.namespaces.study import study_scope
    from rightsize.output.scope_rows import scope_lines, scope_to_dict

    for text in host or []:
        if text.count("/") != 1 or text.startswith("/") or text.endswith("/"):
            raise UsageError(f"--host {text}: expected NAMESPACE/NAME", hint="--host monitoring/*")
    objects = read_istio_objects(files or ())
    cluster, whole = open_cluster(), frozenset[str]()
    if cluster is not None:
        from rightsize.collectors.kube import configuration_objects

        read = configuration_objects(cluster)
        say_missing(read.missing)
        whole = read.whole
        objects += read.objects
    configuration = configuration_of(objects, whole) if files or cluster else None
    source = open_snapshot(snapshot)
    settings = load_settings(settings_file)
    messages = error_console()
    with messages.status("Reading who calls whom"):
        study = study_scope(
            source,
            given_hosts=host or (),
            given_namespaces=keep or (),
            configuration=configuration,
            settings=settings.nodes,
            cross_zone=other_costs(settings.prices.other_costs_file).get("cross_zone"),
        )
    simulated = source.manifest.simulated
    document = scope_to_dict(study, simulated=simulated)
    answer = Answer(
        document=lambda: document,
        parts=lambda: [*([SIMULATED] if simulated else []), *scope_lines(study)],
        rows=lambda: records_frame(document["egress"]),
    )
    show(answer, output_format)
    if out is not None:
        made = scope_files(study, istio_version=source.manifest.istio_version)
        messages.print(f"{len(write_files(out, made))} files in {out}", markup=False)
