"""`rightsize control-plane`: what istiod needs, how fast it pushes, when it outgrows what it has."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rightsize.border import path_part, write_files
from rightsize.cli.options import FormatOption, SettingsFile, SnapshotOption
from rightsize.cli.snapshots import open_snapshot
from rightsize.output.console import error_console
from rightsize.output.tables import SIMULATED, Answer, records_frame, show

app = typer.Typer(rich_markup_mode="markdown")


@app.command("control-plane")
def control_plane(
    snapshot: SnapshotOption = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Folder for istiod's values file and the chart."),
    ] = None,
    output_format: FormatOption = "table",
    settings_file: SettingsFile = None,
) -> None:
    """Size istiod from its own history, read propagation delays, and date its thresholds.

    **Examples**

    `rightsize control-plane`

    `rightsize control-plane --snapshot snapshots/prod -o out` – also istiod-values.yaml, growth.png

    `rightsize control-plane --format json`
    """
    from rightsize.config import load_settings
    from rightsize.files.yaml_text import to_yaml
    from rightsize.istiod.source import istiod_revisions, study_istiod
    from rightsize.namespaces.manifests import istiod_budget, istiod_values
    from rightsize.output.charts import image
    from rightsize.output.charts.control_plane import growth_with_thresholds
    from rightsize.output.control_plane_rows import control_plane_lines, control_plane_to_dict

    source = open_snapshot(snapshot)
    settings = load_settings(settings_file)
    messages = error_console()
    with messages.status("Fitting istiod's history"):
        revisions = istiod_revisions(source) or ("",)
        found = [study_istiod(source, settings.policy, name) for name in revisions]
    lines = [line for advice, ahead in found for line in control_plane_lines(advice, ahead)]
    simulated = source.manifest.simulated
    answer = Answer(
        document=lambda: control_plane_to_dict(found, simulated=simulated),
        parts=lambda: [*([SIMULATED] if simulated else []), *lines],
        rows=lambda: records_frame(
            [{"revision": advice.revision, **asdict(advice.recommended)} for advice, _ in found]
        ),
    )
    show(answer, output_format)
    if out is None:
        return
    files: dict[str, str | bytes] = {}
    for advice, ahead in found:
        suffix = f"-{path_part(advice.revision)}" if len(found) > 1 else ""
        comment = "\n".join(["istiod chart, this step of rightsize control-plane", *advice.reasons])
        files[f"istiod-values{suffix}.yaml"] = to_yaml([istiod_values(advice)], comment=comment)
        budget = istiod_budget(advice)
        if budget is not None:
            files[f"istiod-budget{suffix}.yaml"] = to_yaml([budget])
        if ahead.of("services") is not None:
            chart = growth_with_thresholds(
                ahead, cluster=source.manifest.cluster, simulated=source.manifest.simulated
            )
            files[f"growth{suffix}.png"] = image(chart)
    for path in write_files(out, files):
        what = next(label for start, label in _LABELS.items() if path.name.startswith(start))
        messages.print(f"{what}: {path}", markup=False)


_LABELS = {"istiod-values": "Values", "istiod-budget": "Disruption budget", "growth": "Chart"}
