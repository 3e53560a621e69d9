"""The user's own `kubectl get … -A -o yaml` of Istio's objects: YAML or JSON, lists or documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import orjson
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from rightsize.errors import InputFileError


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
        documents = _documents(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputFileError(error.strerror or str(error), path=path) from error
    except UnicodeDecodeError as error:
        raise InputFileError("is not UTF-8 text", path=path) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark
        raise InputFileError(
            f"is no YAML: {error.problem}",
            path=path,
            line=None if mark is None else mark.line + 1,
            column=None if mark is None else mark.column + 1,
        ) from error
    except YAMLError as error:
        raise InputFileError(f"is no YAML: {error}", path=path) from error
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
    return list(YAML(typ="safe").load_all(text))
