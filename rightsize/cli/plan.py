"""`rightsize plan`: every recommendation in one ordered rollout."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rightsize.cli.options import (
    ChartOption,
    Commitment,
    FilesToPatch,
    FormatOption,
    GatewayOption,
    NoCache,
    ReleaseOfIstio,
    SettingsFile,
    SnapshotOption,
)
from rightsize.cli.snapshots import open_snapshot
from rightsize.output.console import error_console
from rightsize.output.tables import Answer, show

if TYPE_CHECKING:
    from rightsize.audit.model import Finding

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
def plan(
    snapshot: SnapshotOption = None,
    values: FilesToPatch = None,
    objects: Annotated[
        list[Path] | None,
        typer.Option(
            "--istio-objects",
            help="Istio's objects, from kubectl get -A -o yaml: VirtualServices keep their hosts in "
            "scope; repeat for more.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for the plan and its files.")
    ] = None,
    output_format: FormatOption = "table",
    chart: ChartOption = None,
    istio_version: ReleaseOfIstio = None,
    gateway: GatewayOption = None,
    workload: Annotated[
        str | None, typer.Option(help="Workload a manifest is for, as ns/name, where unclear.")
    ] = None,
    commitment: Commitment = None,
    settings_file: SettingsFile = None,
    no_cache: NoCache = False,
) -> None:
    """Put every recommendation into one rollout: phases in order, with checks and ways back.

    Each phase says what must hold before it, what it saves, what to run, the PromQL that shows
    whether it worked, how long to wait, and how to undo it. Nothing in a cluster is changed.

    **Examples**

    `rightsize plan` – the phases and what each saves

    `rightsize plan -o plan` – also plan/plan.md, checks.yaml and the files of each phase

    `rightsize plan -f values.yaml -o plan` – with your values file, patched phase by phase

    `rightsize plan --format json --commitment 0`
    """
    from rightsize.beside import second_process
    from rightsize.collectors.istio_objects import read_istio_objects
    from rightsize.config import load_settings
    from rightsize.namespaces.configuration import configuration_of
    from rightsize.patch.in_force import given_sizes
    from rightsize.rollout.build import build_plan
    from rightsize.rollout.document import PlanDocument, check_folder, write_document
    from rightsize.rollout.study import study_plan
    from rightsize.rollout.table import plan_table
    from rightsize.rollout.values_files import GivenFiles

    settings = load_settings(
        settings_file, flags={"prices": {"commitment_usd_per_hour": commitment}}
    )
    given = GivenFiles(tuple(values or ()), chart, istio_version, gateway, workload)
    if out is not None:
        check_folder(out)
    configuration = configuration_of(read_istio_objects(objects)) if objects else None
    source = open_snapshot(snapshot, no_cache=no_cache)
    messages = error_console()
    with messages.status("Planning") as status, second_process() as beside:
        study = study_plan(
            source,
            settings,
            now=datetime.now(tz=UTC),
            configuration=configuration,
            found=_audited(values or (), chart, istio_version),
            given=given_sizes(values or (), chart=chart, istio_version=istio_version),
            progress=lambda what: status.update(f"{what[0].upper()}{what[1:]}"),
            beside=beside,
        )
        rollout, bought = build_plan(study)
        document = PlanDocument.of(study, rollout, bought, given)
    answer = Answer(
        document=lambda: document.as_dict(sorted(document.files)),
        parts=lambda: [plan_table(rollout)],
        markdown=lambda: document.markdown,
    )
    show(answer, output_format)
    for text in rollout.notes:
        messages.print(f"Note: {text}", markup=False)
    if out is not None:
        files = write_document(document, out)
        messages.print(f"Plan: {out / 'plan.md'} ({len(files)} files)", markup=False)


def _audited(
    files: Sequence[Path], chart: str | None, istio_version: str | None
) -> tuple[Finding, ...]:
    """Errors and warnings of an audit of the given files; patching says what cannot be read."""
    from rightsize.audit.audit import audit
    from rightsize.audit.reading import read_files
    from rightsize.files.chart_metadata import CHART_NAMES
    from rightsize.files.known import parse_version

    if not files:
        return ()
    sources = read_files(
        files, version=parse_version(istio_version), chart=CHART_NAMES.get(chart or "")
    )
    return audit(sources, now=datetime.now(tz=UTC)).at_least("warning")
