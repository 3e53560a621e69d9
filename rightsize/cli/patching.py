"""Patches the user's files with an advice, shows what changed, and says what became of each size."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table

from rightsize.output.console import error_console, output_console

if TYPE_CHECKING:
    from rightsize.patch import Outcome, PatchedFile, PatchResult
    from rightsize.results import Advice, Sizes


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
    release: str | None = None
    largest_node: Sizes | None = None
    evict_local_volumes: bool = False


def patched(advice: Advice, files: Sequence[Path], options: PatchOptions) -> PatchResult:
    """The files with the advice in them; nothing is written yet."""
    from rightsize.files.charts import Hints
    from rightsize.patch import Flags, patch_set
    from rightsize.patch.changes import size_changes

    hints = Hints.of(options.chart, options.istio_version, options.gateway)
    flags = Flags(
        options.gateway, options.workload, options.release, advice.cluster, advice.istiods
    )
    return patch_set(
        files,
        size_changes(advice),
        hints,
        flags,
        options.largest_node,
        evict_local_volumes=options.evict_local_volumes,
    )


def write_and_show(
    result: PatchResult,
    options: PatchOptions,
    *,
    diff_on_stdout: bool,
    beside: Mapping[str, bytes] | None = None,
) -> None:
    """Write the files, with others `beside` them, and print their diff (to stderr if stdout has data).

    Raises
    ------
    AmbiguousChartError
        A given file holds nothing that can be patched, of whatever kind it is; the others are
        written.
    """
    from rightsize.output.fitting import fitted
    from rightsize.patch import refuse_unknown, verify_patched, write_patched

    _show_changes(result.given, diff_on_stdout=diff_on_stdout)
    messages = error_console()
    if options.verify_chart is not None:
        # Before writing: what does not verify is not written, in place least of all.
        report = verify_patched(
            options.verify_chart, result.files, result.settled, gateway=options.gateway
        )
        messages.print(str(report), markup=False)
    written = write_patched(result.files, None if options.in_place else options.out, beside)
    _show_files(result.files, written)
    if not messages.is_terminal:
        messages = Console(file=sys.stderr, highlight=False, width=200)
    messages.print(fitted(_outcomes(result.outcomes), messages.width))
    refuse_unknown(result.given)


def write_patched_files(files: Sequence[PatchedFile], out: Path | None) -> None:
    """Write patched files (None: in place), with their diff and notes on stderr."""
    from rightsize.patch import write_patched

    if files:
        _show_changes(files, diff_on_stdout=False)
        _show_files(files, write_patched(files, out_dir=out))


def _show_changes(files: Sequence[PatchedFile], *, diff_on_stdout: bool) -> None:
    from rightsize.patch import unified_diff

    _show_diff(unified_diff(files), diff_on_stdout=diff_on_stdout)
    for file in files:
        # The reason for no change stands in the line of the file.
        for text in (x for x in (*file.added, *file.notes) if x != file.why_unchanged):
            error_console().print(f"{file.path}: {text}", markup=False)


def _show_diff(diff: str, *, diff_on_stdout: bool) -> None:
    console = output_console() if diff_on_stdout else error_console()
    if console.is_terminal:
        console.print(Syntax(diff, "diff", theme="ansi_dark", background_color="default"))
    else:
        (sys.stdout if diff_on_stdout else sys.stderr).write(diff)


def _show_files(files: Sequence[PatchedFile], written: Sequence[Path]) -> None:
    """One line for each file; new files are many and alike, so their folders are enough."""
    messages = error_console()
    folders: Counter[Path] = Counter()
    for file, path in zip(files, written, strict=True):
        if not file.text_before:
            folders[path.parent] += 1
        elif file.changed:
            messages.print(f"Patched file: {path}", markup=False)
        else:
            messages.print(f"Unchanged: {file.path}: {file.why_unchanged}", markup=False)
    for folder, count in folders.items():
        messages.print(
            f"New files: {count} in {folder} (sizes of workloads without a given manifest; "
            "apply them together with the patched file)",
            markup=False,
        )


def _outcomes(outcomes: Sequence[Outcome]) -> Table:
    """What became of each recommendation, workloads without a manifest in one row."""
    table = Table("recommendation", "in these files", "where", title_justify="left")
    new = [o for o in outcomes if o.new_file]
    for outcome in outcomes:
        if outcome in new:
            continue
        where = outcome.reason or ""
        if outcome.places:
            files = dict.fromkeys(place.split(": ")[0] for place in outcome.places)
            where = ", ".join(files) + (f" ({outcome.reason})" if outcome.reason else "")
        name = f"{outcome.change.component} {outcome.change.key}"
        table.add_row(name, outcome.status, where)
    if new:
        table.add_row(f"sidecars of {len(new)} workloads", "new files", "sidecar-annotations/")
    return table
