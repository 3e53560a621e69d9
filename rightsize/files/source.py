"""A user's file as text: read exactly, and refused clearly where it is no YAML to patch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rightsize.border import read_file
from rightsize.errors import InputFileError
from rightsize.files import tree

MAX_BYTES = 4 * 2**20
"""Kubernetes stores a Helm release, values included, in one Secret of at most 1 MiB (compressed),
so nothing larger than this is a values file."""

BOM = "\ufeff"


@dataclass(eq=False)
class Source:
    """One file: its text without the byte order mark, its parsed documents, its line ending."""

    path: Path
    text: str
    bom: bool = False
    documents: list[tree.Document] = field(default_factory=list)

    @property
    def newline(self) -> str:
        return newline_of(self.text)

    def error(self, what: str, index: int, *, hint: str | None = None) -> InputFileError:
        """An error at a character of this text."""
        line, column = tree.position(self.text, index)
        return InputFileError(what, path=self.path, line=line, column=column, hint=hint)

    def reparsed(self, text: str) -> list[tree.Document]:
        """Another text of this language, parsed."""
        return tree.parse(text)

    @contextmanager
    def flaws_located(self) -> Iterator[None]:
        """Turn a flaw of this text into an error with file, line and column."""
        try:
            yield
        except tree.FlawError as flaw:
            raise self.error(flaw.what, flaw.index, hint=flaw.hint) from flaw


def newline_of(text: str) -> str:
    """The line ending of the first line."""
    first = text.find("\n")
    return "\r\n" if first > 0 and text[first - 1] == "\r" else "\n"


def read_source(path: Path) -> Source:
    """Read and parse one file.

    Raises
    ------
    InputFileError
        Missing, empty, binary, too large, not UTF-8, malformed, encrypted by SOPS: with line and
        column where there is one.
    """
    text, bom = read_text(path)
    source = Source(path, text, bom)
    with source.flaws_located():
        source.documents = tree.parse(source.text)
    if not any(document.root is not None for document in source.documents):
        raise InputFileError("nothing but comments", path=path, hint="Give a file with values.")
    _refuse_sops(source)
    return source


def read_text(path: Path) -> tuple[str, bool]:
    """The text of a file, and whether a byte order mark went before it."""
    text = _decoded(path, _read_bytes(path))
    return text.removeprefix(BOM), text.startswith(BOM)


def _read_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputFileError(
                f"{size / 2**20:.1f} MiB is too large for a values file or manifest "
                f"(at most {MAX_BYTES // 2**20} MiB)",
                path=path,
                hint="Give the file that holds the sizes, not a bundle.",
            )
        content = read_file(path, MAX_BYTES)
    except OSError as error:
        raise InputFileError(error.strerror or str(error), path=path) from error
    if not content:
        raise InputFileError(
            "the file is empty (0 bytes)", path=path, hint="Give a file with values."
        )
    return content


def _decoded(path: Path, content: bytes) -> str:
    if b"\x00" in content:
        raise _bad_byte(path, content, content.index(b"\x00"), "a NUL byte: binary, not UTF-8 text")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad_byte(path, content, error.start, "not UTF-8 text") from error


def _bad_byte(path: Path, content: bytes, index: int, what: str) -> InputFileError:
    before = content[:index]
    line = before.count(b"\n") + 1
    return InputFileError(
        what,
        path=path,
        line=line,
        column=index - (before.rfind(b"\n") + 1) + 1,
        hint="Save the file as UTF-8.",
    )


def _refuse_sops(source: Source) -> None:
    for document in source.documents:
        sops = tree.mapping_at(document.root, ("sops",))
        if isinstance(document.root, tree.Mapping) and sops is not None and sops.get("mac"):
            key = document.root.key_node("sops")
            raise source.error(
                "encrypted by SOPS; a changed value would break its checksum",
                key.start if key else 0,
                hint="Decrypt it first (`sops --decrypt`), or keep sizes in a plain file.",
            )


@dataclass(eq=False)
class Layer:
    """One document of one file."""

    source: Source
    document: int

    @property
    def root(self) -> tree.Node | None:
        return self.source.documents[self.document].root
