"""Files that commands write."""

from __future__ import annotations

from pathlib import Path

from rightsize.errors import OutputError


def write_text(path: Path, text: str) -> Path:
    """Write `text`, making the folder.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror})", hint="give another folder with --out"
        ) from error
    return path
