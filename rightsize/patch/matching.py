"""Which release a recommendation is for: matched by names, revisions and destinations, else asked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rightsize.errors import AmbiguousChartError
from rightsize.files.charts import Scope
from rightsize.files.classify import RELEASE_KINDS
from rightsize.files.gateways import contradiction, gateway_signs
from rightsize.patch.groups import Group, outermost
from rightsize.patch.istio_operator import OperatorGroup
from rightsize.patch.kinds.autoscaler import AutoscalerGroup, VerticalGroup
from rightsize.patch.kinds.kustomization import SelectedPatch
from rightsize.patch.kinds.openshift import ControlPlaneGroup
from rightsize.patch.kinds.terraform import BlockToPaste
from rightsize.patch.kinds.values import AppChart
from rightsize.patch.manifests import ContainerGroup, PodAnnotations, WorkloadPatch
from rightsize.patch.model import SizeChange
from rightsize.patch.values import ValuesGroup
from rightsize.results import Sizes

_OF_ONE_WORKLOAD = (
    AutoscalerGroup, VerticalGroup, ContainerGroup, PodAnnotations, SelectedPatch,
)  # fmt: skip
"""Groups that are matched by their workload's name, and are no release."""


@dataclass(frozen=True)
class Flags:
    """What the user said about the owner of these files."""

    gateway: str | None = None
    workload: str | None = None
    release: str | None = None
    cluster: str | None = None
    """Name of the cluster that the recommendations are for."""
    istiods: tuple[str, ...] = ()
    """Istiods that run there, those that nothing is written for among them."""


_ISTIOD = SizeChange("istiod", None, None, "Deployment", Sizes())


@dataclass(frozen=True)
class Match:
    """Groups that a change is written to, or why there are none."""

    groups: tuple[Group, ...] = ()
    reason: str | None = None
    scaled_on: str | None = None
    """Target of memory use of an HPA's manifest, in percent of the request."""


def matched(
    change: SizeChange, groups: Sequence[Group], changes: Sequence[SizeChange], flags: Flags
) -> Match:
    """The releases that a change is for.

    Raises
    ------
    AmbiguousChartError
        Several could be meant, or names contradict each other; the hint says which flag settles it.
    """
    match = _matched(change, groups, changes, flags)
    targets = (
        (group, group.scales_on_memory(change))
        for group in groups
        if isinstance(group, AutoscalerGroup) and _is_workload(group, change)
    )
    found = (f"{g.layers[0].source.path.name}: {where}" for g, where in targets if where)
    return replace(match, scaled_on=next(found, None))


def _matched(
    change: SizeChange, groups: Sequence[Group], changes: Sequence[SizeChange], flags: Flags
) -> Match:
    fitting = [group for group in groups if group.covers(change)]
    vertical = [g for g in fitting if isinstance(g, VerticalGroup) and _is_workload(g, change)]
    if vertical:
        return Match((vertical[0],))
    scalers = [g for g in fitting if isinstance(g, AutoscalerGroup) and _is_workload(g, change)]
    manifests = [g for g in fitting if isinstance(g, ContainerGroup | PodAnnotations)]
    own = _manifest(manifests, change, changes, flags.workload)
    selected = [g for g in fitting if isinstance(g, SelectedPatch)]
    if own is not None and selected:
        return Match((selected[0],))
    if own is not None and not is_partial(own):
        return Match((own, *scalers))
    releases = [
        g
        for g in fitting
        if not isinstance(g, _OF_ONE_WORKLOAD)
        and not (isinstance(g, AppChart) and change.component != "sidecar")
    ]
    if flags.release is not None:
        releases = [g for g in releases if _called(g, flags.release)]
    found = _gateway(releases, change, changes, flags) if change.component == "gateway" else None
    if found is None:
        found = _of_revision(releases, change, changes, flags)
    chosen = _one_cluster(found.groups, change, flags)
    if own is not None:
        # What it sets outranks the release's values; the other sizes are theirs.
        return Match((own, *chosen, *scalers))
    return Match((*chosen, *scalers), found.reason)


def is_partial(group: Group) -> bool:
    """Whether it is a patch of single sizes of a workload, whose others are set elsewhere."""
    return all(isinstance(layer, WorkloadPatch) for layer in group.layers)


def _called(group: Group, name: str) -> bool:
    release = group.release
    full = f"{release.namespace}/{release.name}"
    return name in (release.name, full, release.destination, release.revision)


def _is_workload(group: Group, change: SizeChange) -> bool:
    release = group.release
    return release.name == change.workload and release.namespace in (None, change.namespace)


def _manifest(
    groups: Sequence[Group], change: SizeChange, changes: Sequence[SizeChange], named: str | None
) -> Group | None:
    """The manifest of a change's workload; `named` is `--workload namespace/name`.

    The flag names the workload of a manifest that has no namespace, or another name (a prefix
    added later).
    """
    fitting = [
        g
        for g in groups
        if _is_workload(g, change) and (change.kind is None or g.release.kind == change.kind)
    ]
    if named is not None and named in (change.key, change.workload):
        if not fitting and len(groups) == 1:
            return groups[0]
    elif named is not None:
        # The flag names its workload: a manifest without a namespace is not for another.
        fitting = [
            g
            for g in fitting
            if g.release.namespace is not None or named.split("/")[-1] != g.release.name
        ]
    if not fitting:
        return None
    found = max(
        fitting, key=lambda g: (g.release.namespace is not None, isinstance(g, ContainerGroup))
    )
    rivals = {
        other.key
        for other in changes
        if other.workload == change.workload and other.component == change.component
    }
    if found.release.namespace is None and len(rivals) > 1 and named is None:
        raise AmbiguousChartError(
            f"{found.release.kind} {found.release.name} does not say its namespace; it could be "
            + " or ".join(sorted(rivals)),
            path=found.layers[0].source.path,
            hint=f"Say --workload {change.key}.",
        )
    return found


def _of_revision(
    groups: Sequence[Group], change: SizeChange, changes: Sequence[SizeChange], flags: Flags
) -> Match:
    """Releases of the revision of the measured pods; each istiod is sized from its own.

    The mesh default stands in istiod's values too: where several istiods run, it is not written into
    values that may be of any of them either.
    """
    is_istiod = change.component == "istiod"
    if not groups or not (is_istiod or change.workload is None):
        return Match(tuple(groups))
    measured = (c.key for c in changes if c.component == "istiod")
    rivals = list(dict.fromkeys((*flags.istiods, *measured)))
    named_one = flags.workload is not None and any(_is_called(r, flags.workload) for r in rivals)
    if len(rivals) > 1 and (named_one or (is_istiod and flags.workload is not None)):
        if is_istiod and flags.workload not in (change.key, change.workload):
            return Match((), f"--workload {flags.workload} is another istiod")
        return Match(tuple(groups))
    if len(rivals) > 1:
        _refuse_unnamed([g for g in groups if is_istiod or g.covers(_ISTIOD)], rivals)
    if not is_istiod:
        return Match(tuple(groups))
    revision = _revision_of(change)
    exact = [g for g in groups if (g.release.revision or "default") == revision]
    named = [g for g in groups if g.release.revision is not None]
    if len(rivals) > 1:
        return Match(tuple(exact), None if exact else _no_revision(groups, change))
    if exact:
        return Match(tuple(exact))
    if len(named) > 1:
        raise AmbiguousChartError(
            f"several releases of istiod here ({', '.join(str(g.release) for g in named)}), and "
            f"the snapshot measured {change.key} alone",
            path=named[0].layers[0].source.path,
            hint=f"Say which one these sizes are for: --release {named[0].release.name}.",
        )
    for group in named:
        group.note(
            group.layers[0].source,
            f"revision {group.release.revision} has no pods in the snapshot: sizes are those of "
            f"{change.key}",
        )
    return Match(tuple(groups))


def _is_called(key: str, name: str) -> bool:
    """Whether `namespace/name` is meant by this, with or without its namespace."""
    return name in (key, key.rpartition("/")[2])


def _refuse_unnamed(groups: Sequence[Group], istiods: Sequence[str]) -> None:
    """Refuse values that do not say which of several istiods they are for."""
    unnamed = [g for g in groups if g.release.revision is None and not _is_whole(g)]
    if unnamed:
        raise AmbiguousChartError(
            "these values do not say their revision, and could be for " + " or ".join(istiods),
            path=unnamed[0].layers[0].source.path,
            hint=f"Write `revision` into the values, or say --workload {istiods[0]}.",
        )


def _is_whole(group: Group) -> bool:
    """Whether all of a release's values are in its document, so that no revision is the default.

    Bare values, operator files and Terraform get theirs from elsewhere as well: a command line's
    `--set revision=`, a variable.
    """
    return group.release.kind.split()[0] in RELEASE_KINDS


def _no_revision(groups: Sequence[Group], change: SizeChange) -> str:
    held = ", ".join(str(group.release) for group in groups)
    return f"no release of this revision here (found: {held})"


def _revision_of(change: SizeChange) -> str:
    name = change.workload or "istiod"
    return name.removeprefix("istiod-") if name.startswith("istiod-") else "default"


def _one_cluster(groups: Sequence[Group], change: SizeChange, flags: Flags) -> tuple[Group, ...]:
    """Of releases for several clusters, the one that the snapshot is of."""
    chosen = tuple(groups)
    clusters = {g.release.destination for g in chosen}
    twins = {(g.release.kind, g.release.revision) for g in chosen}
    one_each = len(twins) == len(chosen)
    if len(chosen) < 2 or (len(clusters - {None}) < 2 and one_each):
        return chosen
    if change.component == "gateway" and len(clusters - {None}) < 2:
        names = {g.release.name for g in chosen}
        if len(names) == len(chosen):
            return chosen
    mine = [g for g in chosen if flags.cluster is not None and _is_on(g, flags.cluster)]
    if len(mine) == 1:
        for group in chosen:
            if group is not mine[0]:
                text = f"{group.release}: the snapshot is of cluster {flags.cluster}"
                group.note(group.layers[0].source, text)
        return tuple(mine)
    raise AmbiguousChartError(
        f"several releases could get the sizes of {change.key}: "
        + ", ".join(str(g.release) for g in chosen)
        + (f"; the snapshot is of cluster {flags.cluster}" if flags.cluster else ""),
        path=chosen[0].layers[0].source.path,
        hint=_which(chosen),
    )


def _which(groups: Sequence[Group]) -> str:
    """What distinguishes one of some releases: its name, else its namespace, cluster, revision."""
    for group in groups:
        release = group.release
        full = f"{release.namespace}/{release.name}" if release.namespace else None
        for word in (release.name, full, release.destination, release.revision):
            if word is not None and sum(_called(other, word) for other in groups) == 1:
                return f"Say which: --release {word}."
    return "Give the files of one release at a time."


def _is_on(group: Group, cluster: str) -> bool:
    words = [group.release.destination, group.release.name]
    words += [part for layer in group.layers for part in layer.source.path.parts]
    wanted = re.compile(rf"(?<![a-z0-9]){re.escape(cluster.lower())}(?![a-z0-9])")
    return any(word is not None and wanted.search(word.lower()) for word in words)


def _gateway(
    groups: Sequence[Group], change: SizeChange, changes: Sequence[SizeChange], flags: Flags
) -> Match:
    """The releases of this very gateway: by name, else by labels, file and folder names."""
    certain = [g for g in groups if isinstance(g, OperatorGroup | ControlPlaneGroup)]
    charts = [g for g in groups if isinstance(g, ValuesGroup | BlockToPaste)]
    others = [g for g in groups if g not in certain and g not in charts]
    if certain or others:
        return Match((*certain, *others))
    measured = [c for c in changes if c.component == "gateway"]
    if flags.gateway is not None:
        if flags.gateway not in (change.workload, change.key):
            return Match((), f"the files are said to be of {flags.gateway}")
        named = [g for g in charts if g.release.name == change.workload] or charts
        return Match(tuple(named))
    named = [g for g in charts if change.workload in (g.release.name, *g.release.hints)]
    for group in named:
        _refuse_contradiction(group, change)
    if named:
        return Match(tuple(named))
    unnamed = [g for g in charts if g.release.name is None]
    for group in unnamed:
        _refuse_contradiction(group, change)
    if unnamed and len(measured) > 1:
        raise AmbiguousChartError(
            f"nothing says which gateway these values are for: {change.key} or "
            + ", ".join(other.key for other in measured if other.key != change.key),
            path=unnamed[0].layers[0].source.path,
            hint=f"Say --gateway {change.key}, and patch one gateway's file at a time.",
        )
    if unnamed:
        return Match((unnamed[0],))
    reason = None
    if charts:
        held = ", ".join(str(g.release) for g in charts)
        known = ", ".join(c.key for c in measured)
        reason = f"the files hold gateway {held}; measured: {known}. Say --gateway {change.key}"
        for group in charts:
            text = f"no pods of gateway {group.release} in the snapshot, which has {known}; if it "
            group.note(
                group.layers[0].source, text + f"is one of these, say --gateway {change.key}"
            )
    return Match((), reason)


def _refuse_contradiction(group: Group, change: SizeChange) -> None:
    """Refuse values that anything calls a gateway of another role than the measured one."""
    for layer in group.layers:
        values = layer.values if isinstance(layer, Scope) else None
        source = outermost(layer.source)
        signs = gateway_signs(values, release=group.release.name, path=source.path)
        against = contradiction(signs, change.workload)
        if against is not None:
            raise AmbiguousChartError(
                f"not written for {change.key}: {against}",
                path=source.path,
                hint=f"If they are the same, say --gateway {change.key}.",
            )
