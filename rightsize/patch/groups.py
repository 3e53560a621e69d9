"""Where the value in force comes from among files that overlay each other, and what to write."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from rightsize.files import tree
from rightsize.files.blocks import Leaf
from rightsize.files.source import Layer, Source
from rightsize.files.tree import dotted
from rightsize.patch.model import SizeChange
from rightsize.quantity import format_cpu, format_memory, parse_quantity
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
SIZES: dict[Slot, tree.Path] = {
    "cpu_request": ("requests", "cpu"),
    "memory_request": ("requests", "memory"),
    "cpu_limit": ("limits", "cpu"),
    "memory_limit": ("limits", "memory"),
}
"""The four sizes, relative to a block of resources."""
BOUNDS: tuple[Slot, ...] = ("autoscale_min", "autoscale_max", "target_cpu")


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


@dataclass(eq=False)
class Group(ABC):
    """Documents that configure one release together, in the order given: the last one wins."""

    notes: list[tuple[Source, str]] = field(default_factory=list)

    @property
    @abstractmethod
    def layers(self) -> Sequence[Layer]:
        """The documents in the order given."""

    @abstractmethod
    def candidates(self, layer: Layer, change: SizeChange, slot: Slot) -> list[tree.Path]:
        """Every path that can set the size, the one that wins first; as many for each layer."""

    @abstractmethod
    def preferred(self, layer: Layer, change: SizeChange, slot: Slot) -> tree.Path:
        """Where to add a size that is set nowhere."""

    @abstractmethod
    def covers(self, component: Component) -> bool:
        """Whether these files can size a component."""

    @property
    def name(self) -> str | None:
        """Name of the release, where it is told."""
        return None

    def autoscaling_off(self, change: SizeChange) -> Found | None:
        """What turns the HPA off, if anything does."""
        return None

    def prepare(self, change: SizeChange) -> bool:
        """Check before writing; False where the release does not read this size."""
        return True

    @abstractmethod
    def conclude(self, change: SizeChange) -> None:
        """Add notes after something was written."""

    def note(self, source: Source, text: str) -> None:
        if (source, text) not in self.notes:
            self.notes.append((source, text))

    def find(self, change: SizeChange, slot: Slot) -> Found | None:
        """Who sets a size today."""
        ranked = [self.candidates(layer, change, slot) for layer in self.layers]
        return first_set(self.layers, ranked)

    def writes(self, change: SizeChange) -> list[Write]:
        """What to set in which file so that the sizes of `change` are in force."""
        if not self.prepare(change):
            return []
        off = self.autoscaling_off(change)
        writes = []
        for slot, value in wanted(change):
            if slot in BOUNDS and off is not None:
                text = f"{dotted(off.path)} is false: replicaCount counts, HPA bounds stay unset"
                self.note(off.layer.source, text)
                continue
            write = self._write(change, slot, value)
            if write is not None:
                writes.append(write)
        if writes:
            self.conclude(change)
        return writes

    def sizes(self, change: SizeChange) -> tuple[Sizes, str] | None:
        """What the files set today, and the block that sets it; None where nothing."""
        values: dict[Slot, float] = {}
        place = None
        for slot in SIZES:
            found = self.find(change, slot) if self.candidates_exist(change, slot) else None
            if found is not None and found.scalar is not None:
                values[slot] = quantity(found.layer.source, found.path, found.scalar)
                place = place or f"{found.layer.source.path}: {dotted(found.path[:-2])}"
        if place is None:
            return None
        sizes = Sizes(
            values.get("cpu_request"),
            values.get("cpu_limit"),
            values.get("memory_request"),
            values.get("memory_limit"),
        )
        return sizes, place

    def candidates_exist(self, change: SizeChange, slot: Slot) -> bool:
        return any(self.candidates(layer, change, slot) for layer in self.layers)

    def _write(self, change: SizeChange, slot: Slot, value: float) -> Write | None:
        if not self.candidates_exist(change, slot):
            return None
        found = self.find(change, slot)
        if found is None:
            layer, path = self._place_to_add(change, slot)
            return Write(layer, path, leaf(slot, value, None), None)
        return replacement(found, slot, value)

    def _place_to_add(self, change: SizeChange, slot: Slot) -> tuple[Layer, tree.Path]:
        """Beside the other sizes of the block in force, else where most of the path stands."""
        if slot in SIZES:
            siblings: list[Slot] = [other for other in SIZES if other != slot]
            siblings.sort(key=lambda other: SIZES[other][0] != SIZES[slot][0])
            for sibling in siblings:
                found = self.find(change, sibling)
                if found is not None:
                    return found.layer, (*found.path[:-2], *SIZES[slot])
        best, best_depth = self.layers[-1], -1
        for layer in self.layers:
            path = self.preferred(layer, change, slot)
            lengths = range(1, len(path) + 1)
            depth = sum(tree.lookup(layer.root, path[:length]) is not None for length in lengths)
            if depth >= best_depth:
                best, best_depth = layer, depth
        return best, self.preferred(best, change, slot)


def first_set(layers: Sequence[Layer], ranked: Sequence[Sequence[tree.Path]]) -> Found | None:
    """The first path in order of precedence that any layer sets, the last layer first."""
    for rank in range(max(map(len, ranked), default=0)):
        for layer, paths in zip(reversed(layers), reversed(ranked), strict=True):
            if rank < len(paths):
                node = _set_node(layer.root, paths[rank])
                if node is not None:
                    return Found(layer, paths[rank], node)
    return None


def replacement(found: Found, slot: Slot, value: float) -> Write | None:
    """The write that replaces a value; None where it is as wanted already."""
    source, path = found.layer.source, found.path
    old = found.scalar
    if old is None:
        if isinstance(found.node, tree.Mapping | tree.Sequence):
            raise source.error(f"{dotted(path)} is not a single value", found.node.start)
        return Write(found.layer, path, leaf(slot, value, None), None)
    current = quantity(source, path, old) if slot in SIZES else whole_number(source, path, old)
    if current == value:
        return None
    return Write(found.layer, path, leaf(slot, value, old.value), old.value)


def wanted(change: SizeChange) -> list[tuple[Slot, float]]:
    """The numbers of a change that are set."""
    sizes: list[tuple[Slot, float | None]] = [
        ("cpu_request", change.sizes.cpu_request),
        ("memory_request", change.sizes.memory_request),
        ("cpu_limit", change.sizes.cpu_limit),
        ("memory_limit", change.sizes.memory_limit),
        ("autoscale_min", change.autoscale_min),
        ("autoscale_max", change.autoscale_max),
        ("target_cpu", change.target_cpu),
    ]
    return [(slot, value) for slot, value in sizes if value is not None]


def leaf(slot: Slot, value: float, old: str | None) -> Leaf:
    """The value as text, in the unit the file uses."""
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


def whole_number(source: Source, path: tree.Path, node: tree.Scalar) -> int:
    try:
        return int(node.value)
    except ValueError:
        raise source.error(
            f"{dotted(path)}: {node.value!r} is not a whole number", node.start
        ) from None


def _set_node(root: tree.Node | None, path: tree.Path) -> tree.Node | None:
    """The node at `path`, or the null just above it that unsets it."""
    for length in range(1, len(path) + 1):
        node = tree.lookup(root, path[:length])
        if node is None:
            return None
        if isinstance(node, tree.Scalar) and node.is_null and length >= len(path) - 2:
            return node
    return tree.lookup(root, path)
