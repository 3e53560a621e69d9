"""What the given files set today, so that it need not be guessed from what runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from rightsize.errors import RightsizeError
from rightsize.patch.model import PathChange, SizeChange
from rightsize.patch.patcher import patch_files
from rightsize.quantity import parse_quantity
from rightsize.results import Component, SizeField, Sizes

_FIELDS: Mapping[str, SizeField] = {
    "requests.cpu": "cpu_request",
    "limits.cpu": "cpu_limit",
    "requests.memory": "memory_request",
    "limits.memory": "memory_limit",
}
_ANY = Sizes(2.0**16, 2.0**16, 2.0**50, 2.0**50)
"""Sizes that no file sets, so that each that is set would be replaced."""
_PROBED: Mapping[Component, SizeChange] = {
    "sidecar": SizeChange("sidecar", None, None, None, _ANY),
    "istiod": SizeChange("istiod", "istio-system", "istiod", "Deployment", _ANY),
}


def given_sizes(
    files: Sequence[Path], *, chart: str | None = None, istio_version: str | None = None
) -> Mapping[Component, Sizes]:
    """Sizes that the files set for the mesh default and for istiod, where they set any.

    They are those that a patch would replace; nothing is written. What cannot be read here is
    reported when the files are patched.
    """
    found: dict[Component, Sizes] = {}
    for component, probe in _PROBED.items() if files else ():
        try:
            patched = patch_files(files, [probe], chart=chart, istio_version=istio_version)
        except RightsizeError:
            continue
        sizes = _replaced([change for file in patched for change in file.changes])
        if sizes != Sizes():
            found[component] = sizes
    return found


def _replaced(changes: Sequence[PathChange]) -> Sizes:
    old: dict[SizeField, float] = {}
    for change in changes:
        name = _FIELDS.get(".".join(change.path.split(".")[-2:]))
        if name is not None and change.old is not None:
            old[name] = parse_quantity(change.old)
    return Sizes(*(old.get(name) for name in get_args(SizeField)))
