"""A file with everything that is to be written in it: edits of all its parts, made at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rightsize.errors import InputFileError
from rightsize.files import tree
from rightsize.files.blocks import Leaf
from rightsize.files.embedded import EmbeddedSource
from rightsize.files.hcl import HclSource
from rightsize.files.leaves import flatten
from rightsize.files.source import BOM, Source
from rightsize.files.splice import Edit, Spliced, apply_edits, set_values
from rightsize.files.tree import dotted
from rightsize.patch.groups import Write, outermost
from rightsize.patch.model import PatchedFile, PathChange


def patched_file(
    source: Source,
    writes: Sequence[Write],
    notes: Sequence[tuple[Source, str]],
    *,
    why_unchanged: str | None,
    unknown: bool,
) -> PatchedFile:
    """One file after all writes, checked to differ where it should and nowhere else."""
    mine = [write for write in writes if outermost(write.layer.source) is source]
    text = source.text
    added: list[str] = []
    if mine:
        edits, added, inner_texts = _edits(source, mine)
        text = apply_edits(source.text, edits)
        if inner_texts:
            _check(source, text, inner_texts, mine)
    bom = BOM if source.bom else ""
    own_notes = dict.fromkeys(note for owner, note in notes if outermost(owner) is source)
    own_notes.update(dict.fromkeys(_old_numbers(mine)))
    return PatchedFile(
        source.path,
        bom + source.text,
        bom + text,
        tuple(_path_change(write) for write in mine),
        tuple(added),
        tuple(own_notes),
        why_unchanged if text == source.text else None,
        unknown and text == source.text,
    )


def _old_numbers(writes: Sequence[Write]) -> Iterator[str]:
    """Comments on the line of a changed value, or just above it, that quote the old number."""
    for write in writes:
        source = write.layer.source
        node = tree.lookup(source.documents[write.layer.document].root, write.path)
        if write.old is None or not isinstance(node, tree.Scalar):
            continue
        line, _ = tree.position(source.text, node.start)
        lines = source.text.splitlines()
        above = line - 2
        comments = [(line, lines[line - 1].partition("#")[2])]
        while above >= 0 and lines[above].lstrip().startswith("#"):
            comments.append((above + 1, lines[above]))
            above -= 1
        quoted = re.compile(rf"(?<![\w.]){re.escape(write.old)}(?![\w.])")
        for number, comment in comments:
            if quoted.search(comment):
                place = f"line {number}"
                place += "" if source is outermost(source) else " of the inline values"
                yield f"{place}: the comment still says {write.old}; {dotted(write.path)} changed"


def _edits(
    source: Source, writes: Sequence[Write]
) -> tuple[list[Edit], list[str], list[tuple[EmbeddedSource, str]]]:
    """Edits of one text, those of the texts inside it included."""
    edits: list[Edit] = []
    added: list[str] = []
    texts: list[tuple[EmbeddedSource, str]] = []
    for inner in dict.fromkeys(write.layer.source for write in writes):
        step = _child(inner, source)
        if step is None or any(step is known for known, _ in texts):
            continue
        within = [w for w in writes if _is_within(w.layer.source, step)]
        inner_edits, inner_added, _ = _edits(step, within)
        edits += step.outer_edits(inner_edits)
        added += inner_added
        texts.append((step, apply_edits(step.text, inner_edits)))
    own = [write for write in writes if write.layer.source is source]
    with source.flaws_located():
        for number in sorted({write.layer.document for write in own}):
            leaves = {w.path: w.leaf for w in own if w.layer.document == number}
            spliced = _spliced(source, number, leaves)
            edits += spliced.edits
            added += [_statement(addition.path, addition.reason) for addition in spliced.additions]
    return edits, added, texts


def _spliced(source: Source, number: int, leaves: dict[tree.Path, Leaf]) -> Spliced:
    if isinstance(source, HclSource):
        return source.spliced(number, leaves)
    return set_values(source.text, number, leaves)


def _child(inner: Source, source: Source) -> EmbeddedSource | None:
    """The text just inside `source` that `inner` is, or is in."""
    while isinstance(inner, EmbeddedSource):
        if inner.outer is source:
            return inner
        if inner.outer is None:
            return None
        inner = inner.outer
    return None


def _is_within(inner: Source, step: Source) -> bool:
    return inner is step or (
        isinstance(inner, EmbeddedSource)
        and inner.outer is not None
        and _is_within(inner.outer, step)
    )


def _check(
    source: Source, text: str, wanted: Sequence[tuple[EmbeddedSource, str]], writes: Sequence[Write]
) -> None:
    """Refuse a result in which anything but the sizes reads differently."""
    own = {(w.layer.document, w.path) for w in writes if w.layer.source is source}
    with source.flaws_located():
        before, after = source.documents, source.reparsed(text)
        same = len(before) == len(after)
        for number, (old, new) in enumerate(zip(before, after, strict=False)):
            old_leaves, new_leaves = flatten(old.root), flatten(new.root)
            for inner, inner_text in wanted:
                if inner.document_in_outer == number:
                    old_leaves.pop(inner.path_in_outer, None)
                    found = new_leaves.pop(inner.path_in_outer, "").split(":", 1)[-1]
                    same &= found.rstrip("\n") == inner_text.replace("\r\n", "\n").rstrip("\n")
            written = [path for document, path in own if document == number]
            changed = {
                p for p in {*old_leaves, *new_leaves} if old_leaves.get(p) != new_leaves.get(p)
            }
            same &= all(any(p == w or w[: len(p)] == p for w in written) for p in changed)
    if not same:
        raise InputFileError("inline values that cannot be changed alone", path=source.path)


def _path_change(write: Write) -> PathChange:
    source, document, path = write.layer.source, write.layer.document, dotted(write.path)
    while isinstance(source, EmbeddedSource) and source.outer is not None:
        document, path = source.document_in_outer, f"{dotted(source.path_in_outer)}: {path}"
        source = source.outer
    return PathChange(document, path, write.old, write.leaf.text)


def _statement(path: tree.Path, reason: str) -> str:
    where = dotted(path[:-1]) or "the top level"
    return f"added `{str(path[-1]).strip()}` under {where} {reason}".rstrip()
