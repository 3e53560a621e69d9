"""`rightsize check`: whether a snapshot is whole, and which days to fetch again."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rightsize.errors import SnapshotError

app = typer.Typer()


class Format(StrEnum):
    text = "text"
    json = "json"


@app.command()
def check(
    snapshot: Annotated[Path, typer.Argument(help="Snapshot folder.")],
    output_format: Annotated[
        Format, typer.Option("--format", help="Form on stdout.")
    ] = Format.text,
) -> None:
    """Say whether a snapshot is whole, and which days to fetch again.

    Every file is read and compared with the hash, the rows and the columns that the manifest names
    for it. Ends with exit code 5 if one is damaged; `rightsize collect` into the same folder fetches
    those days again.

    **Examples**

    `rightsize check snapshots/prod`

    `rightsize check snapshots/prod --format json`
    """
    from rightsize.snapshot.check import check_snapshot

    days = check_snapshot(snapshot)
    damaged = [one for one in days if one.faults]
    if output_format is Format.json:
        typer.echo(json.dumps({"days": [asdict(one) for one in days]}, indent=1, default=str))
    else:
        for one in damaged:
            for fault in one.faults:
                typer.echo(f"{one.day}: {fault}")
        for one in days:
            if not one.usage_rows and not one.faults:
                typer.echo(f"{one.day}: no usage rows (the server had no mesh container that day)")
        typer.echo(f"{len(days)} days, {len(days) - len(damaged)} whole")
    if damaged:
        again = ", ".join(str(one.day) for one in damaged)
        raise SnapshotError(
            f"{snapshot}: {len(damaged)} of {len(days)} days are damaged: {again}",
            hint=f"rightsize collect --out {snapshot} --start {damaged[0].day} with the options of "
            "the first collect fetches them again",
        )
