"""`rightsize verify`: after a roll-out, what got worse and what to take back."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from rightsize.cli.console import error_console, print_table
from rightsize.cli.snapshots import open_snapshot
from rightsize.errors import ChangesFoundError, NoDataError
from rightsize.results import Sizes
from rightsize.rollout.verify import Compared, RolloutEffect, rollout_effects
from rightsize.sizing.reasons import formatted

app = typer.Typer(rich_markup_mode="markdown")


class Format(StrEnum):
    table = "table"
    json = "json"


@app.command()
def verify(
    since: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="First day of the roll-out (UTC).")
    ],
    snapshot: Annotated[
        Path | None, typer.Option(help="Snapshot folder with days before and after the roll-out.")
    ] = None,
    output_format: Annotated[Format, typer.Option("--format", help="Form of the answer.")] = (
        Format.table
    ),
) -> None:
    """Say whether OOM kills, restarts, throttling or latency got worse for what was changed.

    Collect first (`rightsize collect` adds the days since the last time), then compare. Exits with
    code 10 when anything should be taken back.

    **Example**

    `rightsize verify --since 2026-10-01 --snapshot snapshots/prod`
    """
    source = open_snapshot(snapshot)
    try:
        effects = rollout_effects(source, since.date())
    except ValueError as error:
        raise NoDataError(
            f"{source.path}: {error}",
            hint=f"it covers {source.days[0]} to {source.days[-1]}; give a date between",
        ) from error
    if output_format is Format.json:
        body = {
            "schema_version": 1,
            "since": f"{since:%Y-%m-%d}",
            "effects": [asdict(e) | {"take_back": e.take_back} for e in effects],
        }
        json.dump(body, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        print_table(_table(effects, f"Changed since {since:%Y-%m-%d} (UTC)"))
        if not effects:
            error_console().print("No container's sizes changed: nothing to compare.")
    worse = [f"{e.namespace}/{e.workload}" for e in effects if e.take_back]
    if worse:
        raise ChangesFoundError(
            f"worse since {since:%Y-%m-%d}: {', '.join(worse)}",
            hint="take these back to the sizes before, then run rightsize recommend again",
        )


def _table(effects: tuple[RolloutEffect, ...], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for header in ("workload", "component"):
        table.add_column(header, overflow="fold")
    for header in ("request before", "after", "days", "verdict"):
        table.add_column(header, no_wrap=True)
    table.add_column("signals (before to after)", overflow="fold")
    for effect in effects:
        table.add_row(
            f"{effect.namespace}/{effect.workload}",
            effect.component,
            _requests(effect.before),
            _requests(effect.after),
            f"{effect.days_before}+{effect.days_after}",
            f"[bold red]{effect.verdict}[/]" if effect.take_back else effect.verdict,
            "; ".join(_signal(signal) for signal in effect.signals),
        )
    return table


def _requests(sizes: Sizes) -> str:
    cpu, memory = formatted("cpu", sizes.cpu_request), formatted("memory", sizes.memory_request)
    return f"{cpu} {memory}"


def _signal(signal: Compared) -> str:
    if signal.before is None or signal.after is None:
        return f"{signal.signal} unknown"
    text = f"{signal.signal} {signal.before:.3g} to {signal.after:.3g} {signal.unit}"
    return f"[bold red]{text}[/]" if signal.worse else text
