"""`rightsize recommend`: from a snapshot and values files to a patch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Group

from rightsize.cli.options import (
    ChartOption,
    FilesToPatch,
    GatewayOption,
    NoCache,
    ReleaseOfIstio,
    ReleaseOption,
    SettingsFile,
    SizesFormatOption,
    SnapshotOption,
)
from rightsize.cli.patching import PatchOptions, patched, write_and_show
from rightsize.cli.snapshots import open_snapshot
from rightsize.errors import ChangesFoundError, NoDataError, RightsizeError, UsageError
from rightsize.output.console import error_console, output_console, progress_bar
from rightsize.output.tables import Answer, show
from rightsize.results import Component
from rightsize.sizing.profiles import profile_named, profile_policy, profiles

if TYPE_CHECKING:
    from rightsize.config import Settings
    from rightsize.cost.requests_worth import MonthlyWorth
    from rightsize.patch.model import Outcome
    from rightsize.results import Advice, Sizes
    from rightsize.snapshot import Snapshot

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
def recommend(
    snapshot: SnapshotOption = None,
    values: FilesToPatch = None,
    traces: Annotated[
        Path | None, typer.Option(help="Usage traces instead of a snapshot: CSV, or CSV with gzip.")
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for patched files.")] = Path(
        "rightsize-out"
    ),
    output_format: SizesFormatOption = "table",
    profile: Annotated[
        str | None,
        typer.Option(
            parser=profile_named, metavar=f"[{'|'.join(profiles())}]", help="Named policy."
        ),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--set", help="Parameter of the policy, as name=value; repeat for more."),
    ] = None,
    settings_file: SettingsFile = None,
    no_cache: NoCache = False,
    max_cut: Annotated[
        float | None, typer.Option(help="Largest share of a request cut in one step.")
    ] = None,
    min_days: Annotated[
        float | None, typer.Option(help="Days of history below which nothing is cut.")
    ] = None,
    limits: Annotated[
        Literal["raise", "fit"] | None,
        typer.Option(help="Whether limits only go up, or follow the policy."),
    ] = None,
    max_overrides: Annotated[
        int | None, typer.Option(help="Most workloads that may get annotations of their own.")
    ] = None,
    chart: ChartOption = None,
    istio_version: ReleaseOfIstio = None,
    gateway: GatewayOption = None,
    workload: Annotated[
        str | None,
        typer.Option(
            help="This workload alone, as name or ns/name; with -f, the one a manifest is for."
        ),
    ] = None,
    release: ReleaseOption = None,
    namespace: Annotated[
        str | None, typer.Option("-n", "--namespace", help="Workloads of this namespace alone.")
    ] = None,
    component: Annotated[Component | None, typer.Option(help="This component alone.")] = None,
    in_place: Annotated[bool, typer.Option(help="Write into the given files themselves.")] = False,
    evict_local_volumes: Annotated[
        bool,
        typer.Option(
            help="Also write the injector's annotation that lets Cluster Autoscaler drain nodes with "
            "injected pods, into the values of istiod."
        ),
    ] = False,
    verify_chart: Annotated[
        Path | None, typer.Option(help="Chart folder: render before and after, and compare.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also list workloads the mesh default covers.")
    ] = False,
    fail_if_change: Annotated[
        bool, typer.Option(help="Exit with code 10 when anything should change.")
    ] = False,
    max_monthly_increase: Annotated[
        float | None,
        typer.Option(
            help="Exit with code 10 when the requests would be worth so many USD a month more.",
            min=0,
        ),
    ] = None,
) -> None:
    """Say what each proxy, istiod and gateway should request, and patch values files.

    **Examples**

    `rightsize recommend` – the table alone, from the newest snapshot or the demo mesh

    `rightsize recommend -f values.yaml` – also writes rightsize-out/values.yaml and shows the diff

    `rightsize recommend -f base.yaml -f prod.yaml --chart istiod --in-place`

    `rightsize recommend --format markdown > pull-request.md`

    `rightsize recommend --format kustomize > rightsize/kustomization.yaml` – a component for overlays

    `rightsize recommend -n shop --component sidecar` – one team's part, without the mesh default

    `rightsize recommend --format json --fail-if-change` – for CI: exit code 10 on drift

    `rightsize recommend --traces usage.csv.gz --format csv` – sizes of each series, no floors
    """
    from rightsize.config import load_settings
    from rightsize.patch.in_force import given_sizes

    settings = load_settings(
        settings_file,
        flags={
            "policy": {
                "profile": profile,
                "parameters": _parameters(parameter),
                "max_cut": max_cut,
                "min_days": min_days,
                "limits": limits,
                "max_overrides": max_overrides,
            }
        },
    )
    if traces is not None:
        if snapshot or values:
            raise UsageError("--traces goes without --snapshot and -f", hint="drop these options")
        show_traces(traces, settings, output_format)
        return
    source = open_snapshot(snapshot, no_cache=no_cache)
    given = given_sizes(values or (), chart=chart, istio_version=istio_version)
    advice = computed(source, settings, given)
    if not advice.recommendations:
        raise NoDataError(
            "no container of the mesh runs at the end of the snapshot: there is nothing to size",
            hint="rightsize doctor says which metrics the server has",
        )
    if namespace is not None or component is not None or (workload is not None and not values):
        advice = advice.only(namespace=namespace, workload=workload, component=component)
        if not advice.recommendations:
            raise NoDataError(
                "the snapshot has no mesh container of these",
                hint="rightsize recommend --all lists every workload",
            )
        everything = True

    def worth() -> MonthlyWorth:
        from rightsize.cost.requests_worth import monthly_worth

        return monthly_worth(advice, source.manifest.region, settings.prices.hours_per_month)

    if not values:
        show(advice_answer(advice, everything=everything, worth=worth), output_format)
    else:
        from rightsize.patch.changes import largest_node

        options = PatchOptions(
            chart, istio_version, gateway, workload, out, in_place, verify_chart, release,
            largest_node(source), evict_local_volumes,
        )  # fmt: skip
        try:
            result = patched(advice, values, options)
        except RightsizeError:
            show(advice_answer(advice, everything=everything, worth=worth), output_format)
            raise
        answer = advice_answer(advice, everything=everything, outcomes=result.outcomes, worth=worth)
        show(answer, output_format)
        write_and_show(result, options, diff_on_stdout=output_format == "table")
    if max_monthly_increase is not None:
        _within_budget(worth(), max_monthly_increase)
    changing = sum(row.changes for row in advice.recommendations)
    if fail_if_change and changing:
        raise ChangesFoundError(
            f"{changing} of {len(advice.recommendations)} recommendations differ from what is in "
            "force",
            hint="apply the patch, or drop --fail-if-change",
        )


def _within_budget(worth: MonthlyWorth, most: float) -> None:
    """Refuse sizes that are worth more than the budget allows, at the price of a core and a byte."""
    if worth.unknown:
        error_console().print(
            f"--max-monthly-increase leaves out {worth.unknown} workloads: nothing reported what they "
            "request today"
        )
    if worth.usd > most:
        raise ChangesFoundError(
            f"the requests would be worth {worth.usd:,.2f} USD a month more, {most:,.2f} are allowed "
            f"({worth.basis})",
            hint="rightsize recommend lists what is raised, and why",
        )


def computed(
    snapshot: Snapshot, settings: Settings, given: Mapping[Component, Sizes] | None = None
) -> Advice:
    """Run the engine with a progress bar."""
    from rightsize.recommend import recommend as recommend_sizes

    with progress_bar() as bar:
        task = bar.add_task("Sizing workloads", total=None)
        return recommend_sizes(
            snapshot,
            settings,
            given=given,
            progress=lambda name: bar.update(task, advance=1, description=name),
        )


def advice_answer(
    advice: Advice,
    *,
    everything: bool = False,
    outcomes: Sequence[Outcome] = (),
    worth: Callable[[], MonthlyWorth] | None = None,
) -> Answer:
    """The recommendations, and for the table what else a reader should know.

    `outcomes` say what became of them in the given files; `worth`, what Markdown begins with.
    """
    from rightsize.output.advice_rows import advice_to_dict, advice_to_frame
    from rightsize.output.advice_text import advice_markdown, advice_table, summary_lines

    return Answer(
        document=lambda: advice_to_dict(advice, outcomes),
        parts=lambda: [
            Group(advice_table(advice, everything=everything, width=output_console().width))
        ],
        rows=lambda: advice_to_frame(advice),
        sizes=lambda: advice,
        markdown=lambda: advice_markdown(
            advice,
            everything=everything,
            outcomes=outcomes,
            worth=None if worth is None else worth(),
        ),
        remarks=summary_lines(advice),
    )


def show_traces(traces: Path, settings: Settings, output_format: str) -> None:
    """Print the sizes of each series of a trace file, in cores and bytes, as CSV or JSON."""
    from rightsize.sizing.backtest.traces import recommend_traces

    chosen = profile_policy(settings.policy.profile, settings.policy.parameters)
    sizes = recommend_traces(traces, chosen)
    answer = Answer(
        document=lambda: {
            "schema_version": 1,
            "series": json.loads(sizes.to_json(orient="records")),
        },
        parts=list,
        rows=lambda: sizes,
    )
    if output_format == "markdown":
        raise UsageError("--format markdown is not made for traces", hint="use csv or json")
    show(answer, "csv" if output_format == "table" else output_format)


def _parameters(given: list[str] | None) -> dict[str, float | bool] | None:
    if not given:
        return None
    found: dict[str, float | bool] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text}: expected name=value", hint="--set cpu_margin=0.3")
        try:
            found[name] = value == "true" if value in ("true", "false") else float(value)
        except ValueError as error:
            raise UsageError(f"--set {text}: {value!r} is neither a number nor a flag") from error
    return found
