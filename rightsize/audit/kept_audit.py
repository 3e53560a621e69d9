"""The audit of files that did not change since the last one, found again by their contents.

Everything that an audit follows from is in the name of what is kept: each file's content, the folders
around it (a Chart.yaml, `templates`), the options, the day, and this very program with its rules.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter

from rightsize.audit.audit import AuditResult
from rightsize.audit.reading import files_in
from rightsize.files.chart_metadata import PROFILE_FOLDERS
from rightsize.kept import kept, program, user_folder

_DEEP = 5
"""Folders above a file that say what it is."""


def kept_audit(
    paths: Sequence[Path],
    options: Sequence[object],
    now: datetime,
    compute: Callable[[], AuditResult],
) -> AuditResult:
    """Return what was found in the same files with the same options on the same day, or find it.

    Parameters
    ----------
    paths : sequence of Path
        Files and folders.
    options : sequence
        All that the result depends on besides; each with a text that says all of it.
    now : datetime
        Certificates are judged by the day.
    """
    name = _name(paths, options, now)
    if name is None:
        return compute()
    place = user_folder("audit") / f"{name}.json"
    return kept(place, TypeAdapter(AuditResult), compute)


def _name(paths: Sequence[Path], options: Sequence[object], now: datetime) -> str | None:
    """Hash of everything; None where something cannot be read, or not twice."""
    found = hashlib.sha256(f"{program()}\0{options!r}\0{now:%Y-%m-%d}\0{paths!r}".encode())
    folders: set[Path] = set()
    try:
        for path in files_in(paths):
            if not path.is_file():
                return None  # a pipe can be read once only
            found.update(f"{path}\0".encode(errors="surrogateescape"))
            found.update(hashlib.sha256(path.read_bytes()).digest())
            folders.update(list(path.parents)[:_DEEP])
        for folder in sorted(folders):
            found.update(f"{folder}\0{_around(folder)!r}\0".encode(errors="surrogateescape"))
    except OSError:
        return None
    return found.hexdigest()


def _around(folder: Path) -> tuple[object, ...]:
    """What a folder says of the files in it: whether it is a chart, and of which of Istio's profiles."""
    chart = folder / "Chart.yaml"
    content = chart.read_bytes() if chart.is_file() else None
    of_profiles = folder.name in PROFILE_FOLDERS
    listed = sorted(one.name for one in folder.iterdir()) if of_profiles else None
    return content, (folder / "templates").is_dir(), listed
