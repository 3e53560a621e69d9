"""`rightsize init`: a commented settings file with what could be found out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rightsize.cli.options import NewFile
from rightsize.errors import UsageError
from rightsize.output.console import error_console

if TYPE_CHECKING:
    from rightsize.output.settings_text import Found

app = typer.Typer()


@app.command()
def init(out: NewFile = Path("rightsize.toml")) -> None:
    """Write a commented rightsize.toml with every setting, and in force what could be found out.

    Nothing is asked, neither you nor a server. The metrics server is taken from PROMETHEUS_URL, else
    from the newest snapshot under ./snapshots/, with its matchers. Secrets are never written.

    **Examples**

    `rightsize init`

    `rightsize init -o team/rightsize.toml`
    """
    from rightsize.border import write_text
    from rightsize.output.settings_text import settings_text

    if out.exists():
        raise UsageError(f"{out} is there already", hint="choose another file with --out")
    found = _found()
    write_text(out, settings_text(found))
    for (section, name), (_, where) in found.items():
        error_console().print(f"{section}.{name} from {where}", markup=False)
    typer.echo(out)


def _found() -> Found:
    """The metrics server, without credentials, and the matchers of the mesh in it."""
    from rightsize.cli.snapshots import SNAPSHOTS
    from rightsize.snapshot import Snapshot
    from rightsize.snapshot.store import newest_snapshot

    url = os.environ.get("PROMETHEUS_URL", "").strip()
    if url.startswith(("http://", "https://")) and "@" not in url and url.isprintable():
        return {("prometheus", "url"): ([url], "PROMETHEUS_URL")}
    newest = newest_snapshot(SNAPSHOTS)
    manifest = None if newest is None else Snapshot(newest).manifest
    if manifest is None or manifest.simulated or not manifest.facts.get("servers"):
        return {}
    # Names of servers are addresses without credentials, or Services behind a cluster's API server.
    servers = manifest.facts["servers"].split(", ")
    if not all(one.startswith(("http://", "https://")) for one in servers):
        return {}
    found: dict[tuple[str, str], tuple[object, str]] = {
        ("prometheus", "url"): (servers, str(newest))
    }
    matchers = manifest.facts.get("matchers", "").split(", ")
    if all("=" in one for one in matchers):
        found["prometheus", "matchers"] = matchers, str(newest)
    return found
