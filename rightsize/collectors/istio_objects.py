"""The user's own `kubectl get … -A -o yaml` of Istio's objects: YAML or JSON, lists or documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from rightsize.collectors.object_files import objects_in
from rightsize.errors import InputFileError

_MOST_VALUES = 1_000_000
"""Of all objects together: 5,000 VirtualServices of sixty values take 300,000."""


def read_istio_objects(paths: Iterable[Path]) -> list[Mapping[str, object]]:
    """Return every object of the files; a Kubernetes `List` is taken apart.

    Their status and what servers note of their fields is left out.

    Raises
    ------
    InputFileError
        For a file that cannot be read, is no YAML, holds no Kubernetes object, or more than a mesh
        has.
    """
    found: list[Mapping[str, object]] = []
    values = 0
    for path in paths:
        for item in objects_in(path):
            kept = {key: value for key, value in item.items() if key != "status"}
            if isinstance(about := kept.get("metadata"), dict):
                about.pop("managedFields", None)
            values += _count(kept)
            if values > _MOST_VALUES:
                raise InputFileError(
                    f"more than {_MOST_VALUES:,} values of Istio's objects", path=path,
                    hint="give Istio's objects, Services and the mesh's ConfigMap alone",
                )  # fmt: skip
            found.append(kept)
    return found


def _count(value: object) -> int:
    waiting, count = [value], 0
    while waiting:
        one = waiting.pop()
        count += 1
        if isinstance(one, dict):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return count
