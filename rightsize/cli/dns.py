"""`rightsize dns`: what CoreDNS needs, and what would spare it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rightsize.cli.options import FormatOption, SettingsFile, SnapshotOption
from rightsize.cli.snapshots import open_snapshot
from rightsize.output.console import error_console
from rightsize.output.tables import SIMULATED, Answer, show

app = typer.Typer(rich_markup_mode="markdown")


@app.command()
def dns(
    snapshot: SnapshotOption = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "-f",
            "--file",
            help="File to patch: the coredns add-on's configuration (JSON, Terraform, eksctl, "
            "CloudFormation), workloads' manifests, istiod's values or IstioOperator. Repeatable.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for patched files.")] = Path(
        "rightsize-out"
    ),
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Write the files where they are.")
    ] = False,
    settings_file: SettingsFile = None,
    output_format: FormatOption = "table",
) -> None:
    """Size CoreDNS, judge what it is asked, and set what spares it.

    **Examples**

    `rightsize dns`

    `rightsize dns -f addons.tf -f istiod-values.yaml` – patched files in ./rightsize-out

    `rightsize dns --snapshot snapshots/prod --format json`
    """
    from rightsize.cli.patching import write_patched_files
    from rightsize.config import load_settings
    from rightsize.dns.study import study_dns, wanted_settings
    from rightsize.output.dns_rows import dns_parts, dns_to_dict, findings_table
    from rightsize.patch.dns_settings import patch_dns

    source = open_snapshot(snapshot)
    with error_console().status("Reading CoreDNS's history"):
        study = study_dns(source, load_settings(settings_file))
    simulated = source.manifest.simulated
    # Before anything is printed: a file that cannot be patched is the answer then.
    patched = patch_dns(files, wanted_settings(study)) if files else ()
    answer = Answer(
        document=lambda: dns_to_dict(study, simulated=simulated),
        parts=lambda: [*([SIMULATED] if simulated else []), *dns_parts(study)],
        rows=lambda: findings_table(study),
    )
    show(answer, output_format)
    write_patched_files(patched, None if in_place else out)
