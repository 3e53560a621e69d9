"""`rightsize pull-request`: the recommended sizes as a branch, and a pull request kept up to date."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rightsize.cli.options import (
    ChartOption,
    GatewayOption,
    ReleaseOfIstio,
    ReleaseOption,
    SettingsFile,
    SnapshotOption,
)
from rightsize.cli.patching import PatchOptions, patched
from rightsize.cli.recommend import computed
from rightsize.cli.snapshots import open_snapshot
from rightsize.output.console import error_console

if TYPE_CHECKING:
    from rightsize.forge import Branch, Repository
    from rightsize.patch import Outcome
    from rightsize.results import Advice

app = typer.Typer(rich_markup_mode="markdown")

_MOST_BYTES = 60_000
"""GitHub takes 65,536 characters of text, and a command line of `glab` 128 KiB."""


@app.command()
def pull_request(
    values: Annotated[
        list[Path], typer.Option("-f", "--file", help="File to patch, of a git repository; repeat.")
    ],
    snapshot: SnapshotOption = None,
    base: Annotated[
        str | None,
        typer.Option(help="Branch to change. The remote's default, else the current one."),
    ] = None,
    branch: Annotated[str, typer.Option(help="Branch of the change.")] = "rightsize/sizes",
    title: Annotated[
        str | None, typer.Option(help="Title. 'Right-size the proxies of CLUSTER'.")
    ] = None,
    remote: Annotated[str, typer.Option(help="Remote to push to.")] = "origin",
    chart: ChartOption = None,
    istio_version: ReleaseOfIstio = None,
    gateway: GatewayOption = None,
    release: ReleaseOption = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for the text.")] = Path(
        "rightsize-out"
    ),
    settings_file: SettingsFile = None,
) -> None:
    """Propose the recommended sizes: a branch with the patched files, and a pull request.

    The files are patched as they are on the base branch, in a worktree of their own; your checkout is
    left alone. Run again, the same branch moves on and the same pull request is updated. Nothing is
    ever force-pushed, and commits and texts of others are left alone. The pull request is made with
    `gh` or `glab` where installed; else the branch and the text are what you get.

    **Examples**

    `rightsize pull-request -f mesh/values.yaml`

    `rightsize pull-request -f base.yaml -f prod.yaml --base main --branch rightsize/prod`
    """
    from rightsize.border import below, printable, write_text
    from rightsize.config import load_settings
    from rightsize.cost.requests_worth import monthly_worth
    from rightsize.forge import MARKER, Repository, forge_of, proposed
    from rightsize.forge.requests import request_of
    from rightsize.output.advice_text import advice_markdown
    from rightsize.patch.changes import largest_node

    settings = load_settings(settings_file)
    source = open_snapshot(snapshot)
    repository = Repository.of(values[0], base, remote)
    files = [repository.within(file) for file in values]
    advice = computed(source, settings)
    options = PatchOptions(chart, istio_version, gateway, None, out, True, None, release,
                           largest_node(source))  # fmt: skip
    named = title or printable(f"Right-size the proxies of {advice.cluster}")
    outcomes: list[Outcome] = []

    def change(folder: Path) -> Sequence[Path]:
        return _patch_below(folder, files, advice, options, outcomes)

    found = proposed(repository, files, branch, named, change)
    if found.commit is None:
        error_console().print(f"{repository.base} has these sizes already: nothing to propose")
        return
    worth = monthly_worth(advice, source.manifest.region, settings.prices.hours_per_month)
    text = _fitting(f"{MARKER}\n{advice_markdown(advice, outcomes=outcomes, worth=worth)}")
    file = write_text(below(out, "pull-request.md"), text).resolve()
    _say_branch(repository, found)
    forge = forge_of(repository.address)
    if forge is None:
        error_console().print(
            "Neither gh nor glab knows this remote: open the pull request yourself, its text is in "
            f"{file}", markup=False, soft_wrap=True,
        )  # fmt: skip
        typer.echo(branch)
        return
    request = request_of(forge, repository.top, branch, repository.base, named, file)
    done = (
        "Made"
        if request.made
        else "Updated"
        if request.updated
        else "Left as it is, it is not ours"
    )
    error_console().print(f"{done}: {request.address}", markup=False, soft_wrap=True)
    typer.echo(request.address)


def _fitting(text: str) -> str:
    """The text, or its first lines where a forge would refuse it."""
    if len(text.encode()) <= _MOST_BYTES:
        return text
    kept = text.encode()[:_MOST_BYTES].decode(errors="ignore").rpartition("\n")[0]
    left = text.count("\n") - kept.count("\n")
    return f"{kept}\n\n{left} more lines: `rightsize recommend --format markdown` has them all.\n"


def _patch_below(
    folder: Path,
    files: Sequence[Path],
    advice: Advice,
    options: PatchOptions,
    outcomes: list[Outcome],
) -> Sequence[Path]:
    """Patch files below a folder, by names that mean something in the text."""
    from rightsize.patch import refuse_unknown, write_patched

    with contextlib.chdir(folder):
        result = patched(advice, files, options)
        refuse_unknown(result.given)
        written = write_patched(result.files, out_dir=None)
        outcomes += result.outcomes
        return [
            path.resolve() for file, path in zip(result.files, written, strict=True) if file.changed
        ]


def _say_branch(repository: Repository, found: Branch) -> None:
    where = f"{repository.remote}/{found.name}" if repository.remote else found.name
    how = "moved on" if found.moved else "is up to date"
    error_console().print(
        f"Branch {where} {how}: {', '.join(found.files)}", markup=False, soft_wrap=True
    )
