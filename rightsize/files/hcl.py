"""Terraform and Terragrunt files: parsed by tree-sitter, which knows the place of every token.

The file becomes one tree like that of a YAML document: attributes are keys, blocks are lists under
their type, and what an expression is stands in a scalar's style: `heredoc`, `file` for a path that
`file()` or `templatefile()` reads, `expression` for anything that only Terraform can work out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping as Map
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import tree_sitter_hcl
from tree_sitter import Language, Node, Parser

from rightsize.files import tree
from rightsize.files.blocks import Leaf
from rightsize.files.embedded import EmbeddedSource
from rightsize.files.source import Source, newline_of, read_text
from rightsize.files.splice import Addition, Edit, Spliced, apply_edits
from rightsize.files.tree import FlawError, dotted

LABELS = "#labels"
"""Key of a block's labels; no attribute can have this name."""
FILES = ("file", "templatefile")
ENCODERS = ("yamlencode", "jsonencode")
_BARE = re.compile(r"\d+|true|false")
"""Literals without quotes."""


@dataclass(eq=False)
class HclSource(Source):
    """One Terraform file as one document."""

    def reparsed(self, text: str) -> list[tree.Document]:
        return parse(text)

    def spliced(self, document: int, values: Map[tree.Path, Leaf]) -> Spliced:
        return set_values(self.text, values)


def read_hcl(path: Path) -> HclSource:
    """Read and parse one Terraform or Terragrunt file."""
    text, bom = read_text(path)
    source = HclSource(path, text, bom)
    with source.flaws_located():
        source.documents = parse(text)
    return source


def parse(text: str) -> list[tree.Document]:
    """The tree of a text; FlawError where it is no HCL."""
    reader = _Reader(text)
    root = reader.parser.parse(reader.content).root_node
    if root.has_error:
        raise FlawError("cannot be read as Terraform", reader.at(_error(root)))
    body = next((child for child in root.named_children if child.type == "body"), None)
    top = tree.Mapping(0, len(text)) if body is None else reader.body(body)
    return [tree.Document(top, 0, len(text))]


def _error(node: Node) -> int:
    for child in node.children:
        if child.has_error:
            return _error(child)
    return node.start_byte


@cache
def _language() -> Language:
    return Language(tree_sitter_hcl.language())


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.content = text, text.encode()
        self.parser = Parser(_language())
        self.plain = text.isascii()

    def at(self, byte: int) -> int:
        """Character of a byte."""
        return byte if self.plain else len(self.content[:byte].decode(errors="ignore"))

    def slice(self, node: Node) -> str:
        return self.content[node.start_byte : node.end_byte].decode()

    def body(self, node: Node) -> tree.Mapping:
        top = tree.Mapping(self.at(node.start_byte), self.at(node.end_byte))
        for child in node.named_children:
            if child.type == "attribute":
                key, value = child.named_children[0], child.named_children[-1]
                top.items.append((self._key(key), self.expression(value)))
            elif child.type == "block":
                self._block(top, child)
        return top

    def _block(self, top: tree.Mapping, node: Node) -> None:
        name = self.slice(node.named_children[0])
        labels = [c for c in node.named_children[1:] if c.type in ("string_lit", "identifier")]
        inner = next((c for c in node.named_children if c.type == "body"), None)
        block = tree.Mapping(0, 0) if inner is None else self.body(inner)
        listed = tree.Sequence(0, 0)
        for label in labels:
            listed.items.append(tree.Scalar(0, 0, value=self.slice(label).strip('"'), style='"'))
        block.items.append((tree.Scalar(0, 0, value=LABELS), listed))
        held = top.own(name)
        if not isinstance(held, tree.Sequence):
            held = tree.Sequence(self.at(node.start_byte), self.at(node.end_byte))
            top.items.append((tree.Scalar(held.start, held.start, value=name), held))
        held.items.append(block)

    def expression(self, node: Node) -> tree.Node:
        inner = node
        while inner.type in ("expression", "literal_value", "collection_value", "template_expr"):
            if len(inner.named_children) != 1:
                break
            inner = inner.named_children[0]
        start, end = self.at(inner.start_byte), self.at(inner.end_byte)
        raw = self.slice(inner)
        if inner.type == "object":
            return self._object(inner)
        if inner.type == "tuple":
            items = [c for c in inner.named_children if c.type == "expression"]
            return tree.Sequence(start, end, items=[self.expression(item) for item in items])
        if inner.type in ("string_lit", "quoted_template"):
            style = "expression" if "${" in raw or "%{" in raw else '"'
            return tree.Scalar(start, end, value=raw[1:-1], style=style)
        if inner.type == "heredoc_template":
            body, _, _ = heredoc_body(self.text, start, end)
            return tree.Scalar(start, end, value=body, style="heredoc")
        if inner.type in ("numeric_lit", "bool_lit", "null_lit"):
            return tree.Scalar(start, end, value=raw)
        if inner.type == "function_call":
            return self._call(inner, start, end, raw)
        return tree.Scalar(start, end, value=raw, style="expression")

    def _call(self, node: Node, start: int, end: int, raw: str) -> tree.Node:
        name = self.slice(node.named_children[0])
        arguments = [c for c in node.named_children[1:] if c.type == "function_arguments"]
        given = arguments[0].named_children if arguments else []
        if name in ENCODERS and len(given) == 1:
            return self.expression(given[0])
        if name in FILES and given:
            path = self.slice(given[0]).strip('"')
            path = re.sub(r"^\$\{path\.(module|root|cwd)\}/", "", path)
            return tree.Scalar(start, end, value=path, style="file")
        return tree.Scalar(start, end, value=raw, style="expression")

    def _object(self, node: Node) -> tree.Mapping:
        found = tree.Mapping(self.at(node.start_byte), self.at(node.end_byte))
        for child in node.named_children:
            if child.type == "object_elem":
                key, value = child.named_children[0], child.named_children[-1]
                found.items.append((self._key(key), self.expression(value)))
        found.flow = "\n" not in self.text[found.start : found.end]
        return found

    def _key(self, node: Node) -> tree.Scalar:
        start, end = self.at(node.start_byte), self.at(node.end_byte)
        return tree.Scalar(start, end, value=self.slice(node).strip('"'))


def heredoc_body(text: str, start: int, end: int) -> tuple[str, list[tuple[int, int]], int]:
    """The text of a heredoc, where each line starts in it and in the file, and its indentation."""
    first = text.index("\n", start) + 1
    last = text.rfind("\n", first - 1, end) + 1
    lines = re.findall(r"[^\n]*\n|[^\n]+", text[first:last])
    indent = 0
    if text.startswith("<<-", start):
        indent = min((len(x) - len(x.lstrip(" ")) for x in lines if x.strip()), default=0)
    body, outer, starts = "", first, []
    for line in lines:
        cut = min(indent, len(line) - len(line.lstrip(" ")))
        starts.append((len(body), outer + cut))
        body += line[cut:]
        outer += len(line)
    return body, starts, indent


def opened_heredoc(source: Source, document: int, path: tree.Path) -> EmbeddedSource:
    """The YAML of a heredoc as a source of its own."""
    node = tree.lookup(source.documents[document].root, path)
    assert node is not None
    body, starts, indent = heredoc_body(source.text, node.start, node.end)
    inner = EmbeddedSource(
        source.path,
        body,
        outer=source,
        path_in_outer=path,
        document_in_outer=document,
        starts=starts,
        indent=indent,
    )
    with inner.flaws_located():
        inner.documents = tree.parse(body)
    return inner


def set_values(text: str, values: Map[tree.Path, Leaf]) -> Spliced:
    """Set literals by path; a key that is not there is added to its object, as `fmt` writes it."""
    root = parse(text)[0].root
    edits: list[Edit] = []
    additions: list[Addition] = []
    missing: dict[tree.Path, dict[str, object]] = {}
    for path, leaf in values.items():
        node = tree.lookup(root, path)
        if isinstance(node, tree.Scalar) and node.style in ("", '"'):
            bare = not node.style and not leaf.quoted and _BARE.fullmatch(leaf.text)
            edits.append(Edit(node.start, node.end, leaf.text if bare else json.dumps(leaf.text)))
        elif node is None:
            length = next(n for n in range(len(path) - 1, -1, -1) if tree.lookup(root, path[:n]))
            block: dict[str, object] = missing.setdefault(path[:length], {})
            for step in path[length:-1]:
                inner = block.setdefault(str(step), {})
                assert isinstance(inner, dict)
                block = inner
            block[str(path[-1])] = leaf
        else:
            raise FlawError(f"{dotted(path)} is not a literal", node.start)
    for path, content in missing.items():
        holder = tree.lookup(root, path)
        if not isinstance(holder, tree.Mapping) or not holder.items:
            raise FlawError(f"{dotted(path)} is not an object", holder.start if holder else 0)
        edits += _added(text, holder, content)
        additions += [Addition((*path, key), holder.start) for key in content]
    result = apply_edits(text, edits)
    parse(result)
    return Spliced(result, edits, additions)


def _added(text: str, holder: tree.Mapping, content: dict[str, object]) -> list[Edit]:
    key, value = holder.items[-1]
    end = value.end
    while text[end : end + 1] == ")":
        end += 1
    if holder.flow:
        inline = ", ".join(f"{name} = {_inline(part)}" for name, part in content.items())
        return [Edit(end, end, f", {inline}")]
    line_start = text.rfind("\n", 0, key.start) + 1
    pad = text[line_start : key.start]
    comma = "," if text[end : end + 1] == "," else ""
    at = end + len(comma)
    newline = newline_of(text)
    lines = [
        line if not line.endswith("}") or line.strip() != "}" else line + comma
        for line in _lines(content, pad, comma)
    ]
    edits = _aligned(text, holder, content)
    return [*edits, Edit(at, at, "".join(newline + line for line in lines))]


def encoded(content: dict[str, object]) -> str:
    """A call of `yamlencode` as `terraform fmt` writes it, indented for a list of values."""
    return "\n".join(["    yamlencode({", *_lines(content, "      "), "    }),"])


def _lines(content: dict[str, object], pad: str, comma: str = "") -> list[str]:
    """Attributes one a line, `=` in one column where they follow each other, as `fmt` does."""
    lines = []
    width = max((len(k) for k, v in content.items() if isinstance(v, Leaf)), default=0)
    for key, value in content.items():
        if isinstance(value, dict):
            lines += [f"{pad}{key} = {{", *_lines(value, pad + "  "), f"{pad}}}"]
        else:
            lines.append(f"{pad}{key:<{width}} = {_inline(value)}{comma}")
    return lines


def _aligned(text: str, holder: tree.Mapping, content: dict[str, object]) -> list[Edit]:
    """Move the `=` of the lines just above, and of new single lines, into one column."""
    leaves = [key for key, value in content.items() if isinstance(value, Leaf)]
    if not leaves or next(iter(content)) != leaves[0]:
        return []
    chain: list[tree.Node] = []
    line = None
    for key, value in reversed(holder.items):
        here = text.count("\n", 0, key.start)
        single = text.count("\n", 0, value.end) == here
        if not single or (line is not None and here != line - 1):
            break
        chain.append(key)
        line = here
    if not chain:
        return []
    longest = max([*(key.end - key.start for key in chain), *map(len, leaves)])
    for name in leaves:
        content[name.ljust(longest)] = content.pop(name)
    edits = []
    for node in chain:
        equals = text.index("=", node.end)
        edits.append(Edit(node.end, equals, " " * (longest - (node.end - node.start) + 1)))
    return [edit for edit in edits if text[edit.start : edit.end] != edit.new]


def _inline(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_inline(v)}" for k, v in value.items()) + " }"
    assert isinstance(value, Leaf)
    bare = not value.quoted and _BARE.fullmatch(value.text)
    return value.text if bare else json.dumps(value.text)
