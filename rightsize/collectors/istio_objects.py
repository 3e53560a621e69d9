"""The user's own `kubectl get … -A -o yaml` of Istio's objects: YAML or JSON, lists or documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import orjson

from rightsize.border import read_file
from rightsize.errors import InputFileError
from rightsize.files import tree
from rightsize.files.source import BOM
from rightsize.files.yaml_text import from_yaml

_LARGEST_BYTES = 256 * 2**20


def read_istio_objects(paths: Iterable[Path]) -> list[Mapping[str, object]]:
    """Return every object of the files; a Kubernetes `List` is taken apart.

    Raises
    ------
    InputFileError
        For a file that cannot be read, is no YAML, or holds no Kubernetes object.
    """
    return [obj for path in paths for obj in _objects(path)]


def _objects(path: Path) -> list[Mapping[str, object]]:
    try:
        text = read_file(path, _LARGEST_BYTES).decode().removeprefix(BOM)
        documents = _documents(text)
    except OSError as error:
        raise InputFileError(error.strerror or str(error), path=path) from error
    except UnicodeDecodeError as error:
        raise InputFileError("is not UTF-8 text", path=path) from error
    except tree.FlawError as flaw:
        line, column = tree.position(text, flaw.index)
        raise InputFileError(
            f"is no YAML: {flaw.what}", path=path, line=line, column=column, hint=flaw.hint
        ) from flaw
    found: list[Mapping[str, object]] = []
    for document in documents:
        if document is None:
            continue
        items = document.get("items") if isinstance(document, Mapping) else None
        for obj in items if isinstance(items, list) else [document]:
            if not isinstance(obj, Mapping) or "kind" not in obj:
                raise InputFileError(
                    "holds something that is no Kubernetes object", path=path,
                    hint="write it with kubectl get ... -o yaml",
                )  # fmt: skip
            found.append(obj)
    return found


def _documents(text: str) -> list[object]:
    """JSON is YAML, too, and many times faster to read as what it is."""
    if text.lstrip().startswith("{"):
        try:
            return [orjson.loads(text)]
        except orjson.JSONDecodeError:
            pass
    return from_yaml(text)
