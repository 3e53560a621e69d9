"""Names that Istio reads, by release: chart values and istiod's environment.

From `istio_settings.csv`, collected from Istio's sources at release tags 1.18 to 1.30.
"""

from __future__ import annotations

import csv
import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from rightsize.data_files import data_file

Version = tuple[int, int]
FIRST_KNOWN: Version = (1, 18)
LAST_KNOWN: Version = (1, 30)
"""The releases that the catalogue covers."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A name, with the releases that read it and its default, where that is plain text."""

    name: str
    first: Version
    last: Version
    default: str = ""

    def read_by(self, version: Version | None) -> bool:
        return version is None or self.first <= version <= self.last

    @property
    def span(self) -> str:
        return f"{version_text(self.first)} to {version_text(self.last)}"


def parse_version(text: str | None) -> Version | None:
    """Major and minor of an Istio release in a tag, image or revision; None for any other text.

    >>> parse_version("docker.io/istio/pilot:1.24.6-distroless"), parse_version("latest")
    ((1, 24), None)
    """
    match = re.search(r"(?<![\d.])v?(1)\.(\d{1,2})(?!\d)", text or "")
    return None if match is None else (int(match[1]), int(match[2]))


def version_text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


@cache
def environment() -> dict[str, tuple[Setting, ...]]:
    """istiod's environment variables; one Setting for each default a name has had."""
    found: dict[str, list[Setting]] = {}
    for row in _rows():
        if row["kind"] == "env":
            found.setdefault(row["name"], []).append(_setting(row))
    return {name: tuple(spans) for name, spans in found.items()}


@cache
def chart_values(chart: str) -> dict[str, Setting]:
    """Value paths that templates or values.yaml of a chart know, by dotted path."""
    return {
        row["name"]: _setting(row)
        for row in _rows()
        if row["kind"] == "value" and row["chart"] == chart
    }


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The known name that a misspelt one most likely means, or None."""
    by_lower = {known.lower(): known for known in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.8)
    return by_lower[close[0]] if close else None


@cache
def _rows() -> tuple[dict[str, str], ...]:
    with data_file("istio_settings.csv").open() as file:
        return tuple(csv.DictReader(line for line in file if not line.startswith("#")))


def _setting(row: dict[str, str]) -> Setting:
    return Setting(row["name"], _version(row["first"]), _version(row["last"]), row["default"])


def _version(text: str) -> Version:
    major, minor = text.split(".")
    return int(major), int(minor)
