"""What the user gave: files, the files they refer to, and what is said about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rightsize.errors import InputFileError
from rightsize.files import tree
from rightsize.files.charts import Hints
from rightsize.files.hcl import read_hcl
from rightsize.files.source import Layer, Source, read_source

HCL_SUFFIXES = (".tf", ".hcl", VARIABLES_SUFFIX := ".tfvars")


@dataclass
class Given:
    """The given files with everything that decides how they are read."""

    hints: Hints = field(default_factory=Hints)
    workload: str | None = None
    sources: list[Source] = field(default_factory=list)
    followed: list[Source] = field(default_factory=list)
    """Files that a given one refers to, which are patched as well."""
    references: list[tuple[Source, Source]] = field(default_factory=list)
    """Which file refers to which."""
    referred: set[Path] = field(default_factory=set)
    """Given files that another given file refers to: read there, not by themselves."""
    notes: list[tuple[Source, str]] = field(default_factory=list)

    @classmethod
    def read(cls, files: list[Path], hints: Hints, workload: str | None) -> Given:
        return cls(hints, workload, [read_any(path) for path in files])

    @property
    def layers(self) -> Iterator[Layer]:
        """Every document that is not empty."""
        for source in self.sources:
            for number, document in enumerate(source.documents):
                if document.root is not None:
                    yield Layer(source, number)

    def config_map(self, name: str | None, namespace: str | None) -> Layer | None:
        """The ConfigMap of this name among the given files."""
        for layer in self.layers:
            if tree.text_at(layer.root, ("kind",)) != "ConfigMap" or name is None:
                continue
            own = tree.text_at(layer.root, ("metadata", "namespace"))
            same = own is None or namespace is None or own == namespace
            if same and tree.text_at(layer.root, ("metadata", "name")) == name:
                return layer
        return None

    def note(self, source: Source, text: str) -> None:
        if (source, text) not in self.notes:
            self.notes.append((source, text))

    def follow(self, source: Source, name: str) -> Source | None:
        """The file that a document refers to, beside it or above in the checkout."""
        path = self.beside(source, name)
        found = None if path is None else self._opened(source, path)
        if found is not None:
            self.references.append((source, found))
        return found

    def beside(self, source: Source, name: str) -> Path | None:
        """The path that a document refers to, if it is a file of the checkout."""
        folder = source.path.absolute().parent
        if not name or name.startswith(("http:", "https:", "/", "$", "git::", "secrets:")):
            return None
        for base in (folder, *folder.parents[:6]):
            path = base / name
            if path.is_file():
                return path
            if (base / ".git").exists():
                break
        return None

    def _opened(self, source: Source, path: Path) -> Source | None:
        wanted = path.resolve()
        for known in (*self.sources, *self.followed):
            if known.path.resolve() == wanted:
                self.referred.add(wanted)
                return known
        try:
            found = read_source(_shortest(path))
        except InputFileError as error:
            self.note(source, f"{path.name} is not patched: {error.what}")
            return None
        self.followed.append(found)
        return found


def read_any(path: Path) -> Source:
    """Read a file in the language that its name says."""
    return read_hcl(path) if path.suffix in HCL_SUFFIXES else read_source(path)


def _shortest(path: Path) -> Path:
    resolved = path.resolve()
    here = Path.cwd()
    return resolved.relative_to(here) if resolved.is_relative_to(here) else resolved
