"""What ambient mode lacks or has otherwise, by release, from `data/ambient_features.csv`."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from rightsize.data_files import data_file
from rightsize.files.known import Version, version_text

Effect = Literal["stops", "waypoint", "changes"]
"""`stops`: the namespace stays on sidecars until it is solved; `waypoint`: it works at a waypoint
alone; `changes`: it works otherwise or no longer, and somebody has to know."""
EFFECTS: tuple[Effect, ...] = get_args(Effect)
FIRST_STABLE: Version = (1, 24)
"""The first release in which ambient mode is stable."""
LAST_KNOWN: Version = (1, 31)
"""The newest release that the table was checked against."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature of sidecars, the releases for which this holds, and what replaces it.

    `marker` is a text that the files `paths` of Istio's source hold in each of these releases;
    both are empty where the documentation alone says it.
    """

    id: str
    effect: Effect
    first: Version
    last: Version
    paths: str
    marker: str
    page: str
    title: str
    why: str
    instead: str

    def holds(self, release: Version | None) -> bool:
        """Whether it holds at a release; what holds at the newest known is taken to go on."""
        if release is None:
            return self.last >= LAST_KNOWN
        return self.first <= max(release, FIRST_STABLE) and (
            release <= self.last or self.last >= LAST_KNOWN
        )

    @property
    def span(self) -> str:
        return f"{version_text(self.first)} to {version_text(self.last)}"


@cache
def features() -> dict[str, Feature]:
    """Every feature of the table by its identifier."""
    with data_file("ambient_features.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    return {row["id"]: _feature(row) for row in rows}


def read_on() -> str:
    """The date on which the table was last read from its sources."""
    with data_file("ambient_features.csv").open(encoding="utf-8") as file:
        return file.readline().rpartition("read on ")[2].strip().rstrip(";")


def _feature(row: dict[str, str]) -> Feature:
    effect = next(known for known in EFFECTS if known == row["effect"])
    first, last = (_version(row[name]) for name in ("first", "last"))
    texts = (row[name] for name in ("paths", "marker", "page", "title", "why", "instead"))
    return Feature(row["id"], effect, first, last, *texts)


def _version(text: str) -> Version:
    major, minor = text.split(".")
    return int(major), int(minor)
