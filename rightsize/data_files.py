"""Finds the files of `data/`: inside the package when installed, beside it in a checkout."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_PACKAGE = Path(__file__).parent
_PLACE = re.compile(r"@(\w+)@")


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


def filled_file(name: str, values: Mapping[str, object]) -> str:
    """A bundled text with these values for its `@name@`s; nothing in a value is read again."""
    text = data_file(name).read_text(encoding="utf-8")
    return _PLACE.sub(lambda found: str(values[found[1]]), text)
