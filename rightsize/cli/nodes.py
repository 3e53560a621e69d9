"""`rightsize nodes`: which nodes the pods need, today and with the recommended requests."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rightsize.cli.options import FormatOption, NoCache, PricesRegion, SettingsFile, SnapshotOption
from rightsize.cli.snapshots import open_snapshot
from rightsize.errors import NoDataError
from rightsize.output.console import progress_bar
from rightsize.output.tables import Answer, show

if TYPE_CHECKING:
    from rightsize.nodes.autoscaler import AutoscalerKind

app = typer.Typer(rich_markup_mode="markdown")


class Plan(StrEnum):
    same_type = "same-type"
    single_type = "single-type"
    mix = "mix"


@app.command()
def nodes(
    snapshot: SnapshotOption = None,
    recommended: Annotated[
        bool, typer.Option(help="Also plan with the recommended requests.")
    ] = True,
    plan: Annotated[
        list[Plan] | None, typer.Option(help="Plan to make; repeat for more. All three.")
    ] = None,
    families: Annotated[
        str | None, typer.Option(help="Instance families allowed: m5,c6i. Current m, c and r.")
    ] = None,
    sizes: Annotated[
        str | None, typer.Option(help="Sizes allowed. large,xlarge,2xlarge,4xlarge.")
    ] = None,
    arch: Annotated[
        str | None, typer.Option(help="amd64, arm64 or both by comma. Those in use.")
    ] = None,
    capacity: Annotated[str | None, typer.Option(help="on-demand, spot or blend.")] = None,
    max_types: Annotated[int | None, typer.Option(help="Most instance types in a mix.")] = None,
    floor_per_zone: Annotated[int | None, typer.Option(help="Fewest nodes in every zone.")] = None,
    spread: Annotated[
        str | None, typer.Option(help="Spread assumed for replicas: none, host or zone.")
    ] = None,
    cni_mode: Annotated[
        str | None,
        typer.Option(
            help="observed, default, prefix, custom, custom+prefix, security-groups or ipv6."
        ),
    ] = None,
    max_pods: Annotated[int | None, typer.Option(help="Pod slots of every node.")] = None,
    headroom: Annotated[
        str | None, typer.Option(help="What may be lost: none, node or zone.")
    ] = None,
    surge: Annotated[
        float | None, typer.Option(help="Share of a workload's pods that a rollout adds.")
    ] = None,
    demand: Annotated[
        str | None, typer.Option(help="Pods to hold: of the busiest hour, the last, or at peak.")
    ] = None,
    region: PricesRegion = None,
    group_minimum: Annotated[
        str | None,
        typer.Option(help="Smallest size of node groups, such as general=3: the replay keeps it."),
    ] = None,
    replay: Annotated[
        Literal["auto", "cluster-autoscaler", "karpenter", "none"],
        typer.Option(help="Autoscaler under which the month is replayed; auto: the one in use."),
    ] = "auto",
    time_limit: Annotated[
        float | None, typer.Option(help="Work for each plan, in seconds of one idle core.")
    ] = None,
    settings_file: SettingsFile = None,
    no_cache: NoCache = False,
    output_format: FormatOption = "table",
) -> None:
    """Plan nodes: the same type, the cheapest single type, the cheapest mix.

    Each plan has two counts: `packed`, the ideal with its proven gap, and `promised`, on which a
    replay of the scheduler places every pod with a node lost and a rollout under way.

    **Examples**

    `rightsize nodes` – from the newest snapshot or the demo mesh

    `rightsize nodes --families m5,m6i,c6i --spread zone --headroom zone`

    `rightsize nodes --cni-mode custom` – what losing the primary interface costs in nodes

    `rightsize nodes --arch amd64,arm64 --format json`

    `rightsize nodes --replay karpenter` – as if Karpenter ran; --replay none leaves the month out
    """
    from rightsize.beside import second_process
    from rightsize.config import load_settings
    from rightsize.nodes.answer import answer
    from rightsize.nodes.autoscaler import autoscaler_in_use
    from rightsize.nodes.plan import PLAN_NAMES
    from rightsize.output.node_month import month_table
    from rightsize.output.node_plans import answer_table, answer_to_dict, answer_to_frame, remarks
    from rightsize.recommend import recommend as recommend_sizes
    from rightsize.snapshot.views import newest_rows

    settings = load_settings(
        settings_file,
        flags={
            "nodes": {
                "families": families,
                "sizes": sizes,
                "arch": arch,
                "capacity": capacity,
                "max_types": max_types,
                "floor_per_zone": floor_per_zone,
                "spread": spread,
                "cni_mode": cni_mode,
                "max_pods": max_pods,
                "headroom": headroom,
                "surge": surge,
                "group_minimum": group_minimum,
                "demand": demand,
                "time_limit": time_limit,
            }
        },
    )
    source = open_snapshot(snapshot, no_cache=no_cache)
    kind: AutoscalerKind | None = None
    if replay == "auto":
        kind = autoscaler_in_use(newest_rows(source, "nodes"))
    elif replay != "none":
        kind = replay
    with progress_bar() as bar, second_process() as beside:
        bar.add_task("Planning nodes", total=None)
        advice = recommend_sizes(source, settings) if recommended else None
        planned = partial(
            answer,
            source,
            settings.nodes,
            advice=advice,
            region=region,
            names=PLAN_NAMES if not plan else tuple(one.value for one in plan),
            prices=settings.prices,
            graviton=True,
            beside=beside,
        )
        try:
            found = planned(autoscaler=kind)
        except NoDataError:
            if replay != "auto":
                raise
            # Nobody asked for a month that the snapshot cannot replay.
            found = planned(autoscaler=None)
    hours = settings.prices.hours_per_month
    tables = [answer_table(found, hours)]
    tables += [] if found.month is None else [month_table(found.month)]
    said = Answer(
        document=lambda: answer_to_dict(found, hours),
        parts=lambda: tables,
        rows=lambda: answer_to_frame(found, hours),
        remarks=remarks(found, hours),
    )
    show(said, output_format)
