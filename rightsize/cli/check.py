"""`rightsize check`: whether a snapshot is whole, and which days to fetch again."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rightsize.cli.options import FormatOption
from rightsize.errors import SnapshotError
from rightsize.output.tables import Answer, records_frame, show

app = typer.Typer()


@app.command()
def check(
    snapshot: Annotated[Path, typer.Argument(help="Snapshot folder.")],
    output_format: FormatOption = "table",
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
    whole = f"{len(days)} days, {len(days) - len(damaged)} whole"
    lines = [f"{one.day}: {fault}" for one in damaged for fault in one.faults]
    lines += [
        f"{one.day}: no usage rows (the server had no mesh container that day)"
        for one in days
        if not one.usage_rows and not one.faults
    ]
    answer = Answer(
        document=lambda: {"days": [asdict(one) for one in days]},
        parts=lambda: [*lines, whole],
        rows=lambda: records_frame([asdict(one) for one in days]),
    )
    show(answer, output_format)
    if damaged:
        again = ", ".join(str(one.day) for one in damaged)
        raise SnapshotError(
            f"{snapshot}: {len(damaged)} of {len(days)} days are damaged: {again}",
            hint=f"rightsize collect --out {snapshot} --start {damaged[0].day} with the options of "
            "the first collect fetches them again",
        )
