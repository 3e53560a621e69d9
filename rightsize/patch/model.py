"""What is to be written, and what was: the values that cross into and out of patching."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rightsize.results import Component, Sizes


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

    @property
    def key(self) -> str:
        if self.workload is None:
            return "mesh default" if self.component == "sidecar" else self.component
        return f"{self.namespace}/{self.workload}" if self.namespace else self.workload


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

    @property
    def changed(self) -> bool:
        return self.text_before != self.text_after


@dataclass(frozen=True)
class EffectiveSizes:
    """What the given files set today for one component, and where."""

    component: Component
    workload: str | None
    sizes: Sizes
    path: str
    """File and dotted path of the block."""
