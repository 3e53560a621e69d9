"""YAML as a tree of nodes that know their place in the text: the one reader of users' files.

`parse` makes the documents; `lookup`, `text_at` and `mapping_at` read values in force (aliases and
merges resolved), `walk` visits what is written, `position` gives line and
column. The parser is libyaml, of which Helm's own is a port: what Helm reads is read, a tab
between tokens included. Its events carry the exact start and end of every scalar and alias; a
composer drops where an alias stood, so the tree is built here. Offsets count characters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

NULLS = ("", "~", "null", "Null", "NULL")
MAX_NODES = 200_000
"""Nodes of a document with its aliases spelled out; more is a bomb, not a values file."""
MAX_DEPTH = 100
_LONG = 100_000

Path = tuple[str | int, ...]
"""Keys and list positions from a document's root."""


class FlawError(Exception):
    """Something wrong at a place of a text that does not know its file."""

    def __init__(self, what: str, index: int = 0, hint: str | None = None) -> None:
        super().__init__(what)
        self.what, self.index, self.hint = what, index, hint


@dataclass(eq=False)
class Node:
    start: int
    end: int
    anchor: str | None = None
    spelled: int = field(default=1, init=False, repr=False)
    """Nodes in it, with every alias spelled out."""
    depth: int = field(default=0, init=False, repr=False)
    """Levels below it, likewise."""
    whole: bool = field(default=True, init=False, repr=False)
    """False while it is read: an alias of it would hold itself."""


@dataclass(eq=False)
class Scalar(Node):
    value: str = ""
    style: str = ""
    """`""` plain, `'`, `"`, `|` or `>`."""
    tag: str = ""

    @property
    def is_null(self) -> bool:
        return not self.style and not self.tag and self.value in NULLS


@dataclass(eq=False)
class Alias(Node):
    target: Node = field(default_factory=lambda: Node(0, 0))


@dataclass(eq=False)
class Mapping(Node):
    flow: bool = False
    items: list[tuple[Node, Node]] = field(default_factory=list)
    _index: dict[str, tuple[Scalar, Node]] = field(default_factory=dict, init=False, repr=False)
    _indexed: object = field(default=None, init=False, repr=False)
    _count: int = field(default=0, init=False, repr=False)

    def own(self, key: str) -> Node | None:
        """The value written under `key` in this mapping itself."""
        found = self._by_key().get(key)
        return None if found is None else found[1]

    def key_node(self, key: str) -> Scalar | None:
        found = self._by_key().get(key)
        return None if found is None else found[0]

    def _by_key(self) -> dict[str, tuple[Scalar, Node]]:
        """The first of each key; looked up once for as long as nothing is added."""
        if self._indexed is not self.items or self._count != len(self.items):
            self._index = {
                k.value: (k, v) for k, v in reversed(self.items) if isinstance(k, Scalar)
            }
            self._indexed, self._count = self.items, len(self.items)
        return self._index

    def merged(self, key: str) -> Node | None:
        """The value that `key` gets from `<<`: the first of the merged mappings wins."""
        for source in self.merge_sources():
            found = source.get(key)
            if found is not None:
                return found
        return None

    def merge_sources(self) -> list[Mapping]:
        value = self.own("<<")
        if value is None:
            return []
        value = resolve(value)
        members = value.items if isinstance(value, Sequence) else [value]
        return [node for node in map(resolve, members) if isinstance(node, Mapping)]

    def get(self, key: str) -> Node | None:
        """The value in force under `key`: written here, or merged in."""
        found = self.own(key)
        return found if found is not None else self.merged(key)

    def names(self) -> list[str]:
        """Keys in force, `<<` resolved, in the order of the text."""
        found = {k.value: None for k, _ in self.items if isinstance(k, Scalar) and k.value != "<<"}
        for source in self.merge_sources():
            found |= dict.fromkeys(source.names())
        return list(found)


@dataclass(eq=False)
class Sequence(Node):
    flow: bool = False
    items: list[Node] = field(default_factory=list)


def resolve(node: Node) -> Node:
    """The node that an alias stands for."""
    while isinstance(node, Alias):
        node = node.target
    return node


def lookup(node: Node | None, path: Path) -> Node | None:
    """The node in force at `path`, aliases and merges resolved; None where there is none."""
    for step in path:
        if node is None:
            return None
        node = resolve(node)
        if isinstance(node, Mapping) and isinstance(step, str):
            node = node.get(step)
        elif isinstance(node, Sequence) and isinstance(step, int):
            node = node.items[step] if step < len(node.items) else None
        else:
            return None
    return None if node is None else resolve(node)


def text_at(node: Node | None, path: Path) -> str | None:
    """The scalar in force at `path` as it is meant, or None for anything else and for null."""
    found = lookup(node, path)
    return found.value if isinstance(found, Scalar) and not found.is_null else None


def mapping_at(node: Node | None, path: Path) -> Mapping | None:
    found = lookup(node, path)
    return found if isinstance(found, Mapping) else None


def walk(node: Node) -> Iterator[Node]:
    """Every node that is written, aliases not followed."""
    yield node
    if isinstance(node, Mapping):
        for key, value in node.items:
            yield from walk(key)
            yield from walk(value)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from walk(item)


def content_end(node: Node) -> int:
    """Where the text of a node ends, without the comments that follow a block."""
    if isinstance(node, Mapping) and not node.flow and node.items:
        return content_end(node.items[-1][1])
    if isinstance(node, Sequence) and not node.flow and node.items:
        return content_end(node.items[-1])
    return node.end


@dataclass
class Document:
    """One document of a stream; `root` is None where it holds nothing but comments."""

    root: Node | None
    start: int
    end: int


def parse(text: str) -> list[Document]:
    """Parse every document of a text.

    Raises
    ------
    FlawError
        Malformed YAML, a duplicate key, an unknown alias, aliases without end, a Go template.
    """
    return list(_kept(text)) if len(text) > _LONG else _parsed(text)


@lru_cache(maxsize=2)
def _kept(text: str) -> tuple[Document, ...]:
    """A long text is parsed once, however often it is compared; nobody changes a tree."""
    return tuple(_parsed(text))


def _parsed(text: str) -> list[Document]:
    try:
        return Composer(text, yaml.parse(text, Loader=LOADER)).documents()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "malformed YAML"
        raise _explained(text, f"malformed YAML: {problem}", mark.index if mark else 0) from error
    except (yaml.YAMLError, ValueError) as error:
        position = getattr(error, "position", None)
        raise _explained(text, f"malformed YAML: {error}", position or 0) from error


def position(text: str, index: int) -> tuple[int, int]:
    """Line and column, from 1, of a character."""
    before = text[:index]
    return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1


def _explained(text: str, what: str, index: int) -> FlawError:
    if "{{" in text:
        return FlawError(
            "a Go template, not YAML",
            text.index("{{"),
            "Give the rendered file, or the values file that feeds the template.",
        )
    line_start = text.rfind("\n", 0, index) + 1
    line_end = text.find("\n", index)
    line = text[line_start : len(text) if line_end < 0 else line_end]
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return FlawError("a tab in the indentation, which YAML forbids", line_start)
    return FlawError(what, index)


LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML has it (every wheel has), else the same parser in Python."""


class Composer:
    """Trees out of a parser's events; `text` is what they were made of, where it is at hand."""

    def __init__(self, text: str, events: Iterator[Event]) -> None:
        self.text, self.events = text, events
        self.anchors: dict[str, Node] = {}
        self.added = 0
        """Nodes that aliases stand for, in all documents."""

    def documents(self) -> list[Document]:
        found = []
        start = 0
        for event in self.events:
            if isinstance(event, DocumentStartEvent):
                self.anchors = {}
                start = _start(event)
                root: Node | None = self.node(next(self.events), 0)
                if root is not None and _is_nothing(root):
                    root = None
            elif isinstance(event, DocumentEndEvent):
                found.append(Document(root, start, _end(event)))
        return found

    def forget(self) -> None:
        """Let go of every anchor."""
        self.anchors = {}
        self.added = 0

    def node(self, event: Event, depth: int) -> Node:
        """The node that begins with an event.

        Raises
        ------
        FlawError
            As `parse`.
        """
        if depth > MAX_DEPTH:
            raise FlawError(f"nested deeper than {MAX_DEPTH}", _start(event))
        if isinstance(event, AliasEvent):
            start, end = _start(event), _end(event)
            if event.anchor not in self.anchors:
                raise FlawError(f"no anchor for the alias *{event.anchor}", start)
            return self._alias(Alias(start, end, target=self.anchors[event.anchor]))
        if isinstance(event, ScalarEvent):
            return self._scalar(event)
        if isinstance(event, MappingStartEvent):
            return self._mapping(event, depth)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(event, depth)
        raise ValueError(f"unexpected {event}")

    def _alias(self, node: Alias) -> Alias:
        if not node.target.whole:
            raise FlawError("an alias inside its own anchor", node.start)
        node.spelled, node.depth = node.target.spelled, node.target.depth
        self.added += node.spelled
        if self.added > MAX_NODES:
            raise FlawError("aliases make this document too large", node.start)
        return node

    def _counted(self, node: Mapping | Sequence, parts: list[Node]) -> None:
        """Every walk over the tree is bounded from here on, aliases followed or not."""
        node.spelled = 1 + sum(part.spelled for part in parts)
        node.depth = 1 + max((part.depth for part in parts), default=0)
        node.whole = True
        if node.depth > MAX_DEPTH:
            raise FlawError(f"nested deeper than {MAX_DEPTH}", node.start)
        if node.spelled > MAX_NODES + len(self.text):
            raise FlawError("aliases make this document too large", node.start)

    def _scalar(self, event: ScalarEvent) -> Scalar:
        start, end = _start(event), _end(event)
        tag = "" if event.tag is None else str(event.tag)
        node = Scalar(start, end, event.anchor, event.value, event.style or "", tag)
        self._remember(node)
        return node

    def _mapping(self, event: MappingStartEvent, depth: int) -> Mapping:
        node = Mapping(_start(event), 0, event.anchor, bool(event.flow_style))
        node.whole = False
        self._remember(node)
        seen: set[str] = set()
        while not isinstance(following := next(self.events), MappingEndEvent):
            key = self.node(following, depth + 1)
            self._check_key(key, seen)
            value = self.node(next(self.events), depth + 1)
            if _is_nothing(value):
                value.start = value.end = self._after_colon(key)
            node.items.append((key, value))
        node.end = _end(following)
        self._counted(node, [part for pair in node.items for part in pair])
        return node

    def _check_key(self, key: Node, seen: set[str]) -> None:
        if isinstance(key, Mapping) and key.flow and self.text[key.start - 1 : key.start] == "{":
            raise _explained(self.text, "a Go template, not YAML", key.start)
        if isinstance(key, Scalar):
            if key.value in seen:
                raise FlawError(f"duplicate key {key.value!r}", key.start)
            seen.add(key.value)

    def _sequence(self, event: SequenceStartEvent, depth: int) -> Sequence:
        node = Sequence(_start(event), 0, event.anchor, bool(event.flow_style))
        node.whole = False
        self._remember(node)
        while not isinstance(following := next(self.events), SequenceEndEvent):
            item = self.node(following, depth + 1)
            if _is_nothing(item) and not node.flow:
                item.start = item.end = self.text.rfind("-", 0, item.start) + 1
            node.items.append(item)
        node.end = _end(following)
        self._counted(node, node.items)
        return node

    def _after_colon(self, key: Node) -> int:
        """Where a value would stand that is not written; the event has the next token's place."""
        index = key.end
        while self.text[index : index + 1] in (" ", "\t"):
            index += 1
        return index + 1 if self.text[index : index + 1] == ":" else key.end

    def _remember(self, node: Node) -> None:
        if node.anchor is not None:
            self.anchors[node.anchor] = node


def _start(event: Event) -> int:
    return 0 if event.start_mark is None else int(event.start_mark.index)


def _end(event: Event) -> int:
    return 0 if event.end_mark is None else int(event.end_mark.index)


def _is_nothing(node: Node) -> bool:
    """A null that is not even written."""
    return isinstance(node, Scalar) and node.is_null and not node.value and node.anchor is None


def dotted(path: tuple[str | int, ...]) -> str:
    """A path as people write it: `spec.components.ingressGateways[0].k8s`, `a."b.c"`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + (f'"{step}"' if "." in step else step)
    return text
