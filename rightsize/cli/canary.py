"""`rightsize canary`: a size tried on running pods, without a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rightsize.cli.options import SettingsFile, SnapshotOption
from rightsize.cli.snapshots import open_snapshot
from rightsize.output.console import error_console

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
def canary(
    workload: Annotated[str, typer.Option(help="The workload, as NAMESPACE/NAME.")],
    snapshot: SnapshotOption = None,
    pods: Annotated[int, typer.Option(help="Pods to resize.", min=1)] = 1,
    step: Annotated[
        bool, typer.Option("--step/--end", help="Try this step, or the end state at once.")
    ] = True,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder to write.")] = Path(
        "rightsize-out/canary"
    ),
    settings_file: SettingsFile = None,
) -> None:
    """Write a script that resizes running pods in place, what to watch, and the way back.

    Needs Kubernetes 1.33 or later; nothing is restarted. `rightsize canary-verify` says afterwards
    whether the size holds.

    **Examples**

    `rightsize canary --workload shop/cart`

    `rightsize canary --workload shop/cart --pods 2 --end -o try`
    """
    from rightsize.border import write_files
    from rightsize.config import load_settings
    from rightsize.recommend import recommend
    from rightsize.rollout.canary import canary_files, plan_canary

    source = open_snapshot(snapshot)
    advice = recommend(source, load_settings(settings_file))
    found = plan_canary(source, advice, workload, count=pods, end=not step)
    for path in write_files(out, canary_files(found)):
        error_console().print(f"Written: {path}", markup=False)
    error_console().print(f"Next: read {out / 'README.md'}, then sh {out / 'resize.sh'}")
