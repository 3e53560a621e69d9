"""`rightsize verify`: after a roll-out, what got worse and what to take back."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rightsize.cli.moments import FORMS, parse_moment
from rightsize.cli.options import FormatOption
from rightsize.cli.snapshots import open_snapshot
from rightsize.errors import ChangesFoundError, NoDataError
from rightsize.output.tables import Answer, Column, Table, show

if TYPE_CHECKING:
    from rightsize.results import Sizes
    from rightsize.rollout.verify import Compared, RolloutEffect

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
def verify(
    since: Annotated[
        datetime,
        typer.Option(help=f"First day of the roll-out (UTC): {FORMS}.", parser=parse_moment),
    ],
    snapshot: Annotated[
        Path | None, typer.Option(help="Snapshot folder with days before and after the roll-out.")
    ] = None,
    output_format: FormatOption = "table",
) -> None:
    """Say whether OOM kills, restarts, throttling or latency got worse for what was changed.

    Collect first (`rightsize collect` adds the days since the last time), then compare. Exits with
    code 10 when anything should be taken back.

    **Example**

    `rightsize verify --since 2026-10-01 --snapshot snapshots/prod`
    """
    from rightsize.rollout.verify import rollout_effects

    source = open_snapshot(snapshot)
    try:
        effects = rollout_effects(source, since.date())
    except ValueError as error:
        raise NoDataError(
            f"{source.path}: {error}",
            hint=f"it covers {source.days[0]} to {source.days[-1]}; give a date between",
        ) from error
    answer = Answer(
        document=lambda: {
            "schema_version": 1,
            "since": f"{since:%Y-%m-%d}",
            "effects": [asdict(e) | {"take_back": e.take_back} for e in effects],
        },
        parts=lambda: [_table(effects, f"Changed since {since:%Y-%m-%d} (UTC)")],
        remarks=() if effects else ("No container's sizes changed: nothing to compare.",),
    )
    show(answer, output_format)
    worse = [f"{e.namespace}/{e.workload}" for e in effects if e.take_back]
    if worse:
        raise ChangesFoundError(
            f"worse since {since:%Y-%m-%d}: {', '.join(worse)}",
            hint="take these back to the sizes before, then run rightsize recommend again",
        )


def _table(effects: tuple[RolloutEffect, ...], title: str) -> Table:
    columns = [
        Column("workload", lambda e: f"{e.namespace}/{e.workload}"),
        Column("component", lambda e: e.component),
        Column("request before", lambda e: _requests(e.before), whole=True),
        Column("after", lambda e: _requests(e.after), whole=True),
        Column("days", lambda e: f"{e.days_before}+{e.days_after}", whole=True),
        Column(
            "verdict",
            lambda e: e.verdict,
            whole=True,
            style=lambda e: "bold red" if e.take_back else None,
        ),
        Column("signals (before to after)", lambda e: "; ".join(map(_signal, e.signals))),
    ]
    return Table(title, columns, effects)


def _requests(sizes: Sizes) -> str:
    from rightsize.sizing.reasons import formatted

    cpu, memory = formatted("cpu", sizes.cpu_request), formatted("memory", sizes.memory_request)
    return f"{cpu} {memory}"


def _signal(signal: Compared) -> str:
    if signal.before is None or signal.after is None:
        return f"{signal.signal} unknown"
    worse = " (worse)" if signal.worse else ""
    return f"{signal.signal} {signal.before:.3g} to {signal.after:.3g} {signal.unit}{worse}"
