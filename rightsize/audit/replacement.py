"""A finding's fix as an edit of its file, where it can be proven to change that setting alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rightsize.audit.model import Finding
from rightsize.border import read_file
from rightsize.files.leaves import flatten
from rightsize.files.tree import (
    Document,
    FlawError,
    Mapping,
    Node,
    Scalar,
    Sequence,
    content_end,
    parse,
)
from rightsize.files.tree import Path as Steps

_ELLIPSIS = "..."
"""Stands in a fix for what only its reader knows."""


@dataclass(frozen=True)
class Text:
    """A file of the audit; without documents where it is no YAML."""

    text: str = ""
    documents: tuple[Document, ...] = ()


@dataclass(frozen=True)
class Replacement:
    """Characters `start` to `end` of a file, and the text that takes their place."""

    start: int
    end: int
    text: str


_LARGEST_BYTES = 8 * 2**20


def read_text(file: str) -> Text:
    """Return a file's text and documents; nothing of one that cannot be read as YAML."""
    try:
        text = read_file(Path(file), _LARGEST_BYTES).decode("utf-8")
        return Text(text, tuple(parse(text)))
    except (OSError, ValueError, FlawError):
        return Text()


def replacement(file: Text, finding: Finding) -> Replacement | None:
    """Return the edit that the fix is, if it changes the setting and nothing else.

    The fix must be a mapping that holds the setting's own key, and the document with it must parse
    to the old values with the fix's in place. None for all else: commands, advice in words,
    settings that belong elsewhere, values in another document's text.
    """
    found = _entry_at(file, finding.place.line, finding.place.column)
    if found is None or _ELLIPSIS in finding.fix:
        return None
    document, path, key, value = found
    edit = Replacement(key.start, content_end(value), _indented(finding))
    try:
        wanted = [one.root for one in parse(finding.fix)]
        if len(wanted) != 1 or not isinstance(wanted[0], Mapping):
            return None
        if key.value not in wanted[0].names():
            return None
        setting = (*path, key.value)
        expected = {
            at: leaf for at, leaf in flatten(document.root).items() if at[: len(setting)] != setting
        }
        expected |= {(*path, *at): leaf for at, leaf in flatten(wanted[0]).items()}
        before, after = file.text[document.start : edit.start], file.text[edit.end : document.end]
        edited = parse(before + edit.text + after)
        same = len(edited) == 1 and flatten(edited[0].root) == expected
    except FlawError:
        return None
    return edit if same else None


def _indented(finding: Finding) -> str:
    pad = "\n" + " " * (finding.place.column - 1)
    return pad.join(finding.fix.strip("\n").split("\n"))


def _entry_at(file: Text, line: int, column: int) -> tuple[Document, Steps, Scalar, Node] | None:
    """Document, path of the mapping, key and value of the entry that starts at a place."""
    lines = file.text.split("\n")
    if not 0 < line <= len(lines):
        return None
    index = sum(len(one) + 1 for one in lines[: line - 1]) + column - 1
    for document in file.documents:
        if document.root is not None and document.start <= index <= document.end:
            for path, key, value in _entries(document.root, ()):
                if key.start == index:
                    return document, path, key, value
    return None


def _entries(node: Node, path: Steps) -> Iterator[tuple[Steps, Scalar, Node]]:
    """Every entry of a mapping that is written, aliases not followed."""
    if isinstance(node, Mapping):
        for key, value in node.items:
            if isinstance(key, Scalar):
                yield path, key, value
                yield from _entries(value, (*path, key.value))
    elif isinstance(node, Sequence):
        for number, item in enumerate(node.items):
            yield from _entries(item, (*path, number))
