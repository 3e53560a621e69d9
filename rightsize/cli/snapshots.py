"""Which snapshot a command works on: the one named, else the newest, else the demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rightsize.output.console import error_console

if TYPE_CHECKING:
    from rightsize.snapshot import Snapshot

SNAPSHOTS = Path("snapshots")


def open_snapshot(path: Path | None, *, no_cache: bool = False) -> Snapshot:
    """Open `path`, else the newest snapshot below `./snapshots/`, else the demo; say which."""
    found = _opened(path)
    found.keeps_answers = not no_cache
    return found


def _opened(path: Path | None) -> Snapshot:
    from rightsize.snapshot import Snapshot
    from rightsize.snapshot.store import newest_snapshot
    from rightsize.snapshot.stored import open_at

    console = error_console()
    if path is not None:
        return open_at(path)
    newest = newest_snapshot(SNAPSHOTS)
    if newest is not None:
        console.print(f"Using the newest snapshot, {newest}")
        return Snapshot(newest)
    console.print(
        "No snapshot given and none under ./snapshots/: using the simulated demo mesh. "
        "Collect your own with: rightsize collect --prometheus-url URL"
    )
    from rightsize.demo import demo_snapshot

    with console.status("Making the demo mesh (first use only)"):
        folder = demo_snapshot()
    return Snapshot(folder)
