"""The folder of a canary, read back: what was tried, on which pods, since when."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rightsize.errors import InputFileError
from rightsize.rollout.canary import RESIZED

_HINT = "rightsize canary writes this folder, and its resize.sh notes the pods"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class TriedSize:
    """What `resize.sh` did."""

    namespace: str
    workload: str
    container: str
    pods: tuple[str, ...]
    since: datetime
    memory_before: float | None
    memory_after: float | None


def read_canary(folder: Path) -> TriedSize:
    """Read `canary.json` and the pods that `resize.sh` noted.

    Raises
    ------
    InputFileError
        If one is missing or is not what was written.
    """
    path = folder / "canary.json"
    try:
        about = json.loads(_text(path))
        names = [about[key] for key in ("namespace", "workload", "container")]
        limits = [about[side]["memory_limit"] for side in ("before", "after")]
        known = [None if limit is None else float(limit) for limit in limits]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputFileError("is no canary of rightsize", path=path, hint=_HINT) from error
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        raise InputFileError("holds a name that Kubernetes does not have", path=path, hint=_HINT)
    pods, times = _resized(folder / RESIZED)
    since = datetime.fromtimestamp(min(times), UTC)
    return TriedSize(names[0], names[1], names[2], pods, since, known[0], known[1])


def _resized(path: Path) -> tuple[tuple[str, ...], list[int]]:
    pods, times = [], []
    for number, line in enumerate(_text(path).splitlines(), start=1):
        pod, _, moment = line.partition("\t")
        if not _NAME.fullmatch(pod) or not re.fullmatch(r"\d{9,11}", moment):
            raise InputFileError(
                "is no line of a pod and a time", path=path, line=number, hint=_HINT
            )
        pods.append(pod)
        times.append(int(moment))
    if not pods:
        raise InputFileError("names no pod: nothing was resized yet", path=path, hint=_HINT)
    return tuple(dict.fromkeys(pods)), times


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode(errors="replace")
    except OSError as error:
        raise InputFileError(f"cannot be read ({error.strerror})", path=path, hint=_HINT) from error
