"""`rightsize proxies`: what makes a proxy big, and what would make it smaller."""

from __future__ import annotations

import typer

from rightsize.cli.options import FormatOption, SettingsFile, SnapshotOption
from rightsize.cli.snapshots import open_snapshot
from rightsize.output.console import error_console
from rightsize.output.tables import SIMULATED, Answer, show

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
def proxies(
    snapshot: SnapshotOption = None,
    settings_file: SettingsFile = None,
    output_format: FormatOption = "table",
) -> None:
    """Name what makes sidecars big: threads, connections, statistics, logs, the scrape itself.

    **Examples**

    `rightsize proxies`

    `rightsize proxies --snapshot snapshots/prod --format json`
    """
    from rightsize.config import load_settings
    from rightsize.output.proxy_rows import levers_table, proxies_to_dict, proxy_parts
    from rightsize.proxies.study import study_proxies

    source = open_snapshot(snapshot)
    with error_console().status("Fitting the proxies"):
        study = study_proxies(source, load_settings(settings_file))
    simulated = source.manifest.simulated
    answer = Answer(
        document=lambda: proxies_to_dict(study, simulated=simulated),
        parts=lambda: [*([SIMULATED] if simulated else []), *proxy_parts(study)],
        rows=lambda: levers_table(study),
    )
    show(answer, output_format)
