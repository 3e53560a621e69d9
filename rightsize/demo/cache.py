"""The demo snapshot on disk: made on first use, then read."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import platformdirs

from rightsize.border import scratch_folder
from rightsize.demo.parameters import DemoParameters, midnight
from rightsize.demo.tables import day_tables
from rightsize.demo.topology import build_mesh
from rightsize.errors import OutputError
from rightsize.snapshot import DayRecord, Manifest, SnapshotWriter

Progress = Callable[[int, int], None]


def demo_snapshot(
    cache: Path | None = None,
    parameters: DemoParameters | None = None,
    progress: Progress | None = None,
) -> Path:
    """Return the folder of the demo mesh's snapshot, making it on first use.

    Parameters
    ----------
    cache : Path, optional
        Where demo snapshots are kept; the user's cache folder by default.
    progress : callable, optional
        Called with days done and days in all.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    p = parameters or DemoParameters()
    home = cache or Path(platformdirs.user_cache_dir("rightsize"))
    folder = home / f"demo-{p.fingerprint}"
    if (folder / "manifest.json").exists():
        return folder
    try:
        home.mkdir(parents=True, exist_ok=True)
        with scratch_folder(home) as partial:
            write_demo(partial, p, progress)
            os.replace(partial, folder)
    except OSError as error:
        # Another process was faster: its snapshot is the same.
        if not (folder / "manifest.json").exists():
            raise OutputError(
                f"{home}: cannot be written ({error.strerror})",
                hint="set XDG_CACHE_HOME to a folder that can",
            ) from error
    return folder


def write_demo(folder: Path, p: DemoParameters, progress: Progress | None = None) -> None:
    """Write the snapshot of a demo mesh into `folder`, day by day."""
    mesh = build_mesh(p)
    facts = {name: str(value) for name, value in asdict(p).items()}
    manifest = Manifest(
        cluster="demo",
        source="demo",
        simulated=True,
        region=p.region,
        istio_version="1.28.6",
        scrape_interval_seconds=60.0,
        facts=facts | {"synthetic": "every figure is generated, none was measured"},
    )
    with SnapshotWriter(folder, manifest) as writer:
        for number, day in enumerate(p.days):
            start = midnight(day)
            record = DayRecord(start, start + timedelta(days=1), complete=True, rows={}, absent=())
            writer.write_day(day, day_tables(mesh, day), record)
            if progress is not None:
                progress(number + 1, len(p.days))
