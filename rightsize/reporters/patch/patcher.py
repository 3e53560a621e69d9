"""Patches a set of files with a set of size changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rightsize.errors import AmbiguousChartError
from rightsize.reporters.patch import tree
from rightsize.reporters.patch.charts import (
    Hints,
    Scope,
    ambiguous_chart,
    scopes_of_values,
    sizing_keys_without_chart,
)
from rightsize.reporters.patch.model import (
    EffectiveSizes,
    PatchedFile,
    PathChange,
    SizeChange,
    dotted,
)
from rightsize.reporters.patch.paths import BLOCKS
from rightsize.reporters.patch.source import BOM, Source, read_source
from rightsize.reporters.patch.splice import set_values
from rightsize.reporters.patch.values import Group, Write, groups_of, sizes_of, writes_for


def patch_files(
    files: Sequence[Path],
    changes: Sequence[SizeChange],
    *,
    chart: str | None = None,
    istio_version: str | None = None,
    gateway: str | None = None,
    workload: str | None = None,
) -> tuple[PatchedFile, ...]:
    """Set the sizes of `changes` in the files where they take effect.

    Parameters
    ----------
    files : sequence of pathlib.Path
        Values files in the order of Helm's `-f` (the last wins), IstioOperator files, manifests.
    changes : sequence of SizeChange
        Complete sizes, CPU in cores and memory in bytes.
    chart, istio_version : str, optional
        What the files are for, where they do not tell.
    gateway : str, optional
        Which gateway (`name` or `namespace/name`) a gateway's values file is for.
    workload : str, optional
        Which workload (`namespace/name`) a manifest is for, where it does not tell.

    Returns
    -------
    tuple of PatchedFile
        One for each given file, changed or not, then new files.

    Raises
    ------
    InputFileError
        A file that cannot be patched safely, with line and column.
    AmbiguousChartError
        A file that could be for several charts or releases; the hint names the flag.
    """
    sources = [read_source(path) for path in files]
    groups = _groups(sources, Hints.of(chart, istio_version))
    writes: list[Write] = []
    for change in changes:
        group = _group_for(groups, change, changes, gateway)
        if group is not None:
            writes += writes_for(group, change)
    patched = [_patched(source, writes, groups) for source in sources]
    return tuple(patched)


def effective_sizes(
    files: Sequence[Path],
    *,
    chart: str | None = None,
    istio_version: str | None = None,
) -> list[EffectiveSizes]:
    """What the given files set today, by component; what they leave to the chart is None."""
    sources = [read_source(path) for path in files]
    found = []
    for group in _groups(sources, Hints.of(chart, istio_version)):
        for block_chart, component in BLOCKS:
            if block_chart == group.chart:
                result = sizes_of(group, component)
                if result is not None:
                    name = group.name if component == "gateway" else None
                    found.append(EffectiveSizes(component, name, *result))
    return found


def _groups(sources: Sequence[Source], hints: Hints) -> list[Group]:
    scopes: list[Scope] = []
    untold: list[tuple[Source, int]] = []
    for source in sources:
        for number, document in enumerate(source.documents):
            if document.root is None:
                continue
            if not isinstance(document.root, tree.Mapping):
                raise source.error("is not a mapping of values", document.root.start)
            found = scopes_of_values(source, number, (), hints)
            if found is None:
                untold.append((source, number))
            else:
                scopes += found
    for source, number in untold:
        node = sizing_keys_without_chart(source, number, ())
        if node is not None or not scopes:
            raise ambiguous_chart(source, 0 if node is None else node.start)
    return groups_of(scopes)


def _group_for(
    groups: Sequence[Group],
    change: SizeChange,
    changes: Sequence[SizeChange],
    gateway: str | None,
) -> Group | None:
    if change.component == "sidecar" and change.workload is not None:
        return None
    fitting = [g for g in groups if (g.chart, change.component) in BLOCKS]
    if change.component != "gateway":
        return fitting[0] if fitting else None
    return _gateway_group(fitting, change, changes, gateway)


def _gateway_group(
    groups: Sequence[Group],
    change: SizeChange,
    changes: Sequence[SizeChange],
    gateway: str | None,
) -> Group | None:
    """The values of this very gateway: by `name`, by the subchart's key, by the file's name."""
    if not groups:
        return None
    if gateway is not None and gateway not in (change.workload, change.key):
        return None
    named = [group for group in groups if group.name == change.workload]
    if named:
        return named[0]
    open_groups = [group for group in groups if group.name is None]
    if gateway is not None and len(groups) == 1:
        return groups[0]
    for group in open_groups:
        source = group.scopes[0].source
        if change.workload in (source.path.stem, source.path.parent.name):
            return group
    others = [c for c in changes if c.component == "gateway" and c.key != change.key]
    if open_groups and not others:
        return open_groups[0]
    if open_groups:
        source = open_groups[0].scopes[0].source
        raise AmbiguousChartError(
            f"nothing tells which gateway these values are for: {change.key} or "
            + ", ".join(other.key for other in others),
            path=source.path,
            hint=f"Say --gateway {change.key}, and patch one gateway's file at a time.",
        )
    return None


def _patched(source: Source, writes: Sequence[Write], groups: Sequence[Group]) -> PatchedFile:
    own = [write for write in writes if write.source is source]
    text, added = source.text, []
    with source.flaws_located():
        for number in sorted({write.document for write in own}):
            leaves = {write.path: write.leaf for write in own if write.document == number}
            text, additions = set_values(text, number, leaves)
            for addition in additions:
                # An ancestor's line is told in the file as it was given.
                where = dotted(addition.path[:-1]) or "the top level"
                statement = f"added `{addition.path[-1]}` under {where}"
                added.append(f"{statement} {addition.reason}".rstrip())
    changes = tuple(
        PathChange(write.document, dotted(write.path), write.old, write.leaf.text) for write in own
    )
    notes = [text for group in groups for owner, text in group.notes if owner is source]
    bom = BOM if source.bom else ""
    return PatchedFile(
        source.path, bom + source.text, bom + text, changes, tuple(added), tuple(notes)
    )
