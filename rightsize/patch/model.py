"""What is to be written, and what was: the values that cross into and out of patching."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rightsize.results import Component, Sizes

Slot = Literal[
    "cpu_request",
    "memory_request",
    "cpu_limit",
    "memory_limit",
    "autoscale_min",
    "autoscale_max",
    "target_cpu",
]
Status = Literal["written", "already right", "no place", "refused"]


@dataclass(frozen=True)
class SizeChange:
    """Sizes of one component, complete, as they are to be in force after the change.

    CPU in cores, memory in bytes; a size that is None stays as it is. `workload` is None for the
    mesh default of the sidecars; a sidecar with a workload is an exception by annotations.
    """

    component: Component
    namespace: str | None
    workload: str | None
    kind: str | None
    sizes: Sizes
    autoscale_min: int | None = None
    autoscale_max: int | None = None
    target_cpu: int | None = None
    """Target CPU utilisation of the HPA, in percent. Only istiod and gateways have bounds."""
    running: Sizes | None = None
    """What the pods run with today, where that is known."""
    mesh: Sizes | None = None
    """The mesh default, all of which a sidecar with annotations of its own loses."""

    @property
    def key(self) -> str:
        if self.workload is None:
            return "mesh default" if self.component == "sidecar" else self.component
        return f"{self.namespace}/{self.workload}" if self.namespace else self.workload

    @property
    def wanted(self) -> tuple[tuple[Slot, float], ...]:
        """The numbers that are set."""
        numbers: tuple[tuple[Slot, float | None], ...] = (
            ("cpu_request", self.sizes.cpu_request),
            ("memory_request", self.sizes.memory_request),
            ("cpu_limit", self.sizes.cpu_limit),
            ("memory_limit", self.sizes.memory_limit),
            ("autoscale_min", self.autoscale_min),
            ("autoscale_max", self.autoscale_max),
            ("target_cpu", self.target_cpu),
        )
        return tuple((slot, value) for slot, value in numbers if value is not None)


@dataclass(frozen=True)
class PathChange:
    """One value that changed. `old` is None where the key was added."""

    document: int
    path: str
    old: str | None
    new: str


@dataclass(frozen=True)
class PatchedFile:
    """A file before and after. `text_before` is empty for a file that is new."""

    path: Path
    text_before: str
    text_after: str
    changes: tuple[PathChange, ...] = ()
    added: tuple[str, ...] = ()
    """What was added where, in words."""
    notes: tuple[str, ...] = ()
    why_unchanged: str | None = None
    """Why nothing changes here, where nothing does."""
    unknown: bool = False
    """Of no kind that holds sizes of Istio's."""

    @property
    def changed(self) -> bool:
        return self.text_before != self.text_after


@dataclass(frozen=True)
class Outcome:
    """What became of one recommendation in the given files."""

    change: SizeChange
    status: Status
    places: tuple[str, ...] = ()
    """Files and paths that were written, or hold these sizes already."""
    reason: str | None = None
    settled: tuple[SizeChange, ...] = ()
    """The change as each release took it: limits kept or raised, requests held."""
    new_file: bool = False
    """Written into a new file, since no given one is its manifest."""

    @property
    def is_in_files(self) -> bool:
        """Whether it is in force once the files are deployed."""
        return self.status in ("written", "already right")


@dataclass(frozen=True)
class PatchResult:
    """The files, changed or not, new ones last; and what became of each recommendation."""

    files: tuple[PatchedFile, ...]
    outcomes: tuple[Outcome, ...]

    @property
    def settled(self) -> tuple[SizeChange, ...]:
        """What is in force once the files are deployed."""
        return tuple(change for outcome in self.outcomes for change in outcome.settled)

    @property
    def given(self) -> tuple[PatchedFile, ...]:
        return tuple(file for file in self.files if file.text_before)


@dataclass(frozen=True)
class EffectiveSizes:
    """What the given files set today for one component, and where."""

    component: Component
    workload: str | None
    sizes: Sizes
    path: str
    """File and dotted path of the block."""
