"""Patches a set of files with a set of size changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rightsize.errors import AmbiguousChartError, InputFileError
from rightsize.files import tree
from rightsize.files.charts import (
    Hints,
    Scope,
    ambiguous_chart,
    scopes_of_values,
    sizing_keys_without_chart,
)
from rightsize.files.embedded import EmbeddedSource, embedded_scopes, is_embedding
from rightsize.files.source import BOM, Layer, Source, read_source
from rightsize.files.splice import Edit, apply_edits, set_values
from rightsize.files.tree import dotted
from rightsize.patch.gateway_api import (
    PROXY,
    ApiGateway,
    advice_to_pin,
    api_gateway,
    overlay_of,
)
from rightsize.patch.groups import Group, Write
from rightsize.patch.istio_operator import OperatorGroup, is_operator
from rightsize.patch.kustomize import kustomize_folder
from rightsize.patch.manifests import (
    Workload,
    is_manifest,
    manifest_writes,
    workload_for,
    workloads_of,
)
from rightsize.patch.model import EffectiveSizes, PatchedFile, PathChange, SizeChange
from rightsize.patch.values import values_groups
from rightsize.results import Component, Sizes

COMPONENTS: tuple[Component, ...] = (
    "sidecar",
    "istiod",
    "gateway",
    "waypoint",
    "ztunnel",
    "istio-cni",
)


@dataclass
class Inputs:
    """What the given files hold."""

    sources: list[Source]
    groups: list[Group] = field(default_factory=list)
    workloads: list[Workload] = field(default_factory=list)
    gateways: list[ApiGateway] = field(default_factory=list)
    config_maps: list[Layer] = field(default_factory=list)
    notes: list[tuple[Source, str]] = field(default_factory=list)


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
        Values files in the order of Helm's `-f` (the last wins), IstioOperator files, manifests,
        Argo CD Applications with inline values.
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
        One for each given file, changed or not, then new files (a Kustomize folder for sidecars
        whose manifest was not given).

    Raises
    ------
    InputFileError
        A file that cannot be patched safely, with line and column.
    AmbiguousChartError
        A file that could be for several charts or releases; the hint names the flag.
    """
    inputs = _inputs(files, Hints.of(chart, istio_version, gateway))
    writes: list[Write] = []
    unplaced: list[SizeChange] = []
    for change in changes:
        found = workload_for(inputs.workloads, change, changes, workload)
        api = next((g for g in inputs.gateways if g.is_for(change)), None)
        if found is not None:
            writes += manifest_writes(found, change)
        elif api is not None:
            writes += _api_gateway_writes(inputs, api, change)
        elif change.component == "sidecar" and change.workload is not None:
            unplaced.append(change)
        else:
            group = _group_for(inputs.groups, change, changes, gateway)
            writes += [] if group is None else group.writes(change)
    notes = [*inputs.notes, *(note for group in inputs.groups for note in group.notes)]
    patched = [_patched(source, writes, notes) for source in inputs.sources]
    return (*patched, *kustomize_folder(unplaced))


def effective_sizes(
    files: Sequence[Path],
    *,
    chart: str | None = None,
    istio_version: str | None = None,
) -> list[EffectiveSizes]:
    """What the given files set today, by component; what they leave to the chart is None."""
    found = []
    for group in _inputs(files, Hints.of(chart, istio_version)).groups:
        for component in COMPONENTS:
            if group.covers(component):
                name = group.name if component == "gateway" else None
                probe = SizeChange(component, None, name, None, Sizes())
                result = group.sizes(probe)
                if result is not None:
                    found.append(EffectiveSizes(component, name, *result))
    return found


def _inputs(files: Sequence[Path], hints: Hints) -> Inputs:
    """Read every file and tell what each of its documents is."""
    inputs = Inputs([read_source(path) for path in files])
    scopes: list[Scope] = []
    operators: list[Layer] = []
    untold: list[Layer] = []
    others = False
    for source in inputs.sources:
        for number, document in enumerate(source.documents):
            layer = Layer(source, number)
            root = document.root
            if root is None:
                continue
            if not isinstance(root, tree.Mapping):
                raise source.error("is not a mapping of values", root.start)
            if is_operator(root):
                operators.append(layer)
            elif is_embedding(root):
                found = embedded_scopes(source, number, hints)
                scopes += found
                if not found:
                    text = f"document {number + 1} has no inline values of a chart of Istio's"
                    inputs.notes.append((source, text))
                others = True
            elif is_manifest(root):
                inputs.workloads += workloads_of(layer)
                gateway = api_gateway(layer)
                inputs.gateways += [] if gateway is None else [gateway]
                if tree.text_at(root, ("kind",)) == "ConfigMap":
                    inputs.config_maps.append(layer)
                others = True
            else:
                told_scopes = scopes_of_values(source, number, (), hints)
                scopes += told_scopes or []
                untold += [] if told_scopes else [layer]
    told = bool(scopes or operators or others)
    for layer in untold:
        node = sizing_keys_without_chart(layer.source, layer.document, ())
        if node is not None or not told:
            raise ambiguous_chart(layer.source, 0 if node is None else node.start)
    inputs.groups += values_groups(scopes)
    if operators:
        inputs.groups.append(OperatorGroup(documents=operators))
    return inputs


def _api_gateway_writes(inputs: Inputs, gateway: ApiGateway, change: SizeChange) -> list[Write]:
    overlay = overlay_of(gateway, inputs.config_maps)
    if overlay is None or overlay.container(PROXY) is None:
        inputs.notes.append((gateway.source, advice_to_pin(gateway, change)))
        return []
    return manifest_writes(overlay, change)


def _group_for(
    groups: Sequence[Group],
    change: SizeChange,
    changes: Sequence[SizeChange],
    gateway: str | None,
) -> Group | None:
    fitting = [group for group in groups if group.covers(change.component)]
    if change.component != "gateway":
        return fitting[0] if fitting else None
    for group in fitting:
        if isinstance(group, OperatorGroup) and group.has_gateway(change.workload):
            return group
    charts = [group for group in fitting if not isinstance(group, OperatorGroup)]
    return _gateway_group(charts, change, changes, gateway)


def _gateway_group(
    groups: Sequence[Group],
    change: SizeChange,
    changes: Sequence[SizeChange],
    gateway: str | None,
) -> Group | None:
    """The values of this very gateway: by `name`, by the subchart's key, by the file's name."""
    if gateway is not None:
        if gateway not in (change.workload, change.key):
            return None
        if len(groups) == 1:
            return groups[0]
    named = [group for group in groups if group.name == change.workload]
    if named:
        return named[0]
    unnamed = [group for group in groups if group.name is None]
    for group in unnamed:
        path = group.layers[0].source.path
        if change.workload in (path.stem, path.absolute().parent.name):
            return group
    others = [c for c in changes if c.component == "gateway" and c.key != change.key]
    if unnamed and others:
        raise AmbiguousChartError(
            f"nothing tells which gateway these values are for: {change.key} or "
            + ", ".join(other.key for other in others),
            path=unnamed[0].layers[0].source.path,
            hint=f"Say --gateway {change.key}, and patch one gateway's file at a time.",
        )
    return unnamed[0] if unnamed else None


def _patched(
    source: Source, writes: Sequence[Write], notes: Sequence[tuple[Source, str]]
) -> PatchedFile:
    """One file with everything that is to be written in it, inline values first."""
    text, added = _with_embedded(source, writes)
    own = [write for write in writes if write.layer.source is source]
    with source.flaws_located():
        for number in sorted({write.layer.document for write in own}):
            leaves = {w.path: w.leaf for w in own if w.layer.document == number}
            spliced = set_values(text, number, leaves)
            text = spliced.text
            added += [_statement(addition.path, addition.reason) for addition in spliced.additions]
    inner = [w for w in writes if _outer(w.layer.source) is source]
    changes = tuple(_path_change(write) for write in (*inner, *own))
    own_notes = dict.fromkeys(
        note for owner, note in notes if owner is source or _outer(owner) is source
    )
    bom = BOM if source.bom else ""
    return PatchedFile(
        source.path, bom + source.text, bom + text, changes, tuple(added), tuple(own_notes)
    )


def _with_embedded(source: Source, writes: Sequence[Write]) -> tuple[str, list[str]]:
    """The text with its inline values patched, and what was added in them."""
    edits: list[Edit] = []
    added: list[str] = []
    wanted: list[tuple[EmbeddedSource, str]] = []
    inners = {id(w.layer.source): w.layer.source for w in writes}
    for inner in inners.values():
        if not isinstance(inner, EmbeddedSource) or inner.outer is not source:
            continue
        leaves = {w.path: w.leaf for w in writes if w.layer.source is inner}
        with inner.flaws_located():
            spliced = set_values(inner.text, 0, leaves)
        edits += inner.outer_edits(spliced.edits)
        added += [_statement(addition.path, addition.reason) for addition in spliced.additions]
        wanted.append((inner, spliced.text))
    if not edits:
        return source.text, added
    text = apply_edits(source.text, edits)
    _check_embedded(source, text, wanted)
    return text, added


def _check_embedded(
    source: Source, text: str, wanted: Sequence[tuple[EmbeddedSource, str]]
) -> None:
    """Refuse a result in which anything but the inline values reads differently."""
    with source.flaws_located():
        before, after = tree.parse(source.text), tree.parse(text)
        same = len(before) == len(after)
        for number, (old, new) in enumerate(zip(before, after, strict=False)):
            old_leaves, new_leaves = tree.flatten(old.root), tree.flatten(new.root)
            for inner, inner_text in wanted:
                if inner.document_in_outer == number:
                    old_leaves.pop(inner.path_in_outer)
                    found = new_leaves.pop(inner.path_in_outer, "").split(":", 1)[-1]
                    same &= found.rstrip("\n") == inner_text.replace("\r\n", "\n").rstrip("\n")
            same &= old_leaves == new_leaves
    if not same:
        raise InputFileError("inline values that cannot be changed alone", path=source.path)


def _outer(source: Source) -> Source | None:
    return source.outer if isinstance(source, EmbeddedSource) else None


def _path_change(write: Write) -> PathChange:
    source, document, path = write.layer.source, write.layer.document, dotted(write.path)
    if isinstance(source, EmbeddedSource):
        document, path = source.document_in_outer, f"{dotted(source.path_in_outer)}: {path}"
    return PathChange(document, path, write.old, write.leaf.text)


def _statement(path: tree.Path, reason: str) -> str:
    where = dotted(path[:-1]) or "the top level"
    return f"added `{path[-1]}` under {where} {reason}".rstrip()
