"""The manifest: what a snapshot holds, where it comes from, and the hash of each of its files."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from rightsize.border import open_file
from rightsize.errors import SnapshotError
from rightsize.secrets import blanked
from rightsize.snapshot.schema import SCHEMA_VERSION
from rightsize.snapshot.summary_table import SUMMARIES, made_of

MANIFEST = "manifest.json"
_LARGEST_BYTES = 64 * 2**20
"""A year of days takes 1 MB."""


@dataclass(frozen=True)
class Missing:
    """Something the source did not have, and what that costs the answer."""

    what: str
    costs: str
    optional: bool = False
    """Many a good set-up does not have it."""


def missing_lines(missing: Sequence[Missing]) -> tuple[str, ...]:
    """One line for each cost, with all that has it; what good set-ups lack comes last."""
    by_cost: dict[str, list[str]] = {}
    for one in sorted(missing, key=lambda one: one.optional):
        by_cost.setdefault(one.costs, []).append(one.what)
    return tuple(f"{', '.join(names)}: {costs}" for costs, names in by_cost.items())


@dataclass(frozen=True)
class DayRecord:
    """One day of the snapshot. `complete` is False while the day was not over.

    `files` has the SHA-256 of each table's file; it lacks files of earlier releases. `absent` names
    the metrics that the source did not have that day; None in records of earlier releases.
    `summary_of` is what the day's summary was made of: its layout and the SHA-256 of `usage`.
    """

    start: datetime
    end: datetime
    complete: bool
    rows: Mapping[str, int]
    stats: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    absent: tuple[str, ...] | None = None
    summary_of: str | None = None

    def __post_init__(self) -> None:
        if self.start.utcoffset() is None or self.end.utcoffset() is None:
            raise ValueError("a day's times have no time zone")
        if not timedelta(0) < self.end - self.start <= timedelta(days=1):
            raise ValueError(f"a day from {self.start} to {self.end}")
        if any(count < 0 for count in self.rows.values()):
            raise ValueError("a negative number of rows")
        if not all(math.isfinite(value) for value in self.stats.values()):
            raise ValueError("a count that is not finite")

    @property
    def has_summary(self) -> bool:
        """Whether the day's summary is one of its usage as it is, in the layout of this release."""
        made = {SUMMARIES.name, "usage"} <= self.files.keys()
        return made and self.summary_of == made_of(self.files["usage"])


@dataclass(frozen=True)
class Manifest:
    """What a snapshot holds and where it comes from; never a secret."""

    cluster: str
    source: str
    """`prometheus`, `victoriametrics`, … or `demo`."""
    simulated: bool
    region: str | None = None
    istio_version: str | None = None
    scrape_interval_seconds: float | None = None
    days: Mapping[date, DayRecord] = field(default_factory=dict)
    missing: tuple[Missing, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    """Further facts of the source, as text: product version, matchers, demo parameters."""
    identity: Mapping[str, str] = field(default_factory=dict)
    """What distinguishes this mesh from others beside the matchers: uid of the namespace kube-system."""

    def __post_init__(self) -> None:
        for day, record in self.days.items():
            if not 1970 <= day.year < 2200 or record.start.date() != day:
                raise ValueError(f"day {day} begins at {record.start}")
        interval = self.scrape_interval_seconds
        if interval is not None and not 0 < interval < math.inf:
            raise ValueError(f"a scrape interval of {interval} s")

    def other_mesh(self, other: Manifest) -> str | None:
        """Say in which fact two manifests speak of different meshes; None if in none."""
        mine, others = ({"matchers": one.matchers, **one.identity} for one in (self, other))
        for name in sorted(mine.keys() & others.keys()):
            if mine[name] != others[name]:
                return f"{name} {others[name] or 'none'}, not {mine[name] or 'none'}"
        return None

    @property
    def matchers(self) -> str:
        """The matchers it was collected with, however they were written."""
        texts = self.facts.get("matchers", "").split(", ")
        return ", ".join(sorted(re.sub(r'[\s"]', "", text) for text in texts))

    @property
    def start(self) -> datetime:
        return min(record.start for record in self.days.values())

    @property
    def end(self) -> datetime:
        return max(record.end for record in self.days.values())

    def to_json(self) -> str:
        body = asdict(self) | {
            "schema_version": SCHEMA_VERSION,
            "days": {day.isoformat(): _record_json(r) for day, r in sorted(self.days.items())},
            "missing": [asdict(m) for m in self.missing],
        }
        return blanked(json.dumps(body, indent=1, sort_keys=True)) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read a manifest.

        Raises
        ------
        ValueError
            If it is none.
        SnapshotError
            If it is of another schema version.
        """
        body = from_json(text)
        if not isinstance(body, dict) or "schema_version" not in body:
            raise ValueError("no schema_version")
        version = body["schema_version"]
        if version != SCHEMA_VERSION:
            raise SnapshotError(
                f"the snapshot has schema version {version}, this rightsize reads {SCHEMA_VERSION}",
                hint="collect it again, or use the rightsize release that wrote it",
            )
        read: Manifest = _READER.validate_json(text, strict=True)
        return read


_READER: TypeAdapter[Any] = TypeAdapter(Manifest)


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of the snapshot in folder `path`.

    Raises
    ------
    SnapshotError
        If there is none, or it is damaged or of another schema version.
    """
    file = path / MANIFEST
    try:
        with open_file(file) as opened:
            content = opened.read(_LARGEST_BYTES + 1)
        if len(content) > _LARGEST_BYTES:
            raise ValueError(f"larger than {_LARGEST_BYTES >> 20} MiB")
        return Manifest.from_json(content.decode())
    except FileNotFoundError as error:
        raise SnapshotError(
            f"{path}: no snapshot here (no {MANIFEST})",
            hint="make one with rightsize collect, or leave --snapshot out to use the demo",
        ) from error
    except NotADirectoryError as error:
        raise SnapshotError(
            f"{path}: is a file, a snapshot is a folder", hint="give the folder it is in"
        ) from error
    except (OSError, ValueError) as error:
        raise SnapshotError(
            f"{file}: cannot be read ({_gist(error)})",
            hint="take it from a backup, or collect into another folder",
        ) from error


def _gist(error: OSError | ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)


def _record_json(record: DayRecord) -> dict[str, Any]:
    return asdict(record) | {"start": record.start.isoformat(), "end": record.end.isoformat()}
