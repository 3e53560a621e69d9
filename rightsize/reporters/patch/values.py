"""Where the value in force comes from among the files of one release, and what to write there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rightsize.quantity import format_cpu, format_memory, parse_quantity
from rightsize.reporters.patch import tree
from rightsize.reporters.patch.charts import FLAT_FROM, Scope, require_version
from rightsize.reporters.patch.model import SizeChange, dotted
from rightsize.reporters.patch.paths import (
    AUTOSCALING,
    SCOPED,
    SIZES,
    Layout,
    Slot,
    candidates,
    preferred,
    slot_path,
)
from rightsize.reporters.patch.source import Source
from rightsize.reporters.patch.splice import Leaf
from rightsize.results import Component, Sizes

SIZE_SLOTS: tuple[Slot, ...] = ("cpu_request", "memory_request", "cpu_limit", "memory_limit")
BOUND_SLOTS: tuple[Slot, ...] = ("autoscale_min", "autoscale_max", "target_cpu")


@dataclass(eq=False)
class Write:
    """One value to set in one document, and what it is now."""

    source: Source
    document: int
    path: tree.Path
    leaf: Leaf
    old: str | None


@dataclass(eq=False)
class Group:
    """The scopes of one release of one chart, in the order of `-f`: the last one wins."""

    scopes: list[Scope]
    notes: list[tuple[Source, str]] = field(default_factory=list)

    @property
    def chart(self) -> str:
        return self.scopes[0].chart

    @property
    def name(self) -> str | None:
        return next((scope.name for scope in reversed(self.scopes) if scope.name), None)

    def layout(self, scope: Scope) -> Layout:
        version = next((s.version for s in self.scopes if s.version is not None), None)
        wrapper = next((s.wrapper for s in self.scopes if s.wrapper is not None), None)
        return Layout(
            scope.chart,
            version,
            wrapper,
            any(_profile(s) is not None for s in self.scopes),
            scope.prefix,
            scope.outer_global,
        )

    def note(self, source: Source, text: str) -> None:
        if (source, text) not in self.notes:
            self.notes.append((source, text))

    def find(self, path: tree.Path) -> tuple[Scope, tree.Path, tree.Node] | None:
        """Who sets the value of `path`: scope, full path, node (a null counts as set)."""
        places = [candidates(self.layout(scope), path) for scope in self.scopes]
        for rank in range(max(map(len, places))):
            for scope, ranked in zip(reversed(self.scopes), reversed(places), strict=True):
                if rank < len(ranked):
                    node = _set_node(scope.root, ranked[rank])
                    if node is not None:
                        return scope, ranked[rank], node
        return None

    def value(self, path: tree.Path) -> str | None:
        """The text in force for `path`, None where the files do not set it."""
        found = self.find(path)
        if found is None or not isinstance(found[2], tree.Scalar) or found[2].is_null:
            return None
        return found[2].value


def _profile(scope: Scope) -> str | None:
    root_global = ((*scope.prefix[:-1], "global", "profile"),) if scope.outer_global else ()
    paths = ((*scope.prefix, "profile"), (*scope.prefix, "global", "profile"), *root_global)
    found = (tree.text_at(scope.root, path) for path in paths)
    return next((name for name in found if name), None)


def sizes_of(group: Group, component: Component) -> tuple[Sizes, str] | None:
    """What the files set for a component, and the block that sets it; None where nothing."""
    values: dict[Slot, float | None] = {}
    place = None
    for slot in SIZE_SLOTS:
        path = slot_path(group.scopes[0].chart, component, slot)
        if path is None:
            return None
        found = group.find(path)
        values[slot] = None
        if found is not None and isinstance(found[2], tree.Scalar) and not found[2].is_null:
            values[slot] = quantity(found[0].source, found[1], found[2])
            place = place or f"{found[0].source.path}: {dotted(found[1][:-2])}"
    if place is None:
        return None
    sizes = Sizes(
        values["cpu_request"],
        values["cpu_limit"],
        values["memory_request"],
        values["memory_limit"],
    )
    return sizes, place


def quantity(source: Source, path: tree.Path, node: tree.Scalar) -> float:
    """The value of a quantity in a file, or an error with its place."""
    try:
        return parse_quantity(node.value)
    except ValueError:
        raise source.error(
            f"{dotted(path)}: {node.value!r} is not a Kubernetes quantity",
            node.start,
            hint="Write it like 250m or 128Mi, without blanks.",
        ) from None


def writes_for(group: Group, change: SizeChange) -> list[Write]:
    """What to set in which file so that the change's sizes are in force."""
    chart = group.scopes[0].chart
    _refuse_unknown_release(group, change)
    if change.component == "waypoint" and not _has_waypoints(group):
        return []
    writes = []
    for slot, leaf_value in _wanted(change):
        path = slot_path(chart, change.component, slot)
        if path is None:
            continue
        write = _write(group, path, slot, leaf_value)
        if write is not None:
            writes.append(write)
    _add_notes(group, change, bool(writes))
    return writes


def _wanted(change: SizeChange) -> Iterable[tuple[Slot, float]]:
    sizes: dict[Slot, float | None] = {
        "cpu_request": change.sizes.cpu_request,
        "memory_request": change.sizes.memory_request,
        "cpu_limit": change.sizes.cpu_limit,
        "memory_limit": change.sizes.memory_limit,
        "autoscale_min": change.autoscale_min,
        "autoscale_max": change.autoscale_max,
        "target_cpu": change.target_cpu,
    }
    return [(slot, value) for slot, value in sizes.items() if value is not None]


def _write(group: Group, path: tree.Path, slot: Slot, value: float) -> Write | None:
    chart = group.scopes[0].chart
    if slot in BOUND_SLOTS and group.value(AUTOSCALING[chart]) == "false":
        where = group.find(AUTOSCALING[chart])
        if where is not None:
            text = f"{dotted(where[1])} is false: replicaCount counts, HPA bounds are not written"
            group.note(where[0].source, text)
        return None
    found = group.find(path)
    if found is None:
        scope, full = _place_to_add(group, path, slot)
        return Write(scope.source, scope.document, full, _leaf(slot, value, None), None)
    scope, full, node = found
    old = node if isinstance(node, tree.Scalar) and not node.is_null else None
    if old is not None:
        current = (
            quantity(scope.source, full, old)
            if slot in SIZES
            else _whole_number(scope.source, full, old)
        )
        if current == value:
            return None
    elif isinstance(node, tree.Mapping | tree.Sequence):
        raise scope.source.error(f"{dotted(full)} is not a single value", node.start)
    before = None if old is None else old.value
    return Write(scope.source, scope.document, full, _leaf(slot, value, before), before)


def _whole_number(source: Source, path: tree.Path, node: tree.Scalar) -> int:
    try:
        return int(node.value)
    except ValueError:
        raise source.error(
            f"{dotted(path)}: {node.value!r} is not a whole number", node.start
        ) from None


def _place_to_add(group: Group, path: tree.Path, slot: Slot) -> tuple[Scope, tree.Path]:
    """Beside the other sizes of the same block, else where most of the path stands already."""
    depth = len(SIZES[slot]) if slot in SIZES else 1
    siblings = [rest for rest in SIZES.values() if rest != path[-depth:]] if slot in SIZES else []
    for rest in sorted(siblings, key=lambda rest: rest[0] != path[-2]):
        found = group.find((*path[:-depth], *rest))
        if found is not None and found[2] is not None:
            scope, full, _ = found
            return scope, (*full[:-2], *path[-2:])
    best, best_depth = group.scopes[-1], -1
    for scope in group.scopes:
        full = preferred(group.layout(scope), path)
        existing = _existing_depth(scope.root, full)
        if existing >= best_depth:
            best, best_depth = scope, existing
    return best, preferred(group.layout(best), path)


def _existing_depth(root: tree.Node | None, path: tree.Path) -> int:
    return sum(tree.lookup(root, path[:length]) is not None for length in range(1, len(path) + 1))


def _set_node(root: tree.Node | None, path: tree.Path) -> tree.Node | None:
    """The node at `path`, or the null above it that unsets it."""
    for length in range(1, len(path) + 1):
        node = tree.lookup(root, path[:length])
        if node is None:
            return None
        if isinstance(node, tree.Scalar) and node.is_null and length >= len(path) - 2:
            return node
    return tree.lookup(root, path)


def _leaf(slot: Slot, value: float, old: str | None) -> Leaf:
    """The value as text, in the unit the file uses.

    Whole cores become `2000m` unless the file writes plain numbers: the gateway chart's schema
    takes strings only, and a bare 2 is a number.
    """
    if slot in BOUND_SLOTS:
        return Leaf(str(int(value)))
    if slot.startswith("memory"):
        return Leaf(format_memory(value))
    return Leaf(cpu_text(value, old))


def cpu_text(cores: float, old: str | None = None) -> str:
    text = format_cpu(cores)
    plain_number = old is not None and old.isdigit()
    return text if text.endswith("m") or plain_number else f"{text}000m"


def _refuse_unknown_release(group: Group, change: SizeChange) -> None:
    """From 1.24 flattened keys count, before they are ignored: this must be known if one is set."""
    chart = group.scopes[0].chart
    version = group.layout(group.scopes[0]).version
    if SCOPED.get(chart) is None or change.component in ("sidecar", "waypoint"):
        return
    for scope in group.scopes:
        for slot in (*SIZES, *BOUND_SLOTS):
            path = slot_path(chart, change.component, slot)
            if path is None:
                continue
            node = tree.lookup(scope.root, (*scope.prefix, *path[1:]))
            if node is None:
                continue
            flat = dotted((*scope.prefix, *path[1:-2]) or path[1:])
            if version is None:
                why = f"`{flat}` at the top level counts from 1.24 on and is ignored before"
                require_version(scope, why, node.start)
            elif version < FLAT_FROM:
                line, _ = tree.position(scope.source.text, node.start)
                text = f"line {line}: top-level `{flat}` is ignored by Istio before 1.24"
                group.note(scope.source, text)


def _has_waypoints(group: Group) -> bool:
    """Whether the release reads `global.waypoint.resources` (1.24 and later)."""
    layout = group.layout(group.scopes[0])
    scope = group.scopes[-1]
    version = layout.version
    if version is None:
        version = require_version(scope, "waypoints can be sized from 1.24 on only", 0)
    if version >= FLAT_FROM:
        return True
    group.note(
        scope.source,
        "waypoint sizes not written: before 1.24 the chart hard-codes them and ignores "
        "global.waypoint.resources",
    )
    return False


def _add_notes(group: Group, change: SizeChange, written: bool) -> None:
    chart = group.scopes[0].chart
    last = group.scopes[-1].source
    if not written:
        return
    if change.component == "sidecar":
        group.note(
            last,
            "global.proxy.resources also sizes istio-init, istio-validation and the gateways that "
            "Istio deploys for the Gateway API; pin those that need more",
        )
    for scope in group.scopes:
        if scope.wrapper is not None:
            group.note(
                scope.source,
                f"a copy of the chart's own values.yaml: sizes changed inside `{scope.wrapper}`, "
                "which Istio asks not to set; better keep a file with only what differs",
            )
        profile = _profile(scope)
        if profile is not None and chart in SCOPED and change.component in (chart, "istio-cni"):
            scoped = SCOPED[scope.chart]
            group.note(
                scope.source,
                f"profile {profile} outranks top-level keys, so sizes go to {scoped}.resources",
            )
    if change.autoscale_min is not None or change.autoscale_max is not None:
        _note_replica_count(group)


def _note_replica_count(group: Group) -> None:
    scoped = SCOPED.get(group.scopes[0].chart)
    path: tree.Path = ("replicaCount",) if scoped is None else (scoped, "replicaCount")
    found = group.find(path)
    if found is not None and isinstance(found[2], tree.Scalar) and not found[2].is_null:
        group.note(
            found[0].source, f"{dotted(found[1])} is ignored while autoscaling is on (the default)"
        )


def groups_of(scopes: Sequence[Scope]) -> list[Group]:
    """Scopes by release: one group a chart, but one a name for gateways told apart by name."""
    groups: dict[tuple[str, str | None], list[Scope]] = {}
    for scope in scopes:
        name = scope.name if scope.chart == "gateway" else None
        groups.setdefault((scope.chart, name), []).append(scope)
    return [Group(members) for members in groups.values()]
