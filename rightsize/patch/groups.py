"""Where the value in force comes from among documents that overlay each other, and what to write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rightsize.files import tree
from rightsize.files.blocks import Leaf
from rightsize.files.redirected import Redirected
from rightsize.files.source import Layer, Source
from rightsize.files.tree import dotted
from rightsize.patch.model import SizeChange, Slot
from rightsize.patch.numbers import WorkedOutError, number_at
from rightsize.patch.settle import InFile, settled
from rightsize.quantity import format_cpu, format_memory
from rightsize.results import Sizes

SIZES: dict[Slot, tree.Path] = {
    "cpu_request": ("requests", "cpu"),
    "memory_request": ("requests", "memory"),
    "cpu_limit": ("limits", "cpu"),
    "memory_limit": ("limits", "memory"),
}
"""The four sizes, relative to a block of resources."""
BOUNDS: tuple[Slot, ...] = ("autoscale_min", "autoscale_max", "target_cpu")


@dataclass(frozen=True)
class Release:
    """What distinguishes one release from another; None is not said, and fits any."""

    kind: str
    name: str | None = None
    namespace: str | None = None
    destination: str | None = None
    """The cluster it is for, as a GitOps document names it."""
    revision: str | None = None
    hints: tuple[str, ...] = ()
    """Labels, file and folder names that may say which gateway it is."""

    def fits(self, other: Release) -> bool:
        """Whether both can be one release."""
        pairs = (
            (self.name, other.name),
            (self.namespace, other.namespace),
            (self.destination, other.destination),
            (self.revision, other.revision),
        )
        return self.kind == other.kind and all(
            one is None or two is None or one == two for one, two in pairs
        )

    def joined(self, other: Release) -> Release:
        """Both in one, what the other says first."""
        return Release(
            self.kind,
            other.name or self.name,
            other.namespace or self.namespace,
            other.destination or self.destination,
            other.revision or self.revision,
            (*self.hints, *other.hints),
        )

    def __str__(self) -> str:
        name = f"{self.namespace}/{self.name}" if self.namespace and self.name else self.name
        words = [name or self.kind]
        words += [f"revision {self.revision}"] if self.revision else []
        words += [f"on {self.destination}"] if self.destination else []
        return " ".join(words)


@dataclass(eq=False)
class Write:
    """One value to set in one document, and what it is now."""

    layer: Layer
    path: tree.Path
    leaf: Leaf
    old: str | None


@dataclass(frozen=True, eq=False)
class Found:
    """Who sets a value: layer, full path, and the node (a null counts as set)."""

    layer: Layer
    path: tree.Path
    node: tree.Node

    @property
    def scalar(self) -> tree.Scalar | None:
        """The value, None for a null."""
        usable = isinstance(self.node, tree.Scalar) and not self.node.is_null
        return self.node if usable and isinstance(self.node, tree.Scalar) else None

    @property
    def place(self) -> str:
        return f"{self.layer.source.path}: {dotted(self.path)}"


@dataclass(frozen=True)
class Placed:
    """What a group makes of one change."""

    writes: tuple[Write, ...] = ()
    held: tuple[str, ...] = ()
    """Places that are as wanted already."""
    missing: tuple[Slot, ...] = ()
    """Sizes that have no place here."""
    refused: str | None = None
    reason: str | None = None
    """Why there is no place for it here, where that is known."""
    settled: SizeChange | None = None
    """The change as the files let it be: what is in force afterwards."""


@dataclass(eq=False)
class Group(ABC):
    """Documents that configure one release together, in the order given: the last one wins."""

    release: Release
    layers: list[Layer] = field(default_factory=list)
    notes: list[tuple[Source, str]] = field(default_factory=list)

    @abstractmethod
    def candidates(self, layer: Layer, change: SizeChange, slot: Slot) -> list[tree.Path]:
        """Every path that can set the size, the one that wins first; as many for each layer."""

    @abstractmethod
    def preferred(self, layer: Layer, change: SizeChange, slot: Slot) -> tree.Path | None:
        """Where to add a size that is set nowhere; None where this layer has no place for it."""

    @abstractmethod
    def covers(self, change: SizeChange) -> bool:
        """Whether these documents can size the component of a change."""

    def add(self, other: Group) -> None:
        """Take in further documents of the same release."""
        self.release = self.release.joined(other.release)
        self.layers += other.layers

    def autoscaling_off(self, change: SizeChange) -> Found | None:
        """What turns the HPA off, if anything does."""
        return None

    def memory_target(self, change: SizeChange) -> Found | None:
        """What sets a target of memory utilisation for the HPA, if anything does."""
        return None

    def completed(self, change: SizeChange, today: dict[Slot, InFile]) -> SizeChange:
        """The change with what must be written along with it."""
        return change

    def unread(self, change: SizeChange) -> str | None:
        """Why nothing that is written here would count; None where it does."""
        return None

    def conclude(self, change: SizeChange) -> None:
        """Add notes after something was written; nothing where a kind has none."""
        return

    def leaf(self, slot: Slot, value: float, old: str | None) -> Leaf:
        """The value as text, in the unit the file uses."""
        return leaf(slot, value, old)

    def note(self, source: Source, text: str) -> None:
        if (source, text) not in self.notes:
            self.notes.append((source, text))

    def find(self, change: SizeChange, slot: Slot) -> Found | None:
        """Who sets a size today."""
        ranked = [self.candidates(layer, change, slot) for layer in self.layers]
        return first_set(self.layers, ranked)

    def sizes(self, change: SizeChange) -> tuple[Sizes, str] | None:
        """What the files set today, and the block that sets it; None where nothing."""
        found = {slot: self.find(change, slot) for slot in SIZES}
        numbers = {s: _in_file(s, place).value for s, place in found.items() if place is not None}
        first = next((p for p in found.values() if p is not None and p.scalar is not None), None)
        if first is None:
            return None
        place = f"{first.layer.source.path}: {dotted(first.path[:-2])}"
        return sizes_of(numbers), place

    def place(
        self, change: SizeChange, largest_node: Sizes | None = None, scaled_on: str | None = None
    ) -> Placed:
        """What to set in which document so that the sizes of `change` are in force.

        `scaled_on` is where an HPA's manifest targets use of the memory request.
        """
        unread = self.unread(change)
        if unread is not None:
            return _nowhere(change, unread)
        try:
            return self._settled(change, largest_node, scaled_on)
        except WorkedOutError as error:
            self.note(error.source, error.text)
            return _nowhere(change, error.text)

    def _settled(
        self, change: SizeChange, largest_node: Sizes | None, scaled_on: str | None
    ) -> Placed:
        off = self.autoscaling_off(change)
        if off is not None and any(slot in BOUNDS for slot, _ in change.wanted):
            self.note(
                off.layer.source,
                f"{dotted(off.path)} is false: replicaCount counts, HPA bounds stay unset",
            )
            change = replace(change, autoscale_min=None, autoscale_max=None, target_cpu=None)
        found = {slot: self.find(change, slot) for slot in (*SIZES, *BOUNDS)}
        today = {slot: _in_file(slot, place) for slot, place in found.items() if place is not None}
        target = self.memory_target(change)
        result = settled(
            self.completed(change, today),
            today,
            scaled_on if target is None else dotted(target.path),
            largest_node,
        )
        for text in result.notes:
            self.note(self._speaker(found), text)
        if result.refused is not None:
            return Placed(refused=result.refused)
        placed = self._placed(change, result.values, found)
        if placed.writes or placed.held:
            self.conclude(change)
        return replace(placed, settled=_with(change, result.values))

    def _placed(
        self, change: SizeChange, values: dict[Slot, float], found: dict[Slot, Found | None]
    ) -> Placed:
        writes: list[Write] = []
        held, missing = [], []
        for slot, value in values.items():
            place = found[slot]
            if place is not None:
                write = self._replacement(place, slot, value)
                writes += [] if write is None else [write]
                held += [place.place] if write is None else []
                continue
            added = self._place_to_add(change, slot)
            if added is None:
                missing.append(slot)
            else:
                writes.append(Write(*added, self.leaf(slot, value, None), None))
        return Placed(tuple(writes), tuple(held), tuple(missing))

    def _speaker(self, found: dict[Slot, Found | None]) -> Source:
        place = next((place for place in found.values() if place is not None), None)
        return (self.layers[-1] if place is None else place.layer).source

    def _replacement(self, found: Found, slot: Slot, value: float) -> Write | None:
        """The write that replaces a value; None where it is as wanted already."""
        path = real_path(found.layer, found.path)
        if path is None:
            raise found.layer.source.error(f"{dotted(found.path)} cannot be set", found.node.start)
        old = found.scalar
        if old is None:
            if isinstance(found.node, tree.Mapping | tree.Sequence):
                what = f"{dotted(found.path)} is not a single value"
                raise found.layer.source.error(what, found.node.start)
            return Write(found.layer, path, self.leaf(slot, value, None), None)
        if _number(slot, found, old) == value:
            return None
        return Write(found.layer, path, self.leaf(slot, value, old.value), old.value)

    def _place_to_add(self, change: SizeChange, slot: Slot) -> tuple[Layer, tree.Path] | None:
        """Beside the other sizes of the block in force, else where most of the path stands."""
        if slot in SIZES:
            siblings: list[Slot] = [other for other in SIZES if other != slot]
            siblings.sort(key=lambda other: SIZES[other][0] != SIZES[slot][0])
            for sibling in siblings:
                found = self.find(change, sibling)
                path = None if found is None else self._beside(found, sibling, slot)
                if found is not None and path is not None:
                    return found.layer, path
        best: tuple[Layer, tree.Path] | None = None
        best_depth = -1
        for layer in self.layers:
            wanted = self.preferred(layer, change, slot)
            path = None if wanted is None else real_path(layer, wanted)
            if wanted is None or path is None:
                continue
            lengths = range(1, len(wanted) + 1)
            depth = sum(tree.lookup(layer.root, wanted[:length]) is not None for length in lengths)
            if depth >= best_depth:
                best, best_depth = (layer, path), depth
        return best

    def _beside(self, found: Found, sibling: Slot, slot: Slot) -> tree.Path | None:
        return real_path(found.layer, (*found.path[:-2], *SIZES[slot]))


@dataclass(eq=False)
class UnwrittenGroup(Group, ABC):
    """A document that is never written to, and says of each change what is to be done instead."""

    def candidates(self, layer: Layer, change: SizeChange, slot: Slot) -> list[tree.Path]:
        return []

    def preferred(self, layer: Layer, change: SizeChange, slot: Slot) -> tree.Path | None:
        return None

    def place(
        self, change: SizeChange, largest_node: Sizes | None = None, scaled_on: str | None = None
    ) -> Placed:
        return self.instead(change)

    @abstractmethod
    def instead(self, change: SizeChange) -> Placed:
        """Why a change is not written, or what to write by hand."""


def _nowhere(change: SizeChange, reason: str) -> Placed:
    return Placed(missing=tuple(slot for slot, _ in change.wanted), reason=reason)


def sizes_of(values: Mapping[Slot, float | None]) -> Sizes:
    """The four sizes among some numbers."""
    return Sizes(
        cpu_request=values.get("cpu_request"),
        cpu_limit=values.get("cpu_limit"),
        memory_request=values.get("memory_request"),
        memory_limit=values.get("memory_limit"),
    )


def _with(change: SizeChange, values: Mapping[Slot, float]) -> SizeChange:
    bounds = {slot: None if (v := values.get(slot)) is None else int(v) for slot in BOUNDS}
    return replace(
        change,
        sizes=sizes_of(values),
        autoscale_min=bounds["autoscale_min"],
        autoscale_max=bounds["autoscale_max"],
        target_cpu=bounds["target_cpu"],
    )


def real_path(layer: Layer, path: tree.Path) -> tree.Path | None:
    """Where in its document a path of a layer is written; None where it cannot be."""
    return layer.real(path) if isinstance(layer, Redirected) else path


def first_set(layers: Sequence[Layer], ranked: Sequence[Sequence[tree.Path]]) -> Found | None:
    """The first path in order of precedence that any layer sets, the last layer first."""
    for rank in range(max(map(len, ranked), default=0)):
        for layer, paths in zip(reversed(layers), reversed(ranked), strict=True):
            if rank < len(paths):
                node = _set_node(layer.root, paths[rank])
                if node is not None:
                    return Found(layer, paths[rank], node)
    return None


def grouped(groups: Sequence[Group]) -> list[Group]:
    """Groups of different files that are one release, put together in the order given.

    Two documents of one file are two releases, whatever their names.
    """
    joined: list[Group] = []
    for group in groups:
        files = {outermost(layer.source) for layer in group.layers}
        same = next(
            (
                other
                for other in joined
                if type(other) is type(group)
                and other.release.fits(group.release)
                and not files & {outermost(layer.source) for layer in other.layers}
            ),
            None,
        )
        if same is None:
            joined.append(group)
        else:
            same.add(group)
    return joined


def outermost(source: Source) -> Source:
    """The file that a source is, or is written in."""
    outer: Source | None = getattr(source, "outer", None)
    return source if outer is None else outermost(outer)


def leaf(slot: Slot, value: float, old: str | None) -> Leaf:
    if slot in BOUNDS:
        return Leaf(str(int(value)))
    return Leaf(format_memory(value) if slot.startswith("memory") else cpu_text(value, old))


def cpu_text(cores: float, old: str | None = None) -> str:
    """Whole cores become `2000m` unless the file writes plain numbers.

    The gateway chart's schema takes strings only, and a bare 2 is a number.
    """
    text = format_cpu(cores)
    plain_number = old is not None and old.isdigit()
    return text if text.endswith("m") or plain_number else f"{text}000m"


def _in_file(slot: Slot, found: Found) -> InFile:
    value = None if found.scalar is None else _number(slot, found, found.scalar)
    return InFile(value, dotted(found.path))


def _number(slot: Slot, found: Found, node: tree.Scalar) -> float:
    return number_at(node, found.path, found.layer.source, whole=slot not in SIZES)


def _set_node(root: tree.Node | None, path: tree.Path) -> tree.Node | None:
    """The node at `path`, or the null just above it that unsets it."""
    for length in range(1, len(path) + 1):
        node = tree.lookup(root, path[:length])
        if node is None:
            return None
        if isinstance(node, tree.Scalar) and node.is_null and length >= len(path) - 2:
            return node
    return tree.lookup(root, path)
