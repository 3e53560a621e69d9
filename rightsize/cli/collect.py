"""`rightsize collect`: a snapshot of a live mesh."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rightsize.cli.kube_options import OpenCluster, with_cluster
from rightsize.cli.moments import FORMS, parse_moment
from rightsize.cli.options import AwsProfile, AwsRole, SettingsFile
from rightsize.cli.prometheus_options import (
    PrometheusSettingsOf,
    Through,
    through_cluster,
    with_prometheus,
)
from rightsize.errors import UsageError
from rightsize.output.console import error_console, progress_bar

if TYPE_CHECKING:
    from rightsize.collectors.kube import Cluster
    from rightsize.collectors.objects import Objects

app = typer.Typer()

_SHOWN = 3
"""Lines about what is missing, the most important first."""

_HELP = """Take a snapshot of a live mesh from Prometheus.

Days the folder holds already are not fetched again, so a second run goes on where the first one
stopped. Nothing is written to the cluster or the server.

**Examples**

`rightsize collect --prometheus-url http://localhost:9090` – the last 30 days

`rightsize collect --prometheus-url https://thanos.example.com --bearer-token-env TOKEN
--matcher cluster=prod --days 14 --out snapshots/prod` – one of many clusters in a store

`rightsize collect --prometheus-url http://localhost:9090 --objects objects.json` – with HPAs, PDBs
and labels from kubectl

`rightsize collect --kube-context prod` – the same, read from the cluster, and its metrics through the
API server's proxy

`rightsize collect --prometheus-url http://localhost:9090 --kube-context prod` – metrics from elsewhere

`rightsize collect --prometheus-url http://localhost:9090 --aws --aws-region eu-west-1` – with prices
"""


@app.command(help=_HELP)
@with_prometheus
@with_cluster
def collect(
    prometheus_settings: PrometheusSettingsOf,
    open_cluster: OpenCluster,
    days: Annotated[int, typer.Option(help="Days before the end to fetch.", min=1)] = 30,
    start: Annotated[
        datetime | None,
        typer.Option(help=f"Begin on this day (UTC) instead: {FORMS}.", parser=parse_moment),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option(help="End before this time; now by default.", parser=parse_moment),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Snapshot folder; ./snapshots/<cluster, matcher or context> by default."),
    ] = None,
    cluster: Annotated[str | None, typer.Option(help="Name of the cluster.")] = None,
    objects: Annotated[
        list[Path] | None,
        typer.Option(
            help="Output of `kubectl get nodes,namespaces,pods,deployments,statefulsets,"
            "daemonsets,cronjobs,hpa,pdb,limitranges,resourcequotas -A -o json` (or yaml); may be "
            "repeated."
        ),
    ] = None,
    gateway: Annotated[
        list[str] | None,
        typer.Option(help="namespace/workload of a gateway that looks like a sidecar."),
    ] = None,
    through: Through = None,
    settings_file: SettingsFile = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="List all that the server lacks.")
    ] = False,
    aws: Annotated[
        bool, typer.Option("--aws", help="Also ask AWS for prices, machines and commitments.")
    ] = False,
    aws_region: Annotated[
        str | None, typer.Option(help="The cluster's region. That of the nodes.")
    ] = None,
    aws_profile: AwsProfile = None,
    aws_role_arn: AwsRole = None,
) -> None:
    from rightsize.collectors import prometheus
    from rightsize.config import load_settings

    source = open_cluster()
    settings = prometheus_settings(settings_file, gateways=gateway)
    settings = through_cluster(settings, through, source)
    console = error_console()
    read = _objects(source, objects or ())
    with progress_bar() as bar:
        task = bar.add_task("connecting", total=None)

        def report(done: int, total: int, day: date | None) -> None:
            bar.update(task, completed=done, total=total, description=f"{day or 'collecting'}")

        collected = prometheus.collect(
            settings,
            out=out,
            days=days,
            start=start,
            end=end,
            cluster=cluster,
            objects=read,
            progress=report,
        )
    gaps = collected.manifest.missing
    if aws:
        from rightsize.collectors.aws import Wanted, collect_aws, region_of, store_aws

        facts = collect_aws(
            aws_region or region_of(collected.path),
            Wanted(collected.manifest.cluster),
            profile=aws_profile,
            role_arn=aws_role_arn,
            settings=load_settings(settings_file).prices,
        )
        store_aws(collected.path, facts)
        gaps = (*gaps, *facts.missing)
    shown = gaps if verbose else gaps[:_SHOWN]
    for missing in shown:
        console.print(f"missing: {missing.what}: {missing.costs}", markup=False, soft_wrap=True)
    if len(gaps) > len(shown):
        rest = len(gaps) - len(shown)
        console.print(f"{rest} more are missing: -v or rightsize doctor lists them", markup=False)
    for day in collected.gone:
        console.print(f"{day}: to be fetched again, but the server no longer has it", markup=False)
    console.print(
        f"{len(collected.fetched)} days fetched, {collected.kept} were there already; "
        f"{collected.requests} requests, {collected.received_bytes / 1e6:.1f} MB",
        markup=False,
    )
    typer.echo(collected.path)


def _objects(cluster: Cluster | None, files: Sequence[Path]) -> Sequence[Path] | Objects:
    """Of files or of the cluster: what is in both would count twice."""
    if cluster is None:
        return files
    if files:
        raise UsageError("--objects and a cluster to read say the same", hint="give one of the two")
    from rightsize.collectors.kube import cluster_objects

    with error_console().status("Reading the cluster"):
        return cluster_objects(cluster)
