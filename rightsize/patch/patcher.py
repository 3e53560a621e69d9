"""Patches a set of files with a set of size changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from rightsize.errors import AmbiguousChartError, InputFileError
from rightsize.files import tree
from rightsize.files.charts import Hints, ambiguous_chart
from rightsize.files.classify import kind_of
from rightsize.files.hcl import HclSource
from rightsize.files.source import Layer, Source
from rightsize.files.tree import dotted
from rightsize.patch.given import Given
from rightsize.patch.groups import BOUNDS, Group, Write, grouped, outermost
from rightsize.patch.kinds import groups_of
from rightsize.patch.kinds.autoscaler import AutoscalerGroup
from rightsize.patch.kustomize import FOLDER, by_hand, kustomize_folder
from rightsize.patch.local_volumes import volume_writes
from rightsize.patch.matching import Flags, Match, is_partial, matched
from rightsize.patch.model import (
    EffectiveSizes,
    Outcome,
    PatchedFile,
    PatchResult,
    SizeChange,
    Status,
)
from rightsize.patch.writing import patched_file
from rightsize.results import Component, Sizes

NO_SIZES = "holds no sizes of Istio's"


@dataclass
class Read:
    """What the given files hold."""

    given: Given
    groups: list[Group] = field(default_factory=list)
    unknown: list[Layer] = field(default_factory=list)


def patch_files(
    files: Sequence[Path],
    changes: Sequence[SizeChange],
    *,
    chart: str | None = None,
    istio_version: str | None = None,
    gateway: str | None = None,
    workload: str | None = None,
    istiods: tuple[str, ...] = (),
) -> tuple[PatchedFile, ...]:
    """The files of `patch_set`; `istiods` are those that run, where a mesh has several."""
    flags = Flags(gateway, workload, istiods=istiods)
    return patch_set(files, changes, Hints.of(chart, istio_version, gateway), flags).files


def patch_set(
    files: Sequence[Path],
    changes: Sequence[SizeChange],
    hints: Hints | None = None,
    flags: Flags | None = None,
    largest_node: Sizes | None = None,
    *,
    evict_local_volumes: bool = False,
) -> PatchResult:
    """Set the sizes of `changes` in the files where they take effect.

    Parameters
    ----------
    files : sequence of pathlib.Path
        Files of any kind that `docs/patching.md` lists. Values files and overlays of one release
        in the order of Helm's `-f`: the last wins.
    changes : sequence of SizeChange
        Complete sizes, CPU in cores and memory in bytes.
    hints : Hints, optional
        Chart and release of the files, where they do not say.
    flags : Flags, optional
        Owner of these files, where they do not say.
    largest_node : Sizes, optional
        Requests that the largest node can hold; nothing larger is written.
    evict_local_volumes : bool
        Also let Cluster Autoscaler drain nodes with injected pods (`local_volumes`).

    Returns
    -------
    PatchResult
        One file for each given or referred to, changed or not, then new files (a Kustomize folder
        for sidecars without a given manifest); and what became of each change.

    Raises
    ------
    InputFileError
        A file that cannot be patched safely, with line and column.
    AmbiguousChartError
        A file that could be for several charts, releases or gateways; the hint names the flag.
    """
    flags = flags or Flags()
    read = _read(Given.read(list(files), hints or Hints(), flags.workload))
    writes: list[Write] = []
    outcomes: list[Outcome] = []
    unplaced: list[SizeChange] = []
    used: set[Source] = set()
    unplaced_in: dict[Source, str] = {}
    for change in changes:
        match = matched(change, read.groups, changes, flags)
        if not match.groups and change.component == "sidecar" and change.workload is not None:
            unplaced.append(change)
            outcomes.append(_new_file(change))
            continue
        outcome, more = _placed(change, match, largest_node)
        outcomes.append(outcome)
        writes += more
        sources = {outermost(x.source) for g in match.groups for x in g.layers}
        if outcome.status in ("no place", "refused"):
            unplaced_in |= dict.fromkeys(sources, outcome.reason or "it has no place for it")
        else:
            used |= sources
    if evict_local_volumes:
        more = list(volume_writes(read.groups))
        writes += more
        used |= {outermost(write.layer.source) for write in more}
    notes = [*read.given.notes, *(note for group in read.groups for note in group.notes)]
    held = {outermost(layer.source) for group in read.groups for layer in group.layers}
    patched = [
        patched_file(
            source,
            writes,
            notes,
            why_unchanged=unplaced_in[source]
            if source in unplaced_in and source not in used
            else _why(read, source, source in used, source in held),
            unknown=source not in held and _is_unknown(read, source),
        )
        for source in (*read.given.sources, *read.given.followed)
    ]
    kept = [f for f, s in zip(patched, (*read.given.sources, *read.given.followed), strict=True)
            if f.changed or s in read.given.sources]  # fmt: skip
    return PatchResult((*kept, *kustomize_folder(unplaced)), tuple(outcomes))


def _read(given: Given) -> Read:
    """Find the groups of sizes in every document, and put together those of one release."""
    read = Read(given)
    for layer in given.layers:
        if tree.mapping_at(layer.root, ("sops",)) is not None:
            raise InputFileError(
                "encrypted by SOPS, which signs the file as a whole: it cannot be changed in place",
                path=layer.source.path,
                hint="Keep sizes in a values file without secrets, or give the decrypted file.",
            )
    found: list[tuple[Layer, list[Group]]] = []
    for layer in given.layers:
        groups = groups_of(layer, given)
        if groups is None:
            read.unknown.append(layer)
        else:
            found.append((layer, groups))
    # A values file that another given file refers to is read there.
    referred = given.referred
    read.groups = grouped(
        [
            group
            for layer, groups in found
            for group in groups
            if layer.source.path.resolve() not in referred or _is_object(layer)
        ]
    )
    if not found:
        raise _nothing_known(read)
    return read


def _is_object(layer: Layer) -> bool:
    return tree.text_at(layer.root, ("kind",)) is not None


def _is_unknown(read: Read, source: Source) -> bool:
    mine = [layer for layer in read.unknown if layer.source is source]
    known = source.path.resolve() in read.given.referred or _describes_a_chart(source)
    return bool(mine) and not known


def _describes_a_chart(source: Source) -> bool:
    """A Chart.yaml: what it says is read with the values beside it."""
    return any(kind_of(source.path, document.root) == "chart" for document in source.documents)


def _nothing_known(read: Read) -> AmbiguousChartError:
    """The error for files none of which is of a known kind."""
    layer = read.unknown[0]
    is_values = isinstance(layer.root, tree.Mapping) and not isinstance(layer.source, HclSource)
    if is_values and not _is_object(layer):
        return ambiguous_chart(layer.source, 0)
    return _no_sizes(_why(read, layer.source, False, False), [layer.source.path])


def refuse_unknown(files: Sequence[PatchedFile]) -> None:
    """Raise `AmbiguousChartError` if a given file holds nothing that can be patched."""
    unknown = [file for file in files if file.unknown]
    if unknown:
        raise _no_sizes(unknown[0].why_unchanged or NO_SIZES, [file.path for file in unknown])


def _no_sizes(why: str, paths: Sequence[Path]) -> AmbiguousChartError:
    return AmbiguousChartError(
        why,
        path=", ".join(str(path) for path in paths),
        hint="Leave it out, or see docs/patching.md for the kinds of files that are patched.",
    )


def _placed(
    change: SizeChange, match: Match, largest_node: Sizes | None
) -> tuple[Outcome, list[Write]]:
    """Write one change into its releases, and say what became of it."""
    writes: list[Write] = []
    held: list[str] = []
    settled: list[SizeChange] = []
    missing: set[str] = set()
    reasons: list[str] = []
    whole = [g for g in match.groups if not isinstance(g, AutoscalerGroup) and not is_partial(g)]
    for group in match.groups:
        bounds_only = isinstance(group, AutoscalerGroup)
        placed = group.place(change, largest_node, None if bounds_only else match.scaled_on)
        reasons += [] if placed.reason is None else [placed.reason]
        if placed.refused is not None:
            return Outcome(change, "refused", (), placed.refused), []
        writes += placed.writes
        settled += [] if placed.settled is None else [placed.settled]
        held += placed.held
        if group in whole or not (bounds_only or whole):
            missing |= {slot for slot in placed.missing if slot not in BOUNDS}
    places = [f"{w.layer.source.path}: {dotted(w.path)}" for w in writes]
    status: Status = "written" if writes else "already right" if held else "no place"
    reason = match.reason
    if missing and (writes or held):
        reason = f"no place for {', '.join(sorted(missing))}: set by hand"
    if reasons:
        reason = "; ".join(reasons)
    elif status == "no place" and reason is None:
        held_by = "the release has no place for it" if match.groups else "no given file holds it"
        reason = held_by
    return Outcome(change, status, tuple(places or held), reason, tuple(settled)), writes


def _new_file(change: SizeChange) -> Outcome:
    unknown_kind = by_hand(change)
    if unknown_kind is not None:
        return Outcome(change, "no place", reason=unknown_kind)
    where = (f"{FOLDER}/",)
    return Outcome(change, "written", where, "its manifest was not given", new_file=True)


def _why(read: Read, source: Source, used: bool, held: bool) -> str:
    if used:
        return "has these sizes already, or keeps its own"
    if held:
        return "nothing recommended for what it holds"
    elsewhere = [str(to.path) for by, to in read.given.references if outermost(by) is source]
    if elsewhere:
        return f"its sizes are in {', '.join(dict.fromkeys(elsewhere))}"
    if _describes_a_chart(source):
        return "describes a chart; its sizes are in the values beside it"
    kinds = [_named(layer) for layer in read.unknown if layer.source is source]
    if kinds:
        return f"{NO_SIZES} ({', '.join(dict.fromkeys(kinds))})"
    # Of a kind that could hold them: what was noted when it was read says why it does not.
    return next((text for by, text in read.given.notes if by is source), NO_SIZES)


def _named(layer: Layer) -> str:
    """What a document is that no kind of file fits."""
    if isinstance(layer.source, HclSource):
        return "Terraform"
    if isinstance(layer.root, tree.Sequence):
        return "a list: no kind of file that is patched is one"
    if tree.text_at(layer.root, ("kind",)) == "List":
        return "List: of its items workloads alone are patched; give the others as documents"
    return tree.text_at(layer.root, ("kind",)) or "values of another chart"


def effective_sizes(
    files: Sequence[Path], *, chart: str | None = None, istio_version: str | None = None
) -> list[EffectiveSizes]:
    """What the given files set today, by component; what they leave to the chart is None."""
    found = []
    for group in _read(Given.read(list(files), Hints.of(chart, istio_version), None)).groups:
        for component in get_args(Component):
            name = group.release.name if component == "gateway" else None
            probe = SizeChange(component, None, name, None, Sizes())
            set_here = group.sizes(probe) if group.covers(probe) else None
            if set_here is not None:
                found.append(EffectiveSizes(component, name, *set_here))
    return found
