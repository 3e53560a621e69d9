"""`rightsize runbook`: what to run when something goes wrong, for the mesh at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rightsize.cli.options import SnapshotOption
from rightsize.cli.snapshots import open_snapshot
from rightsize.output.console import Printer, error_console

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
def runbook(
    snapshot: SnapshotOption = None,
    namespace: Annotated[
        str | None, typer.Option("-n", "--namespace", help="Namespace of the examples.")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", help="File instead of stdout.")] = None,
) -> None:
    """Write working sequences for mutual TLS, authorization, propagation, injection and capture.

    With the names, revision and release of this mesh; every command reads and changes nothing.

    **Examples**

    `rightsize runbook` – Markdown on stdout

    `rightsize runbook -n shop -o runbook.md`
    """
    from rightsize.border import write_text
    from rightsize.rollout.runbook import names_of
    from rightsize.rollout.runbook import runbook as written

    text = written(names_of(open_snapshot(snapshot), namespace))
    if out is None:
        Printer().write(text)
        return
    write_text(out, text)
    error_console().print(f"Written: {out}", markup=False)
