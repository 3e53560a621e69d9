"""The folder of a canary, read back: what was tried, on which pods, since when."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from rightsize.border import open_file
from rightsize.errors import InputFileError
from rightsize.results import Component
from rightsize.rollout.canary import NAME
from rightsize.rollout.canary_scripts import JOURNAL
from rightsize.snapshot.schema import LARGEST_MEMORY

_HINT = "rightsize canary writes this folder, and its resize.sh notes the pods"
_LINE = re.compile(r"([^\t]*)\t([0-9A-Za-z-]{1,64})\t(\d{9,11})\t(trying|resized|refused|back)")
_NAMES = ("namespace", "workload", "container")
_MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class ResizedPod:
    """A pod whose sizes were in force from `since` to `until`; None is until now."""

    name: str
    uid: str
    since: datetime
    until: datetime | None


@dataclass(frozen=True)
class TriedSize:
    """What `resize.sh` did."""

    namespace: str
    workload: str
    kind: str
    component: Component
    container: str
    native: bool
    pods: tuple[ResizedPod, ...]
    memory_before: float | None
    memory_after: float | None
    memory_goal: float | None
    """The recommended limit, which a running pod cannot always take."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the pods whose sizes are in force still."""
        return tuple(dict.fromkeys(pod.name for pod in self.pods if pod.until is None))

    @property
    def since(self) -> datetime:
        return min(pod.since for pod in self.pods)


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
        names = [about[key] for key in _NAMES]
        limits = [_limit(about[side]) for side in ("before", "after", "goal")]
        kind, component, native = about["kind"], about["component"], about["native"]
        good = isinstance(kind, str) and component in get_args(Component)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputFileError("is no canary of this rightsize", path=path, hint=_HINT) from error
    if not good or not all(isinstance(name, str) and NAME.fullmatch(name) for name in names):
        raise InputFileError("holds a name that Kubernetes does not have", path=path, hint=_HINT)
    pods = _resized(folder / JOURNAL)
    return TriedSize(names[0], names[1], kind, component, names[2], bool(native), pods, *limits)


def _limit(sizes: Mapping[str, Any]) -> float | None:
    limit = sizes["memory_limit"]
    if limit is not None and not 0 < float(limit) <= LARGEST_MEMORY:
        raise ValueError("no machine has this memory")
    return None if limit is None else float(limit)


def _resized(path: Path) -> tuple[ResizedPod, ...]:
    pods = tuple(_lives(path, _text(path).splitlines()))
    if not pods:
        raise InputFileError("names no pod: nothing was resized yet", path=path, hint=_HINT)
    return pods


def _lives(path: Path, lines: Iterable[str]) -> Iterable[ResizedPod]:
    """From each `resized` to the `back` of the same pod; what was tried in vain was never in force."""
    open_ones: dict[tuple[str, str], datetime] = {}
    for number, line in enumerate(lines, start=1):
        match = _LINE.fullmatch(line)
        if match is None or not NAME.fullmatch(match[1]):
            raise InputFileError(
                "is no line of a pod, its uid, a time and what was done",
                path=path, line=number, hint=_HINT,
            )  # fmt: skip
        pod, when = (match[1], match[2]), datetime.fromtimestamp(int(match[3]), UTC)
        if match[4] == "resized":
            open_ones.setdefault(pod, when)
        elif match[4] == "back" and pod in open_ones:
            yield ResizedPod(*pod, open_ones.pop(pod), when)
    for pod, since in open_ones.items():
        yield ResizedPod(*pod, since, None)


def _text(path: Path) -> str:
    try:
        with open_file(path) as file:
            return file.read(_MOST_BYTES).decode(errors="replace")
    except OSError as error:
        raise InputFileError(f"cannot be read ({error.strerror})", path=path, hint=_HINT) from error
