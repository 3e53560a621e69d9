"""The user's own files, patched phase by phase: each phase's copy holds all phases before it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rightsize.files.charts import Hints
from rightsize.patch import Flags, PatchedFile, SizeChange, patch_set
from rightsize.patch.changes import size_changes
from rightsize.patch.kustomize import kustomize_folder
from rightsize.results import Advice
from rightsize.rollout.model import PhaseName
from rightsize.rollout.parts import phase_of


@dataclass(frozen=True)
class GivenFiles:
    """Files that the user deploys from, and how they are to be read."""

    paths: Sequence[Path] = ()
    chart: str | None = None
    istio_version: str | None = None
    gateway: str | None = None
    workload: str | None = None


@dataclass(frozen=True)
class Written:
    """What one phase writes into the user's files, and what found no place in them."""

    files: tuple[PatchedFile, ...] = ()
    """All given files where one of them changed in this phase, else none."""
    changed: tuple[PatchedFile, ...] = ()
    unplaced: tuple[SizeChange, ...] = ()
    notes: tuple[str, ...] = ()

    def name(self, file: PatchedFile) -> str:
        """Its name in the plan's folder: with folders where two files are called the same."""
        names = [one.path.name for one in self.files]
        if names.count(file.path.name) < 2:
            return file.path.name
        common = os.path.commonpath([one.path.absolute().parent for one in self.files])
        return file.path.absolute().relative_to(common).as_posix()


@dataclass
class ValuesFiles:
    """Patches the given files with one phase after the other."""

    advice: Advice
    given: GivenFiles
    _done: list[SizeChange] = field(default_factory=list)
    _texts: list[str] = field(default_factory=list)
    _changes: list[SizeChange] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._changes = size_changes(self.advice)
        if not self.given.paths:
            return
        self._texts = [file.text_after for file in self._patched([])]

    def of(self, phase: PhaseName) -> tuple[SizeChange, ...]:
        """Sizes that the phase writes."""
        phases = {
            (row.component, row.namespace, row.workload, row.kind): phase_of(row)
            for row in self.advice.recommendations
        }
        return tuple(
            change
            for change in self._changes
            if phases[change.component, change.namespace, change.workload, change.kind] == phase
        )

    def write(self, phase: PhaseName) -> Written:
        """Patch the given files with the phase's sizes, on top of all phases before."""
        changes = self.of(phase)
        if not self.given.paths:
            return Written(unplaced=changes)
        unplaced: list[SizeChange] = []
        start = self._texts
        notes: dict[str, None] = {}
        latest: tuple[PatchedFile, ...] = ()
        for change in changes:
            patched = self._patched([*self._done, change])
            texts = [file.text_after for file in patched]
            if texts == self._texts and not self._placed(change):
                unplaced.append(change)
                continue
            self._done.append(change)
            self._texts, latest = texts, patched
            notes.update(dict.fromkeys(f"{f.path.name}: {n}" for f in patched for n in f.notes))
        if texts_same(start, self._texts):
            return Written(unplaced=tuple(unplaced), notes=tuple(notes))
        changed = tuple(f for f, old in zip(latest, start, strict=True) if f.text_after != old)
        return Written(latest, changed, tuple(unplaced), tuple(notes))

    def _placed(self, change: SizeChange) -> bool:
        """The file holds these sizes already: nothing changes, and nothing is missing."""
        return any(file.changes for file in self._patched([change]))

    def _patched(self, changes: Sequence[SizeChange]) -> tuple[PatchedFile, ...]:
        given = self.given
        hints = Hints.of(given.chart, given.istio_version, given.gateway)
        flags = Flags(given.gateway, given.workload, istiods=self.advice.istiods)
        return patch_set(given.paths, changes, hints, flags).given


def texts_same(one: Sequence[str], other: Sequence[str]) -> bool:
    return list(one) == list(other)


def annotation_patches(changes: Sequence[SizeChange]) -> dict[tuple[str, str, str], PatchedFile]:
    """Patch of each sidecar's annotations, by namespace, workload and kind."""
    found = {}
    for change in changes:
        files = kustomize_folder([change])
        if files:
            found[str(change.namespace), str(change.workload), str(change.kind)] = files[1]
    return found
