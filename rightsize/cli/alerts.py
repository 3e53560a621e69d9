"""`rightsize alerts`: rules that say when a recommendation no longer holds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rightsize.border import write_text
from rightsize.cli.options import OutFile, SettingsFile, SnapshotOption
from rightsize.cli.recommend import computed
from rightsize.cli.snapshots import open_snapshot
from rightsize.errors import UsageError
from rightsize.output.console import error_console

if TYPE_CHECKING:
    from rightsize.config import Settings
    from rightsize.output.alerts.marks import AlertMarks
    from rightsize.snapshot import Snapshot

app = typer.Typer(rich_markup_mode="markdown")
MatcherOption = Annotated[
    list[str] | None, typer.Option(help="Label matcher added to every query. Those of the collect.")
]
NoMatchersOption = Annotated[
    bool, typer.Option("--no-matchers", help="Add none: for the cluster's own Prometheus.")
]


@app.command()
def alerts(
    snapshot: SnapshotOption = None,
    out: OutFile = None,
    output_format: Annotated[
        Literal["operator", "rules"],
        typer.Option("--format", help="PrometheusRule for the operator, or a plain rules file."),
    ] = "operator",
    namespace: Annotated[
        str | None, typer.Option(help="Namespace of the PrometheusRule. That of kubectl.")
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Label of the PrometheusRule, as name=value; repeat for more."),
    ] = None,
    matcher: MatcherOption = None,
    no_matchers: NoMatchersOption = False,
    settings_file: SettingsFile = None,
) -> None:
    """Write Prometheus alerts that say when the recommendation no longer holds.

    They speak of the sizes that `rightsize recommend` gives for this snapshot with these settings.
    Write them anew with each recommendation.

    **Examples**

    `rightsize alerts -o rightsize-alerts.yaml` – a PrometheusRule for kubectl apply

    `rightsize alerts --namespace monitoring --label release=prometheus` – as the operator selects

    `rightsize alerts --format rules -o rules.yaml` – for Prometheus without an operator
    """
    from rightsize.output.alerts import operator_text, rules_text

    labels = dict(_pair(text) for text in label or ())
    if output_format == "rules" and (labels or namespace):
        raise UsageError("a rules file has neither labels nor namespace", hint="drop these options")
    marks, more = marks_and_matchers(snapshot, settings_file, matcher, no_matchers)
    if output_format == "rules":
        text = rules_text(marks, more)
    else:
        text = operator_text(marks, more, namespace=namespace, labels=labels)
    written(text, out, "Alerts")


def marks_and_matchers(
    snapshot: Path | None, settings_file: Path | None, matcher: list[str] | None, no_matchers: bool
) -> tuple[AlertMarks, str]:
    """What the alerts rest on, and the label matchers of their queries.

    Raises
    ------
    UsageError
        If the options contradict each other.
    """
    from rightsize.collectors.prometheus.connection import matchers as matchers_of
    from rightsize.config import load_settings
    from rightsize.output.alerts.marks import alert_marks

    if matcher and no_matchers:
        raise UsageError("--matcher and --no-matchers contradict each other", hint="give one")
    settings = load_settings(settings_file)
    source = open_snapshot(snapshot)
    chosen = () if no_matchers else tuple(matcher or _collected_with(source, settings))
    more = matchers_of(settings.prometheus.model_copy(update={"matchers": chosen}))
    advice = computed(source, settings)
    with error_console().status("Reading what it rests on"):
        return alert_marks(source, advice, settings.policy), more


def written(text: str, out: Path | None, what: str) -> None:
    """Write a text to a file and say where, or to stdout."""
    if out is None:
        sys.stdout.write(text)
    else:
        error_console().print(f"{what}: {write_text(out, text)}", markup=False)


def _collected_with(snapshot: Snapshot, settings: Settings) -> tuple[str, ...]:
    matchers = snapshot.manifest.facts.get("matchers")
    return tuple(matchers.split(", ")) if matchers else tuple(settings.prometheus.matchers)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"--label {text}: expected name=value", hint="--label release=prometheus")
    return name, value
