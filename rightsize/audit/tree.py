"""Documents as nodes that know their file, line and path, for rules.

A view of `files.tree`: aliases are followed and `<<` is merged, so a rule sees what Helm and
Kubernetes see; the line is where the text stands.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from rightsize.files import tree

MAX_NODES = tree.MAX_NODES
_MOST_OF_A_FILE = 5 * MAX_NODES
"""Nodes of all its documents, aliases counted each time: a file of 8 MiB has fewer."""
_INDEX = re.compile(r"[0-9]{1,5}")
_DEEPEST_FLAG = 30
"""Steps of a `--set` key, as Helm reads it (`MaxNestedNameLevel` of pkg/strvals/parser.go)."""
Step = str | int


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands; lines and columns count from 1."""

    file: str
    line: int
    column: int = 1
    path: str = ""
    """Keys from the document's root, `a.b[0]["c.d"]`; of a command, the command itself."""
    subject: str = ""
    """The object or chart it belongs to, such as `Deployment shop/web`."""


class TreeError(Exception):
    """A text that is no YAML, at a line and column of its file."""

    def __init__(self, what: str, line: int, column: int) -> None:
        super().__init__(what)
        self.what, self.line, self.column = what, line, column


@dataclass(slots=True)
class Node:
    """A value of a document.

    `entries` holds a mapping's values, `items` a list's; `text` is a scalar's text, None for null.
    """

    place: Place
    value_line: int
    text: str | None = None
    style: str = ""
    plain: bool = True
    entries: dict[str, Node] | None = None
    items: list[Node] | None = None
    path: tuple[Step, ...] = field(default=())
    source: tree.Node | None = None
    """What it is a view of; None for what flags and variables make."""

    def get(self, *keys: str) -> Node | None:
        """The value below `keys`, or None."""
        node: Node | None = self
        for key in keys:
            node = None if node is None or node.entries is None else node.entries.get(key)
        return node

    def text_of(self, *keys: str) -> str | None:
        found = self.get(*keys)
        return None if found is None else found.text

    def names(self) -> list[str]:
        """The keys of a mapping; empty for anything else."""
        return list(self.entries or ())

    def children(self, *keys: str) -> list[Node]:
        """The items of the list below `keys`; empty where there is none."""
        found = self.get(*keys)
        return [] if found is None or found.items is None else found.items

    @property
    def is_empty(self) -> bool:
        """Null, an empty text, `{}` or `[]`."""
        if self.entries is not None:
            return not self.entries
        if self.items is not None:
            return not self.items
        return not self.text

    @property
    def truth(self) -> bool | None:
        """The boolean it says, None for anything else."""
        return {"true": True, "false": False}.get((self.text or "").lower())

    @property
    def number(self) -> float | None:
        try:
            return float(self.text or "")
        except ValueError:
            return None

    def walk(self) -> Iterator[Node]:
        """This node and everything below it."""
        yield self
        for child in (self.entries or {}).values():
            yield from child.walk()
        for child in self.items or ():
            yield from child.walk()


def path_text(path: Sequence[Step]) -> str:
    """Write a path: `spec.env[0].name`, `metadata.annotations["a.b/c"]`.

    >>> path_text(("env", 0, "sidecar.istio.io/proxyCPU"))
    'env[0]["sidecar.istio.io/proxyCPU"]'
    """
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif "." in step or "/" in step:
            text += f'["{step}"]'
        else:
            text += f".{step}" if text else step
    return text


def parse(
    text: str, file: str, *, line_offset: int = 0, prefix: tuple[Step, ...] = ()
) -> list[Node]:
    """The documents of a YAML text, empty ones left out.

    Parameters
    ----------
    text : str
        The text.
    file : str
        Name for places.
    line_offset : int
        Lines of the file that stand before the text.
    prefix : tuple
        Path of the text inside its file, where it is embedded.

    Raises
    ------
    TreeError
        If it is no YAML.
    """
    try:
        documents = tree.parse(text)
        builder = _Builder(file, text, line_offset)
        return [
            builder.document(document.root, prefix)
            for document in documents
            if document.root is not None
        ]
    except tree.FlawError as flaw:
        line, column = tree.position(text, flaw.index)
        raise TreeError(flaw.what, line + line_offset, column) from flaw
    except RecursionError as error:
        raise TreeError("is nested too deeply", line_offset + 1, 1) from error


class _Builder:
    def __init__(self, file: str, text: str, offset: int) -> None:
        self.file, self.offset, self.count, self.total = file, offset, 0, 0
        self.starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]

    def document(self, root: tree.Node, prefix: tuple[Step, ...]) -> Node:
        """The root of one document."""
        self.total += self.count
        self.count = 0
        if self.total > _MOST_OF_A_FILE:
            raise TreeError("has too many nodes", self.line(root.start) + 1, 1)
        return self.node(root, prefix, root.start)

    def line(self, index: int) -> int:
        """Lines before a character, counted from the start of the file."""
        return bisect_right(self.starts, index) - 1 + self.offset

    def node(self, source: tree.Node, path: tuple[Step, ...], at: int) -> Node:
        """The node of a value that starts, itself or by its key, at the character `at`."""
        self.count += 1
        line = self.line(at)
        if self.count > MAX_NODES:
            raise TreeError("has too many nodes", line + 1, 1)
        column = at - self.starts[line - self.offset] + 1
        found = tree.resolve(source)
        place = Place(self.file, line + 1, column, path_text(path))
        made = Node(place, self.line(found.start) + 1, path=path, source=found)
        if isinstance(found, tree.Mapping):
            made.entries = self._entries(found, path)
        elif isinstance(found, tree.Sequence):
            made.items = [
                self.node(item, (*path, i), item.start) for i, item in enumerate(found.items)
            ]
        elif isinstance(found, tree.Scalar):
            made.style, made.plain = found.style, not found.style
            made.text = None if found.is_null else found.value
        return made

    def _entries(self, source: tree.Mapping, path: tuple[Step, ...]) -> dict[str, Node]:
        own: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key, value in source.items:
            name = key.value if isinstance(key, tree.Scalar) else "?"
            if name != "<<":
                own[name] = self.node(value, (*path, name), key.start)
        for layer in source.merge_sources():
            for inner, node in self._entries(layer, path).items():
                merged.setdefault(inner, node)
        return merged | own


def from_assignments(assignments: Sequence[tuple[str, str]], place: Place) -> Node:
    """The tree that `--set` flags make, everything at the flag's place.

    >>> tree = from_assignments([("a.b[0]", "1"), (r"x.y\\.z", "2")], Place("f", 3))
    >>> tree.text_of("x", "y.z"), tree.children("a", "b")[0].text
    ('2', '1')
    """
    root = Node(place, place.line, entries={})
    items: dict[tuple[Step, ...], Node] = {}
    for key, value in assignments:
        steps = _steps(key)
        if len(steps) > _DEEPEST_FLAG:
            continue
        node = root
        for position, step in enumerate(steps):
            last = position == len(steps) - 1
            node = _descend(node, step, place, None if last else steps[position + 1], items)
        node.text, node.entries, node.items = value, None, None
        node.plain = True
    return root


def _descend(
    node: Node,
    step: Step,
    place: Place,
    following: Step | None,
    items: dict[tuple[Step, ...], Node],
) -> Node:
    path = (*node.path, step)
    at = replace(place, path=path_text(path))
    if isinstance(step, int):
        node.entries, node.items = None, node.items if node.items is not None else []
        found = items.get(path)
        if found is None or not node.items:
            found = items[path] = Node(at, place.line, path=path)
            node.items.append(found)
    else:
        node.items, node.entries = None, node.entries if node.entries is not None else {}
        found = node.entries.setdefault(step, Node(at, place.line, path=path))
    if following is not None and found.entries is None and found.items is None:
        if isinstance(following, int):
            found.items = []
        else:
            found.entries = {}
    return found


def _steps(key: str) -> list[Step]:
    """Helm's syntax: dots part keys unless escaped, `[n]` picks an item."""
    steps: list[Step] = []
    current, index = "", 0
    while index < len(key):
        char = key[index]
        if char == "\\" and index + 1 < len(key):
            current += key[index + 1]
            index += 1
        elif char == ".":
            if current:
                steps.append(current)
            current = ""
        elif char == "[" and (end := key.find("]", index)) > 0:
            if current:
                steps.append(current)
            current = ""
            inside = key[index + 1 : end]
            steps.append(int(inside) if _INDEX.fullmatch(inside) else inside)
            index = end
        else:
            current += char
        index += 1
    if current:
        steps.append(current)
    return steps or [key]
