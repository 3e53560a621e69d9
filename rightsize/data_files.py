"""Finds the files of `data/`: inside the package when installed, beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def data_file(name: str) -> Path:
    """Return the path of a bundled data file.

    Raises
    ------
    FileNotFoundError
        If the project does not bundle such a file.
    """
    for folder in (_PACKAGE / "data", _PACKAGE.parent / "data"):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"rightsize bundles no data file {name!r}")
