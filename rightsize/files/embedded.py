"""Text inside other documents that is YAML itself: block scalars and quoted ones."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from dataclasses import dataclass, field

from rightsize.errors import InputFileError
from rightsize.files import tree
from rightsize.files.source import Source
from rightsize.files.splice import Edit


@dataclass(eq=False)
class EmbeddedSource(Source):
    """YAML in a literal block (`values: |`) of another file, line by line."""

    outer: Source | None = None
    node: tree.Scalar | None = None
    path_in_outer: tree.Path = ()
    document_in_outer: int = 0
    starts: list[tuple[int, int]] = field(default_factory=list)
    """For each line: where it starts in this text, and where in the outer text."""
    indent: int = 0

    def error(self, what: str, index: int, *, hint: str | None = None) -> InputFileError:
        if self.outer is None:
            return super().error(what, index, hint=hint)
        return self.outer.error(what, self.outer_index(index), hint=hint)

    def outer_index(self, index: int) -> int:
        line = bisect_right(self.starts, (index, 1 << 60)) - 1
        inner_start, outer_start = self.starts[max(line, 0)]
        return outer_start + index - inner_start

    def outer_edits(self, edits: list[Edit]) -> list[Edit]:
        """The same edits on the outer text, new lines indented like the block."""
        pad = " " * self.indent
        return [
            Edit(
                self.outer_index(edit.start),
                self.outer_index(edit.end),
                re.sub(r"\n(?=[^\r\n])", "\n" + pad, edit.new),
            )
            for edit in edits
        ]


def opened(source: Source, document: int, path: tree.Path) -> EmbeddedSource:
    """The YAML in a literal block or in quotes as a source of its own."""
    node = tree.lookup(source.documents[document].root, path)
    if isinstance(node, tree.Scalar) and node.style in ("'", '"'):
        return _opened_quotes(source, document, path, node)
    if not isinstance(node, tree.Scalar) or node.style != "|":
        raise source.error(
            "inline values that are neither a literal block nor in quotes",
            node.start if node else 0,
            hint="Write them as `values: |` or as `valuesObject:`.",
        )
    body_start = source.text.index("\n", node.start) + 1
    lines = re.findall(r"[^\n]*\n|[^\n]+", source.text[body_start : node.end])
    indent = min((len(x) - len(x.lstrip(" ")) for x in lines if x.strip()), default=0)
    text, outer, starts = "", body_start, []
    for line in lines:
        cut = min(indent, len(line) - len(line.lstrip(" ")))
        starts.append((len(text), outer + cut))
        text += line[cut:]
        outer += len(line)
    if text.replace("\r\n", "\n").rstrip("\n") != node.value.rstrip("\n"):
        raise source.error("inline values that cannot be read line by line", node.start)
    inner = EmbeddedSource(
        source.path,
        text,
        outer=source,
        node=node,
        path_in_outer=path,
        document_in_outer=document,
        starts=starts,
        indent=indent,
    )
    with inner.flaws_located():
        inner.documents = tree.parse(text)
    return inner


@dataclass(eq=False)
class QuotedSource(EmbeddedSource):
    """YAML in quotes, character by character."""

    places: list[int] = field(default_factory=list)
    """Where each character of this text, and its end, is in the outer text."""
    quote: str = '"'

    def outer_index(self, index: int) -> int:
        return self.places[min(index, len(self.places) - 1)]

    def outer_edits(self, edits: list[Edit]) -> list[Edit]:
        return [
            Edit(self.outer_index(edit.start), self.outer_index(edit.end), self._written(edit.new))
            for edit in edits
        ]

    def _written(self, text: str) -> str:
        if self.quote == "'":
            return text.replace("'", "''")
        return json.dumps(text, ensure_ascii=False)[1:-1]


def _opened_quotes(
    source: Source, document: int, path: tree.Path, node: tree.Scalar
) -> EmbeddedSource:
    quote = node.style
    start = source.text.index(quote, node.start) + 1
    raw = source.text[start : node.end - 1]
    pattern = r"''|[^']" if quote == "'" else r"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)|[^\\]"
    text, places = "", []
    for match in re.finditer(pattern, raw, re.DOTALL):
        piece = match[0]
        decoded = piece[0] if quote == "'" else _unescaped(piece)
        places += [start + match.start()] * len(decoded)
        text += decoded
    places.append(node.end - 1)
    if text != node.value or (quote == "'" and "\n" in raw):
        raise source.error(
            "quoted values that run over several lines",
            node.start,
            hint="Write them as `values: |` or as `valuesObject:`.",
        )
    inner = QuotedSource(
        source.path,
        text,
        outer=source,
        node=node,
        path_in_outer=path,
        document_in_outer=document,
        places=places,
        quote=quote,
    )
    with inner.flaws_located():
        inner.documents = tree.parse(text)
    return inner


def _unescaped(piece: str) -> str:
    if not piece.startswith("\\"):
        return piece
    try:
        return str(json.loads(f'"{piece}"'))
    except ValueError:
        return {"\\0": "\0", "\\ ": " ", "\\e": "\x1b"}.get(piece, piece)
