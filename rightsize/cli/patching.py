"""Patches the user's files with an advice and shows what changed."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.syntax import Syntax

from rightsize.output.console import error_console, output_console

if TYPE_CHECKING:
    from rightsize.patch import PatchedFile
    from rightsize.results import Advice


@dataclass(frozen=True)
class PatchOptions:
    """How the files are to be read and where the patched ones go."""

    chart: str | None = None
    istio_version: str | None = None
    gateway: str | None = None
    workload: str | None = None
    out: Path = Path("rightsize-out")
    in_place: bool = False
    verify_chart: Path | None = None


def patch_and_show(
    advice: Advice, files: Sequence[Path], options: PatchOptions, *, diff_on_stdout: bool
) -> None:
    """Patch `files`, write them, and print the diff (to stderr when stdout carries data)."""
    from rightsize.patch import (
        effective_sizes,
        patch_files,
        unified_diff,
        verify_patched,
        write_patched,
    )
    from rightsize.patch.changes import size_changes
    from rightsize.patch.drift import reconciled

    today = effective_sizes(files, chart=options.chart, istio_version=options.istio_version)
    changes, differing = reconciled(size_changes(advice), today)
    patched = patch_files(
        files,
        changes,
        chart=options.chart,
        istio_version=options.istio_version,
        gateway=options.gateway,
        workload=options.workload,
    )
    given = [file for file in patched if file.text_before]
    diff = unified_diff(given)
    console = output_console() if diff_on_stdout else error_console()
    if console.is_terminal:
        console.print(Syntax(diff, "diff", theme="ansi_dark", background_color="default"))
    else:
        (sys.stdout if diff_on_stdout else sys.stderr).write(diff)
    messages = error_console()
    for text in differing:
        messages.print(text, markup=False)
    for file in given:
        for text in (*file.added, *file.notes):
            messages.print(f"{file.path}: {text}", markup=False)
    if options.verify_chart is not None:
        # Before writing: what does not verify is not written, in place least of all.
        report = verify_patched(options.verify_chart, patched, changes, gateway=options.gateway)
        messages.print(str(report), markup=False)
    written = write_patched(patched, out_dir=None if options.in_place else options.out)
    for file, path in zip(patched, written, strict=True):
        if file.text_before:
            messages.print(f"Patched file: {path}", markup=False)
    _tell_new(patched, written)


def _tell_new(patched: Sequence[PatchedFile], written: Sequence[Path]) -> None:
    """New files are many and alike (a patch for each exception): their folders are enough."""
    folders = Counter(
        path.parent for file, path in zip(patched, written, strict=True) if not file.text_before
    )
    for folder, count in folders.items():
        error_console().print(
            f"New files: {count} in {folder} (sizes of workloads whose manifests were not given; "
            "apply them together with the patched file)",
            markup=False,
        )
