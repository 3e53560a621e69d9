"""Sets values in YAML text by splicing: everything that is not set stays as it was, byte by byte.

A plan is made on the parsed tree, applied to the text, and the result is parsed again: unless the
two documents differ at the wanted paths and nowhere else, nothing is returned.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping as Map
from dataclasses import dataclass, field

from rightsize.files import tree
from rightsize.files.blocks import Block, Content, Leaf, block_lines, flow_text, plain_key
from rightsize.files.leaves import flatten
from rightsize.files.source import newline_of
from rightsize.files.tree import Alias, FlawError, Mapping, Node, Path, Scalar, Sequence, dotted

_COMMENT_LINE = re.compile(r"\r?\n(?P<indent> *)#[^\r\n]*")
Wanted = dict[str | int, "Wanted | Leaf"]
"""Values to set, as a tree of keys and list positions."""


@dataclass(frozen=True)
class Edit:
    """Replace `text[start:end]` by `new`."""

    start: int
    end: int
    new: str


@dataclass(frozen=True)
class Addition:
    """A key that was not there: where it was added, and why it needed a block of its own."""

    path: Path
    index: int
    reason: str = ""


@dataclass(frozen=True)
class Spliced:
    """A text with values set."""

    text: str
    edits: list[Edit]
    additions: list[Addition]


@dataclass
class Plan:
    """What it takes to set the wanted values of one document."""

    text: str
    edits: list[Edit] = field(default_factory=list)
    additions: list[Addition] = field(default_factory=list)
    touched: list[Node] = field(default_factory=list)
    """Anchored nodes that change."""
    replaced: list[Alias] = field(default_factory=list)
    """Aliases that are replaced by a copy of their own."""

    def edit(self, start: int, end: int, new: str) -> None:
        if self.text[start:end] != new:
            self.edits.append(Edit(start, end, new))


def set_values(text: str, document: int, values: Map[Path, Leaf]) -> Spliced:
    """Set values by path in one document of a text.

    Returns
    -------
    Spliced
        The new text, how it came about, and the keys that had to be added.

    Raises
    ------
    FlawError
        A path runs through something that is no mapping, or through a block that an anchor shares
        with something that must not change; or the result would parse differently elsewhere.
    """
    documents = tree.parse(text)
    root = documents[document].root
    if root is None:
        raise FlawError("this document is empty", documents[document].start)
    plan = Plan(text)
    _plan(plan, root, _nested(values), (), None)
    _refuse_shared(plan, root)
    result = apply_edits(text, plan.edits)
    _check(documents, result, document, values)
    return Spliced(result, plan.edits, plan.additions)


def _nested(values: Map[Path, Leaf]) -> Wanted:
    wanted: Wanted = {}
    for path, leaf in values.items():
        inner = wanted
        for step in path[:-1]:
            following = inner.setdefault(step, {})
            if isinstance(following, Leaf):
                raise ValueError(f"{dotted(path)} is set as a value and as a block")
            inner = following
        inner[path[-1]] = leaf
    return wanted


def apply_edits(text: str, edits: list[Edit]) -> str:
    """The text with all edits made; they may touch, and must not overlap."""
    # Sorting is stable: of two insertions at one place, the deeper was planned first.
    ordered = sorted(edits, key=lambda edit: (edit.start, edit.end))
    parts, index = [], 0
    for edit in ordered:
        if edit.start < index:
            raise FlawError("two changes would overlap", edit.start)
        parts += [text[index : edit.start], edit.new]
        index = edit.end
    return "".join([*parts, text[index:]])


def _check(
    before: list[tree.Document], result: str, document: int, values: Map[Path, Leaf]
) -> None:
    """Refuse a result that parses differently outside the wanted paths."""
    after = tree.parse(result)
    same = len(before) == len(after)
    for number, (old, new) in enumerate(zip(before, after, strict=False)):
        old_leaves, new_leaves = flatten(old.root), flatten(new.root)
        if number == document:
            for path, leaf in values.items():
                same &= new_leaves.pop(path, "").split(":", 1)[-1] == leaf.text
                old_leaves.pop(path, None)
                # A null or an empty mapping on the way is what was filled.
                for length in range(len(path)):
                    if old_leaves.get(path[:length]) not in (None, "[]"):
                        old_leaves.pop(path[:length])
        same &= old_leaves == new_leaves
    if not same:
        raise FlawError(
            "cannot be changed without changing something else",
            before[document].start,
            "Write the sizes in plain block style, without anchors.",
        )


def _refuse_shared(plan: Plan, root: Node) -> None:
    """Refuse to change a block that an alias, which keeps standing, repeats elsewhere."""
    touched = {id(node): node for node in plan.touched}
    replaced = {id(alias) for alias in plan.replaced}
    for node in tree.walk(root):
        if isinstance(node, Alias) and id(node) not in replaced and id(node.target) in touched:
            line, column = tree.position(plan.text, node.start)
            raise FlawError(
                f"the block &{node.target.anchor} is used again at {line}:{column}, "
                "which must not change with it",
                touched[id(node.target)].start,
                f"Give {line}:{column} a copy of its own, then patch again.",
            )


def _plan(plan: Plan, node: Node, wanted: Wanted, path: Path, parent: Mapping | None) -> None:
    if node.anchor is not None:
        plan.touched.append(node)
    if isinstance(node, Sequence):
        for step, inner in wanted.items():
            if not isinstance(step, int) or isinstance(inner, Leaf):
                raise FlawError(f"{dotted(path)} is a list, not a mapping", node.start)
            item = node.items[step]
            if isinstance(item, Alias):
                raise FlawError(f"{dotted((*path, step))} is an alias; write it out", item.start)
            _plan(plan, item, inner, (*path, step), None)
        return
    if not isinstance(node, Mapping):
        raise FlawError(f"{dotted(path) or 'the document'} is not a mapping", node.start)
    if not node.items:
        raise FlawError(f"{dotted(path) or 'the document'} is empty", node.start)
    missing: Block = {}
    for key, inner in wanted.items():
        if not isinstance(key, str):
            raise FlawError(f"{dotted(path)} is a mapping, not a list", node.start)
        value = node.own(key)
        if value is None:
            missing[_key_text(plan, node, key)] = _inherited(plan, node, key, inner, path)
        elif isinstance(inner, Leaf):
            _plan_leaf(plan, node, value, inner, (*path, key))
        else:
            _plan_block(plan, node, key, value, inner, (*path, key), parent)
    if missing:
        _insert(plan, node, missing, parent)


def _inherited(plan: Plan, node: Mapping, key: str, inner: Wanted | Leaf, path: Path) -> Content:
    """Content for a key that is not written here: what `<<` gives, with the wanted values."""
    source = node.merged(key)
    reason = "" if source is None else "with its own copy of what `<<` gave"
    plan.additions.append(Addition((*path, key), node.start, reason))
    return _overlaid(plan, source, inner, (*path, key))


def _overlaid(plan: Plan, source: Node | None, inner: Wanted | Leaf, path: Path) -> Content:
    """A copy of `source` with the wanted values set in it."""
    if isinstance(inner, Leaf):
        return inner
    source = None if source is None else tree.resolve(source)
    if source is not None and not isinstance(source, Mapping):
        if not (isinstance(source, Scalar) and source.is_null):
            raise FlawError(f"{dotted(path)} is not a mapping", source.start)
        source = None
    if source is None and all(isinstance(step, int) for step in inner):
        items = [_overlaid(plan, None, inner[n], (*path, n)) for n in sorted(inner, key=str)]
        return [item for item in items if not isinstance(item, list)]
    own = [] if source is None else source.names()
    block: Block = {}
    for key in [*own, *(step for step in inner if step not in own)]:
        if not isinstance(key, str):
            raise FlawError(f"{dotted(path)} is no list")
        child = None if source is None else source.get(key)
        if key in inner:
            block[plain_key(key)] = _overlaid(plan, child, inner[key], (*path, key))
        elif child is not None:
            block[plain_key(key)] = _copied(plan.text, child)
    return block


def _copied(text: str, node: Node) -> Content:
    node = tree.resolve(node)
    if isinstance(node, Mapping):
        children = ((key, node.get(key)) for key in node.names())
        return {plain_key(k): _copied(text, child) for k, child in children if child is not None}
    if isinstance(node, Sequence):
        items = [_copied(text, item) for item in node.items]
        return [item for item in items if not isinstance(item, list)]
    if not isinstance(node, Scalar):
        raise FlawError("cannot be copied", node.start)
    raw = re.sub(r"^&\S+\s*", "", text[node.start : node.end])
    if node.style in ("|", ">") or "\n" in raw:
        return Leaf(node.value, quoted=True)
    return Leaf(raw or "null")


def _plan_leaf(plan: Plan, parent: Mapping, value: Node, leaf: Leaf, path: Path) -> None:
    if isinstance(value, Alias):
        plan.replaced.append(value)
        plan.edit(value.start, value.end, leaf.written)
        return
    if not isinstance(value, Scalar):
        raise FlawError(f"{dotted(path)} is not a single value", value.start)
    if value.style in ("|", ">") or value.tag:
        raise FlawError(f"{dotted(path)} is not written as a plain value", value.start)
    if value.start == value.end:
        plan.edit(value.start, value.end, " " + leaf.written)
        return
    start = value.start
    if value.anchor is not None:
        plan.touched.append(value)
        prefix = re.match(r"&\S+\s+", plan.text[value.start : value.end])
        start += prefix.end() if prefix else 0
    written = {"'": f"'{leaf.text}'", '"': json.dumps(leaf.text)}.get(value.style, leaf.written)
    plan.edit(start, value.end, written)


def _plan_block(
    plan: Plan,
    parent: Mapping,
    key: str,
    value: Node,
    inner: Wanted,
    path: Path,
    grandparent: Mapping | None,
) -> None:
    empty = (isinstance(value, Mapping) and not value.items) or (
        isinstance(value, Scalar) and value.is_null
    )
    if not empty and not isinstance(value, Alias):
        _plan(plan, value, inner, path, parent)
        return
    if isinstance(value, Alias):
        plan.replaced.append(value)
        reason = f"with its own copy of *{value.target.anchor}"
    else:
        if value.anchor is not None:
            plan.touched.append(value)
        reason = ""
    plan.additions.append(Addition(path, value.start, reason))
    content = _overlaid(plan, value, inner, path)
    if parent.flow:
        space = "" if plan.text[value.start - 1 : value.start].isspace() else " "
        plan.edit(value.start, value.end, space + flow_text(content, _is_json(plan, parent)))
        return
    key_node = parent.key_node(key)
    colon = plan.text.index(":", key_node.end if key_node else 0) + 1
    plan.edit(colon, value.end, "")
    column = _column(plan.text, parent)
    step = _step(plan.text, parent, grandparent)
    lines = block_lines(content, column + step, step)
    newline = newline_of(plan.text)
    at = _line_end(plan.text, value.end)
    plan.edit(at, at, "".join(newline + line for line in lines))


def _insert(plan: Plan, mapping: Mapping, missing: Block, parent: Mapping | None) -> None:
    """Add keys at the end of a mapping, in its own style."""
    text = plan.text
    if mapping.flow:
        at = tree.content_end(mapping.items[-1][1])
        plan.edit(at, at, ", " + flow_text(missing, _is_json(plan, mapping))[1:-1].strip())
        return
    newline = newline_of(text)
    column = _column(text, mapping)
    lines = block_lines(missing, column, _step(text, mapping, parent))
    end = tree.content_end(mapping)
    last = _last(mapping)
    if isinstance(last, Scalar) and last.style in ("|", ">"):
        header = text[last.start : _line_end(text, last.start)].split("#")[0]
        first = text.rfind("\n", 0, mapping.items[-1][0].start) + 1
        own_line = not text[first : mapping.items[-1][0].start].strip()
        if own_line and ("+" in header or not text[: last.end].endswith("\n")):
            # What follows, or the missing line break, belongs to the text: go before its key.
            plan.edit(first, first, "".join(line + newline for line in lines))
            return
        end = last.start + len(text[last.start : last.end].rstrip(" \r\n"))
    at = _after_own_comments(text, _line_end(text, end), column)
    plan.edit(at, at, "".join(newline + line for line in lines))


def _after_own_comments(text: str, at: int, column: int) -> int:
    """The end of the comment lines that follow a block mapping and are indented as its part."""
    while (found := _COMMENT_LINE.match(text, at)) is not None:
        indent = len(found["indent"])
        # At the margin, a comment may as well speak of what follows.
        if indent < max(column, 1):
            break
        at = found.end()
    return at


def _last(node: Node) -> Node:
    """The last node that is written in a block."""
    while isinstance(node, Mapping | Sequence) and not node.flow and node.items:
        node = node.items[-1][1] if isinstance(node, Mapping) else node.items[-1]
    return node


def _line_end(text: str, index: int) -> int:
    """Where the line break of the line at `index` starts."""
    end = text.find("\n", index)
    if end < 0:
        return len(text)
    return end - 1 if end > index and text[end - 1] == "\r" else end


def _column(text: str, mapping: Mapping) -> int:
    first = mapping.items[0][0].start
    return first - (text.rfind("\n", 0, first) + 1)


def _step(text: str, mapping: Mapping, parent: Mapping | None) -> int:
    """The file's own indentation: that of a block beside or above, else two."""
    column = _column(text, mapping)
    for _, value in mapping.items:
        if isinstance(value, Mapping) and not value.flow and value.items:
            return max(_column(text, value) - column, 1)
    if parent is not None and not parent.flow:
        return max(column - _column(text, parent), 1)
    return 2


def _is_json(plan: Plan, mapping: Mapping) -> bool:
    """Whether a flow mapping writes its keys in double quotes."""
    return plan.text[mapping.start] == "{" and (
        bool(mapping.items)
        and isinstance(mapping.items[0][0], Scalar)
        and mapping.items[0][0].style == '"'
    )


def _key_text(plan: Plan, mapping: Mapping, key: str) -> str:
    first = mapping.items[0][0]
    if isinstance(first, Scalar) and first.style == '"':
        return json.dumps(key)
    return plain_key(key)
