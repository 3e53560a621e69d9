"""Shows and writes patched files."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from rightsize.border import below, replace_files, write_files
from rightsize.errors import OutputError
from rightsize.patch.kustomize import LISTING, MARK
from rightsize.patch.model import PatchedFile


def unified_diff(patched: Sequence[PatchedFile]) -> str:
    """A unified diff of all files, as `git apply` and `patch` read it; empty where none changed."""
    return "".join(_diff(file) for file in patched if file.changed)


def write_patched(
    patched: Sequence[PatchedFile],
    out_dir: Path | None,
    beside: Mapping[str, bytes] | None = None,
) -> list[Path]:
    """Write every file under its own name, and return the paths, in order; none without room for all.

    Parameters
    ----------
    out_dir : pathlib.Path, optional
        The folder to write to; None writes each file in its own place (`--in-place`).
    beside : mapping, optional
        Further files of that folder, by name.

    Raises
    ------
    OutputError
        A folder that cannot be written, two files of one name, or a file that is one of the
        user's own.
    """
    targets = patched_targets(patched, out_dir)
    contents = [file.text_after.encode("utf-8") for file in patched]
    if out_dir is not None:
        names = [target.relative_to(out_dir).as_posix() for target in targets]
        files = dict(zip(names, contents, strict=True))
        return write_files(out_dir, {**files, **(beside or {})})[: len(targets)]
    rows = zip(patched, targets, contents, strict=True)
    replace_files({target: content for file, target, content in rows if file.changed})
    return targets


def patched_targets(patched: Sequence[PatchedFile], out_dir: Path | None) -> list[Path]:
    """Where each file is written to; raises as `write_patched` does, before anything is."""
    own = [file.path for file in patched if file.text_before]
    beside = own[0].parent if own else Path()
    common = _common_folder(own)
    targets = [_target(file, out_dir, beside, common) for file in patched]
    _refuse_clashes(patched, targets, out_dir)
    return targets


def _common_folder(paths: Sequence[Path]) -> Path:
    """The folder that all given files are in; their paths below it are kept in the output."""
    folders = [str(path.absolute().parent) for path in paths]
    return Path(os.path.commonpath(folders)) if folders else Path()


def _target(file: PatchedFile, out_dir: Path | None, beside: Path, common: Path) -> Path:
    # New files (a Kustomize folder) keep their folder.
    if not file.text_before:
        return below(beside if out_dir is None else out_dir, PurePosixPath(file.path))
    if out_dir is None:
        return file.path
    return below(out_dir, PurePosixPath(file.path.absolute().relative_to(common)))


def _refuse_clashes(
    patched: Sequence[PatchedFile], targets: Sequence[Path], out_dir: Path | None
) -> None:
    if out_dir is None:
        for file, target in zip(patched, targets, strict=True):
            if not file.text_before and target.exists() and not _ours(target.parent):
                raise OutputError(f"{target}: exists already", hint="Move it, or give --out.")
        return
    own = {file.path.resolve() for file in patched if file.text_before}
    taken: dict[Path, Path] = {}
    for file, target in zip(patched, targets, strict=True):
        if target.resolve() in own:
            raise OutputError(
                f"{target}: is the given file itself",
                hint="Give another output folder, or --in-place.",
            )
        if target in taken:
            raise OutputError(
                f"{taken[target]} and {file.path} would both be written to {target}",
                hint="Patch them in two runs, each with its own output folder.",
            )
        taken[target] = file.path


def _ours(folder: Path) -> bool:
    """Whether an earlier run wrote this folder: its files may then be replaced."""
    try:
        return (folder / LISTING.name).read_text().startswith(MARK)
    except (OSError, UnicodeDecodeError):
        return False


def _diff(file: PatchedFile) -> str:
    name = file.path.as_posix().lstrip("/")
    lines = difflib.unified_diff(
        _lines(file.text_before),
        _lines(file.text_after),
        f"a/{name}" if file.text_before else "/dev/null",
        f"b/{name}",
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def _lines(text: str) -> list[str]:
    """Lines at `\\n` alone: `splitlines` would also break at form feeds within a line."""
    parts = text.split("\n")
    lines = [part + "\n" for part in parts[:-1]]
    return lines + ([parts[-1]] if parts[-1] else [])
